"""Pieces of work in threads of their own: batches are sent while the next one is read. Results come in order."""

import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

_BEAT_SECONDS: Final = 1.0

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class Abandoned(BaseException):
    """The work was given up meanwhile; raised where it waits or begins something that should not be done any more."""


class Control:
    """What the work is given: it may wait, tell something, and has to ask whether it is still wanted."""

    def __init__(self) -> None:
        self.given_up = threading.Event()
        self.news: SimpleQueue[str] = SimpleQueue()

    def tell(self, text: str) -> None:
        """Let the one who waits for the work hear something."""
        self.news.put(text)

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than the work is wanted."""
        self.given_up.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raise Abandoned when the work is not wanted any more."""
        if self.given_up.is_set():
            raise Abandoned


class _Job(Generic[Piece, Result]):
    def __init__(self, piece: Piece) -> None:
        self.piece = piece
        self.ended = False
        self.result: Result | None = None
        self.error: BaseException | None = None


class Alongside(Generic[Piece, Result]):
    """Runs `work` on at most `width` pieces at a time; a context manager that gives up what is unfinished at its end.

    `done` is called with each piece and its result in the order in which they were handed over, `told` with what the
    work tells, `meanwhile` with each piece and once a second of waiting, all in the thread of the one who hands over.
    What `work` raises is raised there as well, when the pieces before are done.
    """

    def __init__(
        self,
        work: Callable[[Piece], Result],
        control: Control,
        *,
        width: int,
        done: Callable[[Piece, Result], None],
        told: Callable[[str], None] | None,
        meanwhile: Callable[[], None] | None,
    ) -> None:
        self._work = work
        self._control = control
        self._width = width
        self._done = done
        self._told = told
        self._meanwhile = meanwhile
        self._orders: SimpleQueue[_Job[Piece, Result] | None] = SimpleQueue()
        self._jobs: deque[_Job[Piece, Result]] = deque()
        self._threads = 0

    def __enter__(self) -> Self:
        """Return itself; threads start as they are needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what is unfinished; the threads end as soon as they can, and nobody waits for them."""
        self._control.given_up.set()
        for _ in range(self._threads):
            self._orders.put(None)

    def hand_over(self, piece: Piece) -> None:
        """Let a piece be worked on as soon as there is room for it."""
        if self._meanwhile:
            self._meanwhile()
        self._wait(self._width - 1)
        if self._threads <= len(self._jobs):
            self._threads += 1
            threading.Thread(target=self._run, daemon=True).start()
        job: _Job[Piece, Result] = _Job(piece)
        self._jobs.append(job)
        self._orders.put(job)

    def look(self) -> None:
        """Take the results that are ready, and let be told what there is to tell."""
        self._listen(0.0)
        self._wait(self._width)

    def wait(self) -> None:
        """Wait until all that was handed over is done."""
        self._wait(0)

    def _wait(self, left: int) -> None:
        """Take results in order until no more than so many pieces are left; those that are ready do not wait."""
        while self._jobs and (self._jobs[0].ended or len(self._jobs) > left):
            if not self._jobs[0].ended:
                self._listen(_BEAT_SECONDS)
                continue
            job = self._jobs.popleft()
            if job.error is not None:
                raise job.error
            self._done(job.piece, job.result)  # type: ignore[arg-type]

    def _listen(self, seconds: float) -> None:
        try:
            text = self._control.news.get(timeout=seconds)
        except Empty:
            text = ""
        if text and self._told:
            self._told(text)
        if self._meanwhile:
            self._meanwhile()

    def _run(self) -> None:
        while (job := self._orders.get()) is not None:
            try:
                self._control.check()
                job.result = self._work(job.piece)
            except Abandoned:
                return
            except BaseException as error:  # noqa: BLE001 (it is raised again by the one who waits)
                job.error = error
            job.ended = True
            self._control.tell("")
