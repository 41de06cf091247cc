"""Logs are followed wherever rotation, administrators and file servers put them; nothing is lost, doubled or reread."""

import gzip
import json
import os
import random
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from test_collect import log_text

from siplogs.outputs.elasticsearch import Document
from siplogs.pipeline import ReadOptions, read_events
from siplogs.shipping.collect import Collector, Input, Settings
from siplogs.shipping.state import State
from siplogs.sources import Source, find
from tests.packs.test_carriers import docker_json, prefixed
from tests.packs.writers import message
from tests.sources.source_archives import PACK

OPTIONS = ReadOptions(timezone="UTC", host="pbx")
IDLE = 5.0
DAY = 86_400.0
NOBODY = 65534


class Daemon:
    """One collector that lives through many passes, as in `tail`; its clocks are set by hand."""

    def __init__(self, folder: Path, *paths: str, options: ReadOptions = OPTIONS, **more: Any) -> None:
        self.folder = folder
        self.live = folder / "full"
        self.delivered: list[Document] = []
        self.warnings: list[str] = []
        self.steady = 1000.0
        self.error = 0.0
        self.state = State(folder / "state.db")
        inputs = (Input(tuple(paths) or (f"{folder}/full*",), options),)
        self.settings = Settings(**{"inputs": inputs, "idle": IDLE, **more})
        self.collector = self._collector()

    def _collector(self) -> Collector:
        return Collector(
            self.state, self.settings, self.warnings.append, clock=lambda: self.now, steady=lambda: self.steady
        )

    @property
    def now(self) -> float:
        return self.folder.stat().st_mtime + self.error + self.steady - 1000.0

    def again(self) -> None:
        """Another process goes on."""
        self.collector.close()
        self.collector = self._collector()

    def passes(self, *, search: bool = True, seconds: float = 0.0) -> int:
        """Wait, then make one pass; return how many documents it brought."""
        self.steady += seconds
        found = list(self.collector.documents(search=search))
        self.collector.settled(found)
        self.collector.finish()
        self.delivered += found
        return len(found)

    def append(self, data: bytes, path: Path | None = None) -> None:
        with (path or self.live).open("ab") as file:
            file.write(data)

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.delivered]

    def end(self) -> None:
        self.collector.close()
        self.state.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    started: list[Daemon] = []

    def begin(*paths: str, folder: Path = tmp_path, **more: Any) -> Daemon:
        started.append(Daemon(folder, *paths, **more))
        return started[-1]

    yield begin
    for daemon in started:
        daemon.end()


@contextmanager
def nobody() -> Iterator[None]:
    """Be a user whom permissions bind."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody reaches."""
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


def ids(*paths: Path, options: ReadOptions = OPTIONS) -> list[str]:
    return [one.event.id for path in paths for one in read_events(find([str(path)], warn=print), options)]


@pytest.mark.parametrize(("kind", "end"), [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst")])
@pytest.mark.parametrize("path", ["full", "full*"])
def test_an_archive_of_what_was_read_is_not_unpacked(
    start: Any, tmp_path: Path, kind: str, end: str, path: str
) -> None:
    """Unpacking would hold up the live log; it would show here, as the archive is damaged in its middle."""
    daemon = start(f"{tmp_path}/{path}")
    text = log_text(0, 400)
    daemon.append(text + random.Random(1).randbytes(200_000).hex().encode() + b"\n")
    assert daemon.passes() == 400
    daemon.live.rename(tmp_path / "full.1")
    daemon.append(log_text(500, 3))
    assert daemon.passes() == 3
    assert daemon.passes(seconds=2 * IDLE) == 0
    packed = bytearray(PACK[kind]((tmp_path / "full.1").read_bytes()))
    packed[len(packed) // 2 : len(packed) // 2 + 1000] = bytes(1000)
    archive = tmp_path / f"full.1.{end}"
    archive.write_bytes(packed)
    shutil.copystat(tmp_path / "full.1", archive)
    (tmp_path / "full.1").unlink()
    daemon.append(log_text(503, 2))
    assert daemon.passes() == 2
    assert daemon.passes(seconds=100 * DAY) == 0
    daemon.again()
    assert daemon.passes() == 0
    assert daemon.warnings == []


def test_a_log_that_is_named_and_not_there_is_trouble_after_a_while(start: Any, tmp_path: Path) -> None:
    for path, said in (("full", "no such file; check"), ("full*", "nothing matches; check")):
        daemon = start(f"{tmp_path}/{path}")
        daemon.append(log_text(0, 2))
        daemon.passes()
        daemon.live.unlink()
        for seconds in (0.5, 0.5, IDLE / 2):
            daemon.passes(seconds=seconds)
            assert daemon.collector.trouble == ""
        daemon.passes(seconds=IDLE)
        assert daemon.collector.trouble.startswith(f"{tmp_path}/{path}: {said}")
        daemon.append(log_text(2, 2))
        daemon.passes(seconds=1)
        assert daemon.collector.trouble == ""
        daemon.live.unlink()
        daemon.passes(seconds=1)
        assert daemon.collector.trouble == ""
        daemon.settings = replace(daemon.settings, once=True)
        daemon.again()
        daemon.passes(seconds=1)
        assert daemon.collector.trouble.startswith(f"{tmp_path}/{path}: {said}")
        daemon.end()
        (tmp_path / "state.db").unlink()
        (tmp_path / "state.db.lock").unlink()


def test_a_glob_that_never_matched_is_no_trouble(start: Any, tmp_path: Path) -> None:
    daemon = start(f"{tmp_path}/freeswitch.log*", once=True)
    assert daemon.passes() == 0
    assert daemon.collector.trouble == ""
    assert len(daemon.warnings) == 1


def test_a_log_named_by_itself_is_read_on_under_the_names_that_rotation_gives_it(start: Any, tmp_path: Path) -> None:
    (tmp_path / "full.7").write_bytes(log_text(900, 2))
    os.utime(tmp_path / "full.7", (1e9, 1e9))
    daemon = start(str(tmp_path / "full"))
    daemon.append(log_text(0, 3))
    assert daemon.passes() == 3
    daemon.append(log_text(3, 2))
    daemon.live.rename(tmp_path / "full.0")
    daemon.append(log_text(5, 1), tmp_path / "full.0")
    daemon.append(log_text(50, 2))
    assert daemon.passes() == 5
    daemon.live.rename(tmp_path / "full.1")
    (tmp_path / "full").write_bytes(log_text(60, 1))
    (tmp_path / "full").rename(tmp_path / "full.2")
    daemon.append(log_text(70, 1))
    assert daemon.passes() == 2
    assert daemon.ids == ids(*(tmp_path / name for name in ("full.0", "full.1", "full.2", "full")))


def test_runs_from_cron_follow_a_log_named_by_itself_through_rotations(start: Any, tmp_path: Path) -> None:
    daemon = start(str(tmp_path / "full"))
    daemon.append(log_text(0, 3))
    assert daemon.passes() == 3
    daemon.append(log_text(3, 2))
    expected = ids(daemon.live)
    (tmp_path / "full.1.gz").write_bytes(gzip.compress(daemon.live.read_bytes()))
    daemon.live.unlink()
    daemon.append(log_text(50, 2))
    daemon.again()
    assert daemon.passes() == 4
    assert daemon.ids == expected + ids(daemon.live)


def test_a_log_that_is_moved_out_of_its_paths_is_read_to_its_end(start: Any, tmp_path: Path) -> None:
    daemon = start()
    elsewhere = tmp_path / "old"
    elsewhere.mkdir()
    daemon.append(log_text(0, 2))
    daemon.passes()
    daemon.live.rename(elsewhere / "2026")
    daemon.append(log_text(2, 2), elsewhere / "2026")
    daemon.append(log_text(50, 1))
    assert daemon.passes() == 3
    daemon.append(log_text(4, 1), elsewhere / "2026")
    assert daemon.collector.followed.changed()
    assert daemon.passes(search=False) == 1
    assert sorted(daemon.ids) == sorted(ids(elsewhere / "2026", daemon.live))
    assert daemon.warnings == []


def test_a_log_moved_within_its_folder_is_found_by_the_next_process(start: Any, tmp_path: Path) -> None:
    daemon = start()
    daemon.append(log_text(0, 2))
    daemon.passes()
    daemon.live.rename(tmp_path / "yesterday")
    daemon.append(log_text(2, 2), tmp_path / "yesterday")
    daemon.append(log_text(50, 1))
    daemon.again()
    assert daemon.passes() == 3
    assert sorted(daemon.ids) == sorted(ids(tmp_path / "yesterday", daemon.live))


@pytest.mark.parametrize("restarted", [False, True])
def test_a_symbolic_link_that_is_switched(start: Any, tmp_path: Path, restarted: bool) -> None:
    first, second = tmp_path / "log-a", tmp_path / "log-b"
    first.write_bytes(log_text(0, 2))
    daemon = start(str(tmp_path / "full"))
    daemon.live.symlink_to(first)
    assert daemon.passes() == 2
    daemon.append(log_text(2, 2), first)
    second.write_bytes(log_text(50, 2))
    daemon.live.unlink()
    daemon.live.symlink_to(second)
    if restarted:
        daemon.again()
    assert daemon.passes() == 4
    assert sorted(daemon.ids) == sorted(ids(first, second))


def test_a_log_deleted_and_made_again_in_the_same_inode(start: Any, tmp_path: Path) -> None:
    daemon = start(idle=1e9)
    daemon.append(log_text(0, 3))
    assert daemon.passes() == 3
    inode = daemon.live.stat().st_ino
    daemon.collector.close()
    for _ in range(50):
        daemon.live.unlink()
        daemon.append(log_text(50, 4))
        if daemon.live.stat().st_ino == inode:
            break
    assert daemon.passes() == 4
    os.truncate(daemon.live, 0)
    daemon.append(log_text(70, 5))
    assert daemon.passes() == 5
    assert daemon.ids[-5:] == ids(daemon.live)


def test_a_stale_copy_beside_the_live_log_costs_and_changes_nothing(start: Any, tmp_path: Path) -> None:
    daemon = start()
    daemon.append(log_text(0, 40))
    daemon.passes()
    shutil.copy(daemon.live, tmp_path / "full.1")
    os.truncate(tmp_path / "full.1", 3000)
    daemon.append(log_text(40, 2))
    assert daemon.passes() == 2
    assert [daemon.passes() for _ in range(3)] == [0, 0, 0]
    daemon.append(log_text(42, 1))
    assert daemon.passes() == 1
    assert daemon.ids == ids(daemon.live)
    assert daemon.warnings == []


def test_an_archive_that_is_being_made_is_not_read_beside_its_original(start: Any, tmp_path: Path) -> None:
    daemon = start()
    (tmp_path / "full.1").write_bytes(log_text(0, 30))
    (tmp_path / "full.1.gz").write_bytes(gzip.compress(log_text(0, 30))[:-40])
    daemon.append(log_text(50, 1))
    assert daemon.passes() == 31
    assert daemon.passes() == 0
    assert daemon.warnings == []


def test_a_damaged_archive_is_said_once_and_not_unpacked_again(start: Any, tmp_path: Path) -> None:
    daemon = start()
    (tmp_path / "full.1.gz").write_bytes(gzip.compress(log_text(0, 30))[:-40])
    daemon.append(log_text(50, 1))
    assert daemon.passes() > 1
    assert len(daemon.warnings) == 1
    assert daemon.passes() == 0
    daemon.again()
    assert daemon.passes() == 0
    assert len(daemon.warnings) == 1


@pytest.mark.parametrize("error", [-86_400.0 * 400, -7200.0, 7200.0, 86_400.0 * 400])
def test_a_step_of_the_clock_neither_cuts_nor_repeats_nor_forgets(start: Any, tmp_path: Path, error: float) -> None:
    daemon = start()
    text = log_text(0, 6)
    half = len(text) // 2
    daemon.append(text[:half])
    before = daemon.passes()
    daemon.error = error
    assert daemon.passes() == 0
    daemon.append(text[half:])
    assert before + daemon.passes() == 6
    daemon.error = 0.0
    daemon.again()
    assert daemon.passes() == 0
    assert daemon.ids == ids(daemon.live)


@pytest.mark.parametrize("difference", [-600.0, -20.0, 20.0, 86_400.0 * 30])
def test_a_file_server_whose_clock_differs(start: Any, tmp_path: Path, difference: float) -> None:
    """A log is at rest when nothing happens to it, whatever time its file carries."""
    daemon = start()

    def written(data: bytes) -> None:
        daemon.append(data)
        stamp = daemon.now + difference
        os.utime(daemon.live, (stamp, stamp))

    text = log_text(0, 4)
    written(text[:300])
    daemon.passes()
    for place in range(300, len(text) - 40, 90):
        written(text[place : min(place + 90, len(text) - 40)])
        daemon.passes(search=False, seconds=2)
    assert len(daemon.ids) == 3
    assert daemon.passes(search=False, seconds=2) == 0
    assert daemon.passes(search=False, seconds=IDLE) == 1
    assert daemon.ids == ids(daemon.live)


def test_attributes_that_say_nothing_new_are_no_end(start: Any, tmp_path: Path) -> None:
    """An unfinished message in a log whose size a file server tells late waits for the idle time, then is cut."""
    daemon = start()
    daemon.append(log_text(0, 2)[:-30])
    assert daemon.passes() == 1
    assert daemon.passes(search=False, seconds=IDLE - 1) == 0
    assert daemon.collector.restless()
    assert daemon.passes(search=False, seconds=2) == 1
    assert not daemon.collector.restless()
    assert b'"truncated":true' in daemon.delivered[-1].body


def test_a_member_that_must_not_be_read_does_not_stop_the_others(start: Any, open_folder: Path) -> None:
    (open_folder / "full.1").write_bytes(log_text(50, 2))
    (open_folder / "full.1").chmod(0)
    (open_folder / "full").write_bytes(log_text(0, 3))
    with nobody():
        daemon = start(folder=open_folder)
        assert daemon.passes() == 3
        assert [text for text in daemon.warnings if "permission denied" in text]
    (open_folder / "full.1").chmod(0o644)
    with nobody():
        assert daemon.passes() == 2


def test_permission_lost_and_regained_loses_nothing(start: Any, open_folder: Path) -> None:
    (open_folder / "full").write_bytes(log_text(0, 3)[:-10])
    (open_folder / "full.1").write_bytes(log_text(90, 1))
    with nobody():
        daemon = start(folder=open_folder)
        assert daemon.passes() == 3
    daemon.append(log_text(0, 3)[-10:] + log_text(3, 2))
    daemon.live.chmod(0)
    with nobody():
        assert [daemon.passes(), daemon.passes()] == [0, 0]
    assert not [text for text in daemon.warnings if "deleted" in text]
    daemon.live.chmod(0o644)
    with nobody():
        assert daemon.passes() == 3
    assert sorted(daemon.ids) == sorted(ids(daemon.live, open_folder / "full.1"))


def test_a_folder_that_appears_later_is_followed_from_its_beginning(start: Any, tmp_path: Path) -> None:
    later = tmp_path / "later"
    daemon = start(f"{later}/full*", from_end=True)
    assert daemon.passes() == 0
    assert len(daemon.warnings) == 1
    assert "nothing matches" in daemon.warnings[0]
    later.mkdir()
    (later / "full").write_bytes(log_text(0, 3))
    assert daemon.passes() == 3


def test_a_first_run_that_found_nothing_was_the_first_run(start: Any, tmp_path: Path) -> None:
    daemon = start(from_end=True)
    assert daemon.passes() == 0
    daemon.again()
    daemon.append(log_text(0, 3))
    assert daemon.passes() == 3


def test_the_first_run_begins_where_the_logs_ended_when_it_began(start: Any, tmp_path: Path) -> None:
    daemon = start(from_end=True)
    daemon.append(log_text(0, 3))
    daemon.collector.note()
    daemon.append(log_text(3, 2))
    assert daemon.passes() == 2
    assert daemon.ids == ids(daemon.live)[-2:]


def test_an_empty_log_is_nothing_to_warn_of_and_its_first_line_is_noticed(start: Any, tmp_path: Path) -> None:
    daemon = start(str(tmp_path / "full"))
    daemon.live.touch()
    assert daemon.passes() == 0
    assert not daemon.collector.followed.changed()
    daemon.append(log_text(0, 1)[:20])
    assert daemon.collector.followed.changed()
    assert daemon.passes(search=False) == 0
    daemon.append(log_text(0, 1)[20:])
    assert daemon.collector.followed.changed()
    assert daemon.passes(search=False) == 1
    assert daemon.warnings == []


def test_a_log_that_was_quiet_is_still_watched(start: Any, tmp_path: Path) -> None:
    daemon = start()
    daemon.append(log_text(0, 1))
    daemon.passes()
    daemon.passes(seconds=100)
    assert not daemon.collector.restless()
    assert not daemon.collector.followed.changed()
    daemon.append(log_text(1, 1))
    assert daemon.collector.followed.changed()
    assert daemon.passes(search=False) == 1


def test_a_hole_left_by_copytruncate_under_a_writer_that_keeps_its_position(start: Any, tmp_path: Path) -> None:
    daemon = start()
    with daemon.live.open("wb", buffering=0) as writer:
        writer.write(log_text(0, 30))
        assert daemon.passes() == 30
        for number in (1, 2):
            shutil.copy(daemon.live, tmp_path / f"full.{number}")
            os.truncate(daemon.live, 0)
            writer.write(log_text(number * 100, 10))
            assert daemon.passes() == 10
            writer.write(log_text(number * 100 + 10, 5))
            assert daemon.passes() == 5
    assert len(set(daemon.ids)) == 60
    assert daemon.passes() == 0


@pytest.mark.parametrize("names", [("full.0", "full.1", "full.2"), ("full.2", "full.1", "full.0")])
def test_either_way_of_numbering_of_asterisks_logger_rotate(
    start: Any, tmp_path: Path, names: tuple[str, str, str]
) -> None:
    """main/logger.c: `sequential` gives the newest the highest number, `rotate` the number 0."""
    sequential = names[0] == "full.0"
    daemon = start(str(tmp_path / "full"))
    for turn in range(3):
        daemon.append(log_text(turn * 10, 3))
        daemon.passes() if turn != 1 else None
        if sequential:
            daemon.live.rename(tmp_path / f"full.{turn}")
        else:
            for number in (1, 0):
                if (tmp_path / f"full.{number}").exists():
                    (tmp_path / f"full.{number}").rename(tmp_path / f"full.{number + 1}")
            daemon.live.rename(tmp_path / "full.0")
    daemon.append(log_text(90, 1))
    daemon.passes()
    assert sorted(daemon.ids) == sorted(ids(*(tmp_path / name for name in (*names, "full"))))
    assert len(daemon.ids) == 10


def test_names_that_freeswitch_gives_at_rollover(start: Any, tmp_path: Path) -> None:
    """mod_logfile.c renames to freeswitch.log.YYYY-MM-DD-hh-mm-ss.N at rollover and on HUP."""
    live = tmp_path / "freeswitch.log"
    daemon = start(str(live))
    expected: list[str] = []
    for turn in range(3):
        daemon.append(traced(turn * 10, 4), live)
        assert daemon.passes() == (6 if turn else 4)
        daemon.append(traced(turn * 10 + 4, 2), live)
        old = tmp_path / f"freeswitch.log.2026-11-21-0{turn}-00-00.1"
        live.rename(old)
        expected += ids(old)
    daemon.append(traced(90, 1), live)
    assert daemon.passes() == 3
    assert sorted(daemon.ids) == sorted(expected + ids(live))


def traced(start: int, count: int, hour: int = 2, day: str = "2026-11-21", *, dated: bool = True) -> bytes:
    """FreeSWITCH's siptrace: an entry with a date, then a frame that tells only the time of day."""
    text = b""
    for number in range(start, start + count):
        wire = message(b"", b"X-Number: %d" % number)
        time = f"{hour:02}:{number // 60 % 60:02}:{number % 60:02}.000000"
        if dated:
            text += f"{day} {time} 99.00% [INFO] mod_x.c:1 line {number}\n".encode()
        text += f"recv {len(wire)} bytes from udp/[192.0.2.11]:5060 at {time}:\n".encode()
        ruler = b"   " + b"-" * 72 + b"\n"
        body = b"".join(b"   " + line + b"\n" for line in wire.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n"))
        text += ruler + body + ruler
    return text


def stamps(daemon: Daemon) -> list[str]:
    return [json.loads(one.body)["@timestamp"] for one in daemon.delivered]


def test_traced_messages_without_a_date_get_their_day_across_passes(start: Any, tmp_path: Path) -> None:
    live = tmp_path / "freeswitch.log"
    daemon = start(str(live))
    for hour, day, dated in ((23, "2026-11-20", True), (23, "", False), (0, "", False), (1, "2026-11-21", True)):
        daemon.append(traced(hour % 22 * 10, 2, hour, day, dated=dated), live)
        assert daemon.passes(search=False) == 2
    assert [stamp[:13] for stamp in stamps(daemon)] == [
        *["2026-11-20T23"] * 4,
        *["2026-11-21T00"] * 2,
        *["2026-11-21T01"] * 2,
    ]


def entry(time: str, number: int) -> bytes:
    return f"[{time}] NOTICE[1] chan_sip.c: Peer '{number}' is now UNREACHABLE!  Last qualify: 0\n".encode()


def touch(path: Path, utc: str) -> None:
    from datetime import datetime

    stamp = datetime.fromisoformat(f"{utc}+00:00").timestamp()
    os.utime(path, (stamp, stamp))


def test_the_year_changes_between_passes(start: Any, tmp_path: Path) -> None:
    daemon = start()
    daemon.append(entry("Dec 31 23:59:58", 1))
    touch(daemon.live, "2026-12-31T23:59:58")
    assert daemon.passes() == 1
    daemon.append(entry("Dec 31 23:59:59", 2) + entry("Jan  1 00:00:01", 3))
    touch(daemon.live, "2027-01-01T00:00:01")
    assert daemon.passes() == 2
    assert [stamp[:19] for stamp in stamps(daemon)] == [
        "2026-12-31T23:59:58",
        "2026-12-31T23:59:59",
        "2027-01-01T00:00:01",
    ]


def test_the_hour_that_daylight_saving_repeats_across_passes(start: Any, tmp_path: Path) -> None:
    daemon = start(options=ReadOptions(timezone="Europe/Madrid", host="pbx"))
    for local, utc in (
        ("02:10:00", "00:10:00"),
        ("02:59:50", "00:59:50"),
        ("02:00:10", "01:00:10"),
        ("02:30:00", "01:30:00"),
        ("02:59:59", "01:59:59"),
        ("03:00:01", "02:00:01"),
    ):
        daemon.append(entry(f"Oct 25 {local}", 1))
        touch(daemon.live, f"2026-10-25T{utc}")
        assert daemon.passes(search=False) == 1
        assert stamps(daemon)[-1][11:19] == utc


@pytest.mark.parametrize(
    "wrap", [docker_json, prefixed(b"Nov 21 02:17:08 pbx asterisk[123]: ")], ids=["docker", "syslog"]
)
def test_a_wrapped_log_that_grows_gives_each_event_once(start: Any, tmp_path: Path, wrap: Any) -> None:
    daemon = start()
    lines = wrap(log_text(0, 700)).splitlines(keepends=True)
    for begin, end in pairwise([*range(0, len(lines), 777), len(lines)]):
        daemon.append(b"".join(lines[begin:end]))
        daemon.passes(search=False, seconds=1)
    daemon.passes(seconds=IDLE)
    assert len(daemon.ids) == len(set(daemon.ids)) == 700
    assert daemon.ids == ids(daemon.live)


def test_a_wrapped_log_gives_each_event_once_after_a_restart(start: Any, tmp_path: Path) -> None:
    daemon = start()
    text = docker_json(log_text(0, 300))
    half = text.index(b"\n", len(text) // 2) + 1
    daemon.append(text[:half])
    daemon.passes()
    daemon.again()
    daemon.append(text[half:])
    daemon.passes()
    assert len(daemon.ids) == len(set(daemon.ids)) == 300


def test_two_inputs_of_two_zones_and_packs(start: Any, tmp_path: Path) -> None:
    one, other = tmp_path / "full", tmp_path / "messages"
    one.write_bytes(entry("Nov 20 12:00:00", 1))
    other.write_bytes(entry("Nov 20 12:00:00", 2))
    madrid = ReadOptions(timezone="Europe/Madrid", host="west")
    lima = ReadOptions(timezone="America/Lima", host="south", packs=("asterisk-notices",))
    inputs = (Input((str(one),), madrid), Input((str(other), str(one)), lima))
    daemon = start(inputs=inputs)
    daemon.passes()
    assert sorted(stamp[11:19] for stamp in stamps(daemon)) == ["11:00:00", "17:00:00"]
    assert len(daemon.ids) == 2


def test_a_long_quiet_log_is_not_read_again(start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each pass takes from the disk is proportional to what is new, however long and quiet the log is."""
    taken: list[int] = []
    blocks = Source.blocks

    def counted(self: Source, *some: Any, **more: Any) -> Iterator[bytes]:
        for block in blocks(self, *some, **more):
            taken.append(len(block))
            yield block

    line = b"[Nov 21 02:00:00] VERBOSE[1] pbx.c: Executing [s@x:1] NoOp in new stack\n"
    daemon = start()
    daemon.append(log_text(0, 1) + line * 400_000)
    monkeypatch.setattr(Source, "blocks", counted)
    assert daemon.passes() == 1
    assert sum(taken) >= 25_000_000
    for _ in range(10):
        taken.clear()
        daemon.append(line * 100)
        daemon.passes(search=False)
        assert sum(taken) < 60_000
    taken.clear()
    daemon.again()
    daemon.append(log_text(1, 1))
    assert daemon.passes() == 1
    assert sum(taken) < 200_000


def test_a_log_overwritten_while_it_is_read_is_not_mixed(start: Any, tmp_path: Path) -> None:
    daemon = start()
    daemon.append(log_text(0, 4000))
    reading = daemon.collector.documents()
    before = [next(reading) for _ in range(10)]
    old = ids(daemon.live)
    shutil.copy(daemon.live, tmp_path / "full.1")
    os.truncate(daemon.live, 0)
    daemon.append(log_text(10_000, 6000))
    found = [*before, *reading]
    daemon.collector.settled(found)
    daemon.collector.finish()
    daemon.delivered += found
    assert daemon.collector.disturbed
    daemon.passes()
    assert sorted(daemon.ids) == sorted(old + ids(daemon.live))
    assert daemon.warnings == []


def test_a_name_that_is_no_utf_8_is_kept_in_the_state(start: Any, tmp_path: Path) -> None:
    name = os.fsdecode(b"full-\xff")
    (tmp_path / name).write_bytes(log_text(0, 2))
    daemon = start()
    assert daemon.passes() == 2
    daemon.again()
    assert daemon.passes() == 0
    with (tmp_path / name).open("ab") as file:
        file.write(log_text(2, 1))
    assert daemon.passes() == 1


def test_a_deleted_log_is_handed_on_to_the_collector_of_a_new_configuration(start: Any, tmp_path: Path) -> None:
    daemon = start()
    daemon.append(log_text(0, 2))
    daemon.passes()
    daemon.append(log_text(2, 2))
    expected = ids(daemon.live)
    daemon.live.unlink()
    old = daemon.collector
    daemon.collector = daemon._collector()
    daemon.collector.followed.take_over(old.followed)
    old.close()
    assert daemon.passes() == 2
    assert daemon.ids == expected


def held() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_held_files_are_let_go(start: Any, tmp_path: Path) -> None:
    daemon = start()
    before = held()
    daemon.append(log_text(0, 2))
    daemon.passes()
    assert held() == before + 1
    daemon.live.unlink()
    daemon.passes()
    daemon.passes(seconds=IDLE)
    daemon.passes()
    assert held() == before
    daemon.append(log_text(50, 2))
    daemon.passes()
    daemon.passes(seconds=IDLE)
    assert held() == before + 1
    daemon.passes(seconds=4000)
    assert held() == before


def test_a_set_of_which_nothing_is_left_is_said_so(start: Any, tmp_path: Path) -> None:
    daemon = start(str(tmp_path / "full"))
    daemon.append(log_text(0, 3))
    daemon.passes()
    daemon.append(log_text(3, 9))
    daemon.collector.note()
    daemon.live.unlink()
    daemon.again()
    daemon.passes()
    assert [text for text in daemon.warnings if "deleted or overwritten before they were read" in text]


def test_a_log_moved_away_while_no_other_took_its_name_is_not_called_lost(start: Any, tmp_path: Path) -> None:
    daemon = start(str(tmp_path / "full"))
    daemon.append(log_text(0, 3))
    daemon.passes()
    daemon.append(log_text(3, 3))
    daemon.collector.note()
    daemon.live.rename(tmp_path / "yesterday")
    daemon.again()
    assert daemon.passes() == 3
    assert not [text for text in daemon.warnings if "deleted" in text]


def test_a_rotation_between_two_looks_counts_by_the_clock_of_the_files(start: Any, tmp_path: Path) -> None:
    daemon = start(str(tmp_path / "full"))
    daemon.append(log_text(0, 2))
    os.utime(daemon.live, (1e9, 1e9))
    daemon.passes()
    (tmp_path / "full.1").write_bytes(log_text(50, 2))
    os.utime(tmp_path / "full.1", (1e9 + 5, 1e9 + 5))
    (tmp_path / "full.9").write_bytes(log_text(90, 2))
    os.utime(tmp_path / "full.9", (1e9 - 5, 1e9 - 5))
    daemon.append(log_text(2, 1))
    assert daemon.passes() == 3
    assert sorted(daemon.ids) == sorted(ids(daemon.live, tmp_path / "full.1"))


@pytest.mark.parametrize("step", [0, 3600])
def test_rotations_after_a_clock_that_was_ahead_are_told_by_their_order(start: Any, tmp_path: Path, step: int) -> None:
    """The host booted an hour ahead, and was put right; its log was rotated twice before anybody looked again."""
    (tmp_path / "full.1").write_bytes(log_text(0, 2))
    os.utime(tmp_path / "full.1", (1e9, 1e9))
    daemon = start(str(tmp_path / "full"), once=True)
    daemon.append(log_text(10, 2))
    os.utime(daemon.live, (daemon.now + step,) * 2)
    assert daemon.passes() == 2
    (tmp_path / "full.1").rename(tmp_path / "full.3")
    daemon.live.rename(tmp_path / "full.2")
    daemon.append(log_text(20, 3), tmp_path / "full.1")
    daemon.append(log_text(30, 1))
    daemon.again()
    assert daemon.passes() == 4
    assert sorted(daemon.ids) == sorted(ids(*(tmp_path / name for name in ("full", "full.1", "full.2"))))


def test_more_logs_than_descriptors(start: Any, tmp_path: Path) -> None:
    """The youngest are held; all are read."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = held() + 40
    for number in range(60):
        daemon_log = tmp_path / f"full.{60 - number}"
        daemon_log.write_bytes(log_text(number * 100, 1))
        os.utime(daemon_log, (1e9 + number, 1e9 + number))
    daemon = start()
    daemon.append(log_text(9000, 1))
    resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))
    try:
        assert daemon.passes() == 61
        assert daemon.passes() == 0
        daemon.append(log_text(9001, 1))
        daemon.live.unlink()
        assert daemon.passes() == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert daemon.warnings == []


def test_a_first_run_that_was_cut_short_leaves_old_rotations_alone_as_well(start: Any, tmp_path: Path) -> None:
    (tmp_path / "full.7").write_bytes(log_text(900, 2))
    os.utime(tmp_path / "full.7", (1e9, 1e9))
    daemon = start(str(tmp_path / "full"))
    daemon.append(log_text(0, 3))
    next(daemon.collector.documents())
    daemon.again()
    assert daemon.passes() == 3


def test_what_kind_of_log_it_is_is_known_after_a_crash(start: Any, tmp_path: Path) -> None:
    daemon = start()
    daemon.append(log_text(0, 30))
    reading = daemon.collector.documents()
    daemon.collector.settled([next(reading) for _ in range(20)])
    daemon.again()
    (place,) = daemon.state.places()
    assert place.products == "asterisk"
    assert place.settled > 0
    assert daemon.passes() == 10
