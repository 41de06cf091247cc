"""Logs whose every line ends in CRLF, as a terminal or Windows made them: the CR before each line feed is taken off.

SIP's own lines end so in any log, and so may what strangers send. What tells is how the PBX's own lines end, those by
which entries and markers begin: in windows of the clean text, at multiples of so many bytes, a line belonging to the
window in which it starts. So the result does not depend on how the stream was cut into blocks.

- Lines end in line feeds in a window where one of its entries does, else in CRLF where one of its entries does, else as
  in the window before. Where that changes from CRLF within a window, lines up to the change lose their CR.
- A window whose first SAMPLE bytes hold no CR is not looked at closer, unless lines ended in CRLF before it.
- The last window of a stream, when shorter, does not make a log one of CRLF, unless it is the first.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from siplogs.packs.recognition import FIRST_LINES, NOTHING, Judge, whole_lines
from siplogs.packs.unwrapped import Builder, Unwrapped, together

LONGEST_LINE: Final = 1_048_576
SAMPLE: Final = 2_048


def without_returns(pieces: Iterable[Unwrapped], judge: Judge, window: int) -> Iterator[Unwrapped]:
    """Pass pieces on, without the CR before each line feed where the log's own lines end in CRLF.

    Pieces of other logs pass through as they came. Any bytes are taken; nothing is raised.
    """
    stage = _LineEnds(judge, window)
    for piece in pieces:
        yield from stage.take(piece)
    yield from stage.rest()


class _LineEnds:
    """The clean text from the first byte not yet handed over, which lies at `base`, and how lines ended before it.

    `inside`: that byte goes on with a line whose beginning was handed over. `plain`: up to there windows are known to
    end their lines in line feeds.
    """

    def __init__(self, judge: Judge, window: int) -> None:
        self._judge = judge
        self._window = window
        self._held: Unwrapped | None = None
        self._base = self._plain = 0
        self._inside = False
        self._returns = False

    def take(self, piece: Unwrapped) -> Iterator[Unwrapped]:
        """Yield what can be decided with one more piece."""
        if self._held is not None:
            piece = together(self._held, piece)
        if piece.line_feeds and piece.raw_start == self._base and piece.data and not self._returns:
            self._plain = self._boundary(self._base + len(piece.data) - 1)
            self._base, self._inside = self._base + len(piece.data), not piece.data.endswith(b"\n")
            yield piece
        else:
            yield from self._decided(piece, final=False)

    def rest(self) -> Iterator[Unwrapped]:
        """Yield what was held, at the end of the stream."""
        if self._held is not None:
            yield from self._decided(self._held, final=True)

    def _boundary(self, offset: int) -> int:
        return (offset // self._window + 1) * self._window

    def _decided(self, piece: Unwrapped, *, final: bool) -> Iterator[Unwrapped]:
        """Yield the windows of which is known how their lines end; hold the rest."""
        data, done, position = piece.data, 0, 0
        while position < len(data):
            end = max(self._boundary(self._base + position), self._plain) - self._base
            start = self._line_at(data, position)
            until = start if end + self._base == self._plain else self._until(data, start, end, final=final)
            if until < 0:
                break
            if until > start:
                yield piece.part(done, start)
                yield _stripped(piece, start, until)
                done = until
            if not self._returns:
                self._plain = self._base + end
            position = max(until, self._line_at(data, min(end, len(data))))
        self._held = piece.part(position, len(data)) if position < len(data) else None
        if done < position or not data:
            yield piece.part(done, position)
        self._inside = data[position - 1 : position] != b"\n" if position else self._inside
        self._base += position

    def _until(self, data: bytes, start: int, end: int, *, final: bool) -> int:
        """Judge the window that ends at `end`, whose first line begins at `start`.

        Up to where its lines lose their CR, `start` for not at all; -1 when more must be read first.
        """
        if not self._returns and self._plain_soon(data, start, end, final=final):
            return start
        stop = self._end(data, end, final=final)
        if stop < 0:
            return -1
        position, returned = start, False
        for line in whole_lines(data, start, end):
            if self._judge.kind(line) != NOTHING:
                returned = line.endswith(b"\r")
                if not returned:
                    was, self._returns = self._returns, False
                    return position if was else start
            position += len(line) + 1
        if returned and (end <= len(data) or self._base + start == 0):
            self._returns = True
        return max(stop, start) if self._returns else start

    def _plain_soon(self, data: bytes, start: int, end: int, *, final: bool) -> bool:
        """Say whether a look at the window's first bytes or lines is enough: its lines end in line feeds."""
        sample = min(start + SAMPLE, end)
        if (final or sample <= len(data)) and data.find(b"\r", start, sample) < 0:
            return True
        lines = islice(whole_lines(data, start, end), FIRST_LINES)
        return any(not line.endswith(b"\r") and self._judge.kind(line) != NOTHING for line in lines)

    def _line_at(self, data: bytes, position: int) -> int:
        """Return where the first line at or after `position` starts; the end of the data when none does."""
        if (position == 0 and not self._inside) or (position and data[position - 1 : position] == b"\n"):
            return position
        return (data.find(b"\n", position) + 1) or len(data)

    def _end(self, data: bytes, end: int, *, final: bool) -> int:
        """Return where the last line ends that starts before `end`; -1 when that must be read first."""
        newline = data.find(b"\n", end - 1, end + LONGEST_LINE) if end <= len(data) else -1
        if newline >= 0:
            return newline + 1
        if final or len(data) >= end + LONGEST_LINE:
            return min(len(data), end + LONGEST_LINE)
        return -1


def _stripped(piece: Unwrapped, start: int, until: int) -> Unwrapped:
    """Take the CR off the lines of data[start:until]."""
    data, builder = piece.data, Builder(piece.bound(start))
    while start < until:
        end = data.find(b"\n", start, until) + 1 or until
        returned = data[end - 2 : end] == b"\r\n" and end - 2 >= start
        builder.add(piece.raw_offset(start), data[start : end - 2] + b"\n" if returned else data[start:end])
        start = end
    return builder.built(piece.bound(until))
