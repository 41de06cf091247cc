"""Clean text and where it stood in the raw log."""

from bisect import bisect_right


class Unwrapped:
    """A piece of clean text: `data`, and `raw_length`, the bytes of the raw stream that it stands for.

    The pieces of a stream follow one another without a gap: `raw_start` of the next is this one's plus `raw_length`.
    """

    __slots__ = ("_clean", "_raw", "data", "raw_length", "raw_start")

    def __init__(
        self, data: bytes, raw_start: int, raw_length: int, lines: tuple[list[int], list[int]] | None = None
    ) -> None:
        self.data = data
        self.raw_start = raw_start
        self.raw_length = raw_length
        self._clean, self._raw = lines or ([], [])

    @property
    def plain(self) -> bool:
        """The data is the raw log itself."""
        return not self._clean

    def raw_offset(self, position: int) -> int:
        """Return where in the raw stream a position of `data` stood.

        Exact where a raw line began (of a record that became several lines, the first), never decreasing, and never
        past the raw line that the position came from; the end of `data` is the end of the raw piece.
        """
        end = self.raw_start + self.raw_length
        if position >= len(self.data):
            return end
        if not self._clean:
            return self.raw_start + position
        index = bisect_right(self._clean, position) - 1
        limit = self._raw[index + 1] if index + 1 < len(self._raw) else end
        return max(self._raw[index], min(self._raw[index] + position - self._clean[index], limit - 1))


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

    def built(self, raw_end: int) -> Unwrapped:
        """Return the piece, which ends at the raw offset `raw_end`."""
        return Unwrapped(b"".join(self._pieces), self.raw_start, raw_end - self.raw_start, (self._clean, self._raw))
