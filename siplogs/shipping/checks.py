"""What `siplogs doctor` proves of state, Elasticsearch and Kibana, a link of the chain at a time."""

import os
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from siplogs.config import Settings
from siplogs.errors import SiplogsError, StateError
from siplogs.outputs.elasticsearch import EVENTS, Server, ca_file, connect, plain, tls_refusal
from siplogs.shipping import kibana, templates
from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.state import NoStateError, State
from siplogs.shipping.status import Status, survey

OK: Final = "ok"
WARNING: Final = "warning"
BROKEN: Final = "broken"

PRIVILEGES: Final = ("create_doc", "auto_configure")
DAY: Final = 86_400.0
_PATIENCE: Final = 10.0


class Finding(Struct, frozen=True):
    """What is the matter with one link of the chain; the text of one that is not ok says what to do."""

    link: str
    verdict: Literal["ok", "warning", "broken"]
    text: str


def check_state(settings: Settings, now: float) -> Iterator[Finding]:
    """Prove that the state can be kept, that nothing was lost, and that somebody ships."""
    path, letters = Path(settings.delivery.state), DeadLetters(Path(settings.delivery.dead_letters))
    try:
        with State(path, readonly=True) as state:
            found = survey(state, letters, now)
            looked = max((place.last_seen for place in state.places()), default=0.0)
    except NoStateError:
        yield _first_state(path)
        return
    except StateError as error:
        yield Finding("state", BROKEN, str(error))
        return
    writable = all(os.access(one, os.W_OK) for one in (path, path.parent))
    if writable or found.holder:
        yield Finding("state", OK, f"{path}, {found.holder or 'no process'} works on it")
    else:
        yield Finding("state", BROKEN, f"{path}: must not be written; run siplogs as its owner, or name another")
    yield from _work(found, looked, now)
    yield _letters(found)


def _first_state(path: Path) -> Finding:
    folder = next(one for one in path.absolute().parents if one.exists())
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return Finding("state", WARNING, f"{path}: none yet; the first siplogs ship or siplogs tail makes it")
    return Finding("state", BROKEN, f"{path}: {folder} must not be written; let siplogs write there, or use --state")


def _work(found: Status, looked: float, now: float) -> Iterator[Finding]:
    if found.lost:
        text = f"{found.lost:,} bytes of logs were deleted before they were read; keep rotated logs for longer"
        yield Finding("shipping", WARNING, text)
    if found.failing and found.tail is not None:
        yield Finding("shipping", BROKEN, f"the daemon waits: {found.tail.error}")
    elif found.tail is None and not found.holder and now - looked > DAY:
        days = f"for {int((now - looked) // DAY)} days" if looked else "yet"
        yield Finding("shipping", WARNING, f"nothing was shipped {days}; start siplogs tail, or siplogs ship from cron")
    elif not found.lost:
        behind = sum(log.lag_bytes or 0 for log in found.logs)
        yield Finding("shipping", OK, f"{found.created + found.present:,} events delivered, {behind:,} bytes behind")


def _letters(found: Status) -> Finding:
    if found.waiting is None:
        text = f"{found.dead_letters} must not be read; ask as the user that ships, or as root"
        return Finding("dead letters", WARNING, text)
    if found.waiting:
        text = f"{found.waiting:,} wait; siplogs dead-letters list tells why, siplogs dead-letters send sends them"
        return Finding("dead letters", WARNING, text)
    return Finding("dead letters", OK, "none waits")


def check_elasticsearch(settings: Settings, now: float) -> Iterator[Finding]:
    """Prove name, connection and TLS of each node, then credentials, version, privileges, templates and freshness."""
    if not settings.elasticsearch.url:
        text = "no address; set elasticsearch.url, or give --elasticsearch URL"
        yield Finding("elasticsearch", WARNING, text)
        return
    nodes = [_node(url, settings, "elasticsearch") for url in settings.elasticsearch.url]
    alive = any(node.verdict != BROKEN for node in nodes)
    for node in nodes:
        yield Finding(node.link, WARNING, node.text) if alive and node.verdict == BROKEN else node
    if not alive:
        return
    try:
        server = connect(settings.elasticsearch)
    except SiplogsError as error:
        yield Finding("credentials", BROKEN, str(error))
        return
    given = settings.elasticsearch.api_key or settings.elasticsearch.password
    yield Finding("credentials", OK, f"Elasticsearch {server.version} {'accepts them' if given else 'wants none'}")
    for check in (_privileges, _templates, _freshness):
        try:
            yield from check(server, now)
        except SiplogsError as error:
            yield Finding(check.__name__.strip("_"), BROKEN, str(error))


def check_kibana(settings: Settings) -> Iterator[Finding]:
    """Prove that Kibana is there with all views, where an address is set."""
    if not settings.kibana.url:
        return
    node = _node(settings.kibana.url, settings, "kibana")
    yield node
    if node.verdict == BROKEN:
        return
    try:
        version, gone = kibana.missing(settings)
    except SiplogsError as error:
        yield Finding("views", BROKEN, str(error))
        return
    if gone:
        text = f"Kibana {version} lacks {', '.join(gone)}; run siplogs setup --kibana {settings.kibana.url}"
        yield Finding("views", BROKEN, text)
    else:
        yield Finding("views", OK, f"Kibana {version} has them all")


def _node(url: str, settings: Settings, section: Literal["elasticsearch", "kibana"]) -> Finding:
    """Go to a server step by step, so that it is told which step fails."""
    parts = urlsplit(url)
    host, port = str(parts.hostname), int(parts.port or 0)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        why = str(error.strerror or error).lower()
        return Finding(section, BROKEN, f"the name {host} is not found ({why}); check {section}.url and the DNS")
    try:
        with socket.create_connection((host, port), _PATIENCE) as connection:
            if parts.scheme == "http":
                return Finding(section, OK, f"{url}: name and connection are fine, there is no TLS")
            with _context(settings, section).wrap_socket(connection, server_hostname=host) as secured:
                return Finding(section, OK, f"{url}: name, connection and {secured.version()} are fine")
    except ssl.SSLError as error:
        return Finding(section, BROKEN, str(tls_refusal(url, str(error), section)))
    except SiplogsError as error:
        return Finding(section, BROKEN, str(error))
    except OSError as error:
        why = plain(str(error)).lower()
        text = f"no connection to {host} port {port} ({why}); check that it runs there, and the firewalls between"
        return Finding(section, BROKEN, text)


def _context(settings: Settings, section: str) -> ssl.SSLContext:
    own = settings.kibana if section == "kibana" else settings.elasticsearch
    file = own.ca_file or settings.elasticsearch.ca_file
    context = ssl.create_default_context(cafile=ca_file(file, section) if file else None)
    if not (settings.elasticsearch.verify if own.verify is None else own.verify):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _privileges(server: Server, _now: float) -> Iterator[Finding]:
    wanted = {"cluster": ["monitor"], "index": [{"names": ["siplogs-*"], "privileges": list(PRIVILEGES)}]}
    answer = server.request("POST", "/_security/user/_has_privileges", wanted)
    if answer.status in {400, 404, 405, 500, 501}:
        yield Finding("privileges", OK, "this server has no security, everybody may do everything")
        return
    body = server.expect(answer, "asking for the privileges")
    granted = {"monitor": body["cluster"]["monitor"]} | body["index"]["siplogs-*"]
    lacking = [name for name, has in granted.items() if not has]
    if lacking:
        text = f"{', '.join(lacking)} lacking; give monitor on the cluster, {' and '.join(PRIVILEGES)} on siplogs-*"
        yield Finding("privileges", BROKEN, text)
    else:
        yield Finding("privileges", OK, f"monitor on the cluster, {' and '.join(PRIVILEGES)} on siplogs-*")


def _templates(server: Server, _now: float) -> Iterator[Finding]:
    found = templates.states(server)
    for state, verdict in (("missing", BROKEN), ("outdated", WARNING)):
        parts = [name for name, its in found.items() if its == state]
        if parts:
            run = "run siplogs setup --elasticsearch URL"
            yield Finding("templates", BROKEN if verdict == BROKEN else WARNING, f"{state}: {', '.join(parts)}; {run}")
    if not {"missing", "outdated"} & set(found.values()):
        yield Finding("templates", OK, "present and current")


def _freshness(server: Server, now: float) -> Iterator[Finding]:
    link = "last event"
    sort = [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}]
    query: dict[str, Any] = {"size": 1, "_source": ["@timestamp"], "sort": sort}
    answer = server.request("POST", f"/{EVENTS}-*/_search", query, {"ignore_unavailable": "true"})
    if answer.status == 403:
        yield Finding(link, OK, "not looked at: the credentials may not read siplogs-*, and shipping needs not")
        return
    hits = server.expect(answer, "looking for the last event")["hits"]["hits"]
    if not hits:
        yield Finding(link, WARNING, "there is none yet; run siplogs ship, and look at this host's logs above")
        return
    text = hits[0]["_source"]["@timestamp"]
    age = now - datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    if age < -300:
        yield Finding(link, WARNING, f"{text} lies ahead of this host's clock; check the timezone of the logs")
    elif age > DAY:
        yield Finding(link, WARNING, f"{text}, {int(age // DAY)} days ago; see whether anybody ships, and calls come")
    else:
        yield Finding(link, OK, text)
