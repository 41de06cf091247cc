"""What `siplogs status` tells: how far logs are behind, through rotation, and metrics that node_exporter takes."""

import gzip
import os
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_collect import Bench, log_text

from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.monitor import Monitor
from siplogs.shipping.state import Pulse, State
from siplogs.shipping.status import LogStatus, Status, prometheus, survey

_SERIES = re.compile(r'(siplogs_[a-z_]+(?:\{(?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})?) (-?\d[\d.e+-]*)')


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def look(bench: Bench, now: float = 2e9) -> Status:
    with State(bench.state_path, readonly=True) as state:
        return survey(state, DeadLetters(bench.folder / "dead.ndjson"), now)


def logs(bench: Bench, now: float = 2e9) -> dict[str, LogStatus]:
    return {Path(log.path).name: log for log in look(bench, now).logs}


def samples(text: str) -> dict[str, float]:
    """The series of a text of metrics, which must be of the format and each there once."""
    found: dict[str, float] = {}
    for line in text.removesuffix("\n").split("\n"):
        if not re.fullmatch(r"# (HELP|TYPE) siplogs_[a-z_]+ .+", line):
            match = _SERIES.fullmatch(line)
            assert match is not None, line
            assert match[1] not in found, line
            found[match[1]] = float(match[2])
    return found


def test_a_log_that_was_read_is_not_behind_and_what_is_written_then_is(bench: Bench) -> None:
    bench.append(log_text(0, 5))
    bench.collect()
    found = logs(bench)["full"]
    assert (found.state, found.lag_bytes, found.lag_seconds) == ("read", 0, 0.0)
    assert found.position == found.size == bench.live.stat().st_size
    assert found.acknowledged > 1.7e9
    more = log_text(5, 2)
    bench.append(more)
    with State(bench.state_path, readonly=True) as state:
        (place,) = state.places()
    found = logs(bench, place.last_seen + 30)["full"]
    assert (found.state, found.lag_bytes) == ("behind", len(more))
    assert found.lag_seconds == pytest.approx(30)
    bench.collect()
    assert logs(bench)["full"].state == "read"


def test_what_stays_unsettled_after_a_crash_is_behind(bench: Bench) -> None:
    bench.append(log_text(0, 9))
    bench.collect(crash_after=1)
    found = logs(bench)["full"]
    assert found.state == "behind"
    assert found.lag_bytes == bench.live.stat().st_size - found.position > 0
    assert found.lag_seconds > 0


def test_a_rotated_log_is_followed_and_its_follower_is_unread(bench: Bench) -> None:
    bench.append(log_text(0, 5))
    bench.collect()
    old = bench.rotate("1")
    tail = b"[Nov 21 02:00:09] NOTICE[1] main.c: one more\n"
    with old.open("ab") as file:
        file.write(tail)
    fresh = log_text(50, 2)
    bench.append(fresh)
    found = logs(bench)
    assert (found["full.1"].state, found["full.1"].lag_bytes) == ("behind", len(tail))
    assert (found["full"].state, found["full"].position, found["full"].lag_bytes) == ("unread", 0, len(fresh))
    bench.collect()
    assert {log.state for log in logs(bench).values()} == {"read"}


def known(bench: Bench) -> float:
    """When the log was looked at last."""
    with State(bench.state_path, readonly=True) as state:
        return max(place.last_seen for place in state.places())


def test_a_log_that_is_behind_for_minutes_is_trouble(bench: Bench) -> None:
    bench.append(log_text(0, 5))
    bench.collect()
    assert look(bench, known(bench) + 90_000).trouble == ""
    bench.append(log_text(5, 2))
    assert look(bench, known(bench) + 600).trouble == ""
    found = look(bench, known(bench) + 7_300)
    assert found.trouble.startswith("nobody ships, and logs are behind for 2 h, by ")
    assert not found.hung
    with State(bench.state_path, purpose="siplogs ship"):
        trouble = look(bench, known(bench) + 7_300).trouble
    assert "(siplogs ship) works, but logs are behind for 2 h" in trouble
    assert "(journalctl -u siplogs-ship, or the mail of cron)" in trouble


def test_the_follower_of_a_rotated_log_is_behind_since_the_last_look(bench: Bench) -> None:
    bench.append(log_text(0, 5))
    bench.collect()
    bench.rotate("1")
    bench.append(log_text(50, 2))
    found = look(bench, known(bench) + 1_800)
    assert [log.lag_seconds for log in found.logs if log.state == "unread"] == [pytest.approx(1_800)]
    assert found.trouble.startswith("nobody ships, and logs are behind for 30 min")


def test_a_run_that_found_nothing_new_counts_as_a_look(bench: Bench) -> None:
    bench.append(log_text(0, 5))
    bench.collect()
    night = known(bench) + 40_000
    with State(bench.state_path) as state:
        state.beat(Pulse(process=1, beat=night, passed=night))
    bench.append(log_text(5, 2))
    found = look(bench, night + 200)
    assert (found.trouble, found.looked, found.logs[0].lag_seconds) == ("", night, pytest.approx(200))


def test_a_daemon_that_hangs_is_trouble(bench: Bench) -> None:
    clock = Clock()
    bench.append(log_text(0, 5))
    bench.collect()
    with State(bench.state_path, purpose="siplogs tail") as state:
        letters = DeadLetters(bench.folder / "dead.ndjson")
        clock.now = known(bench)
        Monitor(state, letters, "", print, clock=clock).passed(clock.now, "", ())
        assert not survey(state, letters, clock.now + 250).hung
        assert survey(state, letters, clock.now + 350).hung
        quiet = survey(state, letters, clock.now + 3 * 3_600)
        assert (quiet.hung, quiet.failing) == (True, False)
        assert (
            "(siplogs tail) was not heard of for 3 h; see journalctl -u siplogs-tail and the disk of the state"
            in quiet.trouble
        )


def test_copytruncate_starts_at_the_beginning(bench: Bench) -> None:
    bench.append(log_text(0, 5))
    bench.collect()
    shutil.copy(bench.live, bench.folder / "full.1")
    os.truncate(bench.live, 0)
    fresh = log_text(50, 1)
    bench.append(fresh)
    found = logs(bench)["full"]
    assert (found.position, found.lag_bytes) == (0, len(fresh))


def test_an_archive_has_no_position_in_bytes_on_disk(bench: Bench) -> None:
    (bench.folder / "full.1.gz").write_bytes(gzip.compress(log_text(0, 5)))
    bench.collect(idle=0.0)
    found = logs(bench)["full.1.gz"]
    assert (found.state, found.lag_bytes) == ("read", 0)
    (bench.folder / "full.1.gz").write_bytes(gzip.compress(log_text(0, 5)) + gzip.compress(log_text(5, 5)))
    assert logs(bench)["full.1.gz"].lag_bytes is None
    assert 'siplogs_log_lag_bytes{path="' not in prometheus(look(bench))


def test_a_log_that_is_gone_is_told_and_is_no_metric(bench: Bench) -> None:
    bench.append(log_text(0, 5))
    bench.collect()
    bench.live.unlink()
    assert logs(bench)["full"].state == "gone"
    assert "path=" not in prometheus(look(bench))


def test_bytes_lost_and_counts_add_up(bench: Bench) -> None:
    bench.append(log_text(0, 40))
    bench.collect(crash_after=2)
    bench.live.unlink()
    (bench.folder / "full.9").write_bytes(log_text(90, 1))
    bench.collect()
    found = look(bench)
    assert found.lost > 0
    series = samples(prometheus(found))
    assert series["siplogs_lost_bytes_total"] == found.lost
    assert series['siplogs_events_total{result="created"}'] == found.created > 0
    assert series["siplogs_dead_letters_waiting"] == 0
    assert series["siplogs_working"] == 0


PATHS = st.binary(min_size=1).filter(lambda name: 0 not in name).map(os.fsdecode)


@given(st.lists(PATHS | st.sampled_from(["a\udcff", "a\udcfe", "a\\xff"]), unique=True, max_size=4), st.floats(0, 4e9))
def test_any_path_gives_valid_metrics(paths: list[str], number: float) -> None:
    found = [LogStatus(path, path, "behind", int(number), int(number), None, number, number) for path in paths]
    series = samples(prometheus(Status("s", "", 1, 2, 3, 4, None, "d", None, found)))
    assert sum(name.startswith("siplogs_log_lag_seconds") for name in series) == len(paths)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_the_monitor_tells_of_trouble_at_once_and_of_its_end(bench: Bench) -> None:
    clock, metrics, said = Clock(), bench.folder / "siplogs.prom", list[str]()
    letters = DeadLetters(bench.folder / "dead.ndjson")
    with State(bench.state_path, purpose="siplogs tail") as state:
        monitor = Monitor(state, letters, str(metrics), said.append, clock=clock)
        clock.now += 10
        monitor.settled(600)
        monitor.paused("overloaded")
        clock.now += 1
        monitor.failed("gone")
        found = survey(state, letters, clock.now)
        assert found.failing
        assert found.tail is not None
        assert (found.tail.events, found.tail.pauses, found.tail.failures) == (600, 1, 1)
        assert (found.tail.error, found.tail.failed) == ("gone", clock.now)
        assert found.tail.rate == pytest.approx(600 / 11)
        assert samples(metrics.read_text())["siplogs_tail_failures"] == 1
        clock.now += 1
        monitor.passed(clock.now, "", ())
        found = survey(state, letters, clock.now)
        assert not found.failing
        assert found.tail is not None
        assert (found.tail.failures, found.tail.error) == (0, "gone")
        clock.now += 100
        monitor.passed(clock.now, "", ())
        assert samples(metrics.read_text())["siplogs_tail_events_per_second"] == 0
        assert metrics.stat().st_mode & 0o777 == 0o644
        monitor.stopped()
        assert samples(metrics.read_text())["siplogs_working"] == 0
        assert "tail_" not in metrics.read_text()
    assert look(bench).tail is None
    assert said == []
    assert sorted(file.name for file in bench.folder.iterdir()) == ["siplogs.prom", "state"]


@pytest.mark.parametrize("step", [-3600.0, 0.0, 3600.0])
def test_whether_delivery_fails_does_not_depend_on_the_clock(bench: Bench, step: float) -> None:
    """It was wrong when something happened, and is put right."""
    clock, letters = Clock(), DeadLetters(bench.folder / "dead.ndjson")
    with State(bench.state_path, purpose="siplogs tail") as state:
        monitor = Monitor(state, letters, "", print, clock=clock)
        monitor.settled(1)
        monitor.passed(clock.now, "", ())
        clock.now += step
        monitor.failed("gone")
        found = survey(state, letters, clock.now)
        assert (found.failing, found.trouble) == (True, "the daemon waits: gone")
        clock.now -= step
        for over in (lambda: monitor.settled(1), lambda: monitor.passed(clock.now, "", ())):
            over()
            found = survey(state, letters, clock.now)
            assert (found.failing, found.trouble) == (False, "")
            clock.now += step
            monitor.paused("overloaded")
            clock.now -= step
            assert survey(state, letters, clock.now).failing


def test_a_clock_that_was_ahead_hides_no_log_that_is_behind(bench: Bench) -> None:
    """It was years ahead for a moment: what was noted then tells nothing of today."""
    bench.append(log_text(0, 5))
    bench.collect()
    with State(bench.state_path) as state:
        places = state.places()
        for place in places:
            place.last_seen = place.acknowledged = 4e9
        state.save(places)
        state.beat(Pulse(process=1, beat=4e9, passed=4e9))
    bench.append(log_text(5, 2))
    written = bench.live.stat().st_mtime
    found = look(bench, written + 1000)
    assert found.logs[0].lag_seconds == pytest.approx(1000)
    assert (found.looked, found.acknowledged) == (0.0, 0.0)
    assert found.trouble.startswith("nobody ships, and logs are behind for 16 min")


def test_a_monitor_tells_that_it_lives_as_often_as_it_is_wanted(bench: Bench) -> None:
    clock, metrics = Clock(), bench.folder / "siplogs.prom"
    with State(bench.state_path, purpose="siplogs tail") as state:
        monitor = Monitor(state, DeadLetters(bench.folder / "dead"), str(metrics), print, clock=clock)
        beats = []
        for wanted, step in ((5.0, 2.0),) * 9 + ((60.0, 20.0),) * 9:
            clock.now += step
            monitor.alive(wanted)
            beats.append(samples(metrics.read_text())["siplogs_tail_beat_timestamp_seconds"])
        told = sorted(set(beats))
    assert [later - sooner for sooner, later in pairwise(told)] == [6.0, 6.0, 64.0, 60.0, 60.0]


def test_a_daemon_that_is_silent_since_its_clock_was_put_back_hangs(bench: Bench) -> None:
    clock, letters = Clock(), DeadLetters(bench.folder / "dead.ndjson")
    with State(bench.state_path, purpose="siplogs tail") as state:
        Monitor(state, letters, "", print, clock=clock).passed(clock.now, "", ())
        found = survey(state, letters, clock.now - 3 * 3600)
        assert found.hung
        assert "was not heard of for 3 h" in found.trouble


def test_a_file_of_metrics_that_cannot_be_written_is_a_warning(bench: Bench) -> None:
    said: list[str] = []
    with State(bench.state_path) as state:
        monitor = Monitor(state, DeadLetters(bench.folder / "dead"), str(bench.folder / "no/where"), said.append)
        monitor.passed(1.0, "", ())
    assert [line for line in said if "tail.metrics_file" in line] == said
    assert said


@pytest.mark.parametrize("new", ["", "new.prom"])
def test_a_file_of_metrics_that_is_kept_no_more_after_a_reload_goes(bench: Bench, new: str) -> None:
    said: list[str] = []
    with State(bench.state_path, purpose="siplogs tail") as state:
        letters = DeadLetters(bench.folder / "dead")
        old = Monitor(state, letters, str(bench.folder / "old.prom"), said.append)
        old.passed(1.0, "", ())
        same = Monitor(state, letters, str(bench.folder / "old.prom"), said.append)
        same.take_over(old)
        assert (bench.folder / "old.prom").exists()
        other = Monitor(state, letters, new and str(bench.folder / new), said.append)
        other.take_over(same)
        other.passed(2.0, "", ())
        assert [file.name for file in bench.folder.glob("*.prom")] == [new][: bool(new)]
    assert said == []


def test_an_old_file_of_metrics_that_cannot_be_deleted_is_a_warning(bench: Bench) -> None:
    said: list[str] = []
    with State(bench.state_path) as state:
        letters = DeadLetters(bench.folder / "dead")
        (bench.folder / "folder").mkdir()
        Monitor(state, letters, "", said.append).take_over(
            Monitor(state, letters, str(bench.folder / "folder"), said.append)
        )
    assert said == [f"{bench.folder / 'folder'}: Is a directory; delete it, for it is kept no more"]
