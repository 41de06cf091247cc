"""Session descriptions: who sends what where (RFC 8866, RFC 3264, RFC 3551)."""

from functools import lru_cache
from typing import Final, NamedTuple

from siplogs.model import Media, Sdp, SdpConnection, SdpOwner, SdpSession
from siplogs.sip.text import decode, number

_MEDIA_MAX: Final = 32
_FORMATS_MAX: Final = 64
_CACHED: Final = 512
_CACHED_LENGTH: Final = 2048
_PORT_MAX: Final = 65535
_FIRST_LINES: Final = (b"v=", b"o=", b"s=", b"c=", b"m=")
_DIRECTIONS: Final = {b"a=" + name.encode(): name for name in ("sendrecv", "sendonly", "recvonly", "inactive")}
_CRYPTO: Final = frozenset({b"a=crypto", b"a=fingerprint"})
_STATIC: Final = {
    b"0": "PCMU/8000",
    b"3": "GSM/8000",
    b"4": "G723/8000",
    b"5": "DVI4/8000",
    b"6": "DVI4/16000",
    b"7": "LPC/8000",
    b"8": "PCMA/8000",
    b"9": "G722/8000",
    b"10": "L16/44100/2",
    b"11": "L16/44100",
    b"12": "QCELP/8000",
    b"13": "CN/8000",
    b"14": "MPA/90000",
    b"15": "G728/8000",
    b"16": "DVI4/11025",
    b"17": "DVI4/22050",
    b"18": "G729/8000",
    b"25": "CelB/90000",
    b"26": "JPEG/90000",
    b"28": "nv/90000",
    b"31": "H261/90000",
    b"32": "MPV/90000",
    b"33": "MP2T/90000",
    b"34": "H263/90000",
}
"""The payload types that need no rtpmap (RFC 3551 6)."""


class Section(NamedTuple):
    """What the attributes and the c= line of one section say; None where they say nothing."""

    address: str | None
    direction: str | None
    crypto: bool
    codecs: list[str]


class Session(NamedTuple):
    """What stands above the first m= line, the o= line apart."""

    version: str | None
    name: SdpSession | None
    connection: SdpConnection | None
    defaults: Section


def parse_sdp(body: bytes) -> Sdp | None:
    """Read an SDP body; None when it does not begin like one. At most 32 media of at most 64 formats are read.

    A payload type that neither an rtpmap nor RFC 3551 names stays its number.
    """
    return (_parse if len(body) <= _CACHED_LENGTH else _parse.__wrapped__)(body)


@lru_cache(maxsize=_CACHED)
def _parse(body: bytes) -> Sdp | None:
    """Read a body; cached because an offer is sent again with credentials, and resent."""
    body = body.strip()
    if body[:2] not in _FIRST_LINES:
        return None
    head, *media = (b"\n" + body.replace(b"\r", b"")).split(b"\nm=", _MEDIA_MAX + 1)
    before, _, tail = head.partition(b"\no=")
    owner, _, after = tail.partition(b"\n")
    session = (_session if len(head) <= _CACHED_LENGTH else _session.__wrapped__)(before + b"\n" + after)
    described = [_media(section, session.defaults) for section in media[:_MEDIA_MAX]]
    return Sdp(session.version, _owner(owner), session.name, session.connection, described or None)


@lru_cache(maxsize=_CACHED)
def _session(text: bytes) -> Session:
    """Read the lines above the first m= line; cached as those below it are, see `_section`."""
    described, _, attributes = text.partition(b"\na=")
    lines = {line[:2]: decode(line[2:].strip()) for line in reversed(described.split(b"\n"))}
    defaults = _section(b"", b"a=" + attributes + b"\nc=" + lines.get(b"c=", "").encode())
    name, connection = lines.get(b"s="), lines.get(b"c=")
    return Session(
        lines.get(b"v=") or None,
        SdpSession(name) if name else None,
        SdpConnection(connection, defaults.address) if connection else None,
        defaults,
    )


def _owner(line: bytes) -> SdpOwner | None:
    """Read `username session-id version IN IP4 address` (RFC 8866 5.2)."""
    words = decode(line).split()
    if not words:
        return None
    username, session_id, version, _, _, address = words if len(words) == 6 else [*words, *[""] * 6][:6]
    return SdpOwner(username, session_id or None, version or None, address or None)


def _media(text: bytes, session: Section) -> Media:
    """Read a section from its m= line on, with the session's defaults (RFC 8866 5.14)."""
    line, _, attributes = text.partition(b"\n")
    words = line.split(None, 3)
    kind, port, protocol, formats = words if len(words) == 4 else [*words, b"", b"", b"", b""][:4]
    section = (_section if len(text) <= _CACHED_LENGTH else _section.__wrapped__)(formats, attributes)
    return Media(
        decode(kind) or None,
        _port(port),
        decode(protocol) or None,
        section.address or session.address,
        section.direction or session.direction or "sendrecv",
        section.codecs or None,
        section.crypto or session.crypto,
    )


@lru_cache(maxsize=_CACHED)
def _section(formats: bytes, lines: bytes) -> Section:
    """Read the lines below an m= line; cached because a device sends the same ones in most of its calls."""
    address = direction = None
    crypto = False
    names: dict[bytes, str] = {}
    for line in lines.split(b"\n"):
        key, _, content = line.partition(b":")
        if key == b"a=rtpmap":
            payload, _, name = content.strip().partition(b" ")
            names[payload] = decode(name.strip())
        elif key in _CRYPTO:
            crypto = True
        elif line.rstrip() in _DIRECTIONS:
            direction = _DIRECTIONS[line.rstrip()]
        elif line.startswith(b"c="):
            address = _address(line[2:])
    known = [names.get(name) or _STATIC.get(name) or decode(name) for name in formats.split()[:_FORMATS_MAX]]
    return Section(address, direction, crypto, known)


def _address(connection: bytes) -> str | None:
    """Give the address of `IN IP4 224.2.36.42/127` without what follows its slash (RFC 8866 5.7)."""
    words = connection.split()
    return decode(words[2].partition(b"/")[0]) or None if len(words) > 2 else None


def _port(value: bytes) -> int | None:
    port = number(value.partition(b"/")[0])
    return port if port is not None and port <= _PORT_MAX else None
