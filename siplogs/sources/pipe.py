"""Streams that can be read only once: standard input, named pipes, process substitution."""

import io
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from siplogs.errors import SourceError

STANDARD_INPUT: Final = "-"

_BATCH: Final = 4 * 1024 * 1024
_PATIENCE: Final = 0.05  # seconds; fills batches from a fast writer without keeping a slow one's line back


class Pipe:
    """A stream whose beginning can be looked at before it is read; opened when first looked at.

    `identity` is kept here by the source, as a fingerprint cannot be taken again later.
    """

    def __init__(self, path: str) -> None:
        self.identity: str | None = None
        self._path = path
        self._stream: io.BufferedReader | None = None
        self._kept: list[bytes] = []
        self._ended = False

    def beginning(self, length: int) -> bytes:
        """Look at the first `length` bytes that are still to be read; fewer only at the stream's end."""
        seen = b""
        batches = self.batches()
        while len(seen) < length and (batch := next(batches, None)) is not None:
            seen += batch
        self.put_back([seen])
        return seen[:length]

    def put_back(self, batches: list[bytes]) -> None:
        """Make batches that were taken the next ones to be read."""
        self._kept[:0] = [batch for batch in batches if batch]

    def batches(self) -> Iterator[bytes]:
        """Yield what is there, at most some 4 MiB at once, each batch followed by b"" to say: no need to wait for more.

        Raises SourceError when the stream cannot be read.
        """
        while batch := self._kept.pop(0) if self._kept else self._batch():
            yield batch
            yield b""

    def _batch(self) -> bytes:
        if self._ended:  # a terminal would wait for a second end of input
            return b""
        try:
            self._stream = self._stream or self._opened()
            batch, deadline = self._stream.read1(_BATCH), time.monotonic() + _PATIENCE
            while 0 < len(batch) < _BATCH and (more := self._more(_BATCH - len(batch), deadline)):
                batch += more
        except (OSError, ValueError) as error:
            what = getattr(error, "strerror", None) or str(error)
            raise SourceError(f"{self.name}: cannot be read ({what.lower()}); is something piped into it?") from error
        self._ended = not batch
        return batch

    @property
    def name(self) -> str:
        """What messages call the stream."""
        return "standard input" if self._path == STANDARD_INPUT else self._path

    def _opened(self) -> io.BufferedReader:
        if self._path != STANDARD_INPUT:
            return Path(self._path).open("rb")
        if sys.stdin is None:
            raise ValueError("it is closed")
        return sys.stdin.buffer  # type: ignore[return-value]

    def _more(self, limit: int, deadline: float) -> bytes:
        assert self._stream is not None  # noqa: S101
        try:
            poll = select.poll()
            poll.register(self._stream.fileno(), select.POLLIN)
        except io.UnsupportedOperation:  # a stream in memory
            return self._stream.read1(limit)
        return self._stream.read1(limit) if poll.poll(max(0, deadline - time.monotonic()) * 1000) else b""
