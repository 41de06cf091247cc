"""Makes a document of a record: the SIP message's fields, who sent it to whom, when, and what its code means."""

import socket
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from zlib import crc32

from msgspec import Struct

from siplogs import __version__
from siplogs.enrich.clock import Clock, Moment
from siplogs.enrich.documents import (
    behind_prefix,
    cause_of,
    details_of,
    endpoint,
    error_of,
    in_one_line,
    line_document,
    message_document,
    named_endpoint,
    network_of,
    optional,
    process_of,
    related_to,
    stack_of,
    text,
)
from siplogs.enrich.reasons import Knowledge, Reasons
from siplogs.enrich.redaction import redact, redact_value
from siplogs.model import (
    Agent,
    Ecs,
    Endpoint,
    Event,
    EventMeta,
    Host,
    Log,
    LogFile,
    LogOrigin,
    OriginFile,
    Process,
    Record,
    Service,
    Siplogs,
    User,
)
from siplogs.sip import (
    DEFAULT_LIMITS,
    Limits,
    parse_message,
)

_WHOLE: Final = frozenset(("", "doubtful", "altered", "no-time"))
_MARKED: Final = 512
_AGENT: Final = Agent(type="siplogs", version=__version__)
_ECS: Final = Ecs()
_PREPARED: Final = 8192
_SHAPES: Final = 256
_LONGEST_LINE: Final = 2000


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


class EventBuilder:
    """Builds the documents of one log."""

    def __init__(
        self,
        *,
        path: str,
        identity: str,
        clock: Clock,
        knowledge: Knowledge,
        products: dict[str, str],
        host: str = "",
        original: bool = True,
        limits: Limits = DEFAULT_LIMITS,
        created: str | None = None,
        pairs: frozenset[str] = frozenset(),
        topics: Mapping[tuple[str, str], str] = MappingProxyType({}),
    ) -> None:
        self._identity = identity
        self._clock = clock
        self._products = products
        self._original = original
        self._limits = limits
        self._created = created
        self._host = Host(name=host or socket.gethostname())
        self._path = LogFile(path=path)
        self._services = {product: Service(type=product) for product in set(products.values())}
        self._log = lru_cache(maxsize=1024)(self._make_log)
        self._prepared: dict[int, Prepared] = {}
        self._pairs = pairs
        self._reasons = Reasons(knowledge, topics)
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
            stack=stack_of(record.pack, pbx, text(fields.get("logger") or fields.get("provider") or b"")),
            pbx=pbx,
            dataset=f"siplogs.{pbx}",
            log=self._log(fields.get("level"), fields.get("logger"), fields.get("line"), fields.get("function")),
            process=process_of(fields.get("thread")),
            service=self._services[pbx],
            provider=optional(fields, "provider"),
            pbx_call=optional(fields, "pbx_call"),
            channel=optional(fields, "channel"),
            peer=optional(fields, "peer"),
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

    def _message_event(self, record: Record) -> Event:
        known, moment = self._prepare(record), self._moment(record)
        raw, payload = record.raw, record.payload or b""
        mark = crc32(payload[:_MARKED], crc32(raw))
        if record.marked:
            raw, payload = redact(raw, record.marked), redact(payload, record.marked)
        message = parse_message(payload, limits=self._limits)
        parts, own = message.parts, None
        top, cause, warning = parts.pop("via", None), parts.pop("cause", None), parts.pop("warning", None)
        sip = message_document(message, top)
        if top is not None and bool(message.method) != known.inbound and top.host:
            own = named_endpoint(top.host, top.port)
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
        if cause:
            ours.cause = [self._reasons.caused[one] for one in cause]
        if warning:
            ours.warning = [self._reasons.caused[one] for one in warning]
        if message.method and known.inbound and sip.user_agent is not None:
            ours.reason = self._reasons.scanner[sip.user_agent.original or ""]
        ours.findings = message.findings or None
        ours.headers = message.others or None
        if record.damage:
            ours.damage = record.damage
            ours.truncated = True if record.damage not in _WHOLE else None
        event = shape.document.__copy__()
        event.timestamp = moment[0]
        event.event = meta
        event.siplogs = ours
        event.message = in_one_line(sip)
        event.sip = sip
        event.source, event.destination = (known.far, own) if known.inbound else (own, known.far)
        auth = sip.auth
        event.user = User(name=auth.username, domain=auth.realm) if auth is not None and auth.username else None
        event.user_agent = sip.user_agent
        event.related = related_to(sip, event.source, event.destination, event.user)
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
        judged = self._reasons.judge(code, method, "received" if known.inbound else "sent", known.stack)
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
            response=judged.side,
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
            network=network_of(transport, known.far, known.direction),
            log=known.log,
            host=self._host,
            service=known.service,
            process=known.process,
            agent=_AGENT,
        )
        return Shape(event, siplogs, document)

    def _line_event(self, record: Record) -> Event:
        moment, mark = self._moment(record), crc32(record.raw)
        raw = redact(record.raw, record.marked) if record.marked else record.raw
        if raw is not record.raw:
            record.fields = {name: redact_value(name, value, record.marked) for name, value in record.fields.items()}
        known, fields = self._prepare(record), record.fields
        code = fields.get("code", b"")
        number = int(code) if code.isdigit() and len(code) == 3 else 0
        method = text(fields.get("method", b""))
        judged = self._reasons.judge(number, method, text(fields.get("response", b"")), known.stack)
        source = endpoint(fields.get("source"), fields.get("source_port"))
        destination = endpoint(fields.get("destination"), fields.get("destination_port"))
        sip = line_document(fields)
        user = User(name=text(fields["user"]) or None, domain=optional(fields, "realm")) if "user" in fields else None
        outcome = optional(fields, "outcome") or judged.outcome
        damage = record.damage
        reason = self._reasons.of_line(judged.reason, record, known.stack, failed=outcome == "failure")
        if outcome == "failure" and reason is not None and not reason.failure:
            outcome = "unknown"
        return Event(
            timestamp=moment[0],
            event=EventMeta(
                id=f"{self._identity}-{record.offset:010x}-{mark:08x}",
                kind="event",
                category=judged.category if record.kind == "notice" else ["network", "authentication"],
                type=judged.type,
                action=judged.action,
                outcome=outcome,
                reason=optional(fields, "reason") or optional(fields, "phrase"),
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
                response=judged.side,
                transport=known.transport or None,
                reason=reason,
                cause=cause_of(fields, self._reasons.caused),
                details=details_of(fields, raw, pairs=record.rule in self._pairs),
                pbx_call=known.pbx_call,
                channel=known.channel,
                peer=known.peer,
                truncated=True if damage not in _WHOLE else None,
                damage=damage or None,
            ),
            message=text(behind_prefix(record, raw))[:_LONGEST_LINE],
            ecs=_ECS,
            sip=sip,
            source=source,
            destination=destination,
            user=user,
            network=network_of(known.transport, source or destination, known.direction),
            log=known.log,
            host=self._host,
            service=known.service,
            process=known.process,
            related=related_to(sip, source, destination, user),
            error=error_of(fields),
            agent=_AGENT,
        )
