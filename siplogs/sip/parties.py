"""Who a message names and where it went: From, To, Contact, Via (RFC 3261 20.10, 20.20, 20.39, 20.42)."""

from functools import lru_cache
from typing import Final

from siplogs.model import Contact, Party, Uri, Via
from siplogs.sip.text import before_comma, decode, number, parameters, quoted_length, semicolon_list, unquote
from siplogs.sip.uri import host_port, parse_uri, uri_parameters

_CACHED: Final = 1024
_PORT_MAX: Final = 65535
_VIA_NAMES: Final = frozenset({b"branch", b"rport", b"received"})


@lru_cache(maxsize=_CACHED)
def parse_party(value: bytes) -> Party:
    """Read a name-addr or addr-spec with its parameters: From, To, P-Asserted-Identity, Referred-By and the like."""
    named, closing, rest = value.partition(b">")
    if closing and b"<" in named and b"\\" not in named and not named.count(b'"') & 1:
        display, uri = _who(named)
    else:
        name, address, rest = _name_address(value)
        display, uri = name or None, parse_uri(address) if address else None
    return Party(display, _tag(rest), uri)


@lru_cache(maxsize=_CACHED)
def _who(named: bytes) -> tuple[str | None, Uri | None]:
    """Read what stands before the parameters; cached apart because a tag is new with every call."""
    display, address, _ = _name_address(named)
    return display or None, parse_uri(address) if address else None


def _tag(rest: bytes) -> str | None:
    if rest[:5] == b";tag=" and b";" not in rest[5:] and b"," not in rest:
        return decode(rest[5:].strip()) or None
    listed = parameters(before_comma(rest))
    return next((decode(content) for name, content in listed if name == "tag"), None) or None


@lru_cache(maxsize=_CACHED)
def parse_contact(value: bytes) -> Contact:
    """Read one Contact value (the first of several); `*` becomes a URI with nothing but `original`."""
    display, uri, rest = _name_address(value)
    listed = dict(parameters(rest)) if rest else {}
    of_uri = uri_parameters(uri) if b";" in uri else {}
    return Contact(
        display_info=display or None,
        uri=parse_uri(uri) if uri else None,
        transport=of_uri.get("transport", "").lower() or None,
        line=of_uri.get("line") or None,
        expires=unquote(listed.get("expires", b"")) or None,
        q=decode(listed.get("q", b"")) or None,
    )


def _name_address(value: bytes) -> tuple[str, bytes, bytes]:
    """Split into display name, URI and header parameters; without angle brackets `;` ends the URI (RFC 3261 20)."""
    value = value.strip()
    name_end = quoted_length(value)
    opening = value.find(b"<", name_end)
    if opening < 0:
        uri, _, rest = before_comma(value[name_end:]).partition(b";")
        return unquote(value[:name_end]), uri.strip(), rest
    uri, _, rest = value[opening + 1 :].partition(b">")
    return unquote(value[: name_end or opening]), uri.strip(), before_comma(rest)


def parse_via(value: bytes) -> Via:
    """Read one Via value (RFC 3261 20.42, RFC 3581). Not cached whole: a branch is new with every transaction."""
    sent, _, rest = before_comma(value).partition(b";")
    branch = received = rport = None
    for piece in semicolon_list(rest):
        name, _, content = piece.partition(b"=")
        if name not in _VIA_NAMES:
            name = name.strip().lower()
        if name == b"branch":
            branch = decode(content.strip())
        elif name == b"rport":
            rport = _rport(content)
        elif name == b"received":
            received = _received(content)
    transport, host, port = _sent_by(sent)
    return Via(transport, host, port, branch or None, received, rport)


@lru_cache(maxsize=_CACHED)
def _sent_by(sent: bytes) -> tuple[str, str, int | None]:
    """Read protocol and sender of `SIP/2.0/UDP host:port` in any spacing and case."""
    pieces = sent.split(b"/", 2)
    name, by = b"", pieces[-1]
    if len(pieces) == 3:
        name, by, *_ = [*by.split(None, 1), b"", b""]
    host, port = host_port(decode(by))
    return decode(name).lower(), host, _port(port)


@lru_cache(maxsize=_CACHED)
def _received(content: bytes) -> str | None:
    return host_port(decode(content))[0] or None


@lru_cache(maxsize=_CACHED)
def _rport(content: bytes) -> int | None:
    return _port(decode(content))


def _port(text: str) -> int | None:
    port = number(text.encode())
    return port if port is not None and port <= _PORT_MAX else None
