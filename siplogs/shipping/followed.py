"""Which logs are followed: found by their paths, told apart by family and content, held open while they are written to.

A log keeps its place wherever a rotation puts it: it is found again by its first line under any name that the paths
cover, beside a log that was named by itself, by device and inode in its folder, and, deleted, through the descriptor
that was held. Whether a log is still written to is judged by what is seen of it, not by comparing clocks: those of a
file server differ, and the host's may be set.
"""

import os
import re
import resource
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

from siplogs.errors import SourceError
from siplogs.pipeline import ReadOptions
from siplogs.shipping.paths import beside, covers, folders
from siplogs.shipping.state import Place
from siplogs.shipping.twins import Found, Key, fingerprint, is_packed, is_unread, recognised, signature_of, told_apart
from siplogs.sources import Source, find_sets
from siplogs.sources.source import shown

FIRST_LINE: Final = 1024
_TRUSTED: Final = 10
_HELD_SECONDS: Final = 3600.0
_MOST_HELD: Final = 4096
_EMPTY: Final = re.compile(r": the (file|\w+ archive) is empty")
_PASSING: Final = (": no such file", ": another file took its place", ": became shorter")

_UNREADABLE: Final = (": permission denied", ": cannot be read")
_MISSING: Final = ": no such file"
_NOTHING: Final = ": nothing matches"

Look = tuple[float, ...]
File = tuple[Key, tuple[int, ...]]


class Input(Struct, frozen=True):
    """Logs that are read in one way; without paths those in the usual places."""

    paths: tuple[str, ...] = ()
    options: ReadOptions = ReadOptions()


class Log(NamedTuple):
    """A log as it was found: `live` says that it is written to, `signature` is device, inode, size and time."""

    key: Key
    source: Source
    options: ReadOptions
    live: bool
    signature: str


class Followed:
    """The logs of some inputs; `look` finds them, `changed` says cheaply whether that would bring anything new.

    `families` are those that the last search found anything of, and how they are read; `trouble` says which log it
    could not read, or which one that is named has not been there for a while, "" for none.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        idle: float,
        warn: Callable[[str], None],
        *,
        once: bool = False,
        clock: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.families: dict[str, ReadOptions] = {}
        self.trouble = ""
        self._inputs = inputs
        self._idle = idle
        self._warn = warn
        self._once = once
        self._clock = clock
        self._steady = steady
        self._logs: dict[Key, Log] = {}
        self._looks: dict[str, Look] = {}
        self._growing: dict[str, Look] = {}
        self._around: dict[str, Look] = {}
        self._since: dict[Key, tuple[str, float]] = {}
        self._held: dict[Key, int] = {}
        self._strangers: set[str] = set()
        self._missed: dict[str, float] = {}
        self._missed_before: dict[str, float] = {}
        self._met: list[str] = []

    def look(self, places: Mapping[Key, Place], *, search: bool = True) -> list[Log]:
        """Return the logs, oldest first; without `search` those found before, unless more than their size changed."""
        logs = None if search else self._refreshed(places)
        if logs is None:
            logs = self._searched(places)
        self._logs = {log.key: log for log in logs}
        self._looks = {log.source.path: _look_of(log.source) for log in logs}
        self._growing = {log.source.path: self._looks[log.source.path] for log in logs if not log.source.compression}
        self._since = {key: since for key, since in self._since.items() if key in self._logs}
        return logs

    def changed(self) -> bool:
        """Tell whether any log or folder looks different from the last time; an archive is found by its folder."""
        known = (self._growing, self._around)
        return any(look(path) != seen for looks in known for path, seen in looks.items())

    def rotated(self) -> bool:
        """Tell whether anything else than growth happened since the last look: logs came, went, or were cut."""
        if any(look(path) != seen for path, seen in self._around.items()):
            return True
        looks = ((look(path), seen) for path, seen in self._looks.items())
        return any(now[:2] != seen[:2] or now[2] < seen[2] for now, seen in looks)

    def covers(self, place: Place) -> bool:
        """Tell whether a log would be found if it were there."""
        return place.family in self.families or self._input_of(place) is not None

    def has(self, key: Key) -> bool:
        """Tell whether a log was found the last time."""
        return key in self._logs

    def has_moved(self, key: Key, place: Place) -> bool:
        """Tell whether a log was found under another key, say of a folder for old logs."""
        began = [log for log in self._logs.values() if fingerprint(log.key[1]) == fingerprint(key[1])]
        return any(log.key != key and recognised(log.source, [place]) for log in began)

    def is_at(self, place: Place) -> bool:
        """Tell whether the file of a place may stand at its path still, and cannot be read or told to be new."""
        known = any(log.source.path == place.path for log in self._logs.values())
        return not known and (look(place.path)[:2] == place.inode != () or _is_hidden(place.path))

    def release(self, places: Mapping[Key, Place]) -> list[Key]:
        """Close held files that were read to the end and are at rest: deleted ones, which are returned, at once."""
        gone: list[Key] = []
        for key, descriptor in list(self._held.items()):
            log, place = self._logs.get(key), places.get(key)
            if log is None or place is None or log.live or not place.whole or place.seen != log.signature:
                continue
            with suppress(OSError):
                if os.fstat(descriptor).st_nlink == 0:
                    gone.append(key)
                elif self._steady() - self._since[key][1] < _HELD_SECONDS:
                    continue
            os.close(self._held.pop(key))
        return gone

    def take_over(self, other: "Followed") -> None:
        """Go on holding what another one held."""
        for key, descriptor in other._held.items():
            if key in self._held:
                os.close(descriptor)
            else:
                self._held[key] = descriptor
        other._held = {}

    def close(self) -> None:
        """Close the files that are held open."""
        for descriptor in self._held.values():
            with suppress(OSError):
                os.close(descriptor)
        self._held.clear()

    def _refreshed(self, places: Mapping[Key, Place]) -> list[Log] | None:
        """Look at the logs that are known; None when that does not suffice."""
        if not self._logs or any(look(path) != seen for path, seen in self._around.items()):
            return None
        logs: list[Log] = []
        for log in self._logs.values():
            seen, now = self._looks[log.source.path], look(log.source.path)
            if now == seen:
                logs.append(log._replace(live=self._is_live(log.key, log.source, places)))
                continue
            if now[:2] != seen[:2] or now[2] < seen[2]:
                return None
            try:
                source = _named(Source.of(log.source.path), log.source.name)
                identity = source.identity()
            except SourceError:
                return None
            if identity != fingerprint(log.key[1]):
                return None
            logs.append(self._log(log.key, source, log.options, places))
        self._hold(logs)
        return logs

    def _searched(self, places: Mapping[Key, Place]) -> list[Log]:
        self.families, self._around, self.trouble = {}, {}, ""
        self._missed_before, self._missed = self._missed, {}
        self._met = [place.path for place in places.values() if place.seen]
        groups: dict[Key, list[Found]] = {}
        known: dict[Key, dict[Key, Place]] = {}
        for (family, identity), place in places.items():
            known.setdefault((family, fingerprint(identity)), {})[family, identity] = place
        last, astray = _last_changes(places.values(), self._clock())
        listed: list[tuple[Key, Source, ReadOptions, bool, bool]] = []
        for one in self._inputs:
            for family, source, asked in self._sources(one):
                self.families.setdefault(family, one.options)
                key = self._key(family, source)
                if key is None:
                    self._around[source.path] = _look_of(source)
                else:
                    lately = (source.modified or 0.0) >= last.get(family, 1e18)
                    listed.append((key, source, one.options, asked, lately))
        there: set[File] = {(key, source.inode) for key, source, *_ in listed}
        followers: set[str] = set()
        for key, source, options, asked, lately in listed:
            met = not asked and (lately or self._is_known(key, source, known.get(key, {}), there))
            if asked or met or key[0] in followers:
                groups.setdefault(key, []).append((source, options))
            if met and key[0] in astray:  # times do not tell what is new: the order does
                followers.add(key[0])
        self._join_held(groups, places)
        found: dict[Key, Found] = {}
        for key, files in groups.items():
            apart, waiting = told_apart(key, files, known.get(key, {}))
            found |= apart
            self._around |= {source.path: _look_of(source) for source in waiting}
        moved = self._moved(places, found.keys())
        found |= {key: (source, self._options_of(key, places[key])) for key, source in moved}
        logs = [self._log(key, source, options, places) for key, (source, options) in found.items()]
        self._hold(logs)
        return logs

    def _is_known(self, key: Key, source: Source, places: Mapping[Key, Place], there: Collection[File]) -> bool:
        """Tell whether a file beside a log is one of those that were followed; what is not is unpacked but once."""
        if any(is_unread(place) and (key, place.inode) not in there for place in places.values()):
            return True
        if not places or signature_of(source) in self._strangers:
            return False
        if any(is_packed(source, place) for place in places.values()) or recognised(source, places.values()):
            return True
        self._strangers.add(signature_of(source))
        return False

    def _sources(self, one: Input) -> Iterator[tuple[str, Source, bool]]:
        """Yield family, log, and whether it was asked for: beside one that was, its rotations are found as well."""
        rotated = beside(one.paths)
        quiet = tuple(f"{shown(path)}: " for path in rotated)
        for attempt in (1, 2):
            self._around |= {folder: look(folder) for folder in folders(one.paths)}
            warnings: list[str] = []
            sets = find_sets([*one.paths, *rotated], warn=warnings.append)
            empty = [(text[: found.start()], found[1]) for text in warnings if (found := _EMPTY.search(text))]
            warnings = [text for text in warnings if not _EMPTY.search(text) and not text.startswith(quiet)]
            if attempt == 2 or not any(map(is_passing, warnings)):
                break
        for text in warnings:
            self._complain(text)
        self._around |= {path: _look_of_empty(path, kind) for path, kind in empty}
        for log in sets:
            for source in log.sources:
                folder = str(Path(source.path).parent)
                self._around.setdefault(folder, look(folder))
                yield log.family, source, source.path not in rotated

    def _complain(self, text: str) -> None:
        if any(words in text for words in _UNREADABLE) or self._is_missed(text):
            self.trouble = text
        self._warn(text)

    def _is_missed(self, text: str) -> bool:
        """Tell whether what is named has not been there for longer than a rotation takes."""
        pattern, nothing, _ = text.partition(_NOTHING)
        if _MISSING not in text and not (nothing and any(covers([pattern], path) for path in self._met)):
            return False
        since = self._missed[text] = self._missed_before.get(text, self._steady())
        return self._once or self._steady() - since >= self._idle

    def _key(self, family: str, source: Source) -> Key | None:
        """Identify a log, unless its first line is not there yet."""
        try:
            if source.seekable and not self._is_old(source):
                beginning = next(source.blocks(0, FIRST_LINE, FIRST_LINE), b"")
                if b"\n" not in beginning and len(beginning) < FIRST_LINE:
                    return None
            identity = source.identity()
        except SourceError as error:
            if not is_passing(error):
                self._complain(str(error))
            return None
        return (family, identity) if identity else None

    def _log(self, key: Key, source: Source, options: ReadOptions, places: Mapping[Key, Place]) -> Log:
        return Log(key, source, options, self._is_live(key, source, places), signature_of(source))

    def _is_live(self, key: Key, source: Source, places: Mapping[Key, Place]) -> bool:
        """Tell whether a log changed lately, as far as was seen; of one that is new its time of change has to tell."""
        now, seen = self._steady(), signature_of(source)
        before = self._since.get(key)
        if before is None or before[0] != seen:
            place = places.get(key)
            known = place is not None and place.seen == seen and self._clock() - place.last_seen >= self._idle
            quiet = before is None and (known or self._is_old(source))
            before = self._since[key] = (seen, now - self._idle if quiet else now)
        return source.seekable and now - before[1] < self._idle

    def _is_old(self, source: Source) -> bool:
        """Judge by the clock alone, where nothing else can be waited for."""
        return self._once and self._clock() - (source.modified or 0.0) >= self._idle * _TRUSTED

    def _hold(self, logs: Sequence[Log]) -> None:
        """Keep files open that are written to, so that their ends can be read wherever they go; the youngest first."""
        new = [log for log in logs if log.live and log.key not in self._held and not log.source.name]
        room = max(_most_held() - len(self._held), 0)
        for log in sorted(new, key=lambda log: log.source.modified or 0.0, reverse=True)[:room]:
            with suppress(OSError):
                descriptor = os.open(log.source.path, os.O_RDONLY | os.O_CLOEXEC)
                if _inode(descriptor) == log.source.inode:
                    self._held[log.key] = descriptor
                else:
                    os.close(descriptor)

    def _join_held(self, groups: Mapping[Key, list[Found]], places: Mapping[Key, Place]) -> None:
        """Let held files that are at none of their paths any more stand beside those that begin like them."""
        for key in [key for key in self._held if key in places]:
            files = groups.get((key[0], fingerprint(key[1])))
            if files is None or _inode(self._held[key]) in {one.inode for one, _ in files}:
                continue
            source = self._held_source(key, places[key])
            if source is not None:
                files.insert(0, (source, self._options_of(key, places[key])))

    def _moved(self, places: Mapping[Key, Place], found: Collection[Key]) -> Iterator[tuple[Key, Source]]:
        """Find logs that left their paths: by the descriptor that is held, or by inode in their folder."""
        inside: dict[str, dict[int, str]] = {}
        for key, place in places.items():
            if key in found:
                continue
            if not self.covers(place):
                self._drop(key)
                continue
            source = self._held_source(key, place) or _found_by_inode(place, inside)
            if source is not None:
                yield key, source

    def _input_of(self, place: Place) -> Input | None:
        """Return the input that names a log, its folder, or the log whose rotation it is."""
        names = (place.path, place.family)
        return next((one for one in self._inputs if any(covers(one.paths, name) for name in names)), None)

    def _options_of(self, key: Key, place: Place) -> ReadOptions:
        """Return how a log is read that stands at none of its paths any more."""
        if key in self._logs:
            return self._logs[key].options
        one = self._input_of(place)
        return self.families[key[0]] if one is None else one.options

    def _drop(self, key: Key) -> None:
        if key in self._held:
            os.close(self._held.pop(key))

    def _held_source(self, key: Key, place: Place) -> Source | None:
        descriptor = self._held.get(key)
        if descriptor is None:
            return None
        try:
            source = _named(Source.of(f"/proc/self/fd/{descriptor}"), place.path)
            if source.identity() == fingerprint(key[1]) and recognised(source, [place]):
                return source
        except SourceError:
            if self.is_at(place):  # it must not be read at the moment
                return None
        self._drop(key)
        return None


def is_passing(trouble: SourceError | str) -> bool:
    """Tell whether a log was but rotated meanwhile: looked at again, all is well."""
    return any(words in str(trouble) for words in _PASSING)


def look(path: str) -> Look:
    """Return device, inode, size and time of change of a file, nothing where it cannot be looked at."""
    try:
        status = os.stat(path)  # noqa: PTH116 (twice a second for every log: without a Path)
    except (OSError, ValueError):
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime


def _is_hidden(path: str) -> bool:
    """Tell whether it must not be known what stands at a path."""
    try:
        os.stat(path)  # noqa: PTH116
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return False


def allow_many_files() -> None:
    """Let this process open as many files as it may: one that follows holds open what is written to."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _most_held() -> int:
    """Return how many files may be held open: there has to be room for those that are read, and for connections."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2, _MOST_HELD)


def _look_of_empty(path: str, kind: str) -> Look:
    """Return what something empty looks like; a file that is not empty any more looks different from that."""
    seen = look(path)
    return seen if seen[2:3] == (0,) or kind != "file" else ()


def _look_of(source: Source) -> Look:
    return (*source.inode, source.size or 0, source.modified or 0.0)


def _inode(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _named(source: Source, name: str) -> Source:
    source.name = name
    return source


def _last_changes(places: Iterable[Place], now: float) -> tuple[dict[str, float], set[str]]:
    """Return when each family was changed last, as far as it was read, by the clock of its file server.

    Also the families of which that is not sure: nothing of a log was read yet, or a clock was set back since.
    """
    last: dict[str, float] = {}
    astray: set[str] = set()
    for place in places:
        changed = place.changed_at or place.last_seen
        last[place.family] = max(changed, last.get(place.family, 0.0))
        if place.changed_at is None or changed > now:
            astray.add(place.family)
    return last, astray


def _found_by_inode(place: Place, folders: dict[str, dict[int, str]]) -> Source | None:
    wanted = place.inode
    if not wanted:
        return None
    for folder in {os.path.dirname(place.family), os.path.dirname(os.path.realpath(place.path))}:  # noqa: PTH120
        if folder not in folders:
            files = folders[folder] = {}
            with suppress(OSError):
                files |= {entry.inode(): entry.path for entry in os.scandir(folder)}
        path = folders[folder].get(int(wanted[1]))
        if path is not None:
            with suppress(SourceError):
                source = Source.of(path)
                same = source.inode == wanted[:2] and source.identity() == fingerprint(place.identity)
                if same and recognised(source, [place]):
                    return source
    return None
