"""What is new is read once: through any cuts, rotations, compressions and crashes."""

import gzip
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siplogs.outputs.elasticsearch import Document
from siplogs.pipeline import ReadOptions, read_events
from siplogs.shipping.collect import Collector, Input, Settings
from siplogs.shipping.state import State
from siplogs.sources import find
from tests.packs.writers import message, pjsip

OPTIONS = ReadOptions(timezone="UTC", host="pbx")
SOON = 3600.0


def log_text(start: int, count: int) -> bytes:
    return b"".join(
        b"[Nov 21 02:00:%02d] NOTICE[1] main.c: line %d\n" % (number % 60, number)
        + pjsip(message(b"body of %d\n" % number, b"Content-Type: text/plain\r\nX-Number: %d" % number))
        for number in range(start, start + count)
    )


class Bench:
    """A family of logs, a state, and what was delivered of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.live = folder / "full"
        self.delivered: list[str] = []
        self.warnings: list[str] = []
        self.state_path = folder / "state" / "state.db"

    def collect(
        self, *, idle: float = SOON, batch: int = 3, crash_after: int | None = None, from_end: bool = False
    ) -> int:
        """One pass; with `crash_after` the process dies after so many settled batches."""
        with State(self.state_path) as state:
            chosen = Settings((Input((str(self.folder / "full*"),), OPTIONS),), idle=idle, from_end=from_end)
            collector = Collector(state, chosen, self.warnings.append)
            pending: list[Document] = []
            settled = before = len(self.delivered)
            batches = 0
            for one in collector.documents():
                pending.append(one)
                if len(pending) == batch:
                    self.delivered += [document.id for document in pending]
                    if crash_after is not None and batches >= crash_after:
                        collector.close()
                        return len(self.delivered) - settled
                    collector.settled(pending)
                    pending, batches = [], batches + 1
            self.delivered += [document.id for document in pending]
            collector.finish({"created": len(pending)})
            collector.close()
        return len(self.delivered) - before

    def append(self, data: bytes) -> None:
        with self.live.open("ab") as file:
            file.write(data)

    def rotate(self, name: str) -> Path:
        target = self.folder / f"full.{name}"
        self.live.rename(target)
        return target


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def ids(path: Path) -> list[str]:
    return [event.event.id for event in read_events(find([str(path)], warn=print), OPTIONS)]


def test_a_second_pass_finds_nothing_and_a_third_what_is_new(bench: Bench) -> None:
    bench.append(log_text(0, 7))
    assert bench.collect() > 6
    assert bench.collect() == 0
    bench.append(log_text(7, 4))
    assert bench.collect() == 4
    assert bench.delivered == ids(bench.live)
    assert bench.warnings == []


def test_an_unfinished_message_is_held_until_it_is_whole(bench: Bench) -> None:
    text = log_text(0, 3)
    bench.append(text[:-20])
    assert bench.collect() == 2
    assert bench.collect() == 0
    bench.append(text[-20:])
    assert bench.collect() == 1
    assert bench.delivered == ids(bench.live)


def test_what_stays_unfinished_counts_as_cut_after_a_while(bench: Bench) -> None:
    bench.append(log_text(0, 3)[:-20])
    assert bench.collect() == 2
    assert bench.collect(idle=0.0) == 1
    assert bench.delivered == ids(bench.live)


def test_the_beginning_of_a_first_line_identifies_nothing(bench: Bench) -> None:
    text = log_text(0, 3)
    bench.append(text[:9])
    assert bench.collect() == 0
    bench.append(text[9:])
    assert bench.collect() == 3
    assert bench.delivered == ids(bench.live)


def test_a_renamed_log_goes_on_and_its_follower_begins_anew(bench: Bench) -> None:
    first, second = log_text(0, 9), log_text(50, 5)
    bench.append(first[:2000])
    bench.collect()
    old = bench.rotate("1")
    with old.open("ab") as file:
        file.write(first[2000:])
    bench.append(second)
    bench.collect()
    assert bench.delivered == ids(old) + ids(bench.live)


def test_a_log_compressed_right_after_rotation_is_not_sent_again(bench: Bench) -> None:
    bench.append(log_text(0, 9))
    bench.collect(crash_after=1)
    old = bench.rotate("1")
    packed = old.with_suffix(".1.gz")
    packed.write_bytes(gzip.compress(old.read_bytes()))
    expected = ids(old)
    old.unlink()
    bench.append(log_text(50, 2))
    bench.collect()
    assert set(bench.delivered) == set(expected) | set(ids(bench.live))
    assert len(bench.delivered) - len(set(bench.delivered)) <= 3
    assert bench.collect() == 0


def test_copytruncate_loses_and_doubles_nothing(bench: Bench) -> None:
    bench.append(log_text(0, 6))
    bench.collect(crash_after=1)
    shutil.copy(bench.live, bench.folder / "full.1")
    os.truncate(bench.live, 0)
    bench.append(log_text(50, 3))
    bench.collect()
    expected = ids(bench.folder / "full.1") + ids(bench.live)
    assert set(bench.delivered) == set(expected)
    assert bench.collect() == 0


def test_a_log_that_begins_with_the_same_line_is_another_one(bench: Bench) -> None:
    first = b"[Nov 21 02:00:00] Asterisk 22.0.0 built by root @ pbx on a x86_64 running Linux\n"
    bench.append(first + log_text(0, 6))
    bench.collect()
    os.truncate(bench.live, 0)
    bench.append(first + log_text(50, 3))
    before = len(bench.delivered)
    bench.collect()
    assert bench.delivered[before:] == ids(bench.live)


def test_two_logs_of_one_beginning_do_not_share_a_place(bench: Bench) -> None:
    text = log_text(0, 4)
    bench.append(text)
    (bench.folder / "full_other").write_bytes(text)
    assert bench.collect() == 8


def test_a_first_run_may_begin_at_the_end(bench: Bench) -> None:
    bench.append(log_text(0, 4))
    assert bench.collect(from_end=True) == 0
    bench.append(log_text(4, 2))
    assert bench.collect(from_end=True) == 2
    assert bench.delivered == ids(bench.live)[-2:]


def test_what_was_deleted_unread_is_said_so(bench: Bench) -> None:
    bench.append(log_text(0, 40))
    bench.collect(crash_after=2)
    bench.live.unlink()
    (bench.folder / "full.9").write_bytes(log_text(90, 1))
    bench.collect()
    assert [warning for warning in bench.warnings if "deleted or overwritten before they were read" in warning]
    bench.warnings.clear()
    bench.collect()
    assert bench.warnings == []


def test_the_rest_of_a_deleted_log_is_read_while_it_is_held_open(bench: Bench) -> None:
    bench.append(log_text(0, 3))
    with State(bench.state_path) as state:
        chosen = Settings((Input((str(bench.folder / "full*"),), OPTIONS),), idle=SOON)
        collector = Collector(state, chosen, bench.warnings.append)
        first = [one.id for one in collector.documents()]
        collector.finish({})
        bench.append(log_text(3, 2))
        expected = ids(bench.live)
        bench.live.unlink()
        (bench.folder / "full.9").write_bytes(log_text(90, 1))
        second = list(collector.documents())
        collector.finish({})
        collector.close()
    assert first + [one.id for one in second if one.id in expected] == expected
    assert all(str(bench.live).encode() in one.body for one in second if one.id in expected)


operations = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 900)),
        st.tuples(st.just("collect"), st.integers(1, 5)),
        st.tuples(st.just("crash"), st.integers(0, 3)),
        st.tuples(st.just("rotate"), st.booleans()),
        st.tuples(st.just("copytruncate"), st.booleans()),
    ),
    max_size=14,
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=operations)
def test_any_course_of_events_delivers_each_event(tmp_path: Path, steps: list[tuple[str, int]]) -> None:
    folder = tmp_path / f"{time.monotonic_ns()}"
    folder.mkdir()
    bench = Bench(folder)
    text, number, rotations = log_text(0, 30), 0, 0
    waiting = text
    for name, value in steps:
        if name == "append":
            bench.append(waiting[:value])
            waiting = waiting[value:]
        elif name == "collect":
            bench.collect(batch=value)
        elif name == "crash":
            bench.collect(crash_after=value)
        elif bench.live.exists() and bench.live.stat().st_size:
            rotations += 1
            bench.collect() if name == "copytruncate" else None
            old = bench.folder / f"full.{100 - rotations}"
            if name == "rotate":
                bench.live.rename(old)
            else:
                shutil.copy(bench.live, old)
                os.truncate(bench.live, 0)
            if value:
                (bench.folder / f"{old.name}.gz").write_bytes(gzip.compress(old.read_bytes()))
                old.unlink()
            number += 100
            waiting = log_text(number, 30)
    bench.collect(idle=0.0)
    expected = [found for path in bench.folder.glob("full*") if path.stat().st_size for found in ids(path)]
    assert set(bench.delivered) >= set(expected)
    assert bench.collect(idle=0.0) == 0
