"""Elasticsearch as an output: which document an event becomes, and the one way to talk to the server.

The client library is imported on use only: it costs more than a whole `siplogs explain`.
"""

import base64
import gzip
import json
import logging
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from siplogs.config import ElasticsearchSettings, Period
from siplogs.errors import ConfigError, DeliveryError
from siplogs.model import Event

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

EVENTS: Final = "siplogs-events"
OLDEST: Final = (8, 11)
_TIMEOUT: Final = 60.0
_PATIENCE: Final = 10.0  # seconds for one address to say which cluster it belongs to
_UNKNOWN: Final = "_na_"  # the id of a cluster that has no master yet
_LEFT_ALONE: Final = 10 * _TIMEOUT  # seconds after which a node that keeps hanging may cost a request's time again
_BULK_ANSWER: Final = {"filter_path": "error,errors,items.*.status,items.*.error.type,items.*.error.reason"}

_DECORATION: Final = re.compile(
    r"^HTTPS?Connection\(.*?\): |Failed to establish a new connection: "
    r"|\[Errno \d+\] |\[SSL: \w+\] | \(_ssl\.c:\d+\)"
)

_TAG: Final = re.compile(r"<[^<>]*>")
_LOOKED_AT: Final = 4096
_FIRST_WORDS: Final = 100

_encode = msgspec.json.Encoder().encode


class Document(Struct, frozen=True, gc=False):
    """A document ready to send: index, `_id`, and the body as JSON on one line."""

    index: str
    id: str
    body: bytes


class Answer(NamedTuple):
    """What a server answered: HTTP status, decoded body, and the pause in seconds that it asks for."""

    status: int
    body: Any
    retry_after: float | None = None


class UnreachableError(DeliveryError):
    """No whole answer came; trying again may help."""


def document(event: Event, period: Period = "month") -> Document:
    """Return the document of an event; the index is chosen by the event's own time, never by today's."""
    return Document(index_name(event.timestamp, period), event.event.id, _encode(event))


def index_name(timestamp: str, period: Period) -> str:
    """Return the index of events of a time, given as ISO 8601 in UTC."""
    return f"{EVENTS}-{_period(timestamp, period)}"


def connect(settings: ElasticsearchSettings) -> "Server":
    """Reach the server and prove that it is an Elasticsearch of a version that siplogs knows.

    Of several addresses only those that answer now are used until the next call, for another one may turn out to be of
    another cluster. Raises ConfigError when no address is set or they are of several clusters, DeliveryError when the
    server refuses, is something else or too old, and UnreachableError when it does not answer.
    """
    if not settings.url:
        raise ConfigError(
            "no Elasticsearch address: give --elasticsearch URL, or set SIPLOGS_ELASTICSEARCH_URL or elasticsearch.url"
        )
    nodes = _nodes(settings)
    server = Server(msgspec.structs.replace(settings, url=[*nodes]) if nodes else settings)
    server.version = next(iter(nodes.values()), "") or _about(server)["version"]["number"]
    return server


class Server:
    """An Elasticsearch cluster: requests go to the nodes in turn, a node that does not answer is passed over."""

    def __init__(self, settings: ElasticsearchSettings, timeout: float | None = None) -> None:
        self.settings = settings
        self.version = ""
        self._client = _client(settings, timeout or _TIMEOUT)

    @property
    def name(self) -> str:
        """The addresses, for messages."""
        return ", ".join(self.settings.url)

    def request(self, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None) -> Answer:
        """Send one request; JSON both ways. Any HTTP status is an answer. Raises UnreachableError, DeliveryError."""
        headers = {"accept": "application/json"} | ({"content-type": "application/json"} if body is not None else {})
        return self._perform(method, path, query, headers, body)

    def bulk(self, body: bytes) -> Answer:
        """Send a ready-made body of the bulk API; of the answer only `errors` and each item's status and error come."""
        headers = {"accept": "application/json", "content-type": "application/x-ndjson"}
        if self.settings.compress:
            body = gzip.compress(body, compresslevel=1)
            headers["content-encoding"] = "gzip"
        return self._perform("POST", "/_bulk", _BULK_ANSWER, headers, body)

    def expect(self, answer: Answer, doing: str) -> Any:
        """Return the body of an answer of success; raise DeliveryError saying what was refused and what to do."""
        if answer.status < 300 and not isinstance(answer.body, str):
            return answer.body
        raise self.refusal(answer, doing)

    def stranger(self, answer: Answer) -> str:
        """Say what gave an answer of no success in Elasticsearch's place, "" where that was Elasticsearch itself.

        Its own errors have a type; proxies, gateways and firewalls answer with pages, or with JSON of another shape.
        Who asks for credentials (401) may stand before it, and gets the same ones.
        """
        error = answer.body.get("error") if isinstance(answer.body, dict) else None
        if answer.status == 401 or (isinstance(error, dict) and isinstance(error.get("type"), str)):
            return ""
        said = f"{answer.status}: {_beginning(answer.body)}".removesuffix(": ")
        return (
            f"what answers at {self.name} is not Elasticsearch ({said}): see what stands between, and elasticsearch.url"
        )

    def refusal(self, answer: Answer, doing: str) -> DeliveryError:
        """Return the error for an answer that is no success; an UnreachableError where trying again may help."""
        if stranger := self.stranger(answer):
            return UnreachableError(f"{doing}: {stranger}", answer.retry_after)
        why = reason(answer.body)
        if answer.status == 401:
            given = self.settings.api_key or self.settings.password
            text = "refuses the credentials" if given else "wants credentials"
            remedy = "check elasticsearch.api_key_file, or elasticsearch.username and elasticsearch.password_file"
            return DeliveryError(f"Elasticsearch at {self.name} {text} (401): {remedy}; restart siplogs tail then")
        if answer.status == 403 and "blocked by:" in why:
            return UnreachableError(f"{doing}: Elasticsearch at {self.name} must not be written at the moment: {why}")
        if answer.status == 403:
            return DeliveryError(f"{doing}: the credentials lack a privilege (403): {why or 'no reason given'}")
        kind = UnreachableError if answer.status == 429 or answer.status >= 500 else DeliveryError
        text = f"{doing}: Elasticsearch at {self.name} answers {answer.status}: {why or 'no reason given'}"
        return kind(text, answer.retry_after)

    def _perform(
        self, method: str, path: str, query: Mapping[str, str] | None, headers: dict[str, str], body: object
    ) -> Answer:
        from elastic_transport import SerializationError, TlsError, TransportError
        from elasticsearch import ApiError, UnsupportedProductError

        try:
            response = self._client.perform_request(method, path, params=query, headers=headers, body=body)
        except UnsupportedProductError as error:
            raise DeliveryError(f"the server at {self.name} is not Elasticsearch: check elasticsearch.url") from error
        except ApiError as error:
            return Answer(error.meta.status, error.body, _retry_after(error.meta.headers.get("retry-after")))
        except SerializationError as error:
            raise UnreachableError(
                f"the server at {self.name} sent an answer that cannot be read: {plain(error.message)}"
            ) from error
        except TlsError as error:
            raise tls_refusal(self.name, error.message, "elasticsearch") from error
        except TransportError as error:
            raise UnreachableError(
                f"Elasticsearch cannot be reached at {self.name} ({plain(error.message)}): check that it runs, and"
                " elasticsearch.url (https:// for a server with TLS)"
            ) from error
        return Answer(response.meta.status, response.body)


def reason(body: Any) -> str:
    """Return the words of an error in an answer of Elasticsearch, on one line; "" when there are none."""
    error = body.get("error") if isinstance(body, dict) else body
    if isinstance(error, dict):
        error = error.get("reason") or error.get("type")
    return " ".join(str(error or "").split())[:500]


def _beginning(body: Any) -> str:
    """Return the first words of an answer of whatever kind, without tags and what cannot be printed, on one line."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False) if body else ""
    text = "".join(one if one.isprintable() else " " for one in _TAG.sub(" ", text[:_LOOKED_AT]))
    words = " ".join(text.split())
    return words if len(words) <= _FIRST_WORDS else f"{words[:_FIRST_WORDS]}…"


def _period(timestamp: str, period: Period) -> str:
    if period == "week":
        year, week, _ = date.fromisoformat(timestamp[:10]).isocalendar()
        return f"{year}.w{week:02}"
    return timestamp[: {"day": 10, "month": 7, "year": 4}[period]].replace("-", ".")


def _client(settings: ElasticsearchSettings, timeout: float) -> "Elasticsearch":
    from elasticsearch import Elasticsearch, ElasticsearchWarning
    from elasticsearch.serializer import NdjsonSerializer

    class ReadyMade(NdjsonSerializer):
        """Takes bodies as they are: they may be compressed, and copying them costs."""

        def dumps(self, data: Any) -> bytes:
            return bytes(data)

    warnings.filterwarnings("ignore", category=ElasticsearchWarning)
    logging.getLogger("elastic_transport").addHandler(logging.NullHandler())
    options: dict[str, Any] = {}
    if settings.api_key:
        options["api_key"] = settings.api_key
    elif settings.username and settings.password:  # the library's basic_auth takes ASCII only
        pair = f"{settings.username}:{settings.password}".encode()
        options["headers"] = {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    if any(url.startswith("https:") for url in settings.url):
        options |= {"verify_certs": settings.verify, "ssl_show_warn": False}
        if settings.ca_file and settings.verify:
            options["ca_certs"] = ca_file(settings.ca_file, "elasticsearch")
    return Elasticsearch(
        list(settings.url),
        request_timeout=timeout,
        max_retries=len(settings.url) - 1,
        retry_on_status=(),
        retry_on_timeout=True,
        max_dead_node_backoff=_LEFT_ALONE,
        serializers={"application/vnd.elasticsearch+x-ndjson": ReadyMade()},
        **options,
    )


def _about(server: Server) -> dict[str, Any]:
    """Return what a server says of itself, once it is an Elasticsearch of a version that siplogs knows."""
    answer = server.request("GET", "/")
    if answer.status == 404:
        raise DeliveryError(f"the server at {server.name} is not Elasticsearch: check elasticsearch.url")
    passing = answer.status == 429 or answer.status >= 500
    stranger = "" if answer.status < 300 and isinstance(answer.body, dict) else server.stranger(answer)
    if stranger and not passing:
        raise DeliveryError(stranger)
    body: dict[str, Any] = server.expect(answer, "asking for the version")
    version = body.get("version")
    number = str(version.get("number", "")) if isinstance(version, dict) else ""
    major, minor, *_ = (int(part) if part.isdigit() else 0 for part in f"{number}.0.0".split("."))
    if (major, minor) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise DeliveryError(f"Elasticsearch at {server.name} is version {number}; siplogs needs {oldest} or later")
    return body


def _nodes(settings: ElasticsearchSettings) -> dict[str, str]:
    """Ask each of several addresses what it is, and return those that answer with their versions.

    Requests go to them in turn, so that each has to be an Elasticsearch, and all of one cluster: else each would get a
    part of the events. Raises DeliveryError and ConfigError naming the addresses that are not.
    """
    clusters: dict[str, dict[str, str]] = {}
    for url in settings.url if len(settings.url) > 1 else ():
        with suppress(UnreachableError):
            about = _about(Server(msgspec.structs.replace(settings, url=[url]), _PATIENCE))
            clusters.setdefault(about.get("cluster_uuid") or _UNKNOWN, {})[url] = about["version"]["number"]
    unknown = clusters.pop(_UNKNOWN, {})
    if len(clusters) > 1:
        first, second, *_ = (next(iter(urls)) for urls in clusters.values())
        raise ConfigError(
            f"elasticsearch.url: {first} and {second} are different clusters, each would get a part of the events:"
            " name addresses of one cluster only"
        )
    return next(iter(clusters.values()), unknown)


def ca_file(path: str, section: str) -> str:
    """Return the path of a CA certificate once it is proven to be one. Raises ConfigError naming the setting."""
    import ssl

    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        reason = "no such file" if not Path(path).exists() else "it is no PEM certificate, or cannot be read"
        raise ConfigError(f"{section}.ca_file: {path}: {reason}") from error
    return path


def tls_refusal(name: str, why: str, section: str) -> DeliveryError:
    """Return the error for a failed TLS handshake with a server, with the setting that mends it."""
    if "WRONG_VERSION_NUMBER" in why or "record layer failure" in why:
        return DeliveryError(f"the server at {name} does not speak TLS: write http:// in {section}.url")
    return DeliveryError(
        f"the certificate of {name} cannot be verified ({plain(why)}): set {section}.ca_file"
        f" (SIPLOGS_{section.upper()}_CA_FILE) to the certificate of its CA"
    )


def _retry_after(value: str | None) -> float | None:
    if not value:
        return None
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def plain(trouble: str) -> str:
    """Return what a network library says, on one line and without its own names and places."""
    return _DECORATION.sub("", trouble.partition("\n")[0][:300])
