"""What a running `tail` says of itself: in the state for `siplogs status`, and in a file for node_exporter."""

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.state import Pulse, State
from siplogs.shipping.status import prometheus, survey

_WINDOW_SECONDS: Final = 60.0
_OFTEN_SECONDS: Final = 5.0


class Monitor:
    """Is told by the daemon's loop what happens, and notes it: at once when trouble begins or ends, else now and then.

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
        self._pulse = Pulse(process=os.getpid(), started=clock())
        self._lately: deque[tuple[float, int]] = deque()

    def take_over(self, other: "Monitor") -> None:
        """Go on with what another one of this process counted."""
        self._pulse, self._lately = other._pulse, other._lately

    def settled(self, number: int) -> None:
        """So many events were acknowledged or kept as dead letters."""
        self._pulse.events += number
        self._lately.append((self._clock(), number))
        self._note()

    def paused(self, trouble: str) -> None:
        """Elasticsearch makes the daemon wait."""
        self._pulse.pauses += 1
        self._trouble(trouble)

    def failed(self, trouble: str) -> None:
        """A pass was given up."""
        self._pulse.failures += 1
        self._trouble(trouble)

    def passed(self, began: float) -> None:
        """A pass that began then read everything that was there."""
        recovered, self._pulse.failures = bool(self._pulse.failures), 0
        self._pulse.passed = began
        self._note(now=recovered, metrics=True)

    def stopped(self) -> None:
        """The daemon ends: what node_exporter reads has to say so."""
        if self._metrics is not None:
            ended = survey(self._state, self._letters, self._clock())
            ended.holder, ended.tail = "", None
            self._write(self._metrics, prometheus(ended))

    def _trouble(self, trouble: str) -> None:
        self._pulse.error, self._pulse.failed = trouble, self._clock()
        self._note(now=True)

    def _note(self, *, now: bool = False, metrics: bool = False) -> None:
        moment = self._clock()
        due = now or not 0.0 <= moment - self._pulse.beat < _OFTEN_SECONDS
        if due:
            self._pulse.beat, self._pulse.rate = moment, self._rate(moment)
            self._state.beat(self._pulse)
        if self._metrics is not None and (due or metrics):
            self._write(self._metrics, prometheus(survey(self._state, self._letters, moment)))

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
