"""How far each log was shipped and how shipping does, from the state and a look at the files; nothing is locked.

A log is known in the state by its place, and its file by device and inode: it may have been rotated since.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from siplogs.errors import ConfigError
from siplogs.shipping.access import disk_trouble
from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.state import Place, Pulse, State, holder, signature
from siplogs.sources.source import shown

_STRAY: Final = re.compile("[\udc80-\udcff]")

_LONG: Final = 900.0
"""For how many seconds a log may be behind: three runs of cron every five minutes."""

_SILENT: Final = 300.0
"""For how many seconds a daemon may be silent: it says once a minute at least that it lives."""

_STEP: Final = 60.0
"""By how many seconds a moment may be in the future, as two looks at the clock are not one."""

LogState = Literal["read", "behind", "unread", "unreadable", "gone"]


class LogStatus(Struct):
    """How far one log was shipped.

    `position` is the offset up to which it was read; of an archive it counts unpacked bytes, `size` those on disk.
    `lag_bytes` is None where it is not known: of an archive until it was read, of a log that must not be looked at.
    `lag_seconds` is how long ago the log was last read to its end, 0 where nothing is unread: the oldest unread byte is
    younger. `state` is `read` when nothing is unread, `behind`, `unread` for a file that took the name of a log and was
    not looked at yet, `unreadable` for one that could not be read when it was last tried or must not be looked at, or
    `gone` for one that is nowhere in its folder. Times are seconds since 1970, 0 for never.
    """

    path: str
    family: str
    state: LogState
    position: int = 0
    size: int = 0
    lag_bytes: int | None = 0
    lag_seconds: float = 0.0
    acknowledged: float = 0.0
    lost: int = 0


class Status(Struct):
    """The state of shipping.

    `holder` is the process that works on the state, "" for none. `created`, `present` and `dead` are running counts of
    events. `waiting` counts the dead letters in `dead_letters`, None where they must not be read. `tail` is what a
    running `tail` said of itself last, None when none runs; `failing` says that the last trouble of delivery is not
    over, `hung` that the `tail` was not heard of for long. `unread` says why a log cannot be read, "" where
    all can. `lost_at` is when bytes were last found to be lost, `looked` when logs were last looked at,
    `acknowledged` when an event last arrived: seconds since 1970, 0 for never. `trouble` says in one line what is wrong
    at the moment and what to do, "" for nothing.
    """

    state: str
    holder: str
    created: int
    present: int
    dead: int
    lost: int
    waiting: int | None
    dead_letters: str
    tail: Pulse | None
    logs: list[LogStatus]
    failing: bool = False
    hung: bool = False
    unread: str = ""
    lost_at: float = 0.0
    looked: float = 0.0
    acknowledged: float = 0.0
    trouble: str = ""


def survey(state: State, letters: DeadLetters, now: float, pulse: Pulse | None = None) -> Status:
    """Look at the state and at the files that it knows; who has it gives his `pulse`. Raises StateError."""
    places, counts, process = state.places(), state.counts(), holder(state.path)
    pulse = replace(pulse or state.pulse() or Pulse())
    pulse.passed = _known(pulse.passed, now)
    for place in places:
        place.last_seen, place.acknowledged = _known(place.last_seen, now), _known(place.acknowledged, now)
    acknowledged = max((place.acknowledged for place in places), default=0.0)
    logs = sorted(_logs(places, pulse, now), key=lambda log: (log.family, log.path))
    found = Status(
        state=str(state.path),
        holder=process,
        created=counts.get("created", 0),
        present=counts.get("present", 0),
        dead=counts.get("dead", 0),
        lost=max(counts.get("lost", 0), sum(place.lost for place in places)),
        waiting=_waiting(letters),
        dead_letters=letters.where(),
        tail=pulse if process == f"process {pulse.process} (siplogs tail)" else None,
        logs=logs,
        failing=pulse.failing,
        unread=pulse.unread or next((_denied(log) for log in logs if log.state == "unreadable"), ""),
        lost_at=max((place.lost_at for place in places), default=0.0),
        looked=max(pulse.passed, acknowledged, *(place.last_seen for place in places)),
        acknowledged=acknowledged,
    )
    _judge(found, pulse, now)
    return found


def _known(moment: float, now: float) -> float:
    """Return a moment, 0 for one that is still to come: it is not known when it was, as a clock was ahead then."""
    return moment if moment <= now + _STEP else 0.0


def _judge(found: Status, pulse: Pulse, now: float) -> None:
    """Say what is wrong: delivery fails, the daemon hangs, a log is not read, logs stay behind, or nobody ships."""
    late = max((log.lag_seconds for log in found.logs), default=0.0)
    behind = f"logs are behind for {age(late)}, by {sum(log.lag_bytes or 0 for log in found.logs):,} bytes"
    silent = abs(now - pulse.beat)  # a clock that was ahead and is right now leaves it in the future
    found.hung = found.tail is not None and silent > _SILENT
    last_words = pulse.error if found.failing else pulse.unread
    last_run = f"the last run, {age(silent)} ago, said: {last_words}" if last_words else ""
    if disk := disk_trouble(Path(found.state).parent):
        found.trouble = f"the state cannot be kept: {disk}"
    elif found.failing and found.tail is not None:
        found.trouble = f"the daemon waits: {pulse.error}"
    elif found.hung:
        hint = "see journalctl -u siplogs-tail and the disk of the state, then systemctl restart siplogs-tail"
        found.trouble = f"{found.holder} was not heard of for {age(silent)}; {hint}"
    elif found.failing and silent <= _LONG:
        found.trouble = f"shipping fails; {last_run}"
    elif found.unread and (found.holder or silent <= _LONG or late <= _LONG):
        found.trouble = f"a log is not read: {found.unread}"
    elif late > _LONG and found.holder:
        unit = "siplogs-ship, or the mail of cron" if found.tail is None else "siplogs-tail"
        hint = f"see what it says (journalctl -u {unit}), and the load here and of Elasticsearch"
        found.trouble = f"{found.holder} works, but {behind}; {hint}"
    elif late > _LONG:
        hint = "systemctl start siplogs-tail, or see why cron does not run siplogs ship (journalctl -u cron)"
        found.trouble = "; ".join(filter(None, (f"nobody ships, and {behind}; {hint}", last_run)))


def _denied(log: LogStatus) -> str:
    return f"{shown(log.path)}: must not be read by who asks; siplogs doctor says what is missing for who ships"


def age(seconds: float) -> str:
    """Say a duration in its largest unit that is not below two of it."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def as_json(value: object) -> str:
    r"""Write as JSON; bytes that are no UTF-8, as in the name of a log, become the text \xNN."""
    text = json.dumps(to_builtins(value), ensure_ascii=False, indent=2)
    return _STRAY.sub(lambda stray: f"\\\\x{ord(stray[0]) - 0xDC00:02x}", text)


def prometheus(status: Status) -> str:
    """Return the status in the text format of Prometheus, as the textfile collector of node_exporter takes it."""
    return "".join(f"{line}\n" for line in _metrics(status))


def _waiting(letters: DeadLetters) -> int | None:
    try:
        return letters.waiting()
    except ConfigError:
        return None


class _File(NamedTuple):
    """Where a log was found, and what it looks like: None where one must not look."""

    path: str
    look: os.stat_result | None


def _logs(places: Iterable[Place], pulse: Pulse, now: float) -> Iterator[LogStatus]:
    families: dict[str, str] = {}
    looked: dict[str, float] = {}
    taken: set[str] = set()
    folders = _Folders()
    # Those whose file is known come first: of the rest only the path is.
    for place in sorted(places, key=lambda one: (not one.seen, -one.last_seen)):
        families.setdefault(place.path, place.family)
        looked[place.family] = max(pulse.passed, place.last_seen, looked.get(place.family, 0.0))
        file = folders.find(place)
        if file is None or file.path in taken:
            unread = 0 if place.whole else max(place.size - place.settled, 0)
            yield LogStatus(place.path, place.family, "gone", place.settled, place.size, unread, lost=place.lost)
        else:
            taken.add(file.path)
            yield _log(place, file, pulse, now)
    # One that took the name of a log which was rotated long ago, and could not be read ever since.
    families |= {family: family for family in looked if _is_named(family, pulse)}
    new = {path: looked[family] for path, family in families.items() if path not in taken}
    for path, last in new.items():
        yield from _new(path, families[path], last, pulse, now)


def _new(path: str, family: str, looked: float, pulse: Pulse, now: float) -> Iterator[LogStatus]:
    """Yield a file that took the name of a log; `looked` is when any of its family was looked at last."""
    found = None
    with suppress(PermissionError):
        found = _look(path)
    if found is not None and found.st_size:
        closed = _is_named(path, pulse) or _is_closed(path, pulse)
        since = (pulse.passed if closed else looked) or found.st_mtime  # others may be read all the time
        state: LogState = "unreadable" if closed else "unread"
        yield LogStatus(path, family, state, 0, found.st_size, found.st_size, max(now - since, 0.0))


def _log(place: Place, file: _File, pulse: Pulse, now: float) -> LogStatus:
    archive, found = not place.size, file.look
    size = place.size if found is None else found.st_size
    position = max(place.settled, 0 if archive else place.read_to)
    if position > size and not archive:  # it was truncated, and what stands there now is new
        position = 0
    unread: int | None = None if archive or found is None else size - position
    if found is not None and place.seen == signature((found.st_dev, found.st_ino), size, found.st_mtime):
        unread = 0
    whole = place.last_seen if archive or place.read_to >= place.size else 0.0
    read = max(pulse.passed, whole) or place.acknowledged or (found.st_mtime if found else place.last_seen)
    lag = max(now - read, 0.0) if unread != 0 else 0.0
    closed = found is None or _is_named(file.path, pulse) or (unread != 0 and _is_closed(file.path, pulse))
    state: LogState = "unreadable" if closed else "behind" if unread != 0 else "read"
    return LogStatus(file.path, place.family, state, position, size, unread, lag, place.acknowledged, place.lost)


def _is_named(path: str, pulse: Pulse) -> bool:
    """Tell whether who shipped last said of a log that it could not be read."""
    return pulse.unread.startswith(f"{shown(path)}: ")


def _is_closed(path: str, pulse: Pulse) -> bool:
    """Tell whether a log must not be read by who asks, where who shipped last could not read one: it may be another."""
    return bool(pulse.unread) and not os.access(path, os.R_OK, effective_ids=True)


class _Folders:
    """Finds the files of places: by path and, where another file has taken it, in the folder by device and inode."""

    def __init__(self) -> None:
        self._files: dict[Path, dict[tuple[int, ...], _File]] = {}

    def find(self, place: Place) -> _File | None:
        """Return a place's file as it is now, None when it is gone."""
        try:
            found = _look(place.path)
        except PermissionError:
            return _File(place.path, None) if place.inode else None
        if found is not None and place.inode in ((), (found.st_dev, found.st_ino)):
            return _File(place.path, found)
        return self._inside(Path(place.family).parent).get(place.inode)

    def _inside(self, folder: Path) -> dict[tuple[int, ...], _File]:
        if folder not in self._files:
            files = self._files[folder] = {}
            with suppress(OSError):
                for entry in os.scandir(folder):
                    with suppress(OSError):
                        if entry.is_file():
                            found = entry.stat()
                            files[found.st_dev, found.st_ino] = _File(entry.path, found)
        return self._files[folder]


def _look(path: str) -> os.stat_result | None:
    """Look at a file; None when it is not there. Raises PermissionError."""
    try:
        return os.stat(path)  # noqa: PTH116 (paths stay as given)
    except PermissionError:
        raise
    except (OSError, ValueError):
        return None


_PREFIX: Final = "siplogs"


def _metrics(status: Status) -> Iterator[str]:
    counts = [({"result": name}, getattr(status, name)) for name in ("created", "present", "dead")]
    yield from _metric("events_total", "counter", "Events settled, by what became of them.", counts)
    waiting: Samples = [] if status.waiting is None else [({}, status.waiting)]
    yield from _metric("dead_letters_waiting", "gauge", "Refused documents that wait to be sent again.", waiting)
    yield from _metric("lost_bytes_total", "counter", "Bytes deleted before they were read.", [({}, status.lost)])
    unreadable: Samples = [({}, int(bool(status.unread)))]
    yield from _metric("unreadable", "gauge", "Whether a log cannot be read, or is named and not there.", unreadable)
    yield from _metric("working", "gauge", "Whether a process works on the state.", [({}, int(bool(status.holder)))])
    logs = [({"path": log.path, "family": log.family}, log) for log in status.logs if log.state != "gone"]
    for name, text, field in _LOG_METRICS:
        values = [(labels, getattr(log, field)) for labels, log in logs]
        yield from _metric(name, "gauge", text, [(labels, value) for labels, value in values if value is not None])
    readable = [(labels, int(log.state != "unreadable")) for labels, log in logs]
    yield from _metric("log_readable", "gauge", "Whether the log can be read.", readable)
    if status.tail is not None:
        for name, kind, text, field in _TAIL_METRICS:
            yield from _metric(name, kind, text, [({}, getattr(status.tail, field))])


_LOG_METRICS: Final = (
    ("log_position_bytes", "Offset up to which the log was shipped.", "position"),
    ("log_size_bytes", "Size of the log on disk.", "size"),
    ("log_lag_bytes", "Bytes of the log that were not shipped yet.", "lag_bytes"),
    ("log_lag_seconds", "How long ago the log was last read to its end, 0 where nothing is unread.", "lag_seconds"),
    ("log_acknowledged_timestamp_seconds", "When an event of the log was last acknowledged.", "acknowledged"),
)
_TAIL_METRICS: Final = (
    ("tail_start_timestamp_seconds", "gauge", "When the daemon began.", "started"),
    ("tail_beat_timestamp_seconds", "gauge", "When the daemon last said that it works.", "beat"),
    ("tail_pass_timestamp_seconds", "gauge", "When the last pass began in which everything was read.", "passed"),
    ("tail_events_total", "counter", "Events settled since the daemon began.", "events"),
    ("tail_events_per_second", "gauge", "Events settled a second lately.", "rate"),
    ("tail_pauses_total", "counter", "Pauses that Elasticsearch made necessary.", "pauses"),
    ("tail_failing", "gauge", "Whether delivery was in trouble last, and nothing went well since.", "failing"),
    ("tail_failures", "gauge", "Passes in a row that were given up.", "failures"),
    ("tail_error_timestamp_seconds", "gauge", "When something was wrong last.", "failed"),
)

Samples = Sequence[tuple[dict[str, str], float]]


def _metric(name: str, kind: str, text: str, samples: Samples) -> Iterator[str]:
    """Yield the lines of one metric; without samples there is none."""
    if samples:
        yield f"# HELP {_PREFIX}_{name} {text}"
        yield f"# TYPE {_PREFIX}_{name} {kind}"
    for labels, value in samples:
        told = ",".join(f'{label}="{_escaped(of)}"' for label, of in labels.items())
        yield f"{_PREFIX}_{name}{f'{{{told}}}' if told else ''} {value:.15g}"


def _escaped(text: str) -> str:
    r"""Escape a label's value; bytes that are no UTF-8 become \xNN, in such a way that no two paths look alike."""
    plain = text.replace("\\", "\\\\").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
