"""What `siplogs doctor` proves of state, Elasticsearch and Kibana, a link of the chain at a time."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from siplogs.config import Settings
from siplogs.errors import ConfigError, SiplogsError, StateError
from siplogs.outputs.elasticsearch import EVENTS, Server, ca_file, connect, plain, tls_refusal
from siplogs.outputs.text import counted
from siplogs.shipping import kibana, templates
from siplogs.shipping.access import Shipper, disk_trouble, hindrance
from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.retention import period_end
from siplogs.shipping.state import NoStateError, State
from siplogs.shipping.status import Status, age, survey

OK: Final = "ok"
WARNING: Final = "warning"
BROKEN: Final = "broken"

PRIVILEGES: Final = ("create_doc", "auto_configure")
DAY: Final = 86_400.0
HOUR: Final = 3_600.0
_REMEMBERED: Final = 7 * DAY
"""For how long doctor warns of bytes that were lost."""

_AHEAD: Final = 300.0
_PATIENCE: Final = 10.0
_BESIDE_THE_STATE: Final = ("-wal", "-shm", ".lock")

# What keeps an index from taking documents, by Elasticsearch's number of it.
_FULL: Final = "12"
_SHUT_OTHERWISE: Final = (
    "take no documents, so that events become dead letters; set index.blocks.write and index.blocks.read_only to null"
    " (PUT /INDEX/_settings), then run siplogs dead-letters send"
)
_SHUT: Final = {
    "4": "closed, so that events become dead letters; POST /INDEX/_open, then run siplogs dead-letters send",
    _FULL: "take no documents, for a disk of Elasticsearch is nearly full (read_only_allow_delete); make room there,"
    " then the server opens them again by itself",
}


class Finding(Struct, frozen=True):
    """What is the matter with one link of the chain; the text of one that is not ok says what to do."""

    link: str
    verdict: Literal["ok", "warning", "broken"]
    text: str


def check_state(settings: Settings, user: Shipper, now: float) -> Iterator[Finding]:
    """Prove that the state, dead letters and metrics can be kept, that nothing was lost, and that somebody ships."""
    path, letters = Path(settings.delivery.state), DeadLetters(Path(settings.delivery.dead_letters))
    found, trouble = None, ""
    try:
        with State(path, readonly=True) as state:
            found = survey(state, letters, now)
    except NoStateError:
        pass
    except StateError as error:
        trouble = str(error)
    worked_on = found is not None and found.holder
    closed = disk_trouble(path.parent) if worked_on else hindrance(user, path, _BESIDE_THE_STATE)
    if closed:
        yield Finding("state", BROKEN, f"{path}: {closed}")
    elif trouble:
        yield Finding("state", BROKEN, trouble)
    elif found is None:
        yield Finding("state", WARNING, f"{path}: none yet; the first siplogs ship or siplogs tail makes it")
    else:
        yield Finding("state", OK, f"{path}, {found.holder or 'no process'} works on it; {user.name} may write it")
    if found is not None:
        yield from _work(found, now)
        yield from _letters(found)
    yield from _kept_elsewhere(settings, user)


def _work(found: Status, now: float) -> Iterator[Finding]:
    lately = now - found.lost_at < _REMEMBERED
    if lately:
        when = datetime.fromtimestamp(found.lost_at, UTC).strftime("%Y-%m-%d")
        lost = f"{found.lost:,} bytes of logs were deleted before they were read, the last were missed on {when}"
        text = f"{lost}; keep rotated logs for longer"
        yield Finding("shipping", WARNING, text)
    if found.trouble:
        yield Finding("shipping", BROKEN if found.failing or found.hung else WARNING, found.trouble)
    elif not found.holder and now - found.looked > DAY:
        days = f"for {age(now - found.looked)}" if found.looked else "yet"
        yield Finding("shipping", WARNING, f"nothing was shipped {days}; start siplogs tail, or siplogs ship from cron")
    elif not lately:
        behind = sum(log.lag_bytes or 0 for log in found.logs)
        delivered = counted(found.created + found.present, "event")
        yield Finding("shipping", OK, f"{delivered} delivered, {counted(behind, 'byte')} behind")


def _letters(found: Status) -> Iterator[Finding]:
    if found.waiting is None:
        text = f"{found.dead_letters} must not be read; ask as the user that ships, or as root"
        yield Finding("dead letters", WARNING, text)
    elif found.waiting:
        text = f"{found.waiting:,} wait; siplogs dead-letters list tells why, siplogs dead-letters send sends them"
        yield Finding("dead letters", WARNING, text)
    else:
        yield Finding("dead letters", OK, "none waits")


def _kept_elsewhere(settings: Settings, user: Shipper) -> Iterator[Finding]:
    """Prove that dead letters and metrics can be written: delivery stops where a refused document cannot be kept."""
    letters, metrics = Path(settings.delivery.dead_letters), Path(settings.tail.metrics_file)
    if closed := hindrance(user, letters):
        yield Finding("dead letters", BROKEN, f"{letters}: {closed} (delivery.dead_letters)")
    if settings.tail.metrics_file:
        folder = metrics.parent
        new = metrics.with_name(f".{metrics.name}")  # the file itself is not written but replaced
        closed = hindrance(user, new) if folder.is_dir() else f"there is no folder {folder}; make it"
        text = f"{closed} (tail.metrics_file)" if closed else "can be written"
        yield Finding("metrics", WARNING if closed else OK, f"{metrics}: {text}")


class Here(Struct, frozen=True):
    """What this host knows of its events without the server; times are seconds since 1970, 0 for never.

    `names` are the values of host.name that they get, `written` is when a log was written last, `acknowledged` when an
    event arrived last.
    """

    names: tuple[str, ...]
    written: float = 0.0
    acknowledged: float = 0.0


def acknowledged(settings: Settings) -> float:
    """Return when an event arrived last by the state, 0 for never."""
    with suppress(StateError), State(Path(settings.delivery.state), readonly=True) as state:
        return max((place.acknowledged for place in state.places()), default=0.0)
    return 0.0


def check_elasticsearch(settings: Settings, here: Here, now: float) -> Iterator[Finding]:
    """Prove name, connection and TLS of each node, then credentials, version, privileges, templates and freshness."""
    if not settings.elasticsearch.url:
        text = "no address, so that nothing can be shipped; set elasticsearch.url, or give --elasticsearch URL"
        yield Finding("elasticsearch", BROKEN, text)
        return
    nodes = [_node(url, settings, "elasticsearch") for url in settings.elasticsearch.url]
    alive = any(node.verdict != BROKEN for node in nodes)
    for node in nodes:
        yield Finding(node.link, WARNING, node.text) if alive and node.verdict == BROKEN else node
    if not alive:
        return
    try:
        server = connect(settings.elasticsearch)
    except ConfigError as error:
        yield Finding("elasticsearch", BROKEN, str(error))
        return
    except SiplogsError as error:
        yield Finding("credentials", BROKEN, str(error))
        return
    for url, node in zip(settings.elasticsearch.url, nodes, strict=True):
        if node.verdict == OK and url not in server.settings.url:
            text = f"{plain(url)} does not answer as Elasticsearch; the other addresses do its work meanwhile"
            yield Finding("elasticsearch", WARNING, text)
    given = settings.elasticsearch.api_key or settings.elasticsearch.password
    yield Finding("credentials", OK, f"Elasticsearch {server.version} {'accepts them' if given else 'wants none'}")
    checks = (
        ("privileges", _privileges(server)),
        ("templates", _templates(server)),
        ("indices", _blocks(server, now)),
        ("last event", _freshness(server, here, now)),
    )
    for link, check in checks:
        try:
            yield from check
        except SiplogsError as error:
            yield Finding(link, BROKEN, str(error))


def check_kibana(settings: Settings) -> Iterator[Finding]:
    """Prove that Kibana is there with all views, where an address is set; a key that ships need not see them."""
    if not settings.kibana.url:
        yield Finding("kibana", OK, "none is set (kibana.url), its views were not looked for")
        return
    node = _node(settings.kibana.url, settings, "kibana")
    yield node
    if node.verdict == BROKEN:
        return
    try:
        version, gone = kibana.missing(settings)
    except SiplogsError as error:
        if "(403)" in str(error):
            text = f"not looked at, and shipping needs not: {error}"
            yield Finding("views", WARNING, text)
        else:
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


def _privileges(server: Server) -> Iterator[Finding]:
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


def _templates(server: Server) -> Iterator[Finding]:
    found = templates.states(server)
    for state, verdict in (("missing", BROKEN), ("outdated", WARNING)):
        parts = [name for name, its in found.items() if its == state]
        if parts:
            run = "run siplogs setup --elasticsearch URL"
            yield Finding("templates", BROKEN if verdict == BROKEN else WARNING, f"{state}: {', '.join(parts)}; {run}")
    outweighs = templates.rival(server)
    if outweighs:
        yield Finding("templates", BROKEN, outweighs)
    elif not {"missing", "outdated"} & set(found.values()):
        yield Finding("templates", OK, "present and current")


def _blocks(server: Server, now: float) -> Iterator[Finding]:
    """Tell which indices take no documents; those of periods that are over may have been closed on purpose."""
    answer = server.request("GET", "/_cluster/state/blocks", query={"filter_path": f"blocks.indices.{EVENTS}-*"})
    if answer.status in {403, 404}:
        return
    found = server.expect(answer, "looking at the indices").get("blocks", {}).get("indices", {})
    shut: dict[str, list[str]] = {}
    over: dict[str, None] = {}
    for name, block in _against_writing(found):
        if block == _FULL or _ends(name) > now:
            shut.setdefault(block, []).append(name)
        else:
            over[name] = None
    for block, names in shut.items():
        yield Finding("indices", BROKEN, f"{', '.join(names)}: {_SHUT.get(block, _SHUT_OTHERWISE)}")
    if not shut:
        told = f"; those of periods that are over and take none: {', '.join(over)}" if over else ""
        yield Finding("indices", OK, f"take documents{told}")


def _against_writing(found: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the indices with names of siplogs' that take no documents, each with the number of what hinders it."""
    pairs = [(name, number) for name, blocks in found.items() for number in blocks if period_end(name)]
    return sorted((name, number) for name, number in pairs if "write" in found[name][number]["levels"])


def _ends(index: str) -> float:
    end = period_end(index)
    return end.timestamp() if end else 0.0


def _freshness(server: Server, here: Here, now: float) -> Iterator[Finding]:
    """Compare this host's last event with the last change of its logs; where the key may not read, ask the state."""
    wanted = [{"terms": {"host.name": here.names}}, {"exists": {"field": "@timestamp"}}]
    order = {"@timestamp": {"order": "desc", "unmapped_type": "date", "numeric_type": "date"}}
    query = {"size": 1, "_source": False, "query": {"bool": {"filter": wanted}}, "sort": [order]}
    answer = server.request("POST", f"/{EVENTS}-*/_search", query, {"ignore_unavailable": "true"})
    if answer.status == 403:
        yield _aged(here.acknowledged, here, now, " by the state, for the credentials may not read siplogs-*")
        return
    hits = server.expect(answer, "looking for the last event")["hits"]["hits"]
    told = hits[0].get("sort", [None])[0] if hits else 0
    if isinstance(told, int | float):
        yield _aged(told / 1000, here, now, "")
    else:
        text = f"{hits[0].get('_index')} has another mapping than siplogs' own; run siplogs setup, and re-index it"
        yield Finding("last event", WARNING, f"not looked at: {text}")


def _aged(moment: float, here: Here, now: float, source: str) -> Finding:
    link = "last event"
    if not moment:
        text = f"there is none yet of {', '.join(here.names)}{source}; run siplogs ship, and look at the logs above"
        return Finding(link, WARNING, text)
    told = _written(moment) + source
    if moment - now > _AHEAD:
        return Finding(link, WARNING, f"{told}, lies ahead of this host's clock; check the timezone of the logs")
    if here.written - moment > HOUR:
        late = f"{age(here.written - moment)} before the last change of the logs"
        return Finding(link, WARNING, f"{told}, {late}; see whether anybody ships, and whether SIP is logged")
    return Finding(link, OK, told)


def _written(moment: float) -> str:
    try:
        return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return f"{moment:.0f} s after 1970"
