"""What was deleted before it was read is said, once; what was read, or only rotated, is not."""

import gzip
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from test_collect import log_text
from test_followed import ids, start, traced

from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.status import prometheus, survey
from tests.packs.writers import WRITERS, message

__all__ = ["start"]

DAY = 86_400.0


def test_a_log_that_grew_and_was_deleted_between_two_runs_is_said(start: Any, tmp_path: Path) -> None:
    """What was written after the last look is known to nobody: it is said that it may be lost, and since when."""
    daemon = start(once=True)
    daemon.append(log_text(0, 5))
    assert daemon.passes() == 5
    daemon.append(log_text(5, 5))
    daemon.live.unlink()
    daemon.append(log_text(100, 3))
    daemon.again()
    assert daemon.passes() == 3
    (warning,) = daemon.warnings
    assert warning.startswith(f"{daemon.live}: deleted, moved or overwritten; what was written to it after 20")
    daemon.again()
    daemon.passes()
    assert len(daemon.warnings) == 1


def test_a_log_below_a_symbolic_link_is_no_other(start: Any, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "log").symlink_to("disk")
    live = tmp_path / "log" / "full"
    daemon = start(str(live), once=True)
    daemon.append(log_text(0, 5), live)
    assert daemon.passes() == 5
    daemon.append(log_text(5, 5), live)
    live.unlink()
    daemon.append(log_text(100, 3), live)
    daemon.again()
    assert daemon.passes() == 3
    (warning,) = daemon.warnings
    assert warning.startswith(f"{live}: deleted, moved or overwritten; what was written to it after 20")


def test_what_grew_behind_a_log_that_was_at_rest_is_no_less_lost(start: Any, tmp_path: Path) -> None:
    daemon = start(str(tmp_path / "full"))
    daemon.append(log_text(0, 5))
    assert daemon.passes() == 5
    daemon.passes(seconds=100)
    assert not daemon.collector.restless()
    size = daemon.live.stat().st_size
    daemon.append(log_text(5, 5))
    unread = daemon.live.stat().st_size - size
    daemon.collector.note()
    assert daemon.collector.lag() == unread
    daemon.live.unlink()
    daemon.append(log_text(100, 3))
    daemon.again()
    assert daemon.passes() == 3
    assert daemon.warnings == [f"{daemon.live}: {unread} bytes of it were deleted or overwritten before they were read"]
    assert daemon.state.counts()["lost"] == unread


@pytest.mark.parametrize("noted", [False, True])
def test_a_log_emptied_without_a_copy_is_said(start: Any, tmp_path: Path, noted: bool) -> None:
    """Its inode stays, so only the content tells."""
    daemon = start()
    daemon.append(log_text(0, 5))
    assert daemon.passes() == 5
    daemon.append(log_text(5, 20))
    if noted:
        daemon.collector.note()
    os.truncate(daemon.live, 0)
    daemon.again()
    daemon.passes()
    daemon.append(log_text(100, 3))
    assert daemon.passes() == 3
    (warning,) = daemon.warnings
    assert ("bytes of it were deleted or overwritten before" in warning) is noted
    assert ("what was written to it after" in warning) is not noted


def test_a_log_that_counted_as_lost_is_read_when_its_archive_is_put_back(start: Any, tmp_path: Path) -> None:
    daemon = start()
    text, more = log_text(0, 5), log_text(5, 2)
    daemon.append(text)
    assert daemon.passes() == 5
    daemon.append(more)
    daemon.collector.note()
    daemon.again()
    daemon.live.unlink()
    assert daemon.passes() == 0
    assert daemon.state.counts()["lost"] == len(more)
    (tmp_path / "full.1.gz").write_bytes(gzip.compress(text + more))
    assert daemon.passes() == 2
    assert daemon.passes() == 0
    assert len(set(daemon.ids)) == 7


def test_a_log_truncated_right_after_it_was_found_is_not_called_lost(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """copytruncate falls between finding the logs and noting how long they are."""
    daemon = start()
    daemon.append(log_text(0, 5))
    assert daemon.passes() == 5
    daemon.append(log_text(5, 5))
    daemon.collector.note()
    daemon.append(log_text(10, 1))
    look = daemon.collector.followed.look

    def truncated_meanwhile(*arguments: Any, **more: Any) -> Any:
        found = look(*arguments, **more)
        monkeypatch.undo()
        shutil.copy(daemon.live, tmp_path / "full.1")
        daemon.live.write_bytes(log_text(100, 2))
        return found

    monkeypatch.setattr(daemon.collector.followed, "look", truncated_meanwhile)
    daemon.passes()
    assert daemon.collector.disturbed
    daemon.passes()
    assert daemon.warnings == []
    assert daemon.state.counts().get("lost", 0) == 0
    assert sorted(daemon.ids) == sorted(ids(tmp_path / "full.1", daemon.live))


def test_losses_of_one_log_add_up_and_are_not_forgotten_with_it(start: Any, tmp_path: Path) -> None:
    """Its first line stays the same, so that it is one log to siplogs, however often it is overwritten."""
    first = b"[Nov 21 02:00:00] Asterisk 22.0.0 built by root @ pbx on a x86_64 running Linux\n"
    daemon = start()
    daemon.append(first + log_text(0, 1))
    assert daemon.passes() == 1
    lost = 0
    for turn in range(1, 4):
        more = log_text(turn * 100 + 2, turn * 5)
        daemon.append(more)
        daemon.collector.note()
        daemon.live.write_bytes(first + log_text(turn * 100 + 50, 1))
        assert daemon.passes() == 1
        daemon.again()
        lost += len(more)
        assert daemon.state.counts()["lost"] == lost
        assert [(place.lost, place.lost_at) for place in daemon.state.places()] == [(lost, daemon.now)]
        assert daemon.warnings[turn - 1 :] == [
            f"{daemon.live}: {len(more)} bytes of it were deleted or overwritten before they were read"
        ]
    daemon.live.unlink()
    daemon.passes(seconds=61 * DAY)
    assert daemon.state.places() == []
    assert daemon.state.counts()["lost"] == lost
    found = survey(daemon.state, DeadLetters(tmp_path / "dead.ndjson"), daemon.now)
    assert f"\nsiplogs_lost_bytes_total {lost}\n" in prometheus(found)


def test_a_log_that_is_gone_is_known_for_sixty_days(start: Any, tmp_path: Path) -> None:
    """For as long a copy that is put back, or unpacked again, is not sent once more."""
    daemon = start()
    daemon.append(log_text(0, 5))
    assert daemon.passes() == 5
    kept = daemon.live.read_bytes()
    daemon.live.unlink()
    daemon.again()
    daemon.passes(seconds=59 * DAY)
    daemon.again()
    assert [place.path for place in daemon.state.places()] == [str(daemon.live)]
    daemon.append(kept)
    assert daemon.passes() == 0
    daemon.live.unlink()
    daemon.again()
    daemon.passes(seconds=61 * DAY)
    assert daemon.state.places() == []


@pytest.mark.parametrize("copy", [False, True])
def test_rotation_alone_is_no_loss(start: Any, tmp_path: Path, copy: bool) -> None:
    daemon = start(once=True)
    for turn in range(3):
        daemon.append(log_text(turn * 100, 5))
        daemon.again()
        daemon.passes()
        daemon.append(log_text(turn * 100 + 5, 2))
        if copy:
            shutil.copy2(daemon.live, tmp_path / f"full.{turn}")
            os.truncate(daemon.live, 0)
        else:
            daemon.live.rename(tmp_path / f"full.{turn}")
    daemon.again()
    daemon.passes()
    (tmp_path / "full.0").unlink()
    daemon.again()
    daemon.passes()
    assert len(daemon.ids) == 21
    assert daemon.warnings == []


def test_a_log_deleted_under_a_daemon_is_read_to_its_end_and_no_loss(start: Any, tmp_path: Path) -> None:
    daemon = start()
    daemon.append(log_text(0, 5))
    assert daemon.passes() == 5
    daemon.append(log_text(5, 5))
    expected = ids(daemon.live)
    daemon.live.unlink()
    daemon.append(log_text(100, 3))
    daemon.passes()
    daemon.passes(seconds=100)
    daemon.passes(seconds=100)
    assert sorted(daemon.ids) == sorted(expected + ids(daemon.live))
    assert daemon.warnings == []


def test_logs_that_come_and_go_while_a_delivery_waits_are_held(start: Any, tmp_path: Path) -> None:
    """FreeSWITCH's `maximum-rotate`: the oldest is deleted at each rollover, long before the pass is over."""
    daemon = start()
    daemon.append(log_text(0, 5))
    documents = daemon.collector.documents()
    sent = [next(documents)]
    expected = ids(daemon.live)
    for turn in range(1, 5):
        daemon.live.rename(tmp_path / "full.1")
        daemon.append(log_text(turn * 100, 4))
        expected += ids(daemon.live)
        daemon.collector.note(search=False)
    sent += documents
    daemon.collector.settled(sent)
    daemon.collector.finish()
    daemon.delivered += sent
    daemon.passes()
    assert sorted(daemon.ids) == sorted(expected)
    assert daemon.warnings == []


def test_a_run_that_is_not_noted_leaves_the_rest_for_the_next(start: Any, tmp_path: Path) -> None:
    daemon = start(until="2100-01-01T00:00:00.000")
    daemon.append(log_text(0, 5))
    assert daemon.passes() == 5
    daemon.settings = daemon.settings.__class__(inputs=daemon.settings.inputs, idle=daemon.settings.idle)
    daemon.again()
    assert daemon.passes() == 5
    assert daemon.passes() == 0


def test_an_archive_of_an_empty_log_is_nothing_to_warn_of(start: Any, tmp_path: Path) -> None:
    """logrotate packs the log of a quiet day as well."""
    daemon = start()
    daemon.append(log_text(0, 2))
    (tmp_path / "full.1.gz").write_bytes(gzip.compress(b""))
    assert daemon.passes() == 2
    assert not daemon.collector.followed.changed()
    assert daemon.passes() == 0
    assert daemon.warnings == []


def test_what_is_written_to_a_log_after_it_was_packed_is_read(start: Any, tmp_path: Path) -> None:
    daemon = start()
    daemon.append(log_text(0, 3))
    with daemon.live.open("ab", buffering=0) as writer:
        assert daemon.passes() == 3
        daemon.live.rename(tmp_path / "full.1")
        daemon.append(log_text(100, 1))
        (tmp_path / "full.1.gz").write_bytes(gzip.compress((tmp_path / "full.1").read_bytes()))
        (tmp_path / "full.1").unlink()
        assert daemon.passes() == 1
        writer.write(log_text(3, 1))
        assert daemon.passes() == 1
    daemon.passes(seconds=100)
    daemon.passes(seconds=100)
    assert daemon.passes() == 0
    assert len(set(daemon.ids)) == len(daemon.ids) == 5
    assert daemon.warnings == []


@pytest.mark.parametrize("end", range(1, 1000, 29))
@pytest.mark.parametrize("text", [log_text(0, 2), traced(0, 2), WRITERS["chan_sip-received"][1](message()) * 2])
def test_what_was_left_unfinished_for_long_is_taken_up_when_it_goes_on(
    start: Any, tmp_path: Path, text: bytes, end: int
) -> None:
    """A writer's buffer ends anywhere. What was sent as truncated meanwhile stays that; all else arrives whole."""
    daemon = start()
    daemon.append(text[:end])
    daemon.passes()
    daemon.passes(seconds=100)
    assert daemon.collector.lag() == 0
    early = {one.id for one in daemon.delivered}
    daemon.append(text[end:])
    daemon.passes()
    daemon.passes(seconds=100)
    whole = {one.split("-")[1]: one for one in ids(daemon.live)}
    assert [one.id.split("-")[1] for one in daemon.delivered] == list(whole)
    cut = [one for one in daemon.delivered if b'"truncated":true' in one.body]
    assert all(one.id in early for one in cut)
    assert {one.id for one in daemon.delivered if one not in cut} == {
        one for place, one in whole.items() if place not in {one.id.split("-")[1] for one in cut}
    }
