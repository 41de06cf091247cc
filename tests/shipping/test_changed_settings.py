"""Settings that change between runs or by a reload neither lose nor double what was under way."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from test_collect import log_text
from test_followed import entry as dated
from test_followed import ids, start, touch

from siplogs.outputs.elasticsearch import Document
from siplogs.pipeline import ReadOptions
from siplogs.shipping.collect import Input

__all__ = ["start"]

TOKYO = ReadOptions(timezone="Asia/Tokyo", host="tokyo")
MADRID = ReadOptions(timezone="Europe/Madrid", host="madrid")


def reload(daemon: Any, **changes: Any) -> None:
    """Do what SIGHUP does: the new one holds what the old one held."""
    before = daemon.collector
    daemon.settings = replace(daemon.settings, **changes)
    daemon.collector = daemon._collector()
    daemon.collector.followed.take_over(before.followed)


def indices(documents: Sequence[Document]) -> set[str]:
    return {one.index for one in documents}


def hosts(documents: Sequence[Document]) -> list[str]:
    return [json.loads(one.body)["host"]["name"] for one in documents]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Input, Input]:
    for name in ("east", "west"):
        (tmp_path / name).mkdir()
    return Input((f"{tmp_path}/east/full*",), TOKYO), Input((f"{tmp_path}/west/full*",), MADRID)


def test_an_input_that_was_taken_out_is_not_shipped_any_more(
    start: Any, tmp_path: Path, two: tuple[Input, Input]
) -> None:
    daemon = start(inputs=two)
    daemon.append(log_text(0, 2), tmp_path / "east" / "full")
    daemon.append(log_text(100, 2), tmp_path / "west" / "full")
    assert daemon.passes() == 4
    reload(daemon, inputs=two[1:])
    daemon.append(log_text(2, 2), tmp_path / "east" / "full")
    daemon.append(log_text(102, 2), tmp_path / "west" / "full")
    assert daemon.passes() == 2
    assert hosts(daemon.delivered[4:]) == ["madrid", "madrid"]
    reload(daemon, inputs=two)
    assert daemon.passes() == 2
    assert hosts(daemon.delivered[6:]) == ["tokyo", "tokyo"]
    assert len(set(daemon.ids)) == 8
    assert daemon.warnings == []


def test_a_log_held_through_a_reload_is_read_as_its_input_says(
    start: Any, tmp_path: Path, two: tuple[Input, Input]
) -> None:
    """It left its paths, and nothing of its family is there any more: only its place tells whose it is."""
    daemon = start(inputs=two)
    east = tmp_path / "east" / "full"
    daemon.append(log_text(0, 2), east)
    daemon.append(log_text(100, 2), tmp_path / "west" / "full")
    assert daemon.passes() == 4
    daemon.append(log_text(2, 2), east)
    east.unlink()
    reload(daemon, inputs=two[::-1])
    assert daemon.passes() == 2
    assert hosts(daemon.delivered[4:]) == ["tokyo", "tokyo"]


def test_since_passes_over_what_was_there_at_the_first_look_alone(start: Any, tmp_path: Path) -> None:
    """What is written later is sent whatever its age: it may have waited for long."""
    year = time.gmtime().tm_year - 1
    daemon = start(since=f"{year}-06-02T12:00:00.000")
    daemon.append(dated("Jun 02 11:59:59", 1) + dated("Jun 02 12:00:00", 2), daemon.live)
    touch(daemon.live, f"{year}-06-02 12:00:00")
    assert daemon.passes() == 1
    reload(daemon, since="2100-01-01T00:00:00.000")
    daemon.append(dated("Jun 02 12:00:01", 3) + dated("Jun 02 12:00:02", 4))
    touch(daemon.live, f"{year}-06-02 12:00:03")
    assert daemon.passes() == 2
    daemon.live.rename(tmp_path / "full.1")
    daemon.append(dated("Jun 02 12:00:04", 5))
    touch(daemon.live, f"{year}-06-02 12:00:04")
    assert daemon.passes() == 1
    daemon.again()
    assert daemon.passes() == 0


def day(number: int) -> str:
    return f"{time.gmtime().tm_year - 1}-06-{number:02}T00:00:00.000"


@pytest.fixture
def year(start: Any) -> Any:
    """A log with one event a day from the 1st to the 9th of June, looked at by nobody yet."""
    daemon = start(once=True)
    for number in range(1, 10):
        daemon.append(dated(f"Jun {number:02} 12:00:00", number))
    touch(daemon.live, f"{time.gmtime().tm_year - 1}-06-09 12:00:00")
    return daemon


def test_a_window_passes_over_nothing_for_later(year: Any) -> None:
    """What --since left out of a window is sent by the next run, whatever the order of the windows."""
    for since, until, number in ((5, 6, 1), (7, 8, 1), (2, 4, 2), (2, 4, 2)):
        reload(year, since=day(since), until=day(until))
        assert year.passes() == number
    reload(year, since="", until="")
    assert year.passes() == 9
    assert sorted(set(year.ids)) == sorted(ids(year.live))


def test_an_earlier_since_holds_as_long_as_nothing_was_dealt_with(year: Any) -> None:
    reload(year, since=day(8))
    year.collector.note()
    for since, number in ((9, 2), (3, 7)):
        reload(year, since=day(since))
        assert len(list(year.collector.documents())) == number
        year.collector.start_over()
    reload(year, since="")
    assert year.passes() == 9
    reload(year, since="")
    assert year.passes() == 0


def test_what_may_be_under_way_goes_where_it_went_before(start: Any) -> None:
    """An id is unique in its index alone: sent again, it has to meet itself."""
    daemon = start()
    daemon.append(log_text(0, 3))
    given_up = list(daemon.collector.documents())
    reload(daemon, period="day")
    assert daemon.passes() == 3
    assert indices(daemon.delivered) == indices(given_up)
    daemon.append(log_text(3, 2))
    assert daemon.passes() == 2
    assert indices(daemon.delivered[3:]).isdisjoint(indices(given_up))


def test_another_period_holds_for_each_log_as_soon_as_nothing_of_it_is_under_way(
    start: Any, tmp_path: Path, two: tuple[Input, Input]
) -> None:
    east, west = tmp_path / "east" / "full", tmp_path / "west" / "full"
    daemon = start(inputs=two)
    daemon.append(log_text(0, 2), east)
    daemon.append(log_text(100, 2), west)
    assert daemon.passes() == 4
    daemon.append(log_text(2, 2), east)
    assert len(list(daemon.collector.documents())) == 2  # and given up
    reload(daemon, inputs=two[1:], period="year")
    daemon.append(log_text(102, 2), west)
    assert daemon.passes() == 2
    assert {len(one.index.rpartition("-")[2]) for one in daemon.delivered[4:]} == {4}
    reload(daemon, inputs=two)
    assert daemon.passes() == 2
    assert {len(one.index.rpartition("-")[2]) for one in daemon.delivered[6:]} == {7}
    daemon.append(log_text(4, 2), east)
    assert daemon.passes() == 2
    assert {len(one.index.rpartition("-")[2]) for one in daemon.delivered[8:]} == {4}
    assert len(set(daemon.ids)) == 10


def test_after_a_clean_run_another_period_holds_at_once(start: Any) -> None:
    daemon = start()
    daemon.append(log_text(0, 3))
    assert daemon.passes() == 3
    daemon.settings = replace(daemon.settings, period="year")
    daemon.again()
    daemon.append(log_text(3, 2))
    assert daemon.passes() == 2
    assert [len(one.index.rpartition("-")[2]) for one in daemon.delivered] == [7, 7, 7, 4, 4]
    assert sorted(daemon.ids) == sorted(ids(daemon.live))
