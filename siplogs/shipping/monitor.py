"""What `tail` and `ship` say of themselves: in the state for `siplogs status`, and in a file for node_exporter."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from siplogs.errors import SiplogsError, StateError
from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.state import Place, Pulse, State
from siplogs.shipping.status import prometheus, survey
from siplogs.sources.source import shown

RUN_AGAIN: Final = ", run again"
"""What errors of a delivery advise at their end; what runs again by itself leaves it out."""

_WINDOW_SECONDS: Final = 60.0
_OFTEN_SECONDS: Final = 5.0


class Monitor:
    """Is told by who ships what happens, and notes it: at once when trouble begins or ends, else now and then.

    `metrics` is the file for node_exporter, "" for none; one that cannot be written is a warning.
    """

    def __init__(
        self,
        state: State,
        letters: DeadLetters,
        metrics: str,
        warn: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._letters = letters
        self._metrics = Path(metrics) if metrics else None
        self._warn = warn
        self._clock = clock
        before = state.pulse() or Pulse()
        self._pulse = Pulse(process=os.getpid(), started=clock(), passed=before.passed, unread=before.unread)
        self._lately: deque[tuple[float, int]] = deque()
        self._has_news = True

    def take_over(self, other: "Monitor") -> None:
        """Go on with what another one of this process counted; a file of metrics that is kept no more goes."""
        self._pulse, self._lately = other._pulse, other._lately
        if other._metrics is not None and other._metrics != self._metrics:
            try:
                other._metrics.unlink(missing_ok=True)
            except OSError as error:
                self._warn(f"{other._metrics}: {error.strerror}; delete it, for it is kept no more")

    def settled(self, number: int) -> None:
        """So many events were acknowledged or kept as dead letters."""
        news, self._pulse.failing, self._has_news = self._pulse.failing, False, True
        self._pulse.events += number
        self._lately.append((self._clock(), number))
        self._note(now=news)

    def paused(self, trouble: str) -> None:
        """Elasticsearch makes the daemon wait."""
        self._pulse.pauses += 1
        self._trouble(trouble)

    def failed(self, trouble: str) -> None:
        """A pass was given up."""
        self._pulse.failures += 1
        self._trouble(trouble)

    def alive(self, seconds: float) -> None:
        """Nothing else happened: say it every so many seconds. Raises StateError."""
        if not 0.0 <= self._clock() - self._pulse.beat < seconds:
            self._note(now=True)

    @contextmanager
    def noting_failure(self) -> Iterator[None]:
        """Note why the one pass of a run was given up."""
        try:
            yield
        except SiplogsError as error:
            with suppress(StateError):
                self.failed(str(error).removesuffix(RUN_AGAIN))
            raise

    def passed(self, began: float, unread: str, places: Iterable[Place], *, partly: bool = False) -> None:
        """A pass that began then read everything that was there, or all but what `unread` says, one log and why.

        `places` are the logs: where some were not read, or only some were looked for (`partly`), it is noted of each
        other one when it was looked at, and what is known of the rest stays.
        """
        places = [place for place in places if place.last_seen >= began]
        before = self._pulse.unread
        if partly and not any(before.startswith(f"{shown(place.path)}: ") for place in places):
            unread = unread or before
        news = self._pulse.failing or unread != self._pulse.unread
        self._pulse.failing, self._pulse.failures, self._pulse.unread = False, 0, unread
        if unread or partly:
            self._state.save(places)
        else:
            self._pulse.passed = began
        self._note(now=news, metrics=self._has_news)
        self._has_news = False

    def stopped(self) -> None:
        """The daemon ends: what node_exporter reads has to say so."""
        if self._metrics is not None:
            ended = survey(self._state, self._letters, self._clock())
            ended.holder, ended.tail = "", None
            self._write(self._metrics, prometheus(ended))

    def _trouble(self, trouble: str) -> None:
        self._pulse.error, self._pulse.failed, self._pulse.failing = trouble, self._clock(), True
        self._note(now=True)

    def _note(self, *, now: bool = False, metrics: bool = False) -> None:
        moment = self._clock()
        due = now or not 0.0 <= moment - self._pulse.beat < _OFTEN_SECONDS
        try:
            if due:
                self._pulse.beat, self._pulse.rate = moment, self._rate(moment)
                self._state.beat(self._pulse)
        finally:  # a disk that is full under the state is what they have to tell
            if self._metrics is not None and (due or metrics):
                self._write(self._metrics, prometheus(survey(self._state, self._letters, moment, self._pulse)))

    def _rate(self, now: float) -> float:
        while self._lately and not 0.0 <= now - self._lately[0][0] < _WINDOW_SECONDS:
            self._lately.popleft()
        elapsed = min(max(now - self._pulse.started, 1.0), _WINDOW_SECONDS)
        return sum(number for _, number in self._lately) / elapsed

    def _write(self, file: Path, text: str) -> None:
        """Replace the file in one step, for it is read at any moment; everybody may read it."""
        beside = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            beside.write_text(text, encoding="utf-8")
            beside.chmod(0o644)
            beside.replace(file)
        except OSError as error:
            self._warn(f"{file}: {error.strerror}; let siplogs write there, or set another tail.metrics_file")
            with suppress(OSError):
                beside.unlink()
