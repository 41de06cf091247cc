"""Which indices are old: by the end of their period, told from the name alone, and which of them a server holds."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siplogs.config import ElasticsearchSettings, Period
from siplogs.errors import FilterError
from siplogs.outputs.elasticsearch import EVENTS, _period, connect
from siplogs.shipping.retention import age, delete, expired, period_end

LONGEST = {"day": 1, "week": 7, "month": 31, "year": 366}


@given(
    st.datetimes(datetime.fromisoformat("1971-01-01"), datetime.fromisoformat("9000-01-01")),
    st.sampled_from(get_args(Period)),
)
def test_an_event_lies_before_the_end_of_its_index_and_not_long_before(moment: datetime, period: Period) -> None:
    end = period_end(f"{EVENTS}-{_period(moment.isoformat(timespec='milliseconds') + 'Z', period)}")
    assert end is not None
    before = end - moment.replace(tzinfo=UTC)
    assert timedelta(0) < before <= timedelta(days=LONGEST[period])


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("siplogs-events-2026.11", datetime(2026, 12, 1, tzinfo=UTC)),
        ("siplogs-events-2026.12", datetime(2027, 1, 1, tzinfo=UTC)),
        ("siplogs-events-2026", datetime(2027, 1, 1, tzinfo=UTC)),
        ("siplogs-events-2024.02.29", datetime(2024, 3, 1, tzinfo=UTC)),
        ("siplogs-events-2026.w53", datetime(2027, 1, 4, tzinfo=UTC)),
        ("siplogs-events-2025.w53", None),
        ("siplogs-events-2026.13", None),
        ("siplogs-events-2026.02.30", None),
        ("siplogs-events-2026.00", None),
        ("siplogs-events-2026.05.00", None),
        ("siplogs-events-2026.00.05", None),
        ("siplogs-events-2026.w00", None),
        ("siplogs-events-0000", None),
        ("siplogs-events-２０２６", None),
        ("siplogs-events-2026.11-restored", None),
        ("siplogs-events-", None),
        ("siplogs-calls-2026.11", None),
        ("other-2026.11", None),
    ],
)
def test_the_end_of_a_period(name: str, end: datetime | None) -> None:
    assert period_end(name) == end


@pytest.mark.parametrize(("text", "days"), [("90d", 90), ("12 weeks", 84), ("2Y", 730), ("1 day", 1)])
def test_an_age(text: str, days: int) -> None:
    assert age(text) == timedelta(days=days)


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1.5d", "90 moons", "999999d"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(FilterError, match="90d"):
        age(text)


JUST_OLD = (f"{EVENTS}-2026.10.31", f"{EVENTS}-2026.10")
A_DAY_YOUNGER = (f"{EVENTS}-2026.11.01",)


@pytest.fixture
def days(elasticsearch: Any, elasticsearch_alone: None) -> Iterator[Any]:
    """A server with indices that ended as November 2026 began, and with one that ended a day later."""
    for name in JUST_OLD + A_DAY_YOUNGER:
        elasticsearch.call("DELETE", f"/{name}?ignore_unavailable=true")
        elasticsearch.call("PUT", f"/{name}", {"settings": {"number_of_replicas": 0}})
    yield elasticsearch
    for name in JUST_OLD + A_DAY_YOUNGER:
        elasticsearch.call("DELETE", f"/{name}?ignore_unavailable=true")


@pytest.mark.elasticsearch
def test_an_index_that_ended_exactly_so_long_ago_is_deleted_and_one_a_day_younger_is_not(days: Any) -> None:
    server = connect(ElasticsearchSettings(url=[days.url]))
    now = datetime(2026, 12, 1, tzinfo=UTC)

    def old(now: datetime) -> set[str]:
        return {one.name for one in expired(server, age("30d"), now)} & {*JUST_OLD, *A_DAY_YOUNGER}

    assert old(now - timedelta(microseconds=1)) == set()
    assert old(now) == old(now + timedelta(hours=23, minutes=59)) == set(JUST_OLD)
    assert old(now + timedelta(days=1)) == {*JUST_OLD, *A_DAY_YOUNGER}
    gone = [one.name for one in expired(server, age("30d"), now) if one.name in JUST_OLD]
    assert sorted(delete(server, gone)) == sorted(JUST_OLD)
    left = set(days.call("GET", f"/{EVENTS}-*"))
    assert left.isdisjoint(JUST_OLD)
    assert left.issuperset(A_DAY_YOUNGER)
