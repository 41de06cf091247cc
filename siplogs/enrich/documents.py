"""The parts of a document: what a message, a line or the fields of a rule say, as the types of `siplogs.model`."""

import re
import socket
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from siplogs.model import (
    PLACED_FIELDS,
    Endpoint,
    ErrorMeta,
    Message,
    Network,
    Process,
    Reason,
    Record,
    Related,
    SipDocument,
    Thread,
    TopVia,
    Uri,
    User,
    UserAgent,
)
from siplogs.sip import (
    Memo,
    parse_contact,
    parse_cseq,
    parse_party,
    parse_sdp,
    parse_uri,
    sdp_body,
)

_RELATIONS: Final = 8192
_MOST_PAIRS: Final = 64
_STACKS: Final = ("asterisk-pjsip", "asterisk-chan-sip")
_STACK_SIGNS: Final = re.compile("(pjsip|pjproject)|(chan_sip)")
_PAIR: Final = re.compile(rb'([A-Za-z]{1,40})="([^"\n]{0,1024})"')


def text(value: bytes) -> str:
    """Decode as UTF-8; what is not UTF-8 becomes U+FFFD."""
    return value.decode("utf-8", "replace")


def stack_of(pack: str, pbx: str, source: str = "") -> str:
    """Name the SIP stack that a record comes from, as the knowledge base knows it.

    `source` is the PBX's C file or component where a pack has lines of both stacks of Asterisk.
    """
    if pack in _STACKS:
        return pack
    if pbx == "asterisk":
        found = _STACK_SIGNS.search(source)
        return _STACKS[found.lastindex == 2] if found is not None else pbx
    return pbx


def optional(fields: dict[str, bytes], name: str) -> str | None:
    """Decode a field; None when it is missing or empty."""
    value = fields.get(name)
    return text(value) or None if value is not None else None


@lru_cache(maxsize=1024)
def process_of(thread: bytes | None) -> Process | None:
    """Return the process of a thread id."""
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
    return named_endpoint(host, int(number) if number.isdigit() and len(number) < 6 else None)


@lru_cache(maxsize=8192)
def named_endpoint(host: str, port: int | None) -> Endpoint:
    """Return the endpoint of a host and a port."""
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
def network_of(transport: str, far: Endpoint | None, direction: str) -> Network:
    """Return ECS network.* of a transport, the far end and the direction."""
    datagram, address = transport == "udp", far.ip if far is not None else None
    return Network(
        protocol="sip",
        application="sip",
        transport=("udp" if datagram else "tcp") if transport else None,
        type=("ipv6" if ":" in address else "ipv4") if address else None,
        iana_number=("17" if datagram else "6") if transport else None,
        direction=direction or None,
    )


def message_document(message: Message, top: TopVia | None) -> SipDocument:
    """Return sip.* of a message."""
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


def line_document(fields: dict[str, bytes]) -> SipDocument | None:
    """Return sip.* of the fields of a rule, None when they say nothing of it."""
    sip = SipDocument(
        code=optional(fields, "code"),
        method=optional(fields, "method"),
        status=optional(fields, "phrase"),
        call_id=optional(fields, "call_id"),
        cseq=parse_cseq(fields["cseq"]) if "cseq" in fields else None,
        uri=parse_uri(fields["uri"]) if fields.get("uri") else None,
        from_=parse_party(fields["from"]) if fields.get("from") else None,
        to=parse_party(fields["to"]) if fields.get("to") else None,
        contact=parse_contact(fields["contact"]) if fields.get("contact") else None,
        user_agent=UserAgent(original=text(fields["user_agent"])) if fields.get("user_agent") else None,
    )
    return sip if sip != SipDocument() else None


def behind_prefix(record: Record, raw: bytes) -> bytes:
    """Return a line without its prefix; redaction cuts nothing before it."""
    return raw[record.text :].strip()


def cause_of(fields: dict[str, bytes], caused: Mapping[Reason, Reason]) -> list[Reason] | None:
    """Return the hangup cause that a line names, as `caused` completes it."""
    if "cause" not in fields and "cause_text" not in fields:
        return None
    number = fields.get("cause", b"")
    code = int(number) if number.isdigit() and len(number) < 5 else None
    return [caused[Reason(protocol=optional(fields, "cause_protocol"), code=code, text=optional(fields, "cause_text"))]]


def details_of(fields: dict[str, bytes], raw: bytes, *, pairs: bool) -> dict[str, str] | None:
    """Gather what has no field of its own, and for lines of key="value" pairs all of these."""
    details = {name: text(value) for name, value in fields.items() if name not in PLACED_FIELDS}
    if pairs:
        for name, value in _PAIR.findall(raw)[:_MOST_PAIRS]:
            details.setdefault(_snake(name), text(value))
    return details or None


@lru_cache(maxsize=512)
def _snake(name: bytes) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text(name)).lower()


def error_of(fields: dict[str, bytes]) -> ErrorMeta | None:
    """Return ECS error.* of the fields of a rule, None when they name no error."""
    if "error" not in fields and "error_code" not in fields and "error_type" not in fields:
        return None
    return ErrorMeta(
        message=optional(fields, "error"), code=optional(fields, "error_code"), type=optional(fields, "error_type")
    )


def related_to(
    sip: SipDocument | None, source: Endpoint | None, destination: Endpoint | None, user: User | None
) -> Related | None:
    """Gather everything to pivot on."""
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


def in_one_line(sip: SipDocument) -> str:
    """Write a message in one readable line."""
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
