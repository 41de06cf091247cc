"""Clean text and where it stood in the raw log."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

# A clean line: whose it is, the raw offset at which it began, its text.
Line = tuple[bytes, int, bytes]


class Unwrapped:
    """A piece of clean text: `data`, and `raw_length`, the bytes of the raw stream that it stands for.

    The pieces of a stream follow one another without a gap: `raw_start` of the next is this one's plus `raw_length`.
    `line_feeds` says that each window that this piece has a part of is known to end its lines in line feeds alone.
    """

    __slots__ = ("_clean", "_raw", "data", "line_feeds", "raw_length", "raw_start")

    def __init__(
        self,
        data: bytes,
        raw_start: int,
        raw_length: int,
        lines: tuple[list[int], list[int]] | None = None,
        *,
        line_feeds: bool = False,
    ) -> None:
        self.data = data
        self.line_feeds = line_feeds
        self.raw_start = raw_start
        self.raw_length = raw_length
        self._clean, self._raw = lines or ([], [])

    @property
    def plain(self) -> bool:
        """The data is the raw log itself."""
        return not self._clean

    def raw_offset(self, position: int) -> int:
        """Return where in the raw stream a position of `data` stood.

        Exact where a raw line began (of a record that became several lines, the first), and never past the raw line
        that the position came from; the end of `data` is the end of the raw piece. Never decreasing, except where the
        lines of several programs were brought apart.
        """
        end = self.raw_start + self.raw_length
        if position >= len(self.data):
            return end
        if not self._clean:
            return self.raw_start + position
        index = bisect_right(self._clean, position) - 1
        limit = self._raw[index + 1] if index + 1 < len(self._raw) else end
        return max(self._raw[index], min(self._raw[index] + position - self._clean[index], limit - 1))

    def bound(self, position: int) -> int:
        """Return where in the raw stream a piece that is cut at `position` ends, and the next one starts."""
        return self.raw_start if position == 0 else self.raw_offset(position)

    def part(self, start: int, stop: int) -> "Unwrapped":
        """Return the piece that holds data[start:stop]; this one when that is all of it."""
        if start == 0 and stop == len(self.data):
            return self
        raw_start = self.bound(start)
        first, last = bisect_right(self._clean, start), bisect_left(self._clean, stop)
        clean = [0, *(position - start for position in self._clean[first:last])]
        lines = (clean, [self.raw_offset(start), *self._raw[first:last]]) if self._clean else None
        return Unwrapped(self.data[start:stop], raw_start, self.bound(stop) - raw_start, lines)

    def lines(self) -> tuple[list[int], list[int]]:
        """List where lines begin in `data`, and where they stood in the raw stream; a plain piece counts as one."""
        return ([0], [self.raw_start]) if self.data and not self._clean else (self._clean, self._raw)


def together(first: Unwrapped, second: Unwrapped) -> Unwrapped:
    """Put two pieces together that follow one another."""
    data, length = first.data + second.data, first.raw_length + second.raw_length
    if first.plain and second.plain and length == len(data):
        return Unwrapped(data, first.raw_start, length)
    (clean, raw), (clean_then, raw_then) = first.lines(), second.lines()
    size = len(first.data)
    return Unwrapped(
        data, first.raw_start, length, ([*clean, *(size + position for position in clean_then)], [*raw, *raw_then])
    )


class Builder:
    """Puts clean lines together with their raw offsets."""

    def __init__(self, raw_start: int) -> None:
        self.raw_start = raw_start
        self._pieces: list[bytes] = []
        self._clean: list[int] = []
        self._raw: list[int] = []
        self._size = 0

    def add(self, raw: int, line: bytes) -> None:
        """Add a line that began at the raw offset `raw`."""
        self._clean.append(self._size)
        self._raw.append(raw)
        self._pieces.append(line)
        self._size += len(line)

    def extend(self, lines: Iterable[Line]) -> None:
        """Add many lines."""
        size, clean, raws, pieces = self._size, self._clean, self._raw, self._pieces
        for _, raw, text in lines:
            clean.append(size)
            raws.append(raw)
            pieces.append(text)
            size += len(text)
        self._size = size

    def built(self, raw_end: int) -> Unwrapped:
        """Return the piece, which ends at the raw offset `raw_end`."""
        return Unwrapped(b"".join(self._pieces), self.raw_start, raw_end - self.raw_start, (self._clean, self._raw))
