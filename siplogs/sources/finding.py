"""Which logs are meant: paths, globs, folders, standard input, or the usual places; each rotated set oldest first."""

import glob
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from siplogs.errors import SourceError
from siplogs.sources.content import HEAD, first_moment, looks_like_pbx
from siplogs.sources.pipe import STANDARD_INPUT
from siplogs.sources.rotation import Member, log_name, oldest_first
from siplogs.sources.source import Source, explained, shown

# Folders and, in order of preference, the logs to read there: what stands in `full` stands in `messages` again.
# Asterisk: configs/samples/logger.conf.sample (names with .log since 18); FreePBX keeps the names without.
_FULL: Final = ("full", "full.log")
_MESSAGES: Final = ("messages", "messages.log")
_ASTERISK: Final = (_FULL, (*_MESSAGES, "security", "security.log"))
_FREESWITCH: Final = (("freeswitch.log",),)
USUAL_PLACES: Final[tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]] = (
    ("/var/log/asterisk", _ASTERISK),
    ("/usr/local/var/log/asterisk", _ASTERISK),
    ("/var/log/freeswitch", _FREESWITCH),
    ("/usr/local/freeswitch/log", _FREESWITCH),
    ("/usr/local/freeswitch/var/log/freeswitch", _FREESWITCH),
    ("/opt/freeswitch/log", _FREESWITCH),
    ("/opt/freeswitch/var/log/freeswitch", _FREESWITCH),
)

_KNOWN: Final = re.compile(
    r"(?:.*[-_.])?(?:full|messages|security|debug|verbose|fail2ban|freeswitch)(?:\.log)?", re.DOTALL
)
_PERHAPS: Final = (".log", ".txt")
_STALE_SECONDS: Final = 3600.0


class LogSet(NamedTuple):
    """A log and its rotations, oldest first; `family` is the folder and the name of the live file."""

    family: str
    sources: list[Source]


def find(paths: Sequence[str], *, warn: Callable[[str], None], root: str = "/") -> list[Source]:
    """Find the logs that `paths` name, each once, rotated sets (told by folder and name) oldest first.

    A path is a file (that file only), a glob (what it matches), a folder (the logs in it, not below it: well-known
    names and their rotations, and other *.log and *.txt in which lines of a PBX are seen; `messages` only where no
    `full` has it all) or "-" (standard input).
    Without paths, the usual places of Asterisk and FreeSWITCH below `root` (say, a mounted disk) are looked into.

    `warn` gets one line, naming the path and what to do, for each that is missing, empty, unreadable or no log.
    """
    return [source for one in find_sets(paths, warn=warn, root=root) for source in one.sources]


def find_sets(paths: Sequence[str], *, warn: Callable[[str], None], root: str = "/") -> list[LogSet]:
    """Find the logs as `find` does, but keep each rotated set apart."""
    search = _Search(warn)
    for path in paths:
        search.argument(path)
    if not paths:
        search.usual_places(root.rstrip("/"))
    return search.sets()


class _Search:
    """What was found so far, by the identity of the file: the set that it belongs to and what it is there."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._found: dict[tuple[int, int], tuple[Path, Member]] = {}
        self._warn = warn
        self._warnings = 0

    def argument(self, path: str) -> None:
        literal = path == STANDARD_INPUT or _exists(path) or not glob.has_magic(path)
        matches = [path] if literal else sorted(glob.glob(path, recursive=True))  # noqa: PTH207 (paths stay as given)
        before = self._warnings
        taken = [self._folder(match) if _is(stat.S_ISDIR, match) else self._file(match) for match in matches]
        if not matches:
            self._complain(f"{shown(path)}: nothing matches; check the pattern")
        elif not any(taken) and self._warnings == before:
            self._complain(f"{shown(path)}: no log of Asterisk or FreeSWITCH in this folder; name the file that is one")

    def usual_places(self, root: str) -> None:
        for place, choices in USUAL_PLACES:
            names = self._names(root + place) if _exists(root + place) else []
            chosen = ([name for name in names if log_name(name).family in families] for families in choices)
            for name in next(filter(None, chosen), []):
                self._file(f"{root}{place}/{name}")
        if not self._found and not self._warnings:
            remedy = "name yours: siplogs scan /path/to/full, or as paths of [[input]] if it is to be shipped"
            self._complain(f"no log of Asterisk or FreeSWITCH in the usual places; {remedy}")

    def sets(self) -> list[LogSet]:
        found: dict[Path, list[Member]] = {}
        for family, member in self._found.values():
            found.setdefault(family, []).append(member)
        return [LogSet(str(family), oldest_first(members)) for family, members in found.items()]

    def _folder(self, folder: str) -> bool:
        families: dict[str, list[str]] = {}
        for name in self._names(folder):
            families.setdefault(log_name(name).family, []).append(str(Path(folder, name)))
        logs = {family: paths for family, paths in families.items() if _are_logs(family, paths)}
        chosen = [paths for family, paths in logs.items() if not _stands_in_full(family, logs)]
        return [self._file(path) for paths in chosen for path in paths].count(True) > 0

    def _names(self, folder: str) -> list[str]:
        try:
            return sorted(entry.name for entry in Path(folder).iterdir() if _is(stat.S_ISREG, str(entry)))
        except OSError as error:
            self._complain(f"{shown(folder)}: {explained(error, folder)}")
            return []

    def _file(self, path: str) -> bool:
        try:
            self._add(*_looked_at(path))
        except SourceError as error:
            self._complain(str(error))
            return False
        return True

    def _add(self, source: Source, head: bytes) -> None:
        name = log_name(Path(source.path).name)
        family = Path(source.path).parent.resolve() / name.family
        self._found.setdefault(source.inode, (family, Member(source, name, first_moment(head))))

    def _complain(self, text: str) -> None:
        self._warnings += 1
        self._warn(text)


def _are_logs(family: str, paths: Sequence[str]) -> bool:
    """Judge a set by its name or, where that leaves it open, by lines of a PBX in any of its files."""
    if _KNOWN.fullmatch(family):
        return True
    for path in paths if family.endswith(_PERHAPS) else ():
        with suppress(SourceError):
            if looks_like_pbx(_looked_at(path)[1]):
                return True
    return False


def _stands_in_full(family: str, logs: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether what is in a log stands in `full` beside it again, as long as that is written to as well."""
    full = [path for name in _FULL for path in logs.get(name, ())]
    return family in _MESSAGES and bool(full) and _changed(full) >= _changed(logs[family]) - _STALE_SECONDS


def _changed(paths: Sequence[str]) -> float:
    times = [0.0]
    for path in paths:
        with suppress(OSError):
            times.append(Path(path).stat().st_mtime)
    return max(times)


def _looked_at(path: str) -> tuple[Source, bytes]:
    source = Source.of(path)
    if source.pipe:
        return source, b""
    head = next(source.blocks(0, HEAD, HEAD), b"")
    if not head:
        raise SourceError(f"{shown(path)}: the {source.compression} archive is empty; nothing was logged in it")
    return source, head


def _exists(path: str) -> bool:
    try:
        Path(path).lstat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _is(kind: Callable[[int], bool], path: str) -> bool:
    try:
        return kind(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False
