"""Times of a log become UTC: years, zones, repeated hours and days that are not written."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest
from dateutil import tz
from hypothesis import given, settings
from hypothesis import strategies as st

from siplogs.enrich.clock import Clock, Moment, zone_named

NOVEMBER = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


def zone(name: str) -> tzinfo:
    found = zone_named(name)
    assert found is not None
    return found


def clock(name: str = "UTC", modified: float = NOVEMBER) -> Clock:
    return Clock(zone(name), modified)


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> float:
    return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()


def utc(clock: Clock, text: str, dated: bytes = b"") -> str:
    moment = clock.read(text.encode(), dated)
    assert moment is not None, text
    return moment.utc


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Nov 21 02:17:08", "2026-11-21T02:17:08.000Z"),
        ("Nov  1 02:17:08", "2026-11-01T02:17:08.000Z"),
        ("2026-11-21 02:17:08", "2026-11-21T02:17:08.000Z"),
        ("2026-11-21 02:17:08.5", "2026-11-21T02:17:08.500Z"),
        ("2026-11-21 02:17:08.123", "2026-11-21T02:17:08.123Z"),
        ("2026-11-21 02:17:08,123", "2026-11-21T02:17:08.123Z"),
        ("2026-11-21 02:17:08.123456", "2026-11-21T02:17:08.123456Z"),
        ("2026-11-21 02:17:08.123456789", "2026-11-21T02:17:08.123456Z"),
        ("Nov 21 02:17:08.042", "2026-11-21T02:17:08.042Z"),
        ("Nov 21 02:17:08,042", "2026-11-21T02:17:08.042Z"),
        ("2026-11-21T02:31:00.776+0000", "2026-11-21T02:31:00.776Z"),
        ("2026-11-21T02:31:00.776Z", "2026-11-21T02:31:00.776Z"),
        ("2026-11-21T02:31:00.776+0530", "2026-11-20T21:01:00.776Z"),
        ("2026-11-21T02:31:00-03:00", "2026-11-21T05:31:00.000Z"),
        ("2026-11-21 02:31:00 +0100", "2026-11-21T01:31:00.000Z"),
        ("1369777000-52311", "2013-05-28T21:36:40.052311Z"),
        ("1369777000.25", "2013-05-28T21:36:40.250000Z"),
        ("1369777000", "2013-05-28T21:36:40.000Z"),
        ("21/11/2026 02:17:08", "2026-11-21T02:17:08.000Z"),
        ("21.11.2026 02:17:08", "2026-11-21T02:17:08.000Z"),
        ("Sat Nov 21 02:17:08 2026", "2026-11-21T02:17:08.000Z"),
        ("Sat, 21 Nov 2026 02:17:08 GMT", "2026-11-21T02:17:08.000Z"),
        ("2026/11/21 02:17:08", "2026-11-21T02:17:08.000Z"),
        ("20261121 02:17:08", "2026-11-21T02:17:08.000Z"),
        ("21 Nov 2026 02:17:08.125", "2026-11-21T02:17:08.125Z"),
        ("21/11 02:17", "2026-11-21T02:17:00.000Z"),
        ("02:17:08 PM", "2026-11-21T14:17:08.000Z"),
    ],
)
def test_shapes(written: str, expected: str) -> None:
    assert utc(clock(), written) == expected
    assert utc(clock(), written) == expected


def test_shapes_do_not_disturb_each_other() -> None:
    """One file may hold several dateformats: what is remembered of one must not leak into another."""
    one = clock("Europe/Madrid")
    shapes = [
        ("2026-11-21 02:17:08.123", "2026-11-21T01:17:08.123Z"),
        ("2026-11-21 02:17:08", "2026-11-21T01:17:08.000Z"),
        ("2026-11-21 02:17:08,456", "2026-11-21T01:17:08.456Z"),
        ("2026-11-21 02:17:08.1", "2026-11-21T01:17:08.100Z"),
        ("2026-11-21 02:17:08.654321", "2026-11-21T01:17:08.654321Z"),
        ("Nov 21 02:17:08", "2026-11-21T01:17:08.000Z"),
        ("2026-11-21T02:17:08.776+0000", "2026-11-21T02:17:08.776Z"),
        ("2026-11-21T02:17:08.776", "2026-11-21T01:17:08.776Z"),
        ("2026-11-21T02:17:08.776Z", "2026-11-21T02:17:08.776Z"),
        ("2026-11-21T02:17:08.776-05:00", "2026-11-21T07:17:08.776Z"),
        ("2026-11-21 02:17:08 +0300", "2026-11-20T23:17:08.000Z"),
    ]
    for _ in range(3):
        assert [utc(one, written) for written, _ in shapes] == [expected for _, expected in shapes]


@pytest.mark.parametrize(
    ("name", "offset", "expected"),
    [
        ("UTC", "+00:00", "2026-11-21T02:17:08.000Z"),
        ("Europe/Madrid", "+01:00", "2026-11-21T01:17:08.000Z"),
        ("America/New_York", "-05:00", "2026-11-21T07:17:08.000Z"),
        ("Asia/Kolkata", "+05:30", "2026-11-20T20:47:08.000Z"),
        ("+02:00", "+02:00", "2026-11-21T00:17:08.000Z"),
        ("-0330", "-03:30", "2026-11-21T05:47:08.000Z"),
    ],
)
def test_zone_of_the_setting(name: str, offset: str, expected: str) -> None:
    one = clock(name)
    for text in ("2026-11-21 02:17:08", "Nov 21 02:17:08"):
        assert one.read(text.encode()) == Moment(expected, offset)


def test_zone_of_the_line_outweighs_the_setting() -> None:
    assert clock("Europe/Madrid").read(b"2026-11-21T02:31:00.776-0500") == Moment("2026-11-21T07:31:00.776Z", "-05:00")


@pytest.mark.parametrize("name", ["Europe/Nowhere", "", "25 o'clock", "../../etc/passwd", "\0"])
def test_no_such_zone(name: str) -> None:
    assert zone_named(name) is None


def test_year_is_that_of_the_last_change() -> None:
    assert utc(clock(), "Jan  5 00:00:00") == "2026-01-05T00:00:00.000Z"
    assert utc(clock(modified=at(2024, 6, 1)), "Jan  5 00:00:00") == "2024-01-05T00:00:00.000Z"


def test_new_year_is_walked_back_over() -> None:
    """The file was changed on 2 January: lines of December are of the year before."""
    one = clock(modified=at(2026, 1, 2, 10))
    assert utc(one, "Dec 31 23:59:59") == "2025-12-31T23:59:59.000Z"
    assert utc(one, "Jan  1 00:00:00") == "2026-01-01T00:00:00.000Z"
    assert utc(one, "Jan  2 09:59:59") == "2026-01-02T09:59:59.000Z"
    assert utc(one, "Mar  1 00:00:00") == "2025-03-01T00:00:00.000Z"


def test_new_year_in_the_logs_own_zone() -> None:
    """Changed at 23:30 UTC of 31 December, when it was already 00:30 in Madrid."""
    one = clock("Europe/Madrid", at(2025, 12, 31, 23, 30))
    assert utc(one, "Jan  1 00:29:00") == "2025-12-31T23:29:00.000Z"
    assert utc(one, "Dec 31 23:59:00") == "2025-12-31T22:59:00.000Z"


@pytest.mark.parametrize(
    ("modified", "year"),
    [(at(2026, 11, 21), 2024), (at(2024, 2, 29, 12), 2024), (at(2024, 2, 1), 2020), (at(2104, 1, 1), 2096)],
)
def test_the_29th_of_february_is_of_the_last_leap_year(modified: float, year: int) -> None:
    assert utc(clock(modified=modified), "Feb 29 08:00:00") == f"{year}-02-29T08:00:00.000Z"


@pytest.mark.parametrize(
    ("name", "day", "before", "repeated", "after", "first", "second"),
    [
        (
            "Europe/Madrid",
            "2026-10-25",
            "01:59:59",
            "02:30:00",
            "03:00:00",
            "2026-10-25T00:30:00",
            "2026-10-25T01:30:00",
        ),
        (
            "America/New_York",
            "2026-11-01",
            "00:59:59",
            "01:30:00",
            "02:00:00",
            "2026-11-01T05:30:00",
            "2026-11-01T06:30:00",
        ),
    ],
)
def test_hour_that_daylight_saving_repeats(
    name: str, day: str, before: str, repeated: str, after: str, first: str, second: str
) -> None:
    """The order of the lines tells: the second pass begins where the clock steps back."""
    one = clock(name)
    hour = repeated[:3]
    lines = [before, f"{hour}00:00", repeated, f"{hour}59:59", f"{hour}00:00", repeated, f"{hour}59:59", after]
    found = [utc(one, f"{day} {line}.000") for line in lines]
    assert found == sorted(found)
    assert (found[2][:19], found[5][:19]) == (first, second)
    seconds = [datetime.fromisoformat(text) for text in found]
    assert seconds[4] - seconds[3] == timedelta(seconds=1)
    assert seconds[7] - seconds[6] == timedelta(seconds=1)


def test_lines_that_change_places_do_not_begin_the_second_pass() -> None:
    """Neighbouring entries of different threads may swap by milliseconds."""
    one = clock("Europe/Madrid")
    lines = ["02:30:00.500", "02:30:00.100", "02:30:00.900", "02:31:00.000"]
    assert [utc(one, f"2026-10-25 {line}")[11:16] for line in lines] == ["00:30", "00:30", "00:30", "00:31"]


def test_hour_that_daylight_saving_repeats_without_years() -> None:
    one = clock("Europe/Madrid", at(2026, 10, 25, 12))
    found = [utc(one, f"Oct 25 {line}") for line in ("02:10:00", "02:50:00", "02:05:00", "02:55:00", "03:00:00")]
    assert [text[11:16] for text in found] == ["00:10", "00:50", "01:05", "01:55", "02:00"]


def test_a_second_log_of_the_same_night_begins_anew() -> None:
    assert utc(clock("Europe/Madrid"), "2026-10-25 02:30:00") == "2026-10-25T00:30:00.000Z"
    assert utc(clock("Europe/Madrid"), "2026-10-25 02:30:00") == "2026-10-25T00:30:00.000Z"


def test_hour_that_daylight_saving_leaves_out_is_read_all_the_same() -> None:
    moment = clock("Europe/Madrid").read(b"2026-03-29 02:30:00")
    assert moment is not None
    assert moment.utc in ("2026-03-29T00:30:00.000Z", "2026-03-29T01:30:00.000Z")


def test_summer_and_winter_in_one_log() -> None:
    one = clock("Europe/Madrid")
    assert utc(one, "Jul  1 12:00:00") == "2026-07-01T10:00:00.000Z"
    assert utc(one, "Nov  1 12:00:00") == "2026-11-01T11:00:00.000Z"


class TestTimeOfDay:
    """FreeSWITCH's traced messages have a time of day; their day is that of the entries around."""

    def test_day_of_the_entry_before(self) -> None:
        assert utc(clock(), "01:50:03.136548", b"2026-11-20 01:50:03") == "2026-11-20T01:50:03.136548Z"

    def test_frame_just_after_midnight_follows_an_entry_of_the_day_before(self) -> None:
        assert utc(clock(), "00:00:00.635603", b"2026-11-20 23:59:59") == "2026-11-21T00:00:00.635603Z"

    def test_frame_just_before_midnight_follows_an_entry_of_the_day_after(self) -> None:
        assert utc(clock(), "23:59:59.999999", b"2026-11-21 00:00:00") == "2026-11-20T23:59:59.999999Z"

    def test_frames_alone_walk_over_midnight(self) -> None:
        one = clock()
        first = utc(one, "22:00:00.000000", b"2026-11-20 21:59:59")
        rest = [utc(one, text) for text in ("23:30:00.000000", "00:30:00.000000", "11:00:00.000000", "22:00:00.000000")]
        assert first == "2026-11-20T22:00:00.000000Z"
        assert rest == [
            "2026-11-20T23:30:00.000000Z",
            "2026-11-21T00:30:00.000000Z",
            "2026-11-21T11:00:00.000000Z",
            "2026-11-21T22:00:00.000000Z",
        ]

    def test_same_date_told_again_does_not_turn_the_clock_back(self) -> None:
        one = clock()
        dated = b"2026-11-20 23:59:59"
        assert utc(one, "23:59:59.900000", dated)[:10] == "2026-11-20"
        assert utc(one, "00:00:01.000000", dated)[:10] == "2026-11-21"
        assert utc(one, "00:00:02.000000", dated)[:10] == "2026-11-21"
        assert utc(one, "00:00:03.000000", b"2026-11-21 00:00:02")[:10] == "2026-11-21"

    def test_without_any_entry_the_file_tells_the_day(self) -> None:
        assert utc(clock(modified=at(2026, 11, 21, 12)), "11:59:59.000000") == "2026-11-21T11:59:59.000000Z"
        assert utc(clock(modified=at(2026, 11, 21, 1)), "23:30:00.000000") == "2026-11-20T23:30:00.000000Z"

    def test_frames_of_several_days_after_one_dated_entry(self) -> None:
        """A log at level CONSOLE holds frames only: each second comes again on the next day."""
        one = clock()
        days = []
        for day in ("20", "21", "22"):
            for hour in ("00", "08", "16", "23"):
                found = utc(one, f"{hour}:00:10.000000", b"2026-11-20 00:00:00")
                assert utc(one, f"{hour}:00:10.500000", b"2026-11-20 00:00:00")[:19] == found[:19]
                days.append(found[8:10] == day)
        assert all(days)

    def test_date_of_an_entry_that_is_no_date(self) -> None:
        assert clock().read(b"01:50:03.136548", b"2026-99-99 01:50:03") is None

    def test_zone_of_the_setting(self) -> None:
        assert utc(clock("Europe/Madrid"), "00:10:00.000000", b"2026-11-21 00:09:59") == "2026-11-20T23:10:00.000000Z"


def test_fallback_is_the_last_time_else_the_files() -> None:
    one = clock("Europe/Madrid")
    assert one.fallback() == Moment("2026-11-21T12:00:00.000Z", "+01:00")
    last = one.read(b"2026-11-20 02:17:08.123")
    assert one.fallback() == last
    assert one.read(b"nonsense") is None
    assert one.fallback() == last


@pytest.mark.parametrize(
    "text",
    [b"", b" ", b"C-0000001a", b"Nov 31 00:00:00", b"Foo 21 02:17:08", b"2026-13-01 00:00:00", b"2026-11-21 25:00:00",
     b"2026-11-21 02:17:61", b"Feb 30 00:00:00", b"99:99:99.999999", b"2026-11-21 02:17:08.x", b"2026-11-21 02:17:08.\xb2",
     b"2026-11-21T02:17:08+9999", b"0000-00-00 00:00:00", b"\xff\xfe 02:17", b"x" * 1000],
)  # fmt: skip
def test_what_is_no_time(text: bytes) -> None:
    one = clock()
    assert one.read(b"2026-11-21 02:17:08") is not None
    assert one.read(text) is None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.binary(max_size=45)
            | st.from_regex(rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d([.,]\d{1,9})?", fullmatch=True)
            | st.from_regex(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,]\d{1,9})? ?(Z|[+-]\d{4})?", fullmatch=True)
            | st.from_regex(rb"\d\d?:\d\d(:\d\d)?(\.\d{6})?( \w{2,5})?( [+-]\d+)?", fullmatch=True)
            | st.from_regex(rb"\d{1,12}([.-]\d{1,8})?", fullmatch=True),
            st.sampled_from([b"", b"2026-11-21 01:50:03"]) | st.binary(max_size=20),
        ),
        max_size=8,
    ),
    st.sampled_from(["UTC", "Europe/Madrid", "America/New_York", "+14:00", "-12:00"]),
    st.floats(min_value=0, max_value=4e9),
)
def test_any_bytes_are_a_time_in_utc_or_none(texts: list[tuple[bytes, bytes]], name: str, modified: float) -> None:
    one = Clock(zone(name), modified)
    for text, dated in texts:
        for moment in (one.read(text, dated), one.fallback()):
            if moment is None:
                continue
            assert moment.utc.endswith("Z")
            assert datetime.fromisoformat(moment.utc).tzinfo is not None
            assert len(moment.utc) >= 24
            assert datetime.strptime(moment.offset, "%z")


@settings(max_examples=200, deadline=None)
@given(
    st.datetimes(min_value=datetime(2016, 1, 2), max_value=datetime(2035, 12, 30)),  # noqa: DTZ001
    st.sampled_from(["UTC", "Europe/Madrid", "America/New_York", "Asia/Kolkata"]),
)
def test_a_written_local_time_is_read_back(local: datetime, name: str) -> None:
    """Whatever the dateformat, a time that exists once is the same moment."""
    here = zone(name)
    aware = local.replace(tzinfo=here)
    if tz.datetime_ambiguous(local, here) or not tz.datetime_exists(aware):
        return
    expected = aware.astimezone(UTC)
    one = Clock(here, expected.timestamp() + 3600)
    for shape in ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S,%f"):
        assert datetime.fromisoformat(utc(one, local.strftime(shape))) == expected
    for shape in ("%b %e %H:%M:%S", "%Y-%m-%d %H:%M:%S"):
        assert datetime.fromisoformat(utc(one, local.strftime(shape))) == expected.replace(microsecond=0)


@pytest.mark.parametrize(
    "name", ["+24:00", "-99:00", "+9999", "+02:60", "UTC+99", "Europe", "", "a" * 300, "a/" * 5000 + "a"]
)
def test_what_is_no_zone(name: str) -> None:
    assert zone_named(name) is None


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"[+-]\d\d:?\d\d", fullmatch=True) | st.from_regex(r"[A-Z]{3}[+-]\d{1,4}"))
def test_any_name_is_a_zone_that_can_be_used_or_none(name: str) -> None:
    named = zone_named(name)
    assert named is None or datetime(2026, 11, 21, tzinfo=named).utcoffset() is not None


def test_zones_differ_from_the_hosts() -> None:
    fixed = timezone(timedelta(hours=9))
    assert utc(Clock(fixed, NOVEMBER), "2026-11-21 09:00:00") == "2026-11-21T00:00:00.000Z"
