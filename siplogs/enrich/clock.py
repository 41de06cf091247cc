"""Turns what a log line says of its time into UTC: years, zones, daylight saving and days that are not written.

A log has local time, often no year, and FreeSWITCH's traced messages only a time of day. The zone comes from the line,
else from the setting, else from the host; the year from the file's modification time, walking back over New Year; the
day from the entries around; an hour that daylight saving repeats from the order of the lines.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

from dateutil import parser as dateutil_parser
from dateutil import tz

_SHAPE: Final = re.compile(
    rb"(?:(?P<month>[A-Z][a-z]{2}) +(?P<day>\d{1,2}) (?P<time1>\d\d:\d\d:\d\d)"
    rb"|(?P<date>\d{4}-\d\d-\d\d)[ T](?P<time2>\d\d:\d\d:\d\d)"
    rb"|(?P<time3>\d\d:\d\d:\d\d))(?:[.,](?P<fraction>\d{1,9}))? ?(?P<zone>Z|[+-]\d\d:?\d\d)?$"
)
_MONTHS: Final = {
    name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}
_CACHED: Final = 4096
SHORT: Final = 8
_ZONE_NAME: Final = re.compile(r"[A-Za-z][\w+-]*(?:/[A-Za-z][\w+-]*)*")
_LONGEST_ZONE: Final = 64
_HALF_DAY: Final = timedelta(hours=12)
_DAY: Final = timedelta(days=1)
_LATE: Final = timedelta(minutes=5)


class Moment(NamedTuple):
    """A time as documents carry it: ISO 8601 in UTC, and the zone's offset in which the log's text was read."""

    utc: str
    offset: str


class Clock:
    """Reads the times of one log, in the log's order.

    `modified` is when the log was changed last, `since` when what is read now began to be written, if that is known;
    both in seconds since 1970.
    """

    def __init__(self, zone: tzinfo | None = None, modified: float | None = None, since: float | None = None) -> None:
        self.zone = zone or tz.tzlocal()
        stamp = datetime.now(UTC) if modified is None else datetime.fromtimestamp(modified, UTC)
        self._end = stamp.astimezone(self.zone).replace(tzinfo=None) + _DAY
        self._reference: datetime | None = None
        self._hint = b""
        self._ambiguous: datetime | None = None
        self._second_pass = False
        self._since = since
        self._cache: dict[bytes, tuple[str, str]] = {}
        self._dayless = b""
        self._last_text = b""
        self.last: Moment | None = None

    def read(self, text: bytes, dated: bytes = b"") -> Moment | None:
        """Read a time; `dated` is the text of the last entry before it that had a date. None when it is no time."""
        if text == self._last_text and len(text) > SHORT:
            return self.last
        whole, point, fraction = text.replace(b",", b".").partition(b".")
        zone = fraction.lstrip(b"0123456789")
        fraction = fraction.removesuffix(zone)
        key = whole + zone if len(whole) > SHORT else whole + dated[:13]
        known = self._cache.get(key)
        if known is not None and (not point or fraction.isdigit()):
            digits = fraction[:6].decode().ljust(3, "0")
            moment: Moment | None = Moment(f"{known[0]}.{digits}Z", known[1])
        else:
            moment = self._read_slowly(text, key, dated)
        if moment is not None:
            self.last, self._last_text = moment, text
        return moment

    def fallback(self) -> Moment:
        """Return the last time read in this log, else the log's modification time: for records that tell none."""
        if self.last is None:
            self.last = self._moment(self._end - _DAY, 0, None, self.zone)
        return self.last

    def _read_slowly(self, text: bytes, key: bytes, dated: bytes) -> Moment | None:
        found = _SHAPE.match(text.strip())
        try:
            if found is None:
                return self._read_oddly(text)
            fraction, zone = found["fraction"], _fixed_zone(found["zone"])
            local = self._local(found, dated)
            micro, digits = int((fraction or b"").ljust(6, b"0")[:6] or 0), min(6, max(3, len(fraction or b"")))
            moment = self._moment(local, micro, digits, zone)
        except (ValueError, OverflowError, KeyError):
            return None
        if zone is not None or not tz.datetime_ambiguous(local, self.zone):
            self._remember(key, moment, dayless=found["time3"] is not None)
        return moment

    def _remember(self, key: bytes, moment: Moment, *, dayless: bool) -> None:
        """Keep a second for its other readings; of those without a day only the latest, as each day repeats them."""
        if len(self._cache) >= _CACHED:
            self._cache.clear()
        if dayless:
            self._cache.pop(self._dayless, None)
            self._dayless = key
        self._cache[key] = (moment.utc[:19], moment.offset)

    def _local(self, found: re.Match[bytes], dated: bytes) -> datetime:
        if found["date"]:
            return datetime.fromisoformat(f"{found['date'].decode()}T{found['time2'].decode()}")
        if found["month"]:
            return self._with_year(_MONTHS[found["month"]], int(found["day"]), found["time1"].decode())
        local = self._with_day(found["time3"].decode(), dated)
        self._reference = local
        return local

    def _with_year(self, month: int, day: int, clock: str) -> datetime:
        """The latest year that does not put the line after the file's last change (29 February: the last leap year)."""
        for back in range(9):
            year = self._end.year - back
            try:
                local = datetime.fromisoformat(f"{year:04}-{month:02}-{day:02}T{clock}")
            except ValueError:
                continue
            if local <= self._end:
                return local
        raise ValueError(clock)

    def _with_day(self, clock: str, dated: bytes) -> datetime:
        """Put a time of day on the day that brings it nearest to the entries before it."""
        if dated and dated != self._hint:
            self._hint = dated
            self._reference = datetime.fromisoformat(dated[:19].decode())
        reference = self._reference or self._end - _DAY
        local = datetime.fromisoformat(f"{date.isoformat(reference.date())}T{clock}")
        if local - reference > _HALF_DAY:
            return local - _DAY
        if reference - local > _HALF_DAY:
            return local + _DAY
        return local

    def _moment(self, local: datetime, micro: int, digits: int | None, zone: tzinfo | None) -> Moment:
        aware = local.replace(tzinfo=zone or self.zone, fold=self._fold(local) if zone is None else 0)
        utc = aware.astimezone(UTC)
        fraction = f"{micro:06}"[: digits or 3]
        return Moment(f"{utc.replace(tzinfo=None).isoformat(timespec='seconds')}.{fraction}Z", _offset_text(aware))

    def _fold(self, local: datetime) -> int:
        """Say which pass through a repeated hour a time belongs to: the second one begins when the clock steps back."""
        if not tz.datetime_ambiguous(local, self.zone):
            self._ambiguous, self._second_pass = None, False
            return 0
        if self._ambiguous is not None:
            self._second_pass = self._second_pass or local < self._ambiguous - _LATE
        elif self._since is not None:
            first = local.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
            self._second_pass = first < datetime.fromtimestamp(self._since, UTC) - _LATE
        self._ambiguous = local
        return int(self._second_pass)

    def _read_oddly(self, text: bytes) -> Moment | None:
        """Other dateformats: seconds since 1970, or whatever dateutil understands with day, month and year."""
        if re.fullmatch(rb"\d{9,10}(?:[.-]\d{1,6})?", text):
            seconds, _, fraction = text.replace(b"-", b".").partition(b".")
            stamp = datetime.fromtimestamp(int(seconds), UTC).replace(tzinfo=None)
            micro = fraction.rjust(6, b"0") if b"-" in text else fraction.ljust(6, b"0")
            return self._moment(stamp, int(micro), 6 if fraction else 3, UTC)
        if len(text) > 40 or not re.search(rb"\d\d?:\d\d", text):
            return None
        day = datetime.combine(self._end - _DAY, time.min)
        local = dateutil_parser.parse(text.decode(), dayfirst=True, default=day)
        return self._moment(local.replace(tzinfo=None, microsecond=0), local.microsecond, 3, local.tzinfo)


def _fixed_zone(text: bytes | None) -> tzinfo | None:
    if not text:
        return None
    if text == b"Z":
        return UTC
    sign = -1 if text[:1] == b"-" else 1
    return tz.tzoffset(None, sign * (int(text[1:3]) * 3600 + int(text[-2:]) * 60))


def _offset_text(aware: datetime) -> str:
    text = aware.strftime("%z")
    return f"{text[:3]}:{text[3:5]}"


def zone_named(name: str) -> tzinfo | None:
    """Return the zone of a name such as Europe/Madrid, UTC or +02:00 (below 24 hours); None when there is none."""
    try:
        if re.fullmatch(r"[+-]\d\d:?[0-5]\d", name):
            zone = _fixed_zone(name.encode())
        else:
            zone = tz.gettz(name) if len(name) <= _LONGEST_ZONE and _ZONE_NAME.fullmatch(name) else None
        datetime(2000, 1, 1, tzinfo=zone).utcoffset()  # raises for an offset of a day or more
    except (OSError, ValueError, OverflowError):
        return None
    return zone
