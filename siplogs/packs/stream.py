"""A log's records from its raw blocks: what carries the log is unwrapped, offsets are those of the raw log."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from siplogs.model import Record
from siplogs.packs.carriers import WINDOW, unwrap
from siplogs.packs.pack import Pack
from siplogs.packs.scanner import Scanner
from siplogs.packs.unwrapped import Unwrapped

REMEMBERED = 4 * 1024 * 1024
WINDOWS_AGAIN = 2


class RecordStream:
    """Records of raw blocks; `wrapped` says afterwards whether anything had to be unwrapped.

    `end` and `doubtful` are raw offsets, exact where nothing was wrapped.

    A log that is still written to can be read on from `settled` once more of it is there.
    """

    def __init__(self, scanner: Scanner, packs: Sequence[Pack], offset: int = 0) -> None:
        self.scanner = scanner
        self.wrapped = False
        self._starts = list({pack.prefix.name: pack.prefix.start for pack in packs}.values())
        self._offset = offset
        self._clean_end = offset
        self._bases: list[int] = []
        self._pieces: list[Unwrapped] = []

    def __call__(self, blocks: Iterable[bytes]) -> Iterator[Record]:
        """Yield the records with their offsets and lengths in the raw log."""
        for record in self.scanner.scan(self._clean(unwrap(blocks, self._starts))):
            if self.wrapped:
                start, end = self._raw(record.offset), self._raw(record.offset + record.length)
                record.offset, record.length = start, max(0, end - start)
            yield record

    @property
    def settled(self) -> int:
        """Return the raw offset from which to read on; for a wrapped log some windows before, to know it again."""
        if not self.wrapped:
            return self.scanner.settled
        return max(self._raw(self.scanner.settled) // WINDOW - WINDOWS_AGAIN, 0) * WINDOW

    def _clean(self, pieces: Iterable[Unwrapped]) -> Iterator[bytes]:
        for piece in pieces:
            self.wrapped = self.wrapped or not piece.plain
            self._bases.append(self._clean_end)
            self._pieces.append(piece)
            self._clean_end += len(piece.data)
            while len(self._bases) > 1 and self._bases[1] < self._clean_end - REMEMBERED:
                del self._bases[0], self._pieces[0]
            lost = piece.raw_length - len(piece.data)
            self.scanner.accounting.read += lost
            self.scanner.accounting.skipped += lost
            yield piece.data

    def _raw(self, position: int) -> int:
        index = max(bisect_right(self._bases, position) - 1, 0)
        return self._offset + self._pieces[index].raw_offset(max(position - self._bases[index], 0))
