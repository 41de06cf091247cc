"""The watchdog's food and a warning said before come in time by the clock; `siplogs tail` is heard in test_cli_tail."""

import os
import socket
from collections.abc import Iterator
from itertools import pairwise

import pytest

from siplogs.shipping import watch
from siplogs.shipping.watch import Journal, Supervisor

STEP = 0.01


class Hand:
    """A clock that is set by hand, in place of the module `time`."""

    now = 5000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def systemd() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(f"\0siplogs-test-watch-{os.getpid()}")
        bound.setblocking(False)
        yield bound


def fed(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch, **more: str) -> list[float]:
    """After how many seconds each time systemd was told, where the daemon does nothing but live for ten seconds."""
    clock = Hand()
    monkeypatch.setattr(watch, "time", clock)
    name = systemd.getsockname().decode().replace("\0", "@")
    supervisor = Supervisor({"NOTIFY_SOCKET": name, **more})
    heard: list[float] = []
    for step in range(1000):
        clock.now = 5000.0 + step * STEP
        supervisor.alive()
        try:
            assert systemd.recv(4096) == b"WATCHDOG=1"
            heard.append(step * STEP)
        except BlockingIOError:
            pass
    return heard


@pytest.mark.parametrize("microseconds", [300_000, 3_000_000])
def test_the_watchdog_is_fed_twice_in_its_time_at_least(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch, microseconds: int
) -> None:
    """Half of the time is what sd_watchdog_enabled(3) recommends; each look at a log need not send a message."""
    heard = fed(systemd, monkeypatch, WATCHDOG_USEC=str(microseconds))
    wanted = microseconds / 1e6
    assert (heard[0], heard[-1] > 9.0 - wanted) == (0.0, True)
    gaps = [later - earlier for earlier, later in pairwise(heard)]
    assert wanted / 5 < min(gaps) <= max(gaps) <= wanted / 2


@pytest.mark.parametrize("more", [{}, {"WATCHDOG_USEC": ""}, {"WATCHDOG_USEC": "soon"}])
def test_who_has_no_watchdog_feeds_none(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch, more: dict[str, str]
) -> None:
    assert fed(systemd, monkeypatch, **more) == []


def test_a_warning_is_said_again_after_an_hour_and_no_sooner(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Hand()
    monkeypatch.setattr(watch, "time", clock)
    journal = Journal()

    def said(after: float, text: str) -> bool:
        clock.now = 5000.0 + after
        journal.warn(text)
        return capsys.readouterr().err.endswith(f"warning {text}\n")

    moments = (0.0, 0.5, 1800.0, 3599.5, 3600.0, 3600.5, 7199.5, 7200.0)
    assert [after for after in moments if said(after, "full: permission denied")] == [0.0, 3600.0, 7200.0]
    assert said(7200.0, "full.1: permission denied")
