"""Reads what is new in logs, and moves their checkpoints once it was delivered.

One pass finds the logs, reads each from where it was left, and yields documents. Rotation needs nothing special: a log
is known by its family and content, so a renamed or compressed one goes on where it was, and one that took its name
begins at its beginning.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Final, cast

from msgspec import Struct
from msgspec.structs import replace

from siplogs.config import Period
from siplogs.errors import SourceError
from siplogs.outputs.elasticsearch import Document, document
from siplogs.pipeline import Part, Reading
from siplogs.shipping.followed import Followed, Input, Log, is_passing, look
from siplogs.shipping.state import Place, State, only_file
from siplogs.shipping.twins import Key, beginning_of, continues, fingerprint, is_packed, tail_of
from siplogs.sources import Source
from siplogs.sources.source import BLOCK, shown

__all__ = ["Collector", "Input", "Settings"]

_FORGOTTEN_SECONDS: Final = 60 * 86_400.0
_LOOKED_AT: Final = 4096
_NEVER: Final = "~"
"""Later than any @timestamp."""

_STOPS: Final = 100
"""After how many events there is a place to go on from; events in between are known by `done`."""


class Settings(Struct, frozen=True):
    """How logs are collected.

    `idle` is for how many seconds a file must not have changed before what is unfinished at its end counts as cut. With
    `from_end` and an empty state, what the logs hold now is passed over; of logs of which none of their family was ever
    looked at, what is older than `since`. Nothing younger than `until` is sent, and nothing remembered of what is: a
    later pass begins where this one began. Both are written as in @timestamp, "" is none. With `anew` each log is read
    once more from its beginning. With `once` there is but one pass: which logs are at rest has to be judged by their
    time of change.
    """

    inputs: tuple[Input, ...] = (Input(),)
    period: Period = "month"
    since: str = ""
    until: str = ""
    idle: float = 60.0
    from_end: bool = False
    anew: bool = False
    once: bool = False


class _Mark(Struct):
    """What to write once everything up to document number `number` is settled.

    Where `tail` is given, the next reading may begin at `offset`.
    """

    number: int
    key: Key
    offset: int = 0
    dated: bytes = b""
    tail: str = ""
    place: Place | None = None


class Collector:
    """Collects the documents of one state; `documents` is one pass, `settled` is told what was delivered of it.

    `disturbed` says after a pass that a log was rotated while it was read, so that another pass finds more; `trouble`
    says why a log could not be read, or that one is not there that is named, "" where all is well.
    """

    def __init__(
        self,
        state: State,
        settings: Settings,
        warn: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.places: dict[Key, Place] = {(place.family, place.identity): place for place in state.places()}
        self.followed = Followed(settings.inputs, settings.idle, warn, once=settings.once, clock=clock, steady=steady)
        self.disturbed = False
        self._unread = ""
        self._state = state
        self._settings = settings
        self._warn = warn
        self._tick: Callable[[], None] = _nothing
        self._clock = clock
        self._marks: deque[_Mark] = deque()
        self._read = 0
        self._delivered = 0
        self._lost = 0
        self._begun: set[Key] = set()
        self._met: set[Key] = set()
        self._families = {place.family for place in self.places.values()}
        self._first = not self.places and not state.counts()
        self._from_end = settings.from_end and self._first
        self._take_period()
        self._take_since()

    def note(self, *, search: bool = True) -> list[Log]:
        """Find the logs and save how long they are: what is deleted before it can be read will be known."""
        logs = self.followed.look(self.places, search=search)
        changed = [place for log in logs if (place := self._noted(log)) is not None]
        if changed:
            self._save(changed)
        self._from_end = False
        return logs

    def documents(self, *, search: bool = True) -> Iterator[Document]:
        """Yield the documents of everything new, oldest first; the checkpoint moves by `settled` and `finish` alone.

        Without `search` only logs that are known already are looked at, as long as they merely grow.
        """
        self.disturbed, self._unread = False, ""
        logs = self.note(search=search)
        for log in logs:
            yield from self._log(log)
        if not self.disturbed:
            self._note_losses()

    def while_reading(self, tick: Callable[[], None]) -> None:
        """Call `tick` from now on as bytes are read, whether they hold documents or not."""
        self._tick = tick

    def settled(self, batch: Sequence[Document], counts: Mapping[str, int] | None = None) -> None:
        """Move the checkpoint behind a batch: all of it is in Elasticsearch or among the dead letters.

        `counts` is what became of it, to be added to the running counts.
        """
        self._delivered += len(batch)
        self._write(counts or {})

    def finish(self, counts: Mapping[str, int] | None = None) -> None:
        """Move the checkpoint to the end of a pass of which everything was settled, and add to the running counts."""
        self._delivered = self._read
        self._write(counts or {})
        if not self._settings.until:
            self._take_period()
        self._forget()
        gone = [self.places[key] for key in self.followed.release(self.places)]
        for place in gone:  # there is nothing left of them to look for
            place.seen = ""
        if gone:
            self._state.save(gone)

    def start_over(self) -> None:
        """Drop the marks of a pass that was given up; the next one reads what was not settled again."""
        self._marks.clear()
        self._delivered, self._lost = self._read, 0
        self.places = {(place.family, place.identity): place for place in self._state.places()}

    def close(self) -> None:
        """Close the files that are held open."""
        self.followed.close()

    @property
    def trouble(self) -> str:
        """Return why a log could not be read in the last pass, "" where all could."""
        return self._unread or self.followed.trouble

    def lag(self) -> int:
        """Return how many bytes of the logs found are not dealt with yet."""
        return sum(max(place.size - place.settled, 0) for place in self.places.values() if not place.whole)

    def restless(self) -> bool:
        """Tell whether any log may hold something unfinished that only time will settle."""
        return any(not place.whole for place in self.places.values())

    def _take_period(self) -> None:
        """Let a log go on in the period that is set once all that was sent of it in another one is acknowledged.

        What is sent again has to go where it went before: an id is unique in its index alone.
        """
        period = self._settings.period
        changed = [one for one in self.places.values() if one.period != period and (not one.period or _is_done(one))]
        for place in changed:
            place.period = period
        if changed:
            self._state.save(changed)

    def _take_since(self) -> None:
        """Let an earlier --since than the one before hold for logs of which nothing was dealt with yet."""
        since = self._settings.since
        wider = [one for one in self.places.values() if one.since > since and _is_untouched(one)]
        if self._settings.until or not wider:
            return
        for place in wider:
            place.since = since
        self._state.save(wider)

    def _noted(self, log: Log) -> Place | None:
        """Note when and how long a log was seen; return its place when that has to be saved."""
        place, source = self._place(log), log.source
        if place.seen != log.signature:
            place = self._unless_overwritten(log, place)
        before = (place.size, place.path, place.seen)
        place.last_seen = self._clock()
        self._met.add(log.key)
        place.path = source.name or source.path
        if source.seekable:
            place.whole = place.whole and (source.size or 0) <= place.size
            place.size = source.size or 0
            if not place.settled and not place.done:
                place.tail = beginning_of(source)
        if not place.seen.startswith(only_file(log.signature)[:-1]):
            place.seen = only_file(log.signature)
        return place if before != (place.size, place.path, place.seen) else None

    def _unless_overwritten(self, log: Log, place: Place) -> Place:
        """Return the place of a log, a new one where its file was overwritten; what that cost is said."""
        if not place.settled and log.source.inode != place.inode:
            place.done = 0
        if not place.seen or not log.source.seekable or continues(log.source, place):
            return place
        if not _is_the_log(log.source, log.key):  # since it was found: it may stand elsewhere now
            self.disturbed = True
            return place
        if trouble := self._loss(log.key, place):
            self._warn(f"{shown(place.path)}: {trouble}")
        fresh = self.places[log.key] = Place(
            *log.key, lost=place.lost, lost_at=place.lost_at, since=place.since, period=self._settings.period
        )
        return fresh

    def _place(self, log: Log) -> Place:
        """Return what is known of a log; where a first run begins at the end, one never met before is passed over."""
        place = self.places.get(log.key)
        if place is None or (self._settings.anew and log.key not in self._begun):
            self._begun.add(log.key)
            new = self._settings.anew or log.key[0] not in self._families
            since = self._settings.since if new and not self._settings.until else ""
            place = self.places[log.key] = Place(*log.key, since=since, period=self._settings.period)
            if self._from_end:
                source = log.source
                place.settled = place.done = _last_line_end(source) if source.seekable else 0
                place.seen, place.whole, place.size = log.signature, True, source.size or 0 if source.seekable else 0
                place.tail = tail_of(source, place.settled)
        return place

    def _log(self, log: Log) -> Iterator[Document]:
        """Read one log on from its place."""
        key, source, place = log.key, log.source, self.places[log.key]
        if place.seen == log.signature and (place.whole or log.live) and source.pipe is None:
            return
        if is_packed(source, place):  # unpacking it would hold up the live logs
            self._marks.append(_Mark(self._read, key, place=replace(place, seen=log.signature)))
            return
        with _watched(source) as watched:
            if source.seekable and not (_is_the_log(watched, key) and continues(watched, place)):
                self.disturbed = True
            else:
                yield from self._read_on(log, watched)

    def _read_on(self, log: Log, watched: Source) -> Iterator[Document]:
        key, source, place = log.key, log.source, self.places[log.key]
        start = place.settled
        if source.seekable and start >= place.size:
            self._marks.append(_Mark(self._read, key, place=replace(place, whole=not log.live, seen=log.signature)))
            return
        products = tuple(filter(None, place.products.split(",")))
        part = Part(
            watched,
            products,
            start,
            live=log.live,
            grows=True,
            dated=place.dated,
            done=place.done,
            since=place.changed_at,
        )
        reading = Reading(part, log.options, lambda _: self._tick())
        yield from self._events(key, reading, watched)
        after = replace(
            place,
            settled=max(reading.settled, start),
            dated=reading.dated or place.dated,
            products=",".join(reading.products),
            whole=not log.live,
            seen=log.signature,
        )
        if reading.trouble is not None:
            self._troubled(after, source, reading.trouble)
        after.tail = tail_of(watched, after.settled)
        if after.settled and not after.tail and source.seekable:  # it was overwritten after it was read
            after.settled, after.dated, after.tail = place.settled, place.dated, place.tail
        self._marks.append(_Mark(self._read, key, place=after))

    def _troubled(self, after: Place, source: Source, trouble: SourceError) -> None:
        """Read on in a later pass; an archive would not get better, and a log that was rotated is found again."""
        passing = is_passing(trouble) or look(source.path)[:3] != (*source.inode, source.size)
        if source.seekable or passing:
            after.whole, after.seen = False, only_file(after.seen)
        if passing:
            self.disturbed = True
        else:
            self._unread = f"{shown(source.name or source.path)}: {str(trouble).partition(': ')[2]}"
            self._warn(self._unread)

    def _events(self, key: Key, reading: Reading, source: Source) -> Iterator[Document]:
        place, until = self.places[key], self._settings.until or _NEVER
        period = cast("Period", place.period)
        since = self._settings.since if self._settings.until and _is_untouched(place) else place.since
        for number, event in enumerate(reading):
            if not place.products:
                place.products = ",".join(reading.products)
            if since <= event.timestamp[:23] <= until:
                self._read += 1
                offset = event.event.sequence or 0
                stop = number % _STOPS == 1 and not reading.wrapped
                tail = tail_of(source, offset) if stop else ""
                self._marks.append(_Mark(self._read, key, offset, reading.dated, tail))
                yield document(event, period)

    def _note_losses(self) -> None:
        """Say what was deleted before it was read, or may have been written to and deleted since anybody looked."""
        for key, place in self.places.items():
            if not place.seen or self.followed.has(key) or self.followed.is_at(place):
                continue
            if self.followed.covers(place) and (trouble := self._loss(key, place)):
                self._warn(f"{shown(place.path)}: {trouble}")
            elif place.whole:
                continue
            place.whole, place.seen = True, ""
            self._marks.append(_Mark(self._read, key, place=replace(place)))

    def _loss(self, key: Key, place: Place) -> str:
        if self.followed.has_moved(key, place):
            return ""
        unread = 0 if place.whole else place.size - max(place.settled, place.done)
        if unread > 0 and place.read_to != place.size:
            place.lost += unread
            place.lost_at = self._clock()
            place.size -= unread  # an archive of it that comes back holds more than is known
            self._lost += unread
            return f"{unread} bytes of it were deleted or overwritten before they were read"
        if key in self._met or not _is_the_live_name(place):
            return ""
        when = datetime.fromtimestamp(place.last_seen, UTC).strftime("%Y-%m-%d %H:%M:%S")
        return f"deleted, moved or overwritten; what was written to it after {when} UTC, the last look, was not read"

    def _write(self, counts: Mapping[str, int]) -> None:
        changed: dict[Key, Place] = {}
        now = self._clock()
        while self._marks and self._marks[0].number <= self._delivered:
            mark = self._marks.popleft()
            place = self.places[mark.key]
            if mark.place is not None:
                mark.place.done, mark.place.acknowledged = max(place.done, mark.place.done), place.acknowledged
                if mark.place.settled < place.settled:
                    mark.place.settled, mark.place.dated, mark.place.tail = place.settled, place.dated, place.tail
                place = self.places[mark.key] = mark.place
            elif mark.offset >= place.done:
                place.done, place.acknowledged = mark.offset + 1, now
                if mark.tail and mark.offset > place.settled:
                    place.settled, place.dated, place.tail = mark.offset, mark.dated, mark.tail
            changed[mark.key] = place
        if self._settings.until:
            changed.clear()
        counted = {name: number for name, number in counts.items() if number} or ({"created": 0} if self._first else {})
        if changed or counted:
            self._save(changed.values(), counted)
            self._first = False

    def _save(self, places: Iterable[Place], counts: Mapping[str, int] | None = None) -> None:
        lost = {"lost": self._lost} if self._lost else {}
        self._state.save(places, {**(counts or {}), **lost})
        self._lost = 0

    def _forget(self) -> None:
        old = [p for p in self.places.values() if p.last_seen and self._clock() - p.last_seen > _FORGOTTEN_SECONDS]
        for place in old:
            del self.places[place.family, place.identity]
        if old:
            self._state.forget(old)


class _Watched(Source):
    """A log that fails as soon as it begins in another way: it was overwritten while it was read."""

    expected: bytes = b""

    def blocks(
        self,
        start: int = 0,
        stop: int | None = None,
        size: int = BLOCK,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Iterator[bytes]:
        """Yield blocks as any log does."""
        for block in Source.blocks(self, start, stop, size, on_bytes):
            if _beginning(self) != self.expected:
                raise SourceError(f"{shown(self.path)}: became shorter while it was read (rotated?); run again")
            yield block


@contextmanager
def _watched(source: Source) -> Iterator[Source]:
    """Watch a log whose beginning can be looked at cheaply, wherever it is moved meanwhile."""
    if not source.seekable:
        yield source
        return
    watched = _Watched(**{name: getattr(source, name) for name in source.__struct_fields__})
    with ExitStack() as opened:
        with suppress(OSError, SourceError):  # the same comes again when it is read
            descriptor = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
            opened.callback(os.close, descriptor)
            watched.path, watched.name = f"/proc/self/fd/{descriptor}", source.name or source.path
            watched.expected = _beginning(watched)
        yield watched


def _is_done(place: Place) -> bool:
    """Tell whether everything that was read of a log is acknowledged."""
    return place.whole or place.read_to == place.size > 0


def _is_untouched(place: Place) -> bool:
    """Tell whether nothing of a log was dealt with yet."""
    return not (place.settled or place.done or place.whole)


def _nothing() -> None:
    """Nobody waits for documents."""


def _is_the_live_name(place: Place) -> bool:
    """Tell whether a log stood under the name that it is written under, not that of a rotated one."""
    folder, name = os.path.split(place.path)
    return os.path.join(os.path.realpath(folder), name) == place.family  # noqa: PTH118


def _is_the_log(source: Source, key: Key) -> bool:
    """Tell whether a file still is what it was found to be."""
    try:
        return source.identity() == fingerprint(key[1])
    except SourceError:
        return False


def _beginning(source: Source) -> bytes:
    return next(Source.blocks(source, 0, _LOOKED_AT, _LOOKED_AT), b"")


def _last_line_end(source: Source) -> int:
    """Return the offset behind the last line feed, as far as it is near the end."""
    size = source.size or 0
    start = max(size - 65_536, 0)
    block = b"".join(source.blocks(max(start, 1), size)) if size > 1 else b""
    newline = block.rfind(b"\n")
    return max(start, 1) + newline + 1 if newline >= 0 else size
