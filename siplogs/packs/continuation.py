"""Old Asterisk logs in which every line of a message repeats the entry's prefix: it is taken off again.

Such a log is known by its first SIP marker: its next line is a SIP start line, with the same prefix or without. Once a
message without prefixes was seen, the log is an ordinary one for good, so that no message body can switch this on.
Source: channels/chan_sip.c (sipsock_read, send_request, retrans_pkt) of 1.4 to 1.8: received messages have an arrow
before and behind, sent ones a colon behind.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

import hyperscan

from siplogs.packs.unwrapped import Builder, Unwrapped

LONGEST_MESSAGE: Final = 65_536
LONGEST_MARKER: Final = 4_096

_MARKS: Final = (rb" --->\n", rb"ransmitting ")
_PREFIXED: Final = re.compile(
    rb"\[[^\]\n]{6,40}\] (?P<entry>[A-Z]{3,16}\[\d+\](?:\[C-[0-9a-f]{8}\])?:? [\w./-]+:) ?(?P<text>[^\n]*)"
)
_MARKER: Final = re.compile(rb"<--- [^\n]*? --->\Z|(?:Reliably )?(?:Transmitting|Retransmitting) [^\n]* to [^\n]*:\Z")
_BYTES: Final = re.compile(rb"<--- [^\n]*\((\d{1,8}) bytes\)")
_START: Final = re.compile(rb"SIP/2\.0 \d{3}|[A-Z]{3,16} \S+ SIP/2\.0")
_TERMINATORS: Final = (b"<------------->", b"<------------>", b"---")


def joined(pieces: Iterable[Unwrapped]) -> Iterator[Unwrapped]:
    """Pass pieces on, without the prefixes that the further lines of a message repeat where a log is of that kind."""
    joiner = _Joiner()
    for piece in pieces:
        yield from joiner.take(piece)
    yield from joiner.rest()


@cache
def _database() -> hyperscan.Database:
    database = hyperscan.Database()
    database.compile(expressions=list(_MARKS), ids=[0, 1], elements=2, flags=[0, 0])
    return database


def _marks(data: bytes) -> list[int]:
    """List places in lines that may end as a marker does; by Hyperscan, as logs without a message are read whole."""
    found: list[int] = []
    _database().scan(data, match_event_handler=lambda _id, _from, to, *_rest: found.append(to - 1))
    return found


def _ends_as_marker(line: bytes) -> bool:
    if len(line) > LONGEST_MARKER:
        return False
    sent = line.endswith(b":") and 0 <= line.find(b"ransmitting ") < line.rfind(b" to ")
    return sent or line.endswith(b" --->")


class _Joiner:
    """The state between pieces: what kind of log it is (None: not known yet), and the message that is being read.

    `context` is the clean text's last line: a marker whose next line is to come, or a line without its end.
    """

    def __init__(self) -> None:
        self._repeats: bool | None = None
        self._context = b""
        self._tail: Unwrapped | None = None
        self._entry = b""
        self._left = 0
        self._first = False

    def take(self, piece: Unwrapped) -> Iterator[Unwrapped]:
        """Yield what can be decided of the clean text so far."""
        tail, self._tail = self._tail, None
        if tail is not None and piece.plain:
            piece = Unwrapped(tail.data + piece.data, tail.raw_start, tail.raw_length + piece.raw_length)
        elif tail is not None:
            yield tail
        start = len(piece.data) if self._repeats is False else 0
        if self._repeats is None:
            start = self._beginning(piece.data)
        if self._repeats and start < len(piece.data):
            yield self._rewritten(piece, start)
        elif piece.plain and start < len(piece.data):
            yield self._kept(piece, start)
        else:
            yield piece

    def rest(self) -> Iterator[Unwrapped]:
        """Yield what was kept, at the end of the stream."""
        if self._tail is not None:
            yield self._tail

    def _kept(self, piece: Unwrapped, start: int) -> Unwrapped:
        """Keep a plain piece's last, incomplete line for the next piece."""
        raw = piece.raw_start + start
        self._tail = Unwrapped(piece.data[start:], raw, len(piece.data) - start)
        return Unwrapped(piece.data[:start], piece.raw_start, start)

    def _beginning(self, data: bytes) -> int:
        """Look for the first message; where it is rewritten from, or what must be kept back from; else the end."""
        for marker, following in self._markers(data):
            end = data.find(b"\n", following)
            if end < 0:
                self._context = marker + b"\n"
                return following
            self._repeats = self._judged(marker, data[following:end])
            if self._repeats is not None:
                return following if self._repeats else len(data)
        return len(data)

    def _markers(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield lines that end as a marker does, and where their next line starts; then keep the last line's beginning.

        The first of them may have begun before `data`, or have been read whole.
        """
        begun = 0
        if self._context.endswith(b"\n"):
            yield self._context[:-1], 0
        elif self._context:
            end = data.find(b"\n")
            line = self._context + data[: end if end >= 0 else LONGEST_MARKER]
            if end < 0:
                self._context = line[: LONGEST_MARKER + 1]
                return
            begun = end + 1
            if _ends_as_marker(line):
                yield line, begun
        for hit in _marks(data):
            start, end = data.rfind(b"\n", 0, hit) + 1, data.find(b"\n", hit)
            if start >= begun and end >= 0 and _ends_as_marker(data[start:end]):
                begun = end + 1
                yield data[start:end], begun
        self._context = data[data.rfind(b"\n") + 1 :][: LONGEST_MARKER + 1]

    def _judged(self, marker: bytes, line: bytes) -> bool | None:
        """Tell from a marker and its next line whether the log repeats prefixes; None: they do not tell."""
        if _START.match(line):
            return False
        before, here = _PREFIXED.match(marker), _PREFIXED.match(line)
        if before is None or here is None or before["entry"] != here["entry"]:
            return None
        if not _MARKER.match(before["text"]) or not _START.match(here["text"]):
            return None
        self._begin(before)
        return True

    def _begin(self, marker: re.Match[bytes]) -> None:
        size = _BYTES.match(marker["text"])
        self._entry, self._first = marker["entry"], True
        self._left = int(size[1]) if size else LONGEST_MESSAGE

    def _rewritten(self, piece: Unwrapped, start: int) -> Unwrapped:
        """Take the repeated prefixes off the lines from `start` on; an incomplete last line is kept for later."""
        data, builder, position = piece.data, Builder(piece.raw_start), 0
        while position < len(data):
            end = data.find(b"\n", position) + 1
            if not end and piece.plain and len(data) - position < LONGEST_MESSAGE:
                self._tail = Unwrapped(data[position:], piece.raw_offset(position), len(data) - position)
                return builder.built(piece.raw_offset(position))
            end = end or len(data)
            line = data[position:end]
            builder.add(piece.raw_offset(position), self._line(line) if position >= start and self._repeats else line)
            position = end
        return builder.built(piece.raw_start + piece.raw_length)

    def _line(self, line: bytes) -> bytes:
        found = _PREFIXED.match(line)
        if found is None:
            if self._first and _START.match(line):
                self._repeats = False
            self._first = False
            return line
        if _MARKER.match(found["text"]):
            self._begin(found)
            return line
        if found["entry"] != self._entry or not self._entry:
            return line
        self._first = False
        return self._continued(line[found.start("text") :])

    def _continued(self, text: bytes) -> bytes:
        self._left -= len(text)
        if self._left < 0 or text.rstrip(b"\r\n") in _TERMINATORS:
            self._entry = b""
        return text
