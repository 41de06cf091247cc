"""What one carrier adds to a line, and how it is taken off again.

The shapes of carriers are data (`patterns/carriers/*.toml`): a pattern by which a wrapped line begins, with the groups
`text`, `time`, `partial` (the line goes on in the next one) and `program` (whose line it is), and samples. Code is only
what a pattern cannot say: JSON strings, terminal escapes, rsyslog's octal escapes.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from siplogs.errors import PackError
from siplogs.packs.pack import compile_pattern
from siplogs.resources import data_folder

_CSI: Final = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_ESCAPE: Final = re.compile(rb"\\(?:u(?P<code>[0-9a-fA-F]{4})(?:\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2}))?|(?P<short>.))")
_UNFINISHED: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_SHORT: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_OCTAL: Final = re.compile(rb"#(0[0-3][0-7]|177)")
_OCTAL_OF_A_LINE: Final = re.compile(rb"#(0(?!12)[0-3][0-7]|177)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Escapes = Literal["", "line", "record"]


class CarrierSample(Struct, forbid_unknown_fields=True):
    """Lines as a carrier writes them and the clean text that must come out of them."""

    raw: str
    clean: str


class CarrierData(Struct, forbid_unknown_fields=True):
    """A carrier as its TOML says it.

    `stamp`: where entries have no time of their own they get the carrier's. `escapes`: control characters may be
    written as #012. `indents`: further lines of a record are indented to its text. The keys are those of JSON objects;
    `fragments`: a text without a line feed at its end goes on in the next object.
    """

    name: str
    about: str
    pattern: str
    sample: list[CarrierSample]
    decode: Literal["text", "json", "asterisk-json", "terminal"] = "text"
    stamp: bool = False
    escapes: bool = False
    indents: bool = False
    fragments: bool = False
    text_key: str = ""
    time_key: str = ""
    microseconds_key: str = ""
    program_key: str = ""


class _CarrierFile(Struct, forbid_unknown_fields=True):
    carrier: list[CarrierData]


class Taken(NamedTuple):
    """A line without its wrapping.

    `partial`: it goes on in the next; `width`: how far further lines are indented; `program`: whose line it is.
    """

    text: bytes
    partial: bool = False
    width: int = 0
    program: bytes = b""


class Carrier:
    """A compiled carrier."""

    def __init__(self, data: CarrierData, origin: str) -> None:
        self.data = data
        self.name = data.name
        self.pattern: re.Pattern[bytes] = compile_pattern(data.pattern, f"{origin}: carrier {data.name}")
        self.terminal = data.decode == "terminal"
        groups = self.pattern.groupindex
        names = ("text", "time", "partial", "program")
        self._text, self._time, self._partial, self._program = (groups.get(name, 0) for name in names)
        self._keys = [key_pattern(name) for name in (data.text_key, data.time_key, data.microseconds_key)]
        self._program_key = key_pattern(data.program_key) if data.program_key else None
        self._bytes = re.compile(rb'[{,]\s*"%s"\s*:\s*\[([\d,\s]*)' % data.text_key.encode())
        # Takes the wrapping off a line (without its line feed); None when the line is not wrapped so. Never raises.
        self.take: Callable[[bytes], Taken | None] = {
            "text": self._take,
            "json": self._take_json,
            "asterisk-json": self._take_entry,
            "terminal": _take_terminal,
        }[data.decode]

    def wraps(self, line: bytes) -> bool:
        """Say whether a line looks wrapped so, without taking the wrapping off."""
        return b"\x1b" in line if self.terminal else self.begins(line)

    def begins(self, line: bytes) -> bool:
        """Say whether a line begins as the carrier's pattern says."""
        return self.pattern.match(line) is not None

    def _take(self, line: bytes) -> Taken | None:
        match = self.pattern.match(line)
        if match is None:
            return None
        start = match.start(self._text)
        partial = bool(self._partial) and match[self._partial] is not None
        width = start if self.data.indents and start >= 0 else 0
        program = match[self._program] if self._program else b""
        return Taken(line[start:] if start >= 0 else b"", partial, width, program)

    def _take_json(self, line: bytes) -> Taken | None:
        if not self.pattern.match(line):
            return None
        named = self._program_key.search(line) if self._program_key is not None else None
        program = named[1] if named is not None else b""
        value = self._keys[0].search(line)
        if value is None:
            numbers = self._bytes.search(line)
            text = bytes(min(int(number), 255) for number in _digits(numbers)) if numbers else None
            return None if text is None else Taken(text, program=program)
        text = unescaped(value[1])
        partial = self.data.fragments and line[value.end() : value.end() + 1] == b'"' and not text.endswith(b"\n")
        return Taken(text.removesuffix(b"\n"), partial, program=program)

    def _take_entry(self, line: bytes) -> Taken | None:
        """Write an object of Asterisk's [json] formatter as its default formatter would have written the entry.

        The call's id was recorded with its brackets (16, 22); it is taken without them too.
        """
        if not self.pattern.match(line):
            return None
        found = [pattern.search(line) for pattern in (_TIMESTAMP, _LEVEL, _THREAD, _FILE, _MESSAGE)]
        values = [unescaped(match[1]) for match in found if match is not None]
        if len(values) < len(found):
            return None
        time, level, thread, file, message = values
        call = _CALL.search(line)
        bound = b"[%s]" % unescaped(call[1]).strip(b"[]") if call and call[1] else b""
        return Taken(b"[%s] %s[%s]%s %s: %s" % (time, level, thread, bound, file, message.removesuffix(b"\n")))

    def time_of(self, line: bytes) -> bytes:
        """Return the time that the carrier gave a line; empty when it gave none."""
        if self.data.decode == "text":
            match = self.pattern.match(line)
            return match[self._time] if match is not None and self._time else b""
        moment, time = self._keys[2].search(line), self._keys[1].search(line)
        if self.data.microseconds_key and moment and moment[1].isdigit() and len(moment[1]) < 17:
            return (_EPOCH + timedelta(microseconds=int(moment[1]))).isoformat(timespec="microseconds").encode()
        return unescaped(time[1]).strip() if time else b""


def _digits(match: re.Match[bytes]) -> list[bytes]:
    return re.findall(rb"\d{1,9}", match[1])


def key_pattern(name: str) -> re.Pattern[bytes]:
    """Compile what finds a key of a JSON object that may be cut, and its string as group 1, still escaped."""
    return re.compile(rb'[{,]\s*"%s"\s*:\s*"([^"\\]*+(?:\\.[^"\\]*+)*+)' % re.escape(name).encode(), re.DOTALL)


_TIMESTAMP, _LEVEL, _CALL, _FILE, _MESSAGE = map(key_pattern, ("timestamp", "level", "callid", "filename", "message"))
_THREAD: Final = re.compile(rb'[{,]\s*"lwp"\s*:\s*(\d{1,20})')


def _take_terminal(line: bytes) -> Taken | None:
    """Take out escape sequences, and what a carriage return had overwritten; those at the line's end stay."""
    if b"\x1b" not in line:
        return None
    text = _CSI.sub(b"", line)
    kept = text.rstrip(b"\r")
    return Taken(text[kept.rfind(b"\r") + 1 :])


def unescaped(text: bytes) -> bytes:
    """Decode a JSON string's escapes leniently: bytes that are no UTF-8 stay, an escape cut at the end goes."""
    if b"\\" not in text:
        return text
    return _ESCAPE.sub(_unescape, _without_unfinished(text))


def _without_unfinished(text: bytes) -> bytes:
    cut = _UNFINISHED.search(text, max(0, len(text) - 6))
    if cut is None:
        return text
    kept = text[: cut.start()]
    return text if (len(kept) - len(kept.rstrip(b"\\"))) % 2 else kept


def _unescape(match: re.Match[bytes]) -> bytes:
    short = match["short"]
    if short is not None:
        return _SHORT.get(short, short)
    high, low = int(match["code"], 16), match["low"]
    if low is None:
        return chr(high).encode("utf-8", "surrogatepass")
    if 0xD800 <= high < 0xDC00:
        return chr(0x10000 + (high - 0xD800) * 0x400 + int(low, 16) - 0xDC00).encode()
    return (chr(high) + chr(int(low, 16))).encode("utf-8", "surrogatepass")


def without_octal(text: bytes, escapes: Escapes) -> bytes:
    """Decode rsyslog's escapes of control characters; "line": not that of the line feed, which ends a line here."""
    pattern = _OCTAL if escapes == "record" else _OCTAL_OF_A_LINE
    return pattern.sub(lambda match: bytes([int(match[1], 8)]), text)


@cache
def load_carriers(folder: Path | None = None) -> tuple[Carrier, ...]:
    """Load every carrier of `folder` (default: the shipped `patterns/carriers`); the terminal's stand last.

    Raises PackError with file, entry and remedy.
    """
    carriers = []
    for path in sorted((folder or data_folder("patterns") / "carriers").glob("*.toml")):
        try:
            data = msgspec.toml.decode(path.read_bytes(), type=_CarrierFile)
        except (msgspec.MsgspecError, OSError) as error:
            raise PackError(f"{path}: {error}; compare with the other carriers") from error
        carriers += [Carrier(one, str(path)) for one in data.carrier]
    return tuple(sorted(carriers, key=lambda carrier: carrier.terminal))
