"""The watchdog of systemd is fed by a `siplogs tail` that has nothing to do, and by one that waits for an answer."""

import os
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from fault_proxy import FaultProxy
from test_live_faults import proxy, rig
from test_live_tail import PATIENCE, Rig, stored, wait_until

__all__ = ["proxy", "rig"]

FED = 5


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What systemd would hear of the daemon, whose watchdog wants to be fed every 0.3 seconds."""
    name = f"siplogs-test-watchdog-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(f"\0{name}")
        bound.settimeout(PATIENCE)
        yield bound


def heard(systemd: socket.socket) -> list[str]:
    """What it was told so far."""
    told = []
    systemd.setblocking(False)
    try:
        while True:
            told.append(systemd.recv(4096).decode())
    except BlockingIOError:
        return told
    finally:
        systemd.settimeout(PATIENCE)


def wait_until_fed(systemd: socket.socket) -> None:
    """Wait until the watchdog was fed so many times from now on, and see that nothing else becomes of the daemon."""
    heard(systemd)
    told: list[str] = []

    def enough() -> bool:
        told.append(systemd.recv(4096).decode())
        return told.count("WATCHDOG=1") == FED

    wait_until(enough)
    assert {text for text in told if not text.startswith("STATUS=")} == {"WATCHDOG=1"}


def started(rig: Rig, systemd: socket.socket, node: Any) -> "subprocess.Popen[str]":
    """Start a daemon and wait until it delivered a first log."""
    rig.append(*range(3))
    daemon = rig.start("tail", "--from-beginning")
    told: list[str] = []

    def delivered() -> bool:
        told.extend(heard(systemd))
        return any(text.startswith("STATUS=3 events delivered") for text in told)

    wait_until(delivered)
    assert told.count("READY=1") == 1
    assert not any(text.startswith("STATUS=waiting") for text in told)
    assert len(stored(node)) == 3
    return daemon


def test_the_watchdog_is_fed_while_nothing_is_written(rig: Rig, systemd: socket.socket, blank: Any) -> None:
    daemon = started(rig, systemd, blank)
    wait_until_fed(systemd)
    assert daemon.poll() is None


def test_the_status_says_what_is_waited_for_and_the_progress_afterwards(
    rig: Rig, proxy: FaultProxy, systemd: socket.socket, blank: Any
) -> None:
    """One pause within a delivery, and an outage that outlasts it."""
    started(rig, systemd, blank)
    proxy.retry_after = "1"
    proxy.faults.append(429)
    rig.append(3)
    wait_for(systemd, "STATUS=waiting: Elasticsearch is overloaded (429")
    wait_for(systemd, "STATUS=4 events delivered, 0 bytes behind")
    proxy.down = True
    rig.append(4)
    wait_for(systemd, "STATUS=waiting: Elasticsearch cannot be reached")
    wait_until(lambda: "failures=1" in rig.log.read_text(encoding="utf-8"))
    proxy.down = False
    wait_for(systemd, "STATUS=5 events delivered, 0 bytes behind")
    assert len(stored(blank)) == 5


def wait_for(systemd: socket.socket, text: str) -> None:
    """Wait until it is told what begins so."""
    wait_until(lambda: systemd.recv(4096).decode().startswith(text))


@pytest.mark.parametrize("fault", ["hang", 429])
def test_the_watchdog_is_fed_while_a_batch_is_waited_for(
    rig: Rig, proxy: FaultProxy, systemd: socket.socket, blank: Any, fault: str | int
) -> None:
    """A server that does not answer, and one that asks for a pause."""
    daemon = started(rig, systemd, blank)
    proxy.retry_after = "30"
    proxy.faults.append(fault)
    rig.append(3)
    wait_until(lambda: not proxy.faults)
    wait_until_fed(systemd)
    assert len(stored(blank)) == 3
    assert daemon.poll() is None
