"""A progress bar on stderr that appears once a reading takes longer than a second."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

PATIENCE = 1.0
PAUSE = 0.1


class Bar:
    """One line at the end of what a terminal shows, drawn when told of bytes; no thread draws meanwhile."""

    def __init__(self, total: int) -> None:
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._progress = Progress(
            *columns,
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            get_time=lambda: time.monotonic(),  # noqa: PLW0108
        )
        self._task = self._progress.add_task("reading", total=total)
        self._next = time.monotonic() + PATIENCE
        self._shown = False
        self.silent = False

    def advance(self, count: int) -> None:
        """Take note of bytes read since the last call, and draw the line when it is time to and not `silent`."""
        self._progress.advance(self._task, count)
        now = time.monotonic()
        if now >= self._next and not self.silent:
            if not self._shown:
                self._progress.start()
            self._progress.refresh()
            self._shown, self._next = True, now + PAUSE

    def clear(self) -> None:
        """Take the line off, so that something else can be written there; the next `advance` draws it again."""
        if self._shown:
            self._progress.stop()
            self._shown, self._next = False, 0.0


@contextmanager
def bar(total: int) -> Iterator[Bar]:
    """Yield a bar for `total` bytes, the sum of the files' sizes, and take it off the terminal at the end."""
    one = Bar(total)
    try:
        yield one
    finally:
        one.clear()
