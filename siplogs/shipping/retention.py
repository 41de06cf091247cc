"""Retention where the server has no lifecycle management: whole indices whose period is long over are deleted.

Indices are plain and named by the period of their events, so that an index holds no event from after its period's end.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from msgspec import Struct

from siplogs.errors import FilterError
from siplogs.outputs.elasticsearch import EVENTS, Server

_NAME: Final = re.compile(rf"{EVENTS}-(\d{{4}})(?:\.w(\d\d)|(?:\.(\d\d)(?:\.(\d\d))?)?)", re.ASCII)
_AGE: Final = re.compile(r"(\d{1,5})\s*(d|days?|w|weeks?|y|years?)")
_DAYS: Final = {"d": 1, "w": 7, "y": 365}


class Old(Struct, frozen=True):
    """An index whose period ended long ago; `documents` and `octets` are None where the server does not tell."""

    name: str
    ended: datetime
    documents: int | None = None
    octets: int | None = None


def age(text: str) -> timedelta:
    """Read "90d", "12w" or "2y" (of 365 days). Raises FilterError."""
    found = _AGE.fullmatch(text.strip().lower())
    days = int(found[1]) * _DAYS[found[2][0]] if found else 0
    if not days:
        raise FilterError(f"--older-than {text}: write a number of days, weeks or years from 1 on: 90d, 12w, 2y")
    return timedelta(days=days)


def period_end(index: str) -> datetime | None:
    """Return when the period of an index is over (UTC), None for a name that siplogs does not give."""
    found = _NAME.fullmatch(index)
    if found is None:
        return None
    year = int(found[1])
    week, month, day = (int(part) if part else None for part in found.groups()[1:])
    try:
        if week is not None:
            end = date.fromisocalendar(year, week, 7) + timedelta(days=1)
        elif month is not None and day is not None:
            end = date(year, month, day) + timedelta(days=1)
        else:
            first = date(year, 12 if month is None else month, 1)
            end = (first + timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError):
        return None
    return datetime(end.year, end.month, end.day, tzinfo=UTC)


def expired(server: Server, older_than: timedelta, now: datetime) -> list[Old]:
    """Return the indices whose period ended at least so long ago, the oldest first. Raises DeliveryError."""
    query = {"format": "json", "bytes": "b", "expand_wildcards": "all", "h": "index,docs.count,store.size"}
    answer = server.request("GET", f"/_cat/indices/{EVENTS}-*", query=query)
    found = []
    for row in server.expect(answer, "listing the indices"):
        end = period_end(row["index"])
        if end is not None and now - end >= older_than:
            found.append(Old(row["index"], end, _number(row.get("docs.count")), _number(row.get("store.size"))))
    return sorted(found, key=lambda old: old.ended)


def delete(server: Server, names: list[str]) -> Iterator[str]:
    """Delete indices one by one and yield the name of each that is gone. Raises DeliveryError at the first refusal."""
    for name in names:
        answer = server.request("DELETE", f"/{name}")
        if answer.status != 404:
            server.expect(answer, f"deleting {name}")
        yield name


def _number(text: str | None) -> int | None:
    return int(text) if text else None
