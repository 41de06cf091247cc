"""The daemon's loop: looks at the logs, ships what is new, and waits; ends cleanly and survives every outage.

It looks at size and time of the files twice a second instead of being told by the kernel: that works on NFS too, and
costs next to nothing.
"""

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Final, Self

from msgspec import Struct
from msgspec.structs import replace

from siplogs.errors import DeliveryError, SiplogsError, StateError
from siplogs.outputs.elasticsearch import Document, Server, UnreachableError
from siplogs.outputs.text import counted
from siplogs.shipping.alongside import Alongside, Control
from siplogs.shipping.collect import Collector
from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.delivery import DeliveryReport, Limits, deliver, pause_after
from siplogs.shipping.monitor import RUN_AGAIN, Monitor
from siplogs.shipping.watch import Journal, Supervisor

_RAREST_SEARCH: Final = 60.0
_READY_SECONDS: Final = 5.0
_OFTEN_SECONDS: Final = 5.0
_SELDOM_SECONDS: Final = 60.0
_PAUSES: Final = 3
_ROUNDS: Final = 3
_SEARCH_SHARE: Final = 500.0


class StopRequest(BaseException):
    """Somebody asked the daemon to end or to reload; raised wherever it is, as what it does may stop anywhere."""


class Orders:
    """What SIGTERM, SIGINT and SIGHUP ask of a daemon; a context manager that puts the old handlers back."""

    def __init__(self) -> None:
        self.stop = False
        self._reload = False
        self._raising = False
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        """Take the signals from now on."""
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._before[name] = signal.signal(name, self._ordered)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the signals do what they did before."""
        for name, handler in self._before.items():
            signal.signal(name, handler)

    def obey(self, work: Callable[[], None]) -> None:
        """Work until the work ends or an order comes; one that came before counts as well."""
        self._raising = True
        try:
            if not self.stop:
                work()
        except StopRequest:
            pass
        finally:
            self._raising = False

    def reload(self) -> bool:
        """Tell whether the configuration is to be read again, once for each order."""
        wanted, self._reload = self._reload, False
        return wanted

    def _ordered(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reload = True
        else:
            self.stop = True
        if self._raising:
            self._raising = False
            raise StopRequest


class Pace(Struct, frozen=True):
    """How often the daemon looks, in seconds: at the files it knows, and for files that are new.

    `idle` is for how long a log must not have changed before what is unfinished in it is dealt with.
    """

    poll: float = 0.5
    search: float = 10.0
    idle: float = 5.0


def ship(
    collector: Collector,
    server: Server,
    letters: DeadLetters,
    limits: Limits,
    *,
    search: bool = True,
    meanwhile: Callable[[], None] | None = None,
    acknowledged: Callable[[int], None] | None = None,
    troubled: Callable[[str], None] | None = None,
) -> DeliveryReport:
    """Deliver everything that is new, and move the checkpoint; DeliveryError and StateError lose nothing.

    `acknowledged` is told how many documents were dealt with, `troubled` why there has to be a pause.
    """
    report, saved = DeliveryReport(), DeliveryReport()

    def counts() -> dict[str, int]:
        nonlocal saved
        news = {name: getattr(report, name) - getattr(saved, name) for name in ("created", "present", "dead")}
        saved = replace(report)
        return news

    def settled(batch: Sequence[Document]) -> None:
        collector.settled(batch, counts())
        if acknowledged is not None:
            acknowledged(len(batch))

    try:
        for _ in range(_ROUNDS):
            documents = collector.documents(search=search or collector.disturbed)
            deliver(
                documents,
                server,
                letters,
                limits,
                settled=settled,
                troubled=troubled,
                meanwhile=meanwhile,
                reading=collector.while_reading,
                report=report,
            )
            collector.finish(counts())
            if not collector.disturbed:
                break
    except BaseException:
        collector.start_over()
        raise
    return report


class Tail:
    """Follows logs until an exception, such as StopRequest, ends it; `connect` returns the server, checked."""

    def __init__(
        self,
        collector: Collector,
        connect: Callable[[], Server],
        letters: DeadLetters,
        limits: Limits,
        *,
        journal: Journal,
        supervisor: Supervisor,
        monitor: Monitor,
        pace: Pace = Pace(),  # noqa: B008
    ) -> None:
        self._collector = collector
        self._connect = connect
        self._server: Server | None = None
        self._accepted = False
        self._letters = letters
        self._limits = replace(limits, pauses=_PAUSES)
        self._journal = journal
        self._supervisor = supervisor
        self._monitor = monitor
        self._pace = pace
        self._failures = self._delivered = 0
        self._is_paused = False
        self._next_search = self._passed = -_RAREST_SEARCH

    def connect(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Reach the server. Raises UnreachableError, or DeliveryError when it refuses.

        The daemon is ready as soon as nothing but an outage can stand in its way. `meanwhile` is called every second.
        """
        try:
            if self._server is None:
                self._server = self._reached(meanwhile or self.meanwhile)
                self._accepted = True
        except UnreachableError:
            self._supervisor.ready()
            raise
        self._supervisor.ready()

    def take_over(self, other: "Tail") -> None:
        """Go on in place of another one of this process: hold what it held, count on from where it was."""
        self._collector.followed.take_over(other._collector.followed)
        self._monitor.take_over(other._monitor)
        self._failures, self._delivered = other._failures, other._delivered
        self._accepted = self._accepted or other._accepted

    def close(self) -> None:
        """Close the logs that are held open, and say in the file of metrics that nobody follows them."""
        self._collector.close()
        with suppress(StateError):
            self._monitor.stopped()

    def run(self) -> None:
        """Follow, through outages of whatever it takes. Raises DeliveryError when the server refuses from the start."""
        while True:
            search = self._failures > 0 or time.monotonic() >= self._next_search
            if search or self._due():
                self._pass(search=search)
            self._wait(self._pace.poll)

    def _reached(self, others: Callable[[], None]) -> Server:
        """Connect beside the signals; a server that does not answer for a while is an outage."""
        found: list[Server] = []
        begun = time.monotonic()

        def meanwhile() -> None:
            others()
            if time.monotonic() - begun >= _READY_SECONDS:
                self._supervisor.ready()

        def done(_: object, server: Server) -> None:
            found.append(server)

        with Alongside(_called, Control(), width=1, done=done, told=None, meanwhile=meanwhile) as connecting:
            connecting.hand_over(self._connect)
            connecting.wait()
        return found[0]

    def _due(self) -> bool:
        if self._collector.followed.changed():
            return True
        return self._collector.restless() and time.monotonic() - self._passed >= self._pace.idle

    def _pass(self, *, search: bool) -> None:
        began, self._passed = time.time(), time.monotonic()
        try:
            report = self._shipped(search=search)
        except UnreachableError as error:
            self._failed(error)
        except SiplogsError as error:
            if not self._accepted:
                raise
            self._failed(error)
        else:
            self._succeeded(report, began)

    def _shipped(self, *, search: bool) -> DeliveryReport:
        if self._server is None:
            self._collector.note()
            self.connect()
        assert self._server is not None  # noqa: S101
        begun = time.monotonic()
        report = ship(
            self._collector,
            self._server,
            self._letters,
            self._limits,
            search=search,
            meanwhile=self.meanwhile,
            acknowledged=self._acknowledged,
            troubled=self._paused,
        )
        if search:
            idle = not (report.created or report.present or report.dead)
            spent = time.monotonic() - begun if idle else 0.0
            self._next_search = time.monotonic() + max(self._pace.search, min(spent * _SEARCH_SHARE, _RAREST_SEARCH))
        return report

    def _succeeded(self, report: DeliveryReport, began: float) -> None:
        with suppress(StateError):
            self._monitor.passed(began, self._collector.trouble, self._collector.places.values())
        if self._failures:
            self._journal.write("info", "delivery works again", failures=self._failures)
            self._failures = 0
        if report.dead:
            kept = str(self._letters.path)
            self._journal.write("warning", "documents were refused and kept", dead=report.dead, file=kept)
        if report.created or report.present:
            self._journal.write("debug", "delivered", created=report.created, present=report.present)
        self._delivered += report.created + report.present
        self._tell_progress()

    def _acknowledged(self, number: int) -> None:
        self._monitor.settled(number)
        if self._is_paused:
            self._tell_progress()

    def _paused(self, trouble: str) -> None:
        self._is_paused = True
        self._monitor.paused(trouble)
        self._journal.warn(trouble)
        self._supervisor.status(f"waiting: {trouble}")

    def _tell_progress(self) -> None:
        self._is_paused = False
        self._supervisor.status(
            f"{counted(self._delivered, 'event')} delivered, {self._collector.lag():,} bytes behind"
        )

    def _failed(self, error: SiplogsError) -> None:
        """Nothing is lost: wait, longer each time, and go on from the checkpoint, with a server proven anew."""
        self._failures += 1
        self._server = None
        text = str(error).removesuffix(RUN_AGAIN)
        with suppress(StateError):
            self._monitor.failed(text)
        self._journal.write("error", text, failures=self._failures, waiting=self._collector.lag())
        self._supervisor.status(f"waiting: {text}")
        wish = error.retry_after if isinstance(error, DeliveryError) else None
        self._wait(pause_after(self._failures, wish))

    def meanwhile(self) -> None:
        """Tell watchdog and status that all is well, and keep hold of logs that are rotated while there is a wait."""
        self._alive(_OFTEN_SECONDS)
        if self._collector.followed.rotated():
            with suppress(StateError):
                self._collector.note(search=False)
            self._collector.disturbed = True

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.meanwhile() if self._failures else self._alive(_SELDOM_SECONDS)
            time.sleep(min(left, 1.0))

    def _alive(self, seconds: float) -> None:
        """Feed the watchdog; status and metrics are told every so many seconds."""
        self._supervisor.alive()
        with suppress(StateError):
            self._monitor.alive(seconds)


def _called(connect: Callable[[], Server]) -> Server:
    return connect()
