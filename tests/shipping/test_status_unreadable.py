"""A log that is there but cannot be read: it is told at once, and grows late, whoever asks; the others are as before."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_collect import OPTIONS, log_text
from test_followed import NOBODY, nobody
from test_status import samples

from siplogs.shipping.collect import Collector, Input, Settings
from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.monitor import Monitor
from siplogs.shipping.state import State
from siplogs.shipping.status import LogStatus, Status, prometheus, survey


class Host:
    """Two logs in folders of their own, a state, and who ships as an ordinary user, with a clock to set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_900_000_000.0
        self.warnings: list[str] = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            self.write(name)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)

    def log(self, name: str) -> Path:
        return self.folder / name / "full"

    def write(self, name: str, count: int = 2) -> None:
        with self.log(name).open("ab") as file:
            start = file.tell()
            file.write(log_text(start, count))

    def ship(self, times: int = 1, seconds: float = 300.0, *, trouble: str = "", only: str = "") -> None:
        """Run so many times, so far apart, as from cron; with `trouble` Elasticsearch is away."""
        for _ in range(times):
            self.now += seconds
            with nobody(), State(self.folder / "state.db", purpose="siplogs ship") as state:
                clock = lambda: self.now  # noqa: E731
                monitor = Monitor(state, self.letters, "", print, clock=clock)
                names = (only,) if only else ("one", "two")
                chosen = Settings((Input(tuple(f"{self.folder}/{name}/full" for name in names), OPTIONS),), idle=0.0)
                collector = Collector(state, chosen, self.warnings.append, clock=clock)
                if trouble:
                    collector.note()
                    monitor.failed(trouble)
                else:
                    number = len(list(collector.documents()))
                    collector.finish({"created": number})
                    monitor.passed(self.now, collector.trouble, collector.places.values(), partly=bool(only))
                collector.close()

    @property
    def letters(self) -> DeadLetters:
        return DeadLetters(self.folder / "dead.ndjson")

    def status(self) -> Status:
        with State(self.folder / "state.db", readonly=True) as state:
            return survey(state, self.letters, self.now)

    def logs(self) -> dict[str, LogStatus]:
        return {Path(log.path).parent.name: log for log in self.status().logs if Path(log.path).name == "full"}


@pytest.fixture
def host() -> Iterator[Host]:
    folder = Path(tempfile.mkdtemp())
    yield Host(folder)
    shutil.rmtree(folder)


def test_a_log_that_must_not_be_read_is_trouble_at_once_and_late_whoever_asks(host: Host) -> None:
    host.ship()
    assert (host.status().trouble, host.status().unread) == ("", "")
    host.write("two")
    host.log("two").chmod(0)
    host.ship()
    assert host.status().trouble.startswith(f"a log is not read: {host.log('two')}: permission denied")
    host.ship(times=9)
    last = 10 * 300.0
    found = host.logs()["two"]
    assert (found.state, found.lag_seconds) == ("unreadable", pytest.approx(last))
    assert found.lag_bytes == found.size - found.position > 0
    with nobody():
        assert host.logs()["two"] == found
    host.log("two").chmod(0o644)
    host.ship()
    assert (host.status().trouble, {log.state for log in host.logs().values()}) == ("", {"read"})


def test_shipping_another_log_alone_tells_nothing_of_the_others(host: Host) -> None:
    host.ship()
    host.write("two")
    host.log("two").chmod(0)
    host.ship()
    said = host.status().trouble
    host.ship(times=4, only="one")
    assert host.status().trouble == said != ""
    assert host.logs()["two"].lag_seconds == pytest.approx(5 * 300)
    host.log("two").chmod(0o644)
    host.ship(only="one")
    assert host.status().trouble == said
    host.ship(only="two")
    assert (host.status().trouble, host.logs()["two"].lag_seconds) == ("", 0)
    host.write("two")
    host.ship(times=4, only="one")
    assert host.logs()["two"].lag_seconds == pytest.approx(4 * 300)
    assert host.status().trouble.startswith("nobody ships, and logs are behind for 20 min")


def test_a_log_beside_one_that_must_not_be_read_is_as_late_as_it_is(host: Host) -> None:
    host.ship()
    host.write("two")
    host.log("two").chmod(0)
    host.ship(times=9)
    host.write("one")
    host.now += 20
    found = host.logs()
    assert (found["one"].state, found["one"].lag_seconds) == ("behind", pytest.approx(20))
    assert found["two"].lag_seconds == pytest.approx(9 * 300 + 20)
    host.ship()
    assert host.logs()["one"].state == "read"


@pytest.mark.parametrize("asker", ["ordinary", "root"])
def test_a_log_in_a_folder_that_must_not_be_entered_is_not_gone(host: Host, asker: str) -> None:
    if asker == "root" and os.geteuid() != 0:
        asker = "ordinary"
    host.ship()
    (host.folder / "two").chmod(0o700 if os.geteuid() == 0 else 0)
    host.write("two") if os.geteuid() == 0 else None
    host.ship(times=5)
    with nobody() if asker == "ordinary" else State(host.folder / "state.db", readonly=True):
        found, status = host.logs()["two"], host.status()
    (host.folder / "two").chmod(0o755)
    assert found.state == "unreadable"
    assert found.lag_seconds == pytest.approx(5 * 300)
    assert found.position > 0
    assert (found.lag_bytes is None) == (asker == "ordinary")
    assert "permission denied" in status.trouble
    series = samples(prometheus(status))
    label = f'{{path="{host.log("two")}",family="{host.log("two")}"}}'
    assert series[f"siplogs_log_lag_seconds{label}"] == pytest.approx(5 * 300)
    assert series[f"siplogs_log_readable{label}"] == 0
    assert series[f"siplogs_log_readable{label.replace('/two/', '/one/')}"] == 1
    assert series["siplogs_unreadable"] == 1
    host.ship()
    assert samples(prometheus(host.status()))["siplogs_unreadable"] == 0


def test_the_follower_of_a_rotated_log_that_must_not_be_read_is_late(host: Host) -> None:
    host.ship()
    host.log("two").rename(host.folder / "two/full.1")
    host.write("two")
    host.log("two").chmod(0)
    host.ship(times=4)
    found = host.logs()["two"]
    assert (found.state, found.position, found.lag_seconds) == ("unreadable", 0, pytest.approx(4 * 300))
    assert str(host.log("two")) in host.status().trouble


def test_each_of_several_logs_that_must_not_be_read_is_told_to_who_ships(host: Host) -> None:
    host.ship()
    for name in ("one", "two"):
        host.write(name)
        host.log(name).chmod(0)
    with nobody():  # before who ships noticed it may be but who asks that must not read them
        assert {log.state for log in host.logs().values()} == {"behind"}
    host.ship(times=2)
    with nobody():
        found = host.logs()
    assert {log.state for log in found.values()} == {"unreadable"}
    assert [log.lag_seconds for log in found.values()] == [pytest.approx(600)] * 2


def test_who_asks_without_the_permission_is_told_so(host: Host) -> None:
    host.ship()
    (host.folder / "two").chmod(0o700 if os.geteuid() == 0 else 0)
    with nobody():
        assert host.status().trouble.startswith(f"a log is not read: {host.log('two')}: must not be read by who asks;")
    (host.folder / "two").chmod(0o755)


def test_runs_from_cron_that_fail_are_told_with_the_reason_and_not_taken_for_a_daemon(host: Host) -> None:
    host.ship()
    host.write("one")
    host.ship(times=5, trouble="Elasticsearch cannot be reached")
    found = host.status()
    assert found.trouble == "shipping fails; the last run, 0 s ago, said: Elasticsearch cannot be reached"
    assert (found.failing, found.tail) == (True, None)
    assert host.logs()["one"].lag_seconds == pytest.approx(5 * 300)
    with State(host.folder / "state.db", purpose="siplogs ship"):
        assert host.status().tail is None
    host.now += 3_600
    found = host.status()
    assert found.trouble.startswith("nobody ships, and logs are behind for 85 min, by ")
    assert found.trouble.endswith("; the last run, 60 min ago, said: Elasticsearch cannot be reached")
    host.ship()
    assert (host.status().trouble, host.status().failing) == ("", False)


def test_an_outage_hides_no_log_that_must_not_be_read_and_the_other_way_round(host: Host) -> None:
    host.log("two").chmod(0)
    host.ship()
    host.ship(trouble="Elasticsearch cannot be reached")
    found = host.status()
    assert "Elasticsearch cannot be reached" in found.trouble
    assert str(host.log("two")) in found.unread
    host.ship()
    assert not host.status().failing
    assert host.status().trouble.startswith("a log is not read: ")
