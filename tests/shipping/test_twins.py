"""Logs of one family that begin with the same line are logs of their own; copies of one log are one."""

import gzip
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_collect import log_text
from test_followed import OPTIONS, Daemon, ids, start

from siplogs.pipeline import read_events
from siplogs.sources import find
from siplogs.sources.source import Source

__all__ = ["start"]

RULER = b"   " + b"-" * 72 + b"\n"
BEGINNINGS = {
    "a ruler": RULER,
    "a blank line": b"\n",
    "a time without a date": b"[00:00:00] Asterisk 22.5.0 built by root @ pbx on a x86_64 running Linux\n",
}


@pytest.fixture(params=BEGINNINGS)
def beginning(request: Any) -> bytes:
    return BEGINNINGS[request.param]


def test_rotated_logs_that_begin_alike_are_all_read(start: Any, tmp_path: Path, beginning: bytes) -> None:
    daemon = start()
    paths = [tmp_path / name for name in ("full.2", "full.1", "full")]
    for number, path in enumerate(paths):
        path.write_bytes(beginning + log_text(number * 10, 5))
    assert daemon.passes() == 15
    assert sorted(daemon.ids) == sorted(ids(*paths))
    assert daemon.passes() == 0
    daemon.again()
    assert daemon.passes() == 0
    assert daemon.warnings == []


@pytest.mark.parametrize("anew", [False, True])
def test_a_new_log_that_begins_as_the_old_one_did(start: Any, tmp_path: Path, beginning: bytes, anew: bool) -> None:
    daemon = start()
    expected: list[str] = []
    for turn in range(4):
        daemon.append(beginning)
        assert daemon.passes() == (2 if turn else 0)  # those written before the rotation
        daemon.append(log_text(turn * 100, 3))
        assert daemon.passes() == 3
        daemon.append(log_text(turn * 100 + 3, 2))
        for number in (2, 1):
            if (tmp_path / f"full.{number}").exists():
                (tmp_path / f"full.{number}").rename(tmp_path / f"full.{number + 1}")
        daemon.live.rename(tmp_path / "full.1")
        expected += ids(tmp_path / "full.1")
        if anew:
            daemon.again()
    daemon.append(beginning + log_text(900, 1))
    daemon.passes()
    daemon.passes(seconds=100)
    assert sorted(daemon.ids) == sorted(expected + ids(daemon.live))
    assert len(daemon.ids) == 21
    assert daemon.warnings == []


def test_copytruncate_of_a_log_that_begins_alike_each_time(start: Any, tmp_path: Path, beginning: bytes) -> None:
    daemon = start()
    expected: set[str] = set()
    for turn in range(3):
        daemon.append(beginning + log_text(turn * 100, 8 - turn))
        assert daemon.passes() == 8 - turn
        shutil.copy2(daemon.live, tmp_path / f"full.{turn}")
        assert daemon.passes() == 0
        os.truncate(daemon.live, 0)
        expected.update(ids(tmp_path / f"full.{turn}"))
        daemon.passes()
    daemon.append(beginning + log_text(900, 9))
    daemon.passes()
    assert set(daemon.ids) == expected | set(ids(daemon.live))
    assert len(set(daemon.ids)) == 30
    assert daemon.warnings == []


def test_compression_of_logs_that_begin_alike(start: Any, tmp_path: Path, beginning: bytes) -> None:
    daemon = start()
    for turn in range(3):
        daemon.append(beginning + log_text(turn * 100, 5))
        daemon.passes()
        daemon.live.rename(tmp_path / f"full.{turn}")
        daemon.passes()
        whole = (tmp_path / f"full.{turn}").read_bytes()
        (tmp_path / f"full.{turn}.gz").write_bytes(gzip.compress(whole)[:200])
        daemon.passes()
        (tmp_path / f"full.{turn}.gz").write_bytes(gzip.compress(whole))
        daemon.passes()
        (tmp_path / f"full.{turn}").unlink()
        daemon.passes()
    daemon.passes(seconds=100)
    expected = {one.event.id for one in read_events(find([f"{tmp_path}/full*"], warn=print), OPTIONS)}
    assert set(daemon.ids) == expected
    assert len(expected) == 15


def test_an_inode_that_is_used_again(start: Any, tmp_path: Path, beginning: bytes) -> None:
    """The file system gives a new log the number of one that is gone."""
    daemon: Daemon = start()
    (tmp_path / "full.1").write_bytes(beginning + log_text(0, 5))
    daemon.append(beginning + log_text(100, 5))
    assert daemon.passes() == 10
    before = Source.of(str(daemon.live)).inode
    with daemon.live.open("r+b") as file:
        file.truncate(0)
        file.write(beginning + log_text(200, 9))
    assert Source.of(str(daemon.live)).inode == before
    assert daemon.passes() == 9
    assert set(ids(daemon.live)) <= set(daemon.ids)
