"""The files that are measured: recorded loads, cut or repeated to a size, and a log with hardly any SIP."""

import lzma
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO

from benchmarks.quiet import generate

MEGABYTE = 1_000_000
_BLOCK = 1 << 20


class LoadError(Exception):
    """A file cannot be made; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Load:
    """One log to measure: `dialect` names its pattern pack, `marker` the regular expression of its marker lines.

    `boundary` is how a log entry begins after a line's end; a cut is made only there. A generated load has no `source`.
    """

    key: str
    title: str
    dialect: str
    source: str
    boundary: bytes
    marker: str


LOADS = (
    Load(
        "pjsip",
        "Asterisk 22, PJSIP logger, 40 to 50 calls a second",
        "asterisk-pjsip",
        "asterisk22-pjsip-load.log.xz",
        b"\n[",
        r"<--- (Received|Transmitting) SIP (request|response) \(",
    ),
    Load(
        "chan_sip",
        "Asterisk 16, chan_sip debug, 40 to 50 calls a second",
        "asterisk-chan-sip",
        "asterisk16-chan_sip-load.log.xz",
        b"\n[",
        r"SIP read from |ransmitting (#[0-9]+ )?\([a-zA-Z ]*NAT\) to ",
    ),
    Load(
        "freeswitch",
        "FreeSWITCH 1.10, siptrace and DEBUG, 30 calls a second",
        "freeswitch-siptrace",
        "freeswitch-1.10-siptrace-load-large.log.xz",
        b"\nrecv ",
        r"^(recv|send) [0-9]+ bytes (from|to) ",
    ),
    Load(
        "quiet",
        "Asterisk VERBOSE lines with SIP logging off (generated)",
        "asterisk-pjsip",
        "",
        b"\n[",
        r"<--- (Received|Transmitting) SIP (request|response) \(",
    ),
)


def prepare(load: Load, size: int, corpus: Path, data: Path) -> Path:
    """Return the file of `load` with about `size` bytes (0: as recorded), made in the folder `data` when not there.

    Raises LoadError when the recording is not in `corpus`.
    """
    data.mkdir(parents=True, exist_ok=True)
    suffix = f"-{size // MEGABYTE}MB" if size else ""
    target = data / f"{load.key}{suffix}.log"
    if not target.exists():
        partial = target.with_suffix(".partial")
        if load.source:
            _from_recording(load, size, corpus, data, partial)
        else:
            generate(size, partial)
        partial.rename(target)
    return target


def _from_recording(load: Load, size: int, corpus: Path, data: Path, target: Path) -> None:
    if not size:
        with lzma.open(_find(load.source, corpus)) as packed, target.open("wb") as out:
            copyfileobj(packed, out, _BLOCK)
        return
    recorded = prepare(load, 0, corpus, data)
    whole, rest = divmod(size, recorded.stat().st_size)
    with target.open("wb") as out:
        for _ in range(whole):
            with recorded.open("rb") as log:
                copyfileobj(log, out, _BLOCK)
        _copy_part(recorded, rest, load.boundary, out)


def _copy_part(recorded: Path, size: int, boundary: bytes, out: BinaryIO) -> None:
    left = size
    with recorded.open("rb") as log:
        while left > _BLOCK:
            left -= out.write(log.read(_BLOCK))
        last = log.read(left)
    end = last.rfind(boundary)
    out.write(last[: end + 1] if end >= 0 else b"")


def _find(name: str, corpus: Path) -> Path:
    found = next(iter(sorted(corpus.rglob(name))), None)
    if found is None:
        raise LoadError(f"{name} is not in {corpus}; name the folder that has it with --corpus")
    return found
