"""What `siplogs doctor` proves of the logs: found, readable, recognised, with SIP in them, and with sane times."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from siplogs.enrich.clock import Clock
from siplogs.errors import SourceError
from siplogs.outputs.text import counted
from siplogs.packs import unwrap
from siplogs.pipeline import Engine, Part, Reading, ReadOptions, engine
from siplogs.shipping.access import Shipper
from siplogs.shipping.checks import BROKEN, DAY, HOUR, OK, WARNING, Finding
from siplogs.shipping.collect import Input
from siplogs.shipping.status import age
from siplogs.sources import LogSet, Source, find_sets
from siplogs.sources.rotation import log_name

LOOKED_AT: Final = 1_048_576
_LAST_LINES: Final = 65_536
_QUARTER: Final = 900.0
_LATE: Final = 120.0
_LIVE: Final = 3600.0
_EXACT: Final = 30.0
_FARTHEST_ZONE: Final = 26 * 3600.0
_DENIED: Final = ": permission denied for the user "
_EMPTY: Final = ": the file is empty; "

Silent = Callable[[Reading], Iterable[str]]


def check_logs(inputs: Sequence[Input], user: Shipper, now: float, silent: Silent) -> Iterator[Finding]:
    """Yield what is the matter with the logs of each input, those that the user who ships finds and may read.

    `silent` says why a reading may have found no message.
    """
    for one in inputs:
        troubles: list[str] = []
        with user.acting():
            sets = find_sets(one.paths, warn=troubles.append)
        for trouble in troubles:
            yield _trouble(trouble, now, alone=not sets)
        for log in sets:
            files = counted(len(log.sources), "file")
            yield Finding("logs", OK, f"{log.family}: {files}, readable for the user {user.name}")
            yield from _check_log(one, log, now, silent)


def last_written(inputs: Sequence[Input]) -> float:
    """Return when any of the live logs was written to last, seconds since 1970, 0 where there is none."""
    sets = [log for one in inputs for log in find_sets(one.paths, warn=lambda _: None)]
    return max((source.modified or 0.0 for log in sets for source in log.sources if source.seekable), default=0.0)


def _trouble(trouble: str, now: float, *, alone: bool) -> Finding:
    """Judge what was met while logs were looked for; it is `alone` where none was found."""
    name, is_empty, _ = trouble.partition(_EMPTY)
    if is_empty:
        return _empty(Path(name), trouble, now)
    return Finding("logs", BROKEN if alone or _DENIED in trouble else WARNING, trouble)


def _empty(path: Path, trouble: str, now: float) -> Finding:
    """Judge a log without content: right after a rotation that is as it should be."""
    family = log_name(path.name).family
    try:
        names = [one.name for one in path.parent.iterdir()]
        since = now - path.stat().st_mtime if path.name == family else 0.0
    except OSError:
        names, since = [], 0.0
    if since < DAY and any(name != path.name and log_name(name).family == family for name in names):
        return Finding("logs", OK, f"{path}: empty since a rotation, nothing to look into yet")
    return Finding("logs", WARNING, trouble)


def _check_log(one: Input, log: LogSet, now: float, silent: Silent) -> Iterator[Finding]:
    live = [source for source in log.sources if source.seekable]
    if not live:
        yield Finding("sip", WARNING, f"{log.family}: only archives, no live log to look into")
        return
    source = live[-1]
    start = max((source.size or 0) - LOOKED_AT, 0)
    reading = Reading(Part(source, start=start, live=True), one.options)
    messages = [(event.timestamp, event.siplogs.pack) for event in reading if event.siplogs.kind == "message"]
    if reading.trouble is not None:
        yield Finding("sip", BROKEN, str(reading.trouble))
        return
    compiled = engine(one.options)
    if not reading.products:
        why = next(iter(silent(reading)), "no pattern pack fits")
        yield Finding("pack", BROKEN, f"{source.path}: {why}")
        return
    yield Finding("pack", OK, f"{source.path}: {', '.join(reading.products)}")
    told = _last_time(source, one.options, compiled, reading.products)
    if messages:
        yield _sip(source, compiled, messages, told)
    else:
        yield Finding("sip", WARNING, f"{source.path}: {' '.join(silent(reading))}")
    yield _clock(source, one.options, told, now)


def _sip(source: Source, compiled: Engine, messages: Sequence[tuple[str, str | None]], told: float | None) -> Finding:
    """Compare the time of the last message with that of the last line: messages may have been switched off since."""
    moment, pack = messages[-1]
    late = (told or 0.0) - datetime.fromisoformat(moment).timestamp()
    if late <= HOUR:
        return Finding("sip", OK, f"{source.path}: {counted(len(messages), 'SIP message')} in the last MB")
    switch = compiled.packs[pack].data.off if pack in compiled.packs else ""
    again = f"switch it on again with {switch}" if switch else "switch it on again"
    text = f"the last SIP message is {age(late)} older than the last line: was SIP logging switched off? {again}"
    return Finding("sip", WARNING, f"{source.path}: {text}")


def _clock(source: Source, options: ReadOptions, told: float | None, now: float) -> Finding:
    """Compare the time that the last line tells with the moment at which it was written."""
    modified = source.modified or 0.0
    if now - modified > DAY:
        text = f"nothing was written for {int((now - modified) // DAY)} days; see whether the PBX runs and logs there"
        return Finding("clock", WARNING, f"{source.path}: {text}")
    if told is None:
        return Finding("clock", WARNING, f"{source.path}: no time in its last lines; check the dateformat of the PBX")
    off = told - modified
    where = "ahead of" if off > 0 else "behind"
    if abs(off) <= _LATE:
        return Finding("clock", OK, f"{source.path}: its last line tells the time at which it was written")
    quarters = round(off / _QUARTER)
    exact = quarters and abs(off - quarters * _QUARTER) <= _EXACT and abs(off) <= _FARTHEST_ZONE
    if exact and now - modified < _LIVE:  # that of a copy, long after its last line, would be chance
        zone = f"the zone {options.timezone}" if options.timezone else "this host's zone"
        text = f"its times are {abs(quarters) / 4:g} h {where} the clock, read in {zone}"
        return Finding("clock", BROKEN, f"{source.path}: {text}; set the timezone in which the PBX logs")
    text = f"its last line tells a time {age(abs(off))} {where} that of its writing"
    return Finding("clock", WARNING, f"{source.path}: {text}; check the clocks, or whether it is a copy")


def _last_time(source: Source, options: ReadOptions, compiled: Engine, products: tuple[str, ...]) -> float | None:
    packs = [pack for pack in compiled.packs.values() if pack.product in products]
    start = max((source.size or 0) - _LAST_LINES, 0)
    try:
        block = b"".join(source.blocks(start))
    except SourceError:
        return None
    text = b"".join(piece.data for piece in unwrap([block], [pack.prefix.start for pack in packs]))
    clock = Clock(options.zone, source.modified)
    for line in reversed(text.splitlines()):
        for pack in packs:
            found = pack.prefix.match(line, 0)
            time = found.groupdict().get("time") if found is not None else None
            moment = clock.read(time) if time and len(time) > 12 else None
            if moment is not None:
                return datetime.fromisoformat(moment.utc).timestamp()
    return None
