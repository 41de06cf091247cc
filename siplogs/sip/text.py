"""What every header's grammar shares: quoted strings, lists, parameters, escapes (RFC 3261 25.1)."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

_QUOTED: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_COMMA: Final = re.compile(_QUOTED + rb"|<[^>]*+>?|(,)", re.DOTALL)
_SEMICOLON: Final = re.compile(_QUOTED + rb"|<[^>]*+>?|(;)", re.DOTALL)
_CLOSED: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_DIGITS_MAX: Final = 10


def decode(value: bytes) -> str:
    """Decode as UTF-8; what is not UTF-8 becomes the replacement character."""
    return value.decode("utf-8", "replace")


def unescape(value: bytes) -> str:
    """Resolve %XX escapes and decode (RFC 3261 19.1.2)."""
    return decode(unquote_to_bytes(value) if b"%" in value else value)


def unquote(value: bytes) -> str:
    """Take surrounding blanks and quotes off and resolve backslashes within the quotes (RFC 3261 25.1)."""
    value = value.strip()
    if not value.startswith(b'"'):
        return decode(value)
    value = value[1:-1] if len(value) > 1 and value.endswith(b'"') else value[1:]
    return decode(_ESCAPED.sub(rb"\1", value) if b"\\" in value else value)


def quoted_length(value: bytes) -> int:
    """Give the length of the quoted string that `value` begins with, 0 when it begins with none or an unclosed one."""
    match = _CLOSED.match(value) if value.startswith(b'"') else None
    return match.end() if match else 0


def number(value: bytes) -> int | None:
    """Read a plain decimal number of at most ten digits, blanks around it allowed; None for anything else."""
    value = value.strip()
    return int(value) if value.isdigit() and len(value) <= _DIGITS_MAX else None


def comma_list(value: bytes) -> list[bytes]:
    """Split at commas outside quotes and angle brackets; empty elements vanish (RFC 3261 7.3.1)."""
    if b"," not in value:
        return [value] if value else []
    plain = b'"' not in value and b"<" not in value
    pieces = value.split(b",") if plain else _split(_COMMA, value)
    return [stripped for piece in pieces if (stripped := piece.strip())]


def before_comma(value: bytes) -> bytes:
    """Give what stands before the first comma outside quotes and angle brackets: the first element of a list."""
    return next(_split(_COMMA, value)) if b"," in value else value


def semicolon_list(value: bytes) -> list[bytes]:
    """Split at semicolons outside quotes and angle brackets, blanks and empty pieces kept."""
    plain = b'"' not in value and b"<" not in value
    return value.split(b";") if plain else list(_split(_SEMICOLON, value))


def parameters(value: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (lower-case name, raw value) of `a=b;c`; the value is empty for a flag and keeps its quotes."""
    for piece in semicolon_list(value):
        name, _, content = piece.partition(b"=")
        if name := name.strip():
            yield decode(name).lower(), content.strip()


def _split(separator: re.Pattern[bytes], value: bytes) -> Iterator[bytes]:
    start = 0
    for match in separator.finditer(value):
        if match.lastindex:
            yield value[start : match.start()]
            start = match.end()
    yield value[start:]
