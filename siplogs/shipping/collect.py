"""Reads what is new in logs, and moves their checkpoints once it was delivered.

One pass finds the logs, reads each from where it was left, and yields documents. Rotation needs nothing special: a log
is known by its family and content, so a renamed or compressed one goes on where it was, and one that took its name
begins at its beginning. Whether a file is still written to is told by its time of change alone, on NFS as on a disk.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from siplogs.config import Period
from siplogs.errors import SourceError
from siplogs.filters import Filter
from siplogs.outputs.elasticsearch import Document, document
from siplogs.pipeline import Part, Reading, ReadOptions
from siplogs.shipping.state import Place, State
from siplogs.sources import LogSet, Source, find_sets

FIRST_LINE: Final = 1024
_TAIL: Final = 256
_FORGOTTEN_SECONDS: Final = 60 * 86_400.0

Key = tuple[str, str]


class Input(Struct, frozen=True):
    """Logs that are read in one way; without paths those in the usual places."""

    paths: tuple[str, ...] = ()
    options: ReadOptions = ReadOptions()


class Settings(Struct, frozen=True):
    """How logs are collected.

    `idle` is for how many seconds a file must not have changed before what is unfinished at its end counts as cut. With
    `from_end` and an empty state, what the logs hold now is passed over. With `anew` each log is read once more from
    its beginning.
    """

    inputs: tuple[Input, ...] = (Input(),)
    period: Period = "month"
    wanted: Filter | None = None
    idle: float = 60.0
    from_end: bool = False
    anew: bool = False


class _Mark(Struct):
    """What to write once everything up to document number `number` is settled."""

    number: int
    key: Key
    offset: int = 0
    dated: bytes = b""
    again: int = 0
    place: Place | None = None


class Collector:
    """Collects the documents of one state; `documents` is one pass, `settled` is told what was delivered of it."""

    def __init__(
        self,
        state: State,
        settings: Settings,
        warn: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.places: dict[Key, Place] = {(place.family, place.identity): place for place in state.places()}
        self._state = state
        self._settings = settings
        self._warn = warn
        self._clock = clock
        self._marks: deque[_Mark] = deque()
        self._read = 0
        self._delivered = 0
        self._held: dict[Key, int] = {}
        self._options: dict[Key, ReadOptions] = {}
        self._begun: set[Key] = set()
        self._from_end = settings.from_end and not self.places

    def documents(self) -> Iterator[Document]:
        """Yield the documents of everything new, oldest first; the checkpoint moves by `settled` and `finish` alone."""
        found: set[Key] = set()
        families: set[str] = set()
        for one in self._settings.inputs:
            for log in find_sets(one.paths, warn=self._warn):
                families.add(log.family)
                for source in log.sources:
                    key = self._key(log, source)
                    if key is not None:
                        found.add(key)
                        self._options[key] = one.options
                        yield from self._source(key, source)
        yield from self._deleted(found)
        self._note_losses(found, families)

    def settled(self, batch: Sequence[Document]) -> None:
        """Move the checkpoint behind a batch: all of it is in Elasticsearch or among the dead letters."""
        self._delivered += len(batch)
        self._write()

    def finish(self, counts: dict[str, int]) -> None:
        """Move the checkpoint to the end of a pass of which everything was settled, and add to the running counts."""
        self._delivered = self._read
        self._write(counts)
        self._forget()
        self._from_end = False

    def start_over(self) -> None:
        """Drop the marks of a pass that was given up; the next one reads what was not settled again."""
        self._marks.clear()
        self._delivered = self._read
        self.places = {(place.family, place.identity): place for place in self._state.places()}

    def close(self) -> None:
        """Close the files that are held open."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def lag(self) -> int:
        """Return how many bytes of the logs found are not dealt with yet."""
        return sum(max(place.size - place.settled, 0) for place in self.places.values() if not place.whole)

    def _key(self, log: LogSet, source: Source) -> Key | None:
        """Identify a log, unless its first line is not there yet."""
        try:
            if self._is_live(source):
                beginning = next(source.blocks(0, FIRST_LINE, FIRST_LINE), b"")
                if b"\n" not in beginning and len(beginning) < FIRST_LINE:
                    return None
            identity = source.identity()
        except SourceError as error:
            self._warn(str(error))
            return None
        return (log.family, identity) if identity else None

    def _is_live(self, source: Source) -> bool:
        return source.seekable and self._clock() - (source.modified or 0.0) < self._settings.idle

    def _source(self, key: Key, source: Source) -> Iterator[Document]:
        """Read one log on from its place."""
        place, seen, live = self._place(key, source), _signature(source), self._is_live(source)
        self._hold(key, source)
        place.last_seen = self._clock()
        if place.seen == seen and (place.whole or live):
            return
        place.path = source.name or source.path
        if source.seekable:
            place.size = source.size or 0
            if not _continues(source, place):
                place = self.places[key] = replace(place, done=0, settled=0, dated=b"", tail="", products="")
        start = place.settled
        if source.seekable and start >= place.size:
            place.whole, place.seen = not live, seen
            return
        self._state.save([place])
        products = tuple(filter(None, place.products.split(",")))
        part = Part(source, products, start, live=live, dated=place.dated, done=place.done)
        reading = Reading(part, self._options[key])
        yield from self._events(key, reading, source)
        if reading.trouble is not None:
            self._warn(str(reading.trouble))
        after = replace(
            place,
            settled=max(reading.settled, start),
            dated=reading.dated or place.dated,
            products=",".join(reading.products),
            seen=seen,
            whole=not live and reading.trouble is None,
        )
        after.tail = _tail(source, after.settled)
        self._marks.append(_Mark(self._read, key, place=after))

    def _events(self, key: Key, reading: Reading, source: Source) -> Iterator[Document]:
        wanted = self._settings.wanted
        for event in reading:
            if wanted is None or wanted.accepts(event):
                self._read += 1
                offset = event.event.sequence or 0
                again = offset if source.seekable and not reading.wrapped else 0
                self._marks.append(_Mark(self._read, key, offset, reading.dated, again))
                yield document(event, self._settings.period)

    def _place(self, key: Key, source: Source) -> Place:
        """Return what is known of a log; a new one of a family never met before may begin at its end."""
        if key not in self.places or (self._settings.anew and key not in self._begun):
            self._begun.add(key)
            place = self.places[key] = Place(*key, path=source.path)
            if self._from_end:
                self._begin_at_end(place, source)
        return self.places[key]

    def _begin_at_end(self, place: Place, source: Source) -> None:
        place.size = place.settled = place.done = _last_line_end(source) if source.seekable else 0
        place.seen, place.whole = _signature(source), True
        place.tail = _tail(source, place.settled)
        self._state.save([place])

    def _hold(self, key: Key, source: Source) -> None:
        """Keep a file open that is still written to, so that its end can be read even when it is deleted."""
        if key in self._held or not self._is_live(source) or source.name:
            return
        with suppress(OSError):
            self._held[key] = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)

    def _deleted(self, found: set[Key]) -> Iterator[Document]:
        """Read what is left of files that were deleted while they were held open; let go of those at rest."""
        for key in list(self._held):
            descriptor = self._held[key]
            status = os.fstat(descriptor)
            place = self.places.get(key)
            if key not in found and place is not None and not status.st_nlink and status.st_size > place.settled:
                with suppress(SourceError):
                    source = Source.of(f"/proc/self/fd/{descriptor}")
                    source.name = place.path
                    found.add(key)
                    yield from self._source(key, source)
            if key not in found or self._clock() - status.st_mtime > self._settings.idle:
                os.close(self._held.pop(key))

    def _note_losses(self, found: set[Key], families: set[str]) -> None:
        """Say what was deleted before it was read."""
        for key, place in self.places.items():
            unread = place.size - max(place.settled, place.done)
            if key in found or key[0] not in families or place.whole or unread <= 0:
                continue
            self._warn(f"{place.path}: {unread} bytes of it were deleted or overwritten before they were read")
            place.whole, place.lost = True, unread
            self._marks.append(_Mark(self._read, key, place=replace(place)))

    def _write(self, counts: dict[str, int] | None = None) -> None:
        changed: dict[Key, Place] = {}
        now = self._clock()
        while self._marks and self._marks[0].number <= self._delivered:
            mark = self._marks.popleft()
            place = self.places[mark.key] = mark.place or self.places[mark.key]
            if mark.place is None and mark.offset >= place.done:
                place.done, place.acknowledged = mark.offset + 1, now
                if mark.again > place.settled:
                    place.settled, place.dated, place.tail = mark.again, mark.dated, ""
            changed[mark.key] = place
        if changed or counts:
            self._state.save(changed.values(), counts)

    def _forget(self) -> None:
        old = [p for p in self.places.values() if p.last_seen and self._clock() - p.last_seen > _FORGOTTEN_SECONDS]
        for place in old:
            del self.places[place.family, place.identity]
        if old:
            self._state.forget(old)


def _signature(source: Source) -> str:
    device, inode = source.inode
    return f"{device}:{inode}:{source.size}:{source.modified}"


def _continues(source: Source, place: Place) -> bool:
    """Tell whether a file still has what was read of it: no other log under the same first line, nothing cut off."""
    if (source.size or 0) < place.settled:
        return False
    return not place.tail or _tail(source, place.settled) == place.tail


def _tail(source: Source, settled: int) -> str:
    if not source.seekable or not settled:
        return ""
    try:
        before = next(source.blocks(max(settled - _TAIL, 1), settled, _TAIL), b"")
    except SourceError:
        return ""
    return blake2b(before, digest_size=8).hexdigest()


def _last_line_end(source: Source) -> int:
    """Return the offset behind the last line feed, as far as it is near the end."""
    size = source.size or 0
    start = max(size - 65_536, 0)
    block = b"".join(source.blocks(max(start, 1), size)) if size > 1 else b""
    newline = block.rfind(b"\n")
    return max(start, 1) + newline + 1 if newline >= 0 else size
