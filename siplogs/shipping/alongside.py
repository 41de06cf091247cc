"""One piece of work at a time in a thread of its own, so that a batch is sent while the next one is read."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

_BEAT_SECONDS: Final = 1.0

Piece = TypeVar("Piece")


class Abandoned(BaseException):
    """The work was given up meanwhile; raised where it waits or begins something that should not be done any more."""


class Control:
    """What the work is given: it may wait, tell something, and has to ask whether it is still wanted."""

    def __init__(self) -> None:
        self.given_up = threading.Event()
        self.news: SimpleQueue[tuple[str, Any]] = SimpleQueue()

    def tell(self, text: str) -> None:
        """Let the one who waits for the work hear something."""
        self.news.put(("told", text))

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than the work is wanted."""
        self.given_up.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raise Abandoned when the work is not wanted any more."""
        if self.given_up.is_set():
            raise Abandoned


class Alongside(Generic[Piece]):
    """Runs `work` for one piece after another; a context manager that gives up what is unfinished at its end.

    `done` is called with each piece, `told` with what the work tells, `meanwhile` once a second of waiting, all in the
    thread of the one who hands over. What `work` raises is raised by the next `hand_over` or `wait`.
    """

    def __init__(
        self,
        work: Callable[[Piece], None],
        control: Control,
        *,
        done: Callable[[Piece], None] | None,
        told: Callable[[str], None] | None,
        meanwhile: Callable[[], None] | None,
    ) -> None:
        self._work = work
        self._control = control
        self._done = done
        self._told = told
        self._meanwhile = meanwhile
        self._orders: SimpleQueue[Piece | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._piece: Piece | None = None

    def __enter__(self) -> Self:
        """Return itself; the thread starts with the first piece."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what is unfinished; the thread ends as soon as it can, and nobody waits for it."""
        self._control.given_up.set()
        self._orders.put(None)

    def hand_over(self, piece: Piece) -> None:
        """Wait for the piece before, then let this one be worked on."""
        self.wait()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        self._piece = piece
        self._orders.put(piece)

    def wait(self) -> None:
        """Wait until the piece that was handed over is done."""
        while (piece := self._piece) is not None:
            try:
                kind, value = self._control.news.get(timeout=_BEAT_SECONDS)
            except Empty:
                kind, value = "", None
            if self._meanwhile:
                self._meanwhile()
            if kind == "told" and self._told:
                self._told(value)
            elif kind == "failed":
                self._piece = None
                raise value
            elif kind == "done":
                self._piece = None
                if self._done:
                    self._done(piece)

    def _run(self) -> None:
        while (piece := self._orders.get()) is not None:
            try:
                self._control.check()
                self._work(piece)
            except Abandoned:
                return
            except BaseException as error:  # noqa: BLE001 (it is raised again by the one who waits)
                self._control.news.put(("failed", error))
            else:
                self._control.news.put(("done", None))
