"""The daemon's loop: looks at the logs, ships what is new, and waits; ends cleanly and survives every outage.

It looks at size and time of the files twice a second instead of being told by the kernel: that works on NFS too, and
costs next to nothing.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

from msgspec import Struct

from siplogs.errors import DeliveryError, SiplogsError, StateError
from siplogs.outputs.elasticsearch import Server
from siplogs.shipping.collect import Collector
from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.delivery import DeliveryReport, Limits, deliver
from siplogs.shipping.watch import Journal, Supervisor

_LONGEST_PAUSE: Final = 60.0


class StopRequest(BaseException):
    """Somebody asked the daemon to end or to reload; raised wherever it is, as what it does may stop anywhere."""


class Pace(Struct, frozen=True):
    """How often the daemon looks, in seconds: at the files it knows, and for files that are new."""

    poll: float = 0.5
    search: float = 10.0


def ship(
    collector: Collector,
    server: Server,
    letters: DeadLetters,
    limits: Limits,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> DeliveryReport:
    """Deliver everything that is new, and move the checkpoint; DeliveryError and StateError lose nothing."""
    try:
        report = deliver(collector.documents(), server, letters, limits, settled=collector.settled, sleep=sleep)
        collector.finish({"created": report.created, "present": report.present, "dead": report.dead})
    except BaseException:
        collector.start_over()
        raise
    return report


class Tail:
    """Follows logs until it is told to stop: by SIGTERM, SIGINT or `stop`; SIGHUP asks for its configuration anew."""

    def __init__(
        self,
        collector: Collector,
        server: Server,
        letters: DeadLetters,
        limits: Limits,
        *,
        journal: Journal,
        supervisor: Supervisor,
        pace: Pace = Pace(),  # noqa: B008
    ) -> None:
        self._collector = collector
        self._server = server
        self._letters = letters
        self._limits = limits
        self._journal = journal
        self._supervisor = supervisor
        self._pace = pace
        self._failures = self._delivered = 0
        self._seen: tuple[tuple[str, tuple[int, ...]], ...] = ()
        self.reload_wanted = False

    def run(self) -> None:
        """Follow until told to stop or to reload; what was acknowledged is saved then. Raises StateError."""
        with suppress(StopRequest), self._signals():
            self._supervisor.ready()
            searched = -self._pace.search
            while True:
                now = time.monotonic()
                if self._changed() or now - searched >= self._pace.search:
                    searched = now
                    self._pass()
                self._wait(self._pace.poll)

    def _pass(self) -> None:
        try:
            report = ship(self._collector, self._server, self._letters, self._limits, sleep=self._wait)
        except StateError:
            raise
        except SiplogsError as error:
            self._failed(error)
            return
        if self._failures:
            self._journal.write("info", "delivery works again", failures=self._failures)
            self._failures = 0
        if report.dead:
            kept = str(self._letters.path)
            self._journal.write("warning", "documents were refused and kept", dead=report.dead, file=kept)
        if report.created or report.present:
            self._journal.write("debug", "delivered", created=report.created, present=report.present)
        self._delivered += report.created + report.present
        self._supervisor.status(f"{self._delivered} events delivered, {self._collector.lag()} bytes behind")

    def _failed(self, error: SiplogsError) -> None:
        """Nothing is lost: wait, longer each time, and go on from the checkpoint."""
        self._failures += 1
        self._journal.write("error", str(error), failures=self._failures, waiting=self._collector.lag())
        self._supervisor.status(f"waiting: {error}")
        if isinstance(error, DeliveryError):
            self._wait(min(_LONGEST_PAUSE, 2.0 ** min(self._failures, 6)))

    def _changed(self) -> bool:
        """Tell whether any file that was followed, or its folder, looks different from the last time."""
        paths = {place.path for place in self._collector.places.values() if not place.whole}
        folders = {str(Path(path).parent) for path in paths}
        looks = tuple((path, _look(path)) for path in sorted(paths | folders))
        changed, self._seen = looks != self._seen, looks
        return changed

    def _wait(self, seconds: float) -> None:
        """Wait, telling the watchdog meanwhile that all is well."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._supervisor.alive()
            time.sleep(min(left, 1.0))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn signals into StopRequest, once; what is then under way is crash-safe, so that it may stop anywhere."""

        def stop(number: int, _frame: FrameType | None) -> None:
            for name in handled:
                signal.signal(name, signal.SIG_IGN)
            self.reload_wanted = number == signal.SIGHUP
            raise StopRequest

        handled = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {name: signal.signal(name, stop) for name in handled}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)


def _look(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)  # noqa: PTH116 (twice a second for every log: without a Path)
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
