"""Makes a document of a record: the SIP message's fields, who sent it to whom, when, and what its code means."""

import re
import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from zlib import crc32

from msgspec import Struct

from siplogs import __version__
from siplogs.enrich.clock import Clock, Moment
from siplogs.enrich.redaction import redact, redact_value
from siplogs.model import (
    Agent,
    Ecs,
    Endpoint,
    ErrorMeta,
    Event,
    EventMeta,
    Explanation,
    Host,
    Log,
    LogFile,
    LogOrigin,
    Message,
    Network,
    OriginFile,
    Process,
    Reason,
    Record,
    Related,
    Service,
    SipDocument,
    Siplogs,
    Thread,
    TopVia,
    Uri,
    User,
    UserAgent,
)
from siplogs.sip import (
    DEFAULT_LIMITS,
    Limits,
    Memo,
    parse_contact,
    parse_cseq,
    parse_message,
    parse_party,
    parse_sdp,
    parse_uri,
    sdp_body,
)

Explain = Callable[[int, str, str, str], Explanation | None]

_REFUSALS: Final = frozenset((401, 403, 407))
_WHOLE: Final = frozenset(("", "doubtful", "altered", "no-time"))
_MARKED: Final = 512
_AGENT: Final = Agent(type="siplogs", version=__version__)
_ECS: Final = Ecs()
_PREPARED: Final = 8192
_SHAPES: Final = 256
_RELATIONS: Final = 8192
_LONGEST_LINE: Final = 2000
_MOST_PAIRS: Final = 64
_PAIR: Final = re.compile(rb'([A-Za-z]{1,40})="([^"\n]{0,1024})"')


def text(value: bytes) -> str:
    """Decode as UTF-8; what is not UTF-8 becomes U+FFFD."""
    return value.decode("utf-8", "replace")


class Prepared(Struct, frozen=True, gc=False):
    """What all messages of equal fields share: everything that does not come from the message itself."""

    fields: dict[str, bytes]
    inbound: bool
    far: Endpoint | None
    transport: str
    direction: str
    stack: str
    pbx: str
    dataset: str
    log: Log
    process: Process | None
    service: Service
    provider: str | None
    pbx_call: str | None
    channel: str | None
    peer: str | None
    shapes: "dict[tuple[int, str, str], Shape]"


class Shape(Struct, frozen=True, gc=False):
    """What all messages of equal fields, code, method and transport share: documents to copy and complete."""

    event: EventMeta
    siplogs: Siplogs
    document: Event


class Judgement(Struct, frozen=True, gc=False):
    """What a code says of an event, given method, direction and stack."""

    category: list[str]
    type: list[str]
    action: str | None = None
    outcome: str | None = None
    code_text: str | None = None
    code: int | None = None
    code_class: str | None = None
    failure: bool | None = None
    reason: Explanation | None = None


class EventBuilder:
    """Builds the documents of one log."""

    def __init__(
        self,
        *,
        path: str,
        identity: str,
        clock: Clock,
        explain: Explain,
        products: dict[str, str],
        host: str = "",
        original: bool = True,
        limits: Limits = DEFAULT_LIMITS,
        created: str | None = None,
        pairs: frozenset[str] = frozenset(),
    ) -> None:
        self._identity = identity
        self._clock = clock
        self._explain = explain
        self._products = products
        self._original = original
        self._limits = limits
        self._created = created
        self._host = Host(name=host or socket.gethostname())
        self._path = LogFile(path=path)
        self._services = {product: Service(type=product) for product in set(products.values())}
        self._log = lru_cache(maxsize=1024)(self._make_log)
        self._judge = lru_cache(maxsize=4096)(self._judgement)
        self._prepared: dict[int, Prepared] = {}
        self._pairs = pairs
        self.timeless = 0

    def build(self, record: Record) -> Event:
        """Make the document of one record."""
        if record.kind == "message":
            return self._message_event(record)
        return self._line_event(record)

    def _moment(self, record: Record) -> Moment:
        moment = self._clock.read(record.time, record.dated) if record.time else None
        if moment is None:
            self.timeless += 1
            record.damage = record.damage or "no-time"
            return self._clock.fallback()
        return moment

    def _prepare(self, record: Record) -> Prepared:
        """Return what the record's shared fields say; the dict itself is the key, and kept so that it stays one."""
        fields = record.fields
        known = self._prepared.get(id(fields))
        if known is not None and known.fields is fields:
            return known
        pbx = self._products[record.pack]
        port = fields.get("source_port") or fields.get("destination_port")
        prepared = Prepared(
            fields=fields,
            inbound=fields.get("direction") == b"inbound",
            far=endpoint(fields.get("source") or fields.get("destination"), port),
            transport=text(fields.get("transport", b"")).lower(),
            direction=text(fields.get("direction", b"")),
            stack=stack_of(record.pack, pbx),
            pbx=pbx,
            dataset=f"siplogs.{pbx}",
            log=self._log(fields.get("level"), fields.get("logger"), fields.get("line"), fields.get("function")),
            process=_process(fields.get("thread")),
            service=self._services[pbx],
            provider=_optional(fields, "provider"),
            pbx_call=_optional(fields, "pbx_call"),
            channel=_optional(fields, "channel"),
            peer=_optional(fields, "peer"),
            shapes={},
        )
        if record.kind == "message":
            if len(self._prepared) >= _PREPARED:
                self._prepared.clear()
            self._prepared[id(fields)] = prepared
        return prepared

    def _make_log(self, level: bytes | None, logger: bytes | None, line: bytes | None, function: bytes | None) -> Log:
        origin = None
        if logger and (line or b"." in logger):
            number = int(line) if line and len(line) < 9 else None
            origin = LogOrigin(file=OriginFile(name=text(logger), line=number), function=text(function or b"") or None)
        name = text(logger).rsplit("/", 1)[-1].removesuffix(".c") if logger else None
        return Log(level=text(level).lower() if level else None, logger=name, file=self._path, origin=origin)

    def _judgement(self, code: int, method: str, direction: str, stack: str) -> Judgement:
        category, kind = _category(method), ["protocol"]
        action = f"sip-{method.lower()}" if method and method.isascii() else None
        if not 100 <= code <= 699:
            return Judgement(category, kind, action, code_text=str(code) if code else None)
        reason = self._explain(code, method, "received" if direction == "inbound" else "sent", stack)
        failed = reason.failure if reason is not None else code >= 400
        if code in _REFUSALS:
            kind = ["protocol", "denied"]
        return Judgement(
            category,
            kind,
            action,
            _outcome(code, failed=failed),
            str(code),
            code,
            f"{code // 100}xx",
            failed or None,
            reason,
        )

    def _message_event(self, record: Record) -> Event:
        known, moment = self._prepare(record), self._moment(record)
        raw, payload = record.raw, record.payload or b""
        mark = crc32(payload[:_MARKED], crc32(raw))
        if record.marked:
            raw, payload = redact(raw), redact(payload)
        message = parse_message(payload, limits=self._limits)
        parts, own = message.parts, None
        top, cause, warning = parts.pop("via", None), parts.pop("cause", None), parts.pop("warning", None)
        sip = _sip_document(message, top)
        if top is not None and bool(message.method) != known.inbound and top.host:
            own = _endpoint(top.host, top.port)
        method = message.method or (sip.cseq.method if sip.cseq is not None else None) or ""
        shape = self._shape(record, known, message.code, method, top.transport if top is not None else "")
        meta = shape.event.__copy__()
        meta.id = f"{self._identity}-{record.offset:010x}-{mark:08x}"
        meta.reason = message.phrase or None
        meta.sequence = record.offset
        meta.timezone = moment[1]
        if self._original:
            meta.original = (raw + payload).decode("utf-8", "replace")
        ours = shape.siplogs.__copy__()
        ours.branch = top.branch if top is not None else None
        ours.cause = cause or None
        ours.warning = warning or None
        ours.findings = message.findings or None
        ours.headers = message.others or None
        if record.damage:
            ours.damage = record.damage
            ours.truncated = True if record.damage not in _WHOLE else None
        event = shape.document.__copy__()
        event.timestamp = moment[0]
        event.event = meta
        event.siplogs = ours
        event.message = _line(sip)
        event.sip = sip
        event.source, event.destination = (known.far, own) if known.inbound else (own, known.far)
        auth = sip.auth
        event.user = User(name=auth.username, domain=auth.realm) if auth is not None and auth.username else None
        event.user_agent = sip.user_agent
        event.related = _related(sip, event.source, event.destination, event.user)
        return event

    def _shape(self, record: Record, known: Prepared, code: int, method: str, via: str) -> Shape:
        """Return the documents to copy for a message; the log chooses methods and transports, so there is a bound."""
        key = (code, method, via)
        shape = known.shapes.get(key)
        if shape is None:
            if len(known.shapes) >= _SHAPES:
                known.shapes.clear()
            shape = known.shapes[key] = self._new_shape(record, known, code, method, known.transport or via)
        return shape

    def _new_shape(self, record: Record, known: Prepared, code: int, method: str, transport: str) -> Shape:
        judged = self._judge(code, method, known.direction, known.stack)
        event = EventMeta(
            id="",
            kind="event",
            category=judged.category,
            type=judged.type,
            action=judged.action,
            outcome=judged.outcome,
            code=judged.code_text,
            dataset=known.dataset,
            provider=known.provider,
            created=self._created,
        )
        siplogs = Siplogs(
            kind="message",
            pbx=known.pbx,
            pack=record.pack,
            rule=record.rule,
            code=judged.code,
            class_=judged.code_class,
            failure=judged.failure,
            transport=transport or None,
            reason=judged.reason,
            pbx_call=known.pbx_call,
            channel=known.channel,
            peer=known.peer,
        )
        document = Event(
            timestamp="",
            event=event,
            siplogs=siplogs,
            ecs=_ECS,
            network=_network(transport, known.far, known.direction),
            log=known.log,
            host=self._host,
            service=known.service,
            process=known.process,
            agent=_AGENT,
        )
        return Shape(event, siplogs, document)

    def _line_event(self, record: Record) -> Event:
        moment, mark = self._moment(record), crc32(record.raw)
        raw = redact(record.raw) if record.marked else record.raw
        if raw is not record.raw:
            record.fields = {name: redact_value(name, value) for name, value in record.fields.items()}
        known, fields = self._prepare(record), record.fields
        code = fields.get("code", b"")
        number = int(code) if code.isdigit() and len(code) == 3 else 0
        method = text(fields.get("method", b""))
        judged = self._judge(number, method, known.direction, known.stack)
        source = endpoint(fields.get("source"), fields.get("source_port"))
        destination = endpoint(fields.get("destination"), fields.get("destination_port"))
        sip = _line_document(fields)
        user = User(name=text(fields["user"]) or None, domain=_optional(fields, "realm")) if "user" in fields else None
        outcome = _optional(fields, "outcome") or judged.outcome
        damage = record.damage
        return Event(
            timestamp=moment[0],
            event=EventMeta(
                id=f"{self._identity}-{record.offset:010x}-{mark:08x}",
                kind="event",
                category=judged.category if record.kind == "notice" else ["network", "authentication"],
                type=judged.type,
                action=judged.action,
                outcome=outcome,
                reason=_optional(fields, "reason") or _optional(fields, "phrase"),
                code=judged.code_text,
                dataset=known.dataset,
                provider=known.provider,
                sequence=record.offset,
                created=self._created,
                timezone=moment[1],
                original=text(raw) if self._original else None,
            ),
            siplogs=Siplogs(
                kind=record.kind,
                pbx=known.pbx,
                pack=record.pack,
                rule=record.rule,
                code=judged.code,
                class_=judged.code_class,
                failure=True if outcome == "failure" else None,
                transport=known.transport or None,
                reason=judged.reason,
                cause=_cause(fields),
                details=_details(fields, raw, pairs=record.rule in self._pairs),
                pbx_call=known.pbx_call,
                channel=known.channel,
                peer=known.peer,
                truncated=True if damage not in _WHOLE else None,
                damage=damage or None,
            ),
            message=text(_behind_prefix(record, raw))[:_LONGEST_LINE],
            ecs=_ECS,
            sip=sip,
            source=source,
            destination=destination,
            user=user,
            network=_network(known.transport, source or destination, known.direction),
            log=known.log,
            host=self._host,
            service=known.service,
            process=known.process,
            related=_related(sip, source, destination, user),
            error=_error(fields),
            agent=_AGENT,
        )


_CONSUMED: Final = frozenset(
    [
        "time",
        "dated",
        "level",
        "thread",
        "pbx_call",
        "logger",
        "line",
        "function",
        "provider",
        "transport",
        "source",
        "source_port",
        "destination",
        "destination_port",
        "direction",
        "call_id",
        "method",
        "code",
        "phrase",
        "cseq",
        "from",
        "to",
        "contact",
        "uri",
        "user",
        "realm",
        "user_agent",
        "cause",
        "cause_text",
        "cause_protocol",
        "reason",
        "outcome",
        "channel",
        "peer",
        "error",
        "error_code",
        "error_type",
        "bytes",
    ]
)


def stack_of(pack: str, pbx: str) -> str:
    """Name the SIP stack that a pack's records come from, as the knowledge base knows it."""
    return pack if pack in ("asterisk-pjsip", "asterisk-chan-sip") else pbx


def _optional(fields: dict[str, bytes], name: str) -> str | None:
    value = fields.get(name)
    return text(value) or None if value is not None else None


@lru_cache(maxsize=1024)
def _process(thread: bytes | None) -> Process | None:
    return Process(thread=Thread(id=int(thread))) if thread and len(thread) < 16 else None


@lru_cache(maxsize=8192)
def endpoint(address: bytes | None, port: bytes | None = None) -> Endpoint | None:
    """Take apart host:port, [v6]:port, a bare address or a host name."""
    if not address:
        return None
    written = text(address).strip()
    host, number = written, text(port) if port else ""
    if written.startswith("["):
        host, _, rest = written[1:].partition("]")
        number = number or rest.lstrip(":")
    elif written.count(":") == 1:
        host, _, rest = written.partition(":")
        number = number or rest
    return _endpoint(host, int(number) if number.isdigit() and len(number) < 6 else None)


@lru_cache(maxsize=8192)
def _endpoint(host: str, port: int | None) -> Endpoint:
    if is_address(host):
        return Endpoint(address=host, ip=host, port=port)
    return Endpoint(address=host, port=port, domain=host)


def is_address(host: str) -> bool:
    """Say whether a host is an IPv4 or IPv6 address."""
    return _addresses[host]


def _inspect(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False


_addresses: Final = Memo(_inspect, 16384)


@lru_cache(maxsize=1024)
def _network(transport: str, far: Endpoint | None, direction: str) -> Network:
    datagram, address = transport == "udp", far.ip if far is not None else None
    return Network(
        protocol="sip",
        application="sip",
        transport=("udp" if datagram else "tcp") if transport else None,
        type=("ipv6" if ":" in address else "ipv4") if address else None,
        iana_number=("17" if datagram else "6") if transport else None,
        direction=direction or None,
    )


def _category(method: str) -> list[str]:
    if method == "REGISTER":
        return ["network", "authentication"]
    return ["network", "session"] if method in ("INVITE", "BYE", "CANCEL", "ACK") else ["network"]


def _outcome(code: int, *, failed: bool) -> str | None:
    if code < 200:
        return None
    if failed:
        return "failure"
    return "success" if code < 300 else "unknown"


def _sip_document(message: Message, top: TopVia | None) -> SipDocument:
    method, code = message.method, message.code
    body = sdp_body(message) if message.body else None
    return SipDocument(
        type="request" if method else "response" if code else None,
        method=method or None,
        code=str(code) if code else None,
        status=message.phrase or None,
        version=message.version or None,
        uri=parse_uri(message.uri.encode()) if message.uri else None,
        via=top.document if top is not None else None,
        sdp=parse_sdp(body) if body is not None else None,
        **message.parts,
    )


def _line_document(fields: dict[str, bytes]) -> SipDocument | None:
    sip = SipDocument(
        code=_optional(fields, "code"),
        method=_optional(fields, "method"),
        status=_optional(fields, "phrase"),
        call_id=_optional(fields, "call_id"),
        cseq=parse_cseq(fields["cseq"]) if "cseq" in fields else None,
        uri=parse_uri(fields["uri"]) if fields.get("uri") else None,
        from_=parse_party(fields["from"]) if fields.get("from") else None,
        to=parse_party(fields["to"]) if fields.get("to") else None,
        contact=parse_contact(fields["contact"]) if fields.get("contact") else None,
        user_agent=UserAgent(original=text(fields["user_agent"])) if fields.get("user_agent") else None,
    )
    return sip if sip != SipDocument() else None


def _behind_prefix(record: Record, raw: bytes) -> bytes:
    """Return a line without its prefix; redaction cuts nothing before it."""
    return raw[record.text :].strip()


def _cause(fields: dict[str, bytes]) -> list[Reason] | None:
    if "cause" not in fields and "cause_text" not in fields:
        return None
    number = fields.get("cause", b"")
    code = int(number) if number.isdigit() and len(number) < 5 else None
    return [Reason(protocol=_optional(fields, "cause_protocol"), code=code, text=_optional(fields, "cause_text"))]


def _details(fields: dict[str, bytes], raw: bytes, *, pairs: bool) -> dict[str, str] | None:
    """Gather what has no field of its own, and for lines of key="value" pairs all of these."""
    details = {name: text(value) for name, value in fields.items() if name not in _CONSUMED}
    if pairs:
        for name, value in _PAIR.findall(raw)[:_MOST_PAIRS]:
            details.setdefault(_snake(name), text(value))
    return details or None


@lru_cache(maxsize=512)
def _snake(name: bytes) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text(name)).lower()


def _error(fields: dict[str, bytes]) -> ErrorMeta | None:
    if "error" not in fields and "error_code" not in fields and "error_type" not in fields:
        return None
    return ErrorMeta(
        message=_optional(fields, "error"), code=_optional(fields, "error_code"), type=_optional(fields, "error_type")
    )


def _related(
    sip: SipDocument | None, source: Endpoint | None, destination: Endpoint | None, user: User | None
) -> Related | None:
    name = user.name if user is not None else None
    if sip is None:
        return _relations[None, None, None, None, source, destination, name]
    sender, receiver, contact = sip.from_, sip.to, sip.contact
    return _relations[
        sip.uri,
        sender.uri if sender is not None else None,
        receiver.uri if receiver is not None else None,
        contact.uri if contact is not None else None,
        source,
        destination,
        name,
    ]


Named = tuple[Uri | None, Uri | None, Uri | None, Uri | None, Endpoint | None, Endpoint | None, str | None]


def _relate(named: Named) -> Related | None:
    uri, sender, receiver, contact, source, destination, user = named
    hosts = {end.address: None for end in (source, destination) if end is not None and end.address is not None}
    users: dict[str, None] = {}
    for party in (sender, receiver, contact, uri):
        if party is not None and party.host is not None:
            hosts[party.host] = None
        if party is not None and party.username is not None:
            users[party.username] = None
    if user:
        users[user] = None
    ips = [host for host in hosts if is_address(host)]
    names = [host for host in hosts if not is_address(host)]
    return Related(ips or None, list(users) or None, names or None) if hosts or users else None


_relations: Final = Memo(_relate, _RELATIONS)


def _line(sip: SipDocument) -> str:
    method = sip.method
    if method:
        return f"{method} {sip.uri.original if sip.uri else ''} {who(sip.from_)} → {who(sip.to)}"
    cseq = sip.cseq
    return f"{sip.code or ''} {sip.status or ''} ({cseq.method if cseq else ''}) {who(sip.from_)} → {who(sip.to)}"


def who(party: Any) -> str:
    """Name a From or To in one word: its user, else its host."""
    if party is None or party.uri is None:
        return "?"
    uri = party.uri
    return uri.username or uri.host or uri.original or "?"
