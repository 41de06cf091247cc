"""A progress bar on stderr that appears once a reading takes longer than a second."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

PATIENCE = 1.0


@contextmanager
def bar(total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes the bytes read since its last call; `total` is the sum of the files' sizes."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    task = progress.add_task("reading", total=total)
    begun, shown = time.monotonic(), False

    def advance(count: int) -> None:
        nonlocal shown
        progress.advance(task, count)
        if not shown and time.monotonic() - begun > PATIENCE:
            progress.start()
            shown = True

    try:
        yield advance
    finally:
        progress.stop()
