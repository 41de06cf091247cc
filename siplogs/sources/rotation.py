"""Rotated sets: which files belong together, and which of them is the oldest."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from siplogs.sources.content import Moment
from siplogs.sources.source import Source

_NAME: Final = re.compile(
    r"""(?xs)
    (?P<stem>.+?)
    (?: [-_.] (?P<date>(?:19|20)\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01]))
              (?: [-_T.]? (?P<time>[012]\d(?:-?[0-5]\d){0,2}) )? (?: [-.] (?P<part>\d{1,10}) )?
      | \. (?P<epoch>\d{9,11})
      | \. (?P<number>\d{1,6})
      | \. (?P<old>old) )?
    (?P<extension>\.(?:log|txt))?
    (?P<packed>\.(?:gz|bz2|xz|zst|zstd))?
    """
)
_DATED, _NUMBERED, _LIVE = range(3)
_CALENDAR: Final = timedelta(days=366)
_ORIGIN: Final = datetime(2000, 1, 1)  # noqa: DTZ001


class LogName(NamedTuple):
    """A log's file name taken apart: `family` is the live file's name, `rank` and `age` say which rotation it is."""

    family: str
    rank: int
    age: tuple[int, int]


class Member(NamedTuple):
    """A file of a rotated set and when its content begins."""

    source: Source
    name: LogName
    moment: Moment | None


def log_name(name: str) -> LogName:
    """Take a file's name apart: `full`, `full.2.gz`, `full-20261120`, `full.1795228400`, `full-20261120.log`.

    The names are logrotate's, those of Asterisk's `rotatestrategy` (main/logger.c) and of FreeSWITCH's mod_logfile.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return LogName(name, _LIVE, (0, 0))
    part = match.groupdict("")
    family = part["stem"] + part["extension"]
    if part["epoch"]:
        return LogName(family, _DATED, (int(f"{datetime.fromtimestamp(int(part['epoch']), UTC):%Y%m%d%H%M%S}"), 0))
    if part["date"]:
        digits = (part["date"] + part["time"]).replace("-", "").ljust(14, "0")
        return LogName(family, _DATED, (int(digits), int(part["part"] or 0)))
    if part["number"] or part["old"]:
        return LogName(family, _NUMBERED, (int(part["number"] or 1), 0))
    return LogName(family, _LIVE, (0, 0))


def oldest_first(members: Sequence[Member]) -> list[Source]:
    """Put the files of one rotated set into the order in which they were written.

    The names leave open whether number 0 is the oldest (Asterisk's `sequential`, its default) or the newest (`rotate`,
    logrotate, FreeSWITCH), so the content decides: the order of names stands if the files' first timestamps agree with
    it, else the timestamps give the order. Where a file has none, modification times choose between orders of names.
    """
    orders = _orders_of_names([member.name for member in members])
    begins = _instants(members)
    for evidence in (begins, [member.source.modified for member in members]):
        agreeing = [order for order in orders if _agrees([evidence[index] for index in order])]
        if not agreeing and evidence is begins and None not in begins:
            agreeing = [sorted(orders[0], key=lambda index: begins[index] or 0.0)]
        orders = agreeing or orders
    return [members[index].source for index in orders[0]]


def _orders_of_names(names: Sequence[LogName]) -> list[list[int]]:
    def ordered(sign: int) -> list[int]:
        def key(index: int) -> tuple[int, int, int]:
            rank, (age, part) = names[index].rank, names[index].age
            return rank, age * sign if rank == _NUMBERED else age, part

        return sorted(range(len(names)), key=key)

    newest_first = any(name.rank == _NUMBERED and name.age[0] == 0 for name in names)
    return [ordered(1), ordered(-1)] if newest_first else [ordered(-1), ordered(1)]


def _agrees(instants: Sequence[float | None]) -> bool:
    return all(earlier <= later for earlier, later in pairwise(each for each in instants if each is not None))


def _instants(members: Sequence[Member]) -> list[float | None]:
    """Make the beginnings comparable: seconds since any point that is the same for all."""
    dated = [member.moment.time for member in members if member.moment and member.moment.dated]
    if dated:
        return [member.moment and _nearest(member.moment, max(dated)) for member in members]
    times = {member.moment.time for member in members if member.moment}
    live = [member.moment.time for member in members if member.moment and member.name.rank == _LIVE]
    newest = live[0] if live else _before_longest_gap(sorted(times))
    return [member.moment and -((newest - member.moment.time) % _CALENDAR).total_seconds() for member in members]


def _nearest(moment: Moment, anchor: datetime) -> float:
    """Read a time without year as the one nearest to a time that has it; in seconds."""
    if moment.dated:
        return (moment.time - _ORIGIN).total_seconds()
    leap_day = (moment.time.month, moment.time.day) == (2, 29)
    time = moment.time + timedelta(days=1) if leap_day else moment.time
    candidates = [time.replace(year=year) for year in (anchor.year - 1, anchor.year, anchor.year + 1)]
    return (min(candidates, key=lambda candidate: abs(candidate - anchor)) - _ORIGIN).total_seconds()


def _before_longest_gap(times: Sequence[datetime]) -> datetime:
    """Find the newest of times without year: the year turns where nothing was written for longest."""
    following = [*times[1:], *(time + _CALENDAR for time in times[:1])]
    gaps = [later - earlier for earlier, later in zip(times, following, strict=True)]
    return times[gaps.index(max(gaps))] if times else _ORIGIN
