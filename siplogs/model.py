"""The types that cross rooms: Record, Message, Event and what they are made of.

`Event` is the document that is printed and indexed, field for field. Its annotations are the one definition from which
the Elasticsearch mapping, the JSON Schema and `docs/fields.md` are generated (see `siplogs.outputs.schema`).
"""

from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from msgspec import Meta, Struct, field

ECS_VERSION: Final = "8.17.0"

_PLACED: Final = (
    "time level thread pbx_call logger line function provider transport source source_port destination "
    "destination_port direction call_id method code phrase cseq from to contact uri user realm user_agent cause "
    "cause_text cause_protocol reason outcome channel peer error error_code error_type bytes response"
)
ALL_MARKS: Final = -1
"""Stands for text in which nobody looked for marks: any may be there."""

PLACED_FIELDS: Final = frozenset(_PLACED.split())
"""What a rule may take out of a line and documents have a field for; anything else goes to siplogs.details."""


def about(description: str, kind: str = "keyword", **options: Any) -> Meta:
    """Describe a document field: what it says and its Elasticsearch type with that type's options."""
    if kind == "keyword":
        options.setdefault("ignore_above", 1024)
    return Meta(description=description, extra={"elasticsearch": {"type": kind, **options}})


# Sentences that repeat in very many documents: found by their words, not by phrases, for an eighth less on disk.
_WORDS_ONLY: Final[dict[str, Any]] = {"index_options": "docs", "norms": False}


class Copied(Struct, gc=False):
    """A struct of which shallow copies are made on the hot path."""

    if TYPE_CHECKING:

        def __copy__(self) -> Self:
            """Return a shallow copy."""


class Record(Struct, gc=False):
    """One entry of a log, framed: where it stands, which rule found it and what the rule took out of it.

    `offset` and `length` count bytes of the decompressed file. `payload` is the SIP message as logged (bytes, line
    ends as logged); None for one-liners. `fields` holds the rule's named groups and the prefix's, undecoded; records
    that differ in nothing but time and message share one dict, which must not be changed. `time` is the time as
    written, `dated` the text of the last entry before that had a date. `marked` has a bit for each mark that the
    scanner was told to look for and found (`ALL_MARKS` where nobody looked). `text` is where in `raw` the entry's text
    begins, behind its prefix. `damage` says why the record is not whole ("" when it is).
    """

    pack: str
    rule: str
    kind: str
    offset: int
    length: int
    raw: bytes
    fields: dict[str, bytes]
    payload: bytes | None = None
    damage: str = ""
    time: bytes | None = None
    dated: bytes = b""
    marked: int = ALL_MARKS
    text: int = 0


class Finding(Struct, frozen=True, omit_defaults=True, gc=False):
    """One thing that is wrong with a message, as an id that stays the same over versions."""

    id: Annotated[str, about("stable name of the finding")]
    severity: Annotated[str, about("error, warning or info")]
    text: Annotated[str, about("what was found", "text")]
    header: Annotated[str | None, about("the header concerned, canonical lower case")] = None
    rfc: Annotated[str | None, about("the rule's source, such as RFC 3261 20.14")] = None


class Uri(Struct, frozen=True, omit_defaults=True, gc=False):
    """A SIP, SIPS or TEL URI taken apart; `host` without the brackets of an IPv6 reference."""

    original: Annotated[
        str | None, about("the URI as it stood", fields={"text": {"type": "text"}}, ignore_above=2048)
    ] = None
    scheme: Annotated[str | None, about("sip, sips, tel or another scheme, lower case")] = None
    username: Annotated[str | None, about("user part or telephone number, unescaped")] = None
    host: Annotated[str | None, about("host name or address, without brackets")] = None
    port: Annotated[str | None, about("port as written")] = None


class Party(Struct, frozen=True, omit_defaults=True, gc=False):
    """A name-addr: who a From, To or similar header names."""

    display_info: Annotated[str | None, about("display name, without its quotes")] = None
    tag: Annotated[str | None, about("dialog tag")] = None
    uri: Uri | None = None


class Contact(Struct, frozen=True, omit_defaults=True, gc=False):
    """The first Contact of a message."""

    display_info: Annotated[str | None, about("display name, without its quotes")] = None
    uri: Uri | None = None
    transport: Annotated[str | None, about("transport parameter of the Contact's URI")] = None
    line: Annotated[str | None, about("line parameter of the Contact's URI")] = None
    expires: Annotated[str | None, about("expires parameter")] = None
    q: Annotated[str | None, about("q parameter")] = None


class Via(Struct, frozen=True, omit_defaults=True, gc=False):
    """One Via value (RFC 3261 20.42). `transport` is lower case, `params` keep their order of appearance."""

    transport: str = ""
    host: str = ""
    port: int | None = None
    branch: str | None = None
    received: str | None = None
    rport: int | None = None


class CSeq(Struct, frozen=True, omit_defaults=True, gc=False):
    """A CSeq header (RFC 3261 20.16)."""

    code: Annotated[str | None, about("sequence number")] = None
    method: Annotated[str | None, about("method of the transaction, also on responses")] = None


class Credentials(Struct, frozen=True, omit_defaults=True, gc=False):
    """What may be known of an Authorization or challenge header: never the response itself."""

    scheme: Annotated[str | None, about("authentication scheme, such as Digest")] = None
    realm: Annotated[str | None, about("realm")] = None
    username: Annotated[str | None, about("digest username")] = None
    algorithm: Annotated[str | None, about("digest algorithm")] = None
    stale: Annotated[bool | None, about("the challenge says that only the nonce was stale", "boolean")] = None
    uri: Uri | None = None


class Reason(Struct, frozen=True, omit_defaults=True, gc=False):
    """One value of a Reason header (RFC 3326), or a PBX's own hangup cause."""

    protocol: Annotated[str | None, about("SIP, Q.850 or another protocol")] = None
    code: Annotated[int | None, about("cause number", "short")] = None
    text: Annotated[str | None, about("the text beside it")] = None
    meaning: Annotated[str | None, about("what the cause means", "text")] = None


class WarningValue(Struct, frozen=True, omit_defaults=True, gc=False):
    """One value of a Warning header (RFC 3261 20.43)."""

    code: Annotated[int | None, about("warning code", "short")] = None
    agent: Annotated[str | None, about("who added the warning")] = None
    text: Annotated[str | None, about("warning text", "text")] = None
    meaning: Annotated[str | None, about("what the code means", "text")] = None


class Media(Struct, frozen=True, omit_defaults=True, gc=False):
    """One m= section of an SDP body (RFC 8866 5.14)."""

    type: Annotated[str | None, about("audio, video, image, …")] = None
    port: Annotated[int | None, about("transport port; 0 refuses the stream", "integer")] = None
    protocol: Annotated[str | None, about("RTP/AVP, RTP/SAVP, UDP/TLS/RTP/SAVPF, …")] = None
    address: Annotated[str | None, about("connection address that applies to the section")] = None
    direction: Annotated[str | None, about("sendrecv, sendonly, recvonly or inactive")] = None
    codecs: Annotated[list[str] | None, about("codec names with clock rate, in order of preference")] = None
    crypto: Annotated[bool | None, about("SDES keys or a DTLS fingerprint are offered", "boolean")] = None


class SdpOwner(Struct, frozen=True, omit_defaults=True, gc=False):
    """The o= line of an SDP body."""

    username: Annotated[str | None, about("user name of the o= line")] = None
    session_id: Annotated[str | None, about("session id of the o= line")] = None
    version: Annotated[str | None, about("session version of the o= line")] = None
    ip: Annotated[str | None, about("address of the o= line", "ip", ignore_malformed=True)] = None


class SdpConnection(Struct, frozen=True, omit_defaults=True, gc=False):
    """The session-level c= line of an SDP body."""

    info: Annotated[str | None, about("the c= line")] = None
    address: Annotated[str | None, about("its address")] = None


class SdpSession(Struct, frozen=True, omit_defaults=True, gc=False):
    """The s= line of an SDP body."""

    name: Annotated[str | None, about("session name")] = None


class Sdp(Struct, frozen=True, omit_defaults=True, gc=False):
    """An SDP body (RFC 8866) as far as it says who sends what where."""

    version: Annotated[str | None, about("protocol version of the v= line")] = None
    owner: SdpOwner | None = None
    session: SdpSession | None = None
    connection: SdpConnection | None = None
    media: list[Media] | None = None


class ViaDocument(Struct, frozen=True, omit_defaults=True, gc=False):
    """Packetbeat's sip.via.*."""

    original: Annotated[list[str], about("Via values, top first", fields={"text": {"type": "text"}})]


class TopVia(Struct, frozen=True, gc=False):
    """A Via line as far as documents need it: as it stands, its branch, and who sent the message by which transport."""

    document: ViaDocument
    branch: str | None
    transport: str
    host: str
    port: int | None


class Header(Struct, frozen=True, gc=False):
    """One header: canonical lower-case long name, value without surrounding blanks, folded lines joined.

    `slot` is the field of SipDocument that `parsed` fills, or cause, warning or "" (`parsed` is then the text).
    """

    name: str
    value: bytes
    slot: str
    parsed: Any


class Message(Struct, gc=False):
    """A SIP message taken apart. Never an exception: what could not be read is in `findings`.

    `lines` are the headers in the message's order. `parts` has what the first header of each slot says, `others` the
    text of headers without a slot, a list of texts where one stands several times. `body` is what follows the empty
    line, as logged.
    """

    method: str = ""
    uri: str = ""
    code: int = 0
    phrase: str = ""
    version: str = ""
    lines: list[Header] = []
    parts: dict[str, Any] = {}
    others: dict[str, Any] = {}
    body: bytes = b""
    findings: list[Finding] = []

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Name and value of every header, in the message's order."""
        return [(header.name, header.value) for header in self.lines]


class EventMeta(Copied, omit_defaults=True, gc=False):
    """ECS event.*: how the event is classified."""

    id: Annotated[str, about("equal to the document's _id")]
    kind: Annotated[str, about("always event")]
    category: Annotated[list[str] | None, about("network, authentication, session")]
    type: Annotated[list[str] | None, about("protocol, connection, start, end, info, allowed, denied")]
    action: Annotated[str | None, about("sip-invite, sip-register, …; on responses the method of the CSeq")] = None
    outcome: Annotated[str | None, about("success, failure or unknown; absent for requests and 1xx")] = None
    reason: Annotated[str | None, about("reason phrase, or the PBX's own words")] = None
    code: Annotated[str | None, about("response code or the PBX's message id")] = None
    module: Annotated[str, about("always siplogs")] = "siplogs"
    dataset: Annotated[str | None, about("siplogs.<pbx>")] = None
    provider: Annotated[str | None, about("component of the PBX that logged it")] = None
    sequence: Annotated[int | None, about("byte offset of the record in its file: the file's own order", "long")] = None
    created: Annotated[str | None, about("when siplogs read it", "date")] = None
    timezone: Annotated[str | None, about("offset from UTC in which the log's time was read")] = None
    original: Annotated[str | None, about("the record as logged, after redaction", index=False, doc_values=False)] = (
        None
    )


class LogFile(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS log.file.*."""

    path: Annotated[str | None, about("path of the log")] = None


class OriginFile(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS log.origin.file.*."""

    name: Annotated[str | None, about("the PBX's C file that wrote the line")] = None
    line: Annotated[int | None, about("line in that file", "long")] = None


class LogOrigin(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS log.origin.*."""

    file: OriginFile | None = None
    function: Annotated[str | None, about("function that wrote the line")] = None


class Log(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS log.*."""

    level: Annotated[str | None, about("level as written, lower case")] = None
    logger: Annotated[str | None, about("module of the PBX")] = None
    file: LogFile | None = None
    origin: LogOrigin | None = None


class Endpoint(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS source.* and destination.*: one side of a message as the log names it."""

    address: Annotated[str | None, about("address or host name as logged")] = None
    ip: Annotated[str | None, about("the address when it is one", "ip", ignore_malformed=True)] = None
    port: Annotated[int | None, about("port", "long")] = None
    domain: Annotated[str | None, about("the host name when it is one")] = None


class User(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS user.*."""

    name: Annotated[str | None, about("authenticated user, or the account that the PBX names")] = None
    domain: Annotated[str | None, about("realm")] = None


class Network(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS network.*."""

    protocol: Annotated[str | None, about("always sip")] = None
    application: Annotated[str | None, about("always sip")] = None
    transport: Annotated[str | None, about("udp or tcp")] = None
    type: Annotated[str | None, about("ipv4 or ipv6")] = None
    iana_number: Annotated[str | None, about("17 or 6")] = None
    direction: Annotated[str | None, about("inbound or outbound, as the PBX sees it")] = None


class UserAgent(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS user_agent.*."""

    original: Annotated[str | None, about("User-Agent or Server header", fields={"text": {"type": "text"}})] = None


class Host(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS host.*."""

    name: Annotated[str | None, about("machine whose PBX wrote the log")] = None


class Service(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS service.*."""

    type: Annotated[str | None, about("asterisk, freeswitch")] = None


class Thread(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS process.thread.*."""

    id: Annotated[int | None, about("thread id in the line's prefix", "long")] = None


class Process(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS process.*."""

    thread: Thread | None = None


class Ecs(Struct, frozen=True, gc=False):
    """ECS ecs.*."""

    version: Annotated[str, about("ECS version of the fields")] = ECS_VERSION


class Agent(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS agent.*."""

    type: Annotated[str | None, about("always siplogs")] = None
    version: Annotated[str | None, about("version of siplogs")] = None


class Related(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS related.*: everything to pivot on."""

    ip: Annotated[list[str] | None, about("all addresses of the event", "ip", ignore_malformed=True)] = None
    user: Annotated[list[str] | None, about("all users of the event")] = None
    hosts: Annotated[list[str] | None, about("all host names of the event")] = None


class ErrorMeta(Struct, frozen=True, omit_defaults=True, gc=False):
    """ECS error.*."""

    message: Annotated[str | None, about("error text of the PBX", "text")] = None
    code: Annotated[str | None, about("error code of the PBX")] = None
    type: Annotated[str | None, about("error name of the PBX")] = None


class Explanation(Struct, frozen=True, omit_defaults=True, gc=False):
    """The knowledge base's entry as a document carries it: enough to act, the whole is one `siplogs explain` away."""

    id: Annotated[str, about("id of the knowledge entry, such as sip.486")]
    phrase: Annotated[str, about("registered reason phrase")]
    meaning: Annotated[str, about("what the code means", "text")]
    causes: Annotated[list[str], about("likely causes, most likely first", "text", **_WORDS_ONLY)]
    fixes: Annotated[list[str], about("what to change, most likely first", "text", **_WORDS_ONLY)]
    rfc: Annotated[str, about("RFC and section")]
    failure: Annotated[bool, about("whether the code counts as a failure", "boolean")]
    when: Annotated[str | None, about("when it is seen", "text", **_WORDS_ONLY)] = None
    check: Annotated[list[str] | None, about("headers to look at")] = None
    severity: Annotated[str | None, about("info, warning or error")] = None
    fallback: Annotated[bool | None, about("the code is unknown and its class's entry stands in", "boolean")] = None


class SipDocument(Struct, omit_defaults=True, gc=False):
    """Packetbeat's sip.*."""

    type: Annotated[str | None, about("request or response")] = None
    method: Annotated[str | None, about("request method (requests only)")] = None
    code: Annotated[str | None, about("response status code")] = None
    status: Annotated[str | None, about("reason phrase as sent")] = None
    version: Annotated[str | None, about("protocol version")] = None
    call_id: Annotated[str | None, about("Call-ID", ignore_above=2048)] = None
    cseq: CSeq | None = None
    uri: Uri | None = None
    from_: Party | None = field(default=None, name="from")
    to: Party | None = None
    contact: Contact | None = None
    via: ViaDocument | None = None
    user_agent: UserAgent | None = None
    allow: Annotated[list[str] | None, about("Allow header")] = None
    supported: Annotated[list[str] | None, about("Supported header")] = None
    accept: Annotated[list[str] | None, about("Accept header, lower case")] = None
    content_type: Annotated[str | None, about("Content-Type, lower case")] = None
    content_length: Annotated[int | None, about("Content-Length as claimed", "long")] = None
    max_forwards: Annotated[int | None, about("Max-Forwards", "long")] = None
    auth: Credentials | None = None
    sdp: Sdp | None = None


class Siplogs(Copied, omit_defaults=True, gc=False):
    """What is ours alone."""

    kind: Annotated[str, about("message, notice, security or registration")]
    pbx: Annotated[str, about("asterisk or freeswitch")]
    pack: Annotated[str, about("pattern pack that found the record")]
    rule: Annotated[str, about("rule of that pack")]
    code: Annotated[int | None, about("response code as a number", "short")] = None
    class_: Annotated[str | None, about("1xx … 6xx")] = field(default=None, name="class")
    failure: Annotated[bool | None, about("the event tells of a failure", "boolean")] = None
    response: Annotated[str | None, about("who made the response: sent or received by the PBX, or local")] = None
    transport: Annotated[str | None, about("udp, tcp, tls, ws or wss, as logged")] = None
    branch: Annotated[str | None, about("branch of the top Via")] = None
    reason: Explanation | None = None
    cause: list[Reason] | None = None
    warning: list[WarningValue] | None = None
    findings: list[Finding] | None = None
    headers: Annotated[dict[str, Any] | None, about("headers without a field of their own", "flattened")] = None
    details: Annotated[dict[str, str] | None, about("what else the rule took out of the line", "flattened")] = None
    pbx_call: Annotated[str | None, about("the PBX's own call id: C-0000001a, or FreeSWITCH's channel UUID")] = None
    channel: Annotated[str | None, about("channel name")] = None
    peer: Annotated[str | None, about("peer, endpoint, gateway or registration that the line names")] = None
    truncated: Annotated[bool | None, about("the log or a cap cut this record", "boolean")] = None
    damage: Annotated[str | None, about("why the record is not whole")] = None


class Event(Copied, omit_defaults=True, gc=False):
    """One record of a log as a document: field names follow ECS and Packetbeat, ours alone are under siplogs."""

    timestamp: Annotated[str, about("time of the log line in UTC", "date")] = field(name="@timestamp")
    event: EventMeta
    siplogs: Siplogs
    message: Annotated[str | None, about("the event in one readable line", "text")] = None
    ecs: Ecs | None = None
    sip: SipDocument | None = None
    source: Endpoint | None = None
    destination: Endpoint | None = None
    user: User | None = None
    network: Network | None = None
    user_agent: UserAgent | None = None
    log: Log | None = None
    host: Host | None = None
    service: Service | None = None
    process: Process | None = None
    related: Related | None = None
    error: ErrorMeta | None = None
    agent: Agent | None = None
    labels: Annotated[dict[str, str] | None, about("flat pairs that the user adds", "flattened")] = None
