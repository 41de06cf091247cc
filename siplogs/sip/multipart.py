"""Bodies of several parts, and where in them the SDP is (RFC 5621, RFC 2046 5.1)."""

from typing import Final

from siplogs.model import Message
from siplogs.sip.message import first, halves
from siplogs.sip.names import canonical
from siplogs.sip.text import decode, parameters, unquote

_PARTS_MAX: Final = 64
_DEPTH_MAX: Final = 4
_SDP: Final = "application/sdp"
_DEFAULT_TYPE: Final = "text/plain"


def sdp_body(message: Message) -> bytes | None:
    """Give the SDP of a message, also out of a multipart body; None when there is none."""
    if not message.body:
        return None
    kind = message.parts.get("content_type")
    if kind is None:
        return message.body if message.body.startswith(b"v=0") else None
    if kind == _SDP:
        return message.body
    if kind.startswith("multipart/"):
        return next((content for name, content in parts(message) if name == _SDP), None)
    return message.body if _media_type(kind.encode()) == _SDP else None


def parts(message: Message) -> list[tuple[str, bytes]]:
    """Give (content type, lower case without parameters; content) of each part of a multipart body, nested ones too.

    At most 64 parts, four levels deep. A body that is not multipart has no parts; a boundary that never comes, none.
    """
    return _parts(first(message, "content-type") or b"", message.body, _DEPTH_MAX)[:_PARTS_MAX]


def _media_type(value: bytes) -> str:
    return "".join(decode(value.partition(b";")[0]).lower().split())


def _parts(kind: bytes, body: bytes, depth: int) -> list[tuple[str, bytes]]:
    boundary = unquote(dict(parameters(kind)).get("boundary", b"")).encode()
    if not _media_type(kind).startswith("multipart/") or not boundary or not depth:
        return []
    found = []
    for section in _sections(boundary, body):
        inner, content = _part(section)
        found += _parts(inner, content, depth - 1) or [(_media_type(inner) or _DEFAULT_TYPE, content)]
    return found


def _sections(boundary: bytes, body: bytes) -> list[bytes]:
    """Cut at the delimiter lines; the line end before a delimiter belongs to it."""
    _, *pieces = (b"\n" + body).split(b"\n--" + boundary, _PARTS_MAX + 1)
    sections = []
    for piece in pieces[:_PARTS_MAX]:
        if piece.startswith(b"--"):
            break
        sections.append(piece.partition(b"\n")[2].removesuffix(b"\r"))
    return sections


def _part(section: bytes) -> tuple[bytes, bytes]:
    """Split a part into its content type and content; a part may have no headers at all."""
    if section.startswith((b"\n", b"\r\n")):
        return b"", section.partition(b"\n")[2]
    head, content = halves(section)
    kind = b""
    for line in head.replace(b"\r", b"").replace(b"\n ", b" ").replace(b"\n\t", b" ").split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon and canonical(name) == "content-type":
            kind = value.strip()
    return kind, content
