"""What `siplogs doctor` proves of the logs: found, readable, recognised, with SIP in them, and with sane times."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from siplogs.enrich.clock import Clock
from siplogs.errors import SourceError
from siplogs.packs import unwrap
from siplogs.pipeline import Engine, Part, Reading, engine
from siplogs.shipping.checks import BROKEN, DAY, OK, WARNING, Finding
from siplogs.shipping.collect import Input
from siplogs.sources import LogSet, Source, find_sets

LOOKED_AT: Final = 1_048_576
_LAST_LINES: Final = 65_536
_QUARTER: Final = 900.0
_LATE: Final = 120.0
_LIVE: Final = 3600.0
_EXACT: Final = 30.0
_FARTHEST_ZONE: Final = 26 * 3600.0

Silent = Callable[[Reading], Iterable[str]]


def check_logs(inputs: Sequence[Input], now: float, silent: Silent) -> Iterator[Finding]:
    """Yield what is the matter with the logs of each input; `silent` says why a reading may have found no message."""
    for one in inputs:
        troubles: list[str] = []
        sets = find_sets(one.paths, warn=troubles.append)
        for trouble in troubles:
            yield Finding("logs", WARNING if sets else BROKEN, trouble)
        for log in sets:
            files = f"{len(log.sources)} file{'s' * (len(log.sources) != 1)}"
            yield Finding("logs", OK, f"{log.family}: {files}, readable")
            yield from _check_log(one, log, now, silent)


def _check_log(one: Input, log: LogSet, now: float, silent: Silent) -> Iterator[Finding]:
    live = [source for source in log.sources if source.seekable]
    if not live:
        yield Finding("sip", WARNING, f"{log.family}: only archives, no live log to look into")
        return
    source = live[-1]
    start = max((source.size or 0) - LOOKED_AT, 0)
    reading = Reading(Part(source, start=start, live=True), one.options)
    messages = sum(event.siplogs.kind == "message" for event in reading)
    if reading.trouble is not None:
        yield Finding("sip", BROKEN, str(reading.trouble))
        return
    compiled = engine(one.options)
    if not reading.products:
        why = next(iter(silent(reading)), "no pattern pack fits")
        yield Finding("pack", BROKEN, f"{source.path}: {why}")
        return
    yield Finding("pack", OK, f"{source.path}: {', '.join(reading.products)}")
    if messages:
        yield Finding("sip", OK, f"{source.path}: {messages:,} SIP messages in the last MB")
    else:
        yield Finding("sip", WARNING, f"{source.path}: {' '.join(silent(reading))}")
    yield _clock(source, compiled, reading.products, now)


def _clock(source: Source, compiled: Engine, products: tuple[str, ...], now: float) -> Finding:
    """Compare the time that the last line tells with the moment at which it was written."""
    modified = source.modified or 0.0
    if now - modified > DAY:
        text = f"nothing was written for {int((now - modified) // DAY)} days; see whether the PBX runs and logs there"
        return Finding("clock", WARNING, f"{source.path}: {text}")
    told = _last_time(source, compiled, products)
    if told is None:
        return Finding("clock", WARNING, f"{source.path}: no time in its last lines; check the dateformat of the PBX")
    off = told - modified
    where = "ahead of" if off > 0 else "behind"
    if abs(off) <= _LATE:
        return Finding("clock", OK, f"{source.path}: its last line tells the time at which it was written")
    quarters = round(off / _QUARTER)
    exact = quarters and abs(off - quarters * _QUARTER) <= _EXACT and abs(off) <= _FARTHEST_ZONE
    if exact and now - modified < _LIVE:  # that of a copy, long after its last line, would be chance
        zone = compiled.options.timezone or "that of this host"
        text = (
            f"its times are {timedelta(seconds=abs(quarters) * _QUARTER)} h {where} the clock, read in the zone {zone}"
        )
        return Finding("clock", BROKEN, f"{source.path}: {text}; set the timezone in which the PBX logs")
    text = f"its last line tells a time {timedelta(seconds=round(abs(off)))} h {where} that of its writing"
    return Finding("clock", WARNING, f"{source.path}: {text}; check the clocks, or whether it is a copy")


def _last_time(source: Source, compiled: Engine, products: tuple[str, ...]) -> float | None:
    packs = [pack for pack in compiled.packs.values() if pack.product in products]
    start = max((source.size or 0) - _LAST_LINES, 0)
    try:
        block = b"".join(source.blocks(start))
    except SourceError:
        return None
    text = b"".join(piece.data for piece in unwrap([block], [pack.prefix.start for pack in packs]))
    clock = Clock(compiled.zone, source.modified)
    for line in reversed(text.splitlines()):
        for pack in packs:
            found = pack.prefix.match(line, 0)
            time = found.groupdict().get("time") if found is not None else None
            moment = clock.read(time) if time and len(time) > 12 else None
            if moment is not None:
                return datetime.fromisoformat(moment.utc).timestamp()
    return None
