"""How fast siplogs ships, beside the bare client; what its daemon costs, and how soon an event can be searched.

python -m benchmarks.shipping --write       all of it, into docs/benchmarks-shipping.md
python -m benchmarks.shipping --only soak   minutes (--soak) at --rate events a second: memory over time
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from elasticsearch import ApiError, Elasticsearch
from elasticsearch.helpers import parallel_bulk

from benchmarks.loads import LOADS, MEGABYTE, prepare
from benchmarks.measure import DATA, ROOT
from benchmarks.page import replaced, table
from benchmarks.report import host
from benchmarks.server import running
from siplogs.outputs.elasticsearch import document
from siplogs.pipeline import ReadOptions, read_events
from siplogs.sources import find

OPTIONS = ReadOptions(timezone="UTC", host="pbx")
TICKS = os.sysconf("SC_CLK_TCK")
TENTHS = 10
DOCUMENT = ROOT / "docs" / "benchmarks-shipping.md"


class Bench:
    """A folder with configuration and state, and the server."""

    def __init__(self, url: str, folder: Path) -> None:
        self.client = Elasticsearch(url)
        self.folder = folder
        self.live = folder / "full"
        (folder / "siplogs.toml").write_text(
            f'host_name = "pbx"\ntimezone = "UTC"\n[elasticsearch]\nurl = "{url}"\nreplicas = 0\n'
            f'[[input]]\npaths = ["{folder}/full*"]\n',
            encoding="utf-8",
        )
        self.run("setup")

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "SIPLOGS_CONFIG": str(self.folder / "siplogs.toml"),
            "STATE_DIRECTORY": str(self.folder / "state"),
        }
        line = [sys.executable, "-c", "from siplogs.cli import main; main()", *arguments]
        return subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)

    def run(self, *arguments: str) -> float:
        begun = time.perf_counter()
        process = self.command(*arguments)
        if process.wait() != 0:
            raise SystemExit(f"siplogs {arguments[0]} ended with {process.returncode}")
        return time.perf_counter() - begun

    def wipe(self) -> None:
        for index in self.client.indices.get(index="siplogs-events-*"):
            self.client.indices.delete(index=index)
        shutil.rmtree(self.folder / "state", ignore_errors=True)

    def count(self) -> int:
        try:
            return int(self.client.count(index="siplogs-events-*", ignore_unavailable=True)["count"])
        except ApiError:  # an index that is being made
            return 0

    @contextmanager
    def tail(self) -> Iterator[subprocess.Popen[bytes]]:
        process = self.command("tail", "--from-beginning")
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


@dataclass(frozen=True, slots=True)
class Speed:
    """Documents a second of one round: `siplogs ship`, and the bare client with ready-made JSON and with dicts."""

    ship: float
    ready: float
    dicts: float


def speed(bench: Bench, log: Path, rounds: int) -> list[Speed]:
    """Measure rounds, in each one after the other, each beginning with no index and no state."""
    shutil.copy(log, bench.live)
    documents = [document(event) for event in read_events(find([str(bench.live)], warn=print), OPTIONS)]
    dicts = [
        {"_op_type": "create", "_index": one.index, "_id": one.id, "_source": json.loads(one.body)} for one in documents
    ]
    number, measured = len(documents), []
    _bare(bench, dicts)  # a server that was just started is slower: what comes first would pay for it
    for turn in range(rounds):
        _say(f"speed, round {turn + 1} of {rounds}")
        bench.wipe()
        ship = number / bench.run("ship")
        ready = number / _bare(bench, documents, expand_action_callback=_ready_made)
        measured.append(Speed(ship, ready, number / _bare(bench, dicts)))
    return measured


def _bare(bench: Bench, documents: Sequence[Any], **more: Any) -> float:
    bench.wipe()
    begun = time.perf_counter()
    good = sum(ok for ok, _ in parallel_bulk(bench.client, documents, **more))
    if good != len(documents):
        raise SystemExit("parallel_bulk did not create all documents")
    return time.perf_counter() - begun


def idle(bench: Bench, seconds: float) -> float:
    """Percent of a core that a daemon takes that follows a quiet log with thirty rotations."""
    _clear(bench)
    bench.live.write_bytes(_entry(1) * 50)
    for number in range(1, 31):
        archive = bench.folder / f"full.{number}.gz"
        subprocess.run(["gzip", "-c", bench.live], stdout=archive.open("wb"), check=True)
        bench.live.write_bytes(_entry(number * 100) * 50)
    with bench.tail() as process:
        time.sleep(20)
        before = _cpu(process.pid)
        time.sleep(seconds)
        return 100 * (_cpu(process.pid) - before) / seconds


def latency(bench: Bench, samples: int, rate: int) -> dict[str, list[float]]:
    """Seconds from writing an event to finding it by a search, on a quiet log and at `rate` events a second."""
    _clear(bench)
    bench.live.write_bytes(_entry(0))
    with bench.tail():
        while bench.count() == 0:
            time.sleep(0.1)
        quiet = [_searchable(bench, number) for number in range(1, samples + 1)]
        with _load(bench.live, rate):
            time.sleep(3)
            busy = [_searchable(bench, 10_000_000 + number) for number in range(samples)]
    return {"a quiet log": quiet, f"{rate:,} events/s": busy}


@dataclass(slots=True)
class Soak:
    """Events written and found in the index, and the daemon's resident set (MB) every half minute and at its peak."""

    minutes: float
    rate: int
    written: int
    arrived: int
    resident: list[float]
    peak: float


def soak(bench: Bench, minutes: float, rate: int) -> Soak:
    """Watch the daemon's memory while events are written at a steady rate, and wait until all arrived."""
    _clear(bench)
    bench.live.touch()
    resident: list[float] = []
    with bench.tail() as process:
        end = time.monotonic() + minutes * 60
        with _load(bench.live, rate) as written:
            while time.monotonic() < end:
                time.sleep(min(30.0, max(minutes * 6, 1)))
                resident.append(_status(process.pid, "VmRSS"))
                _say(f"soak: {resident[-1]:6.1f} MB, {written[0]} written, {bench.count()} searchable")
        while bench.count() < written[0]:
            time.sleep(0.5)
        return Soak(minutes, rate, written[0], bench.count(), resident, _status(process.pid, "VmHWM"))


def _ready_made(one: Any) -> tuple[dict[str, dict[str, str]], bytes]:
    return {"create": {"_index": one.index, "_id": one.id}}, one.body


def _clear(bench: Bench) -> None:
    bench.wipe()
    for file in bench.folder.glob("full*"):
        file.unlink()


def _entry(number: int) -> bytes:
    wire = (
        "OPTIONS sip:600@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.11:5060;branch=z9hG4bK-1\r\n"
        f"From: <sip:1001@192.0.2.1>;tag=1\r\nTo: <sip:600@192.0.2.1>\r\nCall-ID: {number}@192.0.2.11\r\n"
        "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    stamp = time.strftime("%b %d %H:%M:%S", time.gmtime())
    marker = f"<--- Received SIP request ({len(wire)} bytes) from UDP:192.0.2.11:5060 --->\n"
    return f"[{stamp}] VERBOSE[19111] res_pjsip_logger.c: {marker}{wire}\n".encode()


def _searchable(bench: Bench, number: int) -> float:
    begun = time.monotonic()
    with bench.live.open("ab") as log:
        log.write(_entry(number))
    query = {"term": {"sip.call_id": f"{number}@192.0.2.11"}}
    while not bench.client.count(index="siplogs-events-*", query=query)["count"]:
        time.sleep(0.02)
    return time.monotonic() - begun


@contextmanager
def _load(log: Path, rate: int) -> Iterator[list[int]]:
    """Append `rate` events a second, ten times a second; what is yielded counts them."""
    written, over = [0], threading.Event()

    def write() -> None:
        begun, step = time.monotonic(), rate // TENTHS
        for turn in range(10**9):
            with log.open("ab") as file:
                file.write(b"".join(_entry(20_000_000 + written[0] + one) for one in range(step)))
            written[0] += step
            if over.wait(max(0.0, begun + (turn + 1) / TENTHS - time.monotonic())):
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield written
    finally:
        over.set()
        writer.join()


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _status(process: int, name: str) -> float:
    text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(text.partition(f"{name}:")[2].split()[0]) / 1024


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _halves() -> tuple[set[int], set[int]]:
    cores = sorted(os.sched_getaffinity(0))
    middle = max(len(cores) // 2, 1)
    return set(cores[:middle]), set(cores[middle:])


@contextmanager
def _only_on(cores: set[int]) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _bench(cores: set[int] | None = None) -> Iterator[Bench]:
    with running(cores or ()) as url, tempfile.TemporaryDirectory() as folder:
        yield Bench(url, Path(folder))


def _speeds(given: argparse.Namespace) -> str:
    log = prepare(LOADS[0], given.size * MEGABYTE, given.corpus, DATA)
    servers, others = _halves()
    with _bench() as bench:
        shared = speed(bench, log, given.rounds)
    with _only_on(others), _bench(servers) as bench:
        apart = speed(bench, log, given.rounds)
    name = f"{', '.join(map(str, sorted(servers)))} for the server, {', '.join(map(str, sorted(others)))} for the rest"
    rows = [_speed_row("all cores shared", shared), _speed_row(f"cores {name}", apart)]
    head = ("", "`siplogs ship`", "ready-made JSON", "ratio", "dicts", "ratio")
    return f"{_SPEED.format(size=given.size)}\n\n{table([head, *rows])}"


def _speed_row(name: str, rounds: Sequence[Speed]) -> Sequence[str]:
    return (
        name,
        f"{median(one.ship for one in rounds):,.0f}/s",
        f"{median(one.ready for one in rounds):,.0f}/s",
        f"{median(one.ship / one.ready for one in rounds):.2f}",
        f"{median(one.dicts for one in rounds):,.0f}/s",
        f"{median(one.ship / one.dicts for one in rounds):.2f}",
    )


def _daemon(given: argparse.Namespace) -> str:
    with _bench() as bench:
        _say("idle daemon")
        share = idle(bench, given.idle)
        _say("latency")
        seconds = latency(bench, 20, given.rate)
    rows = [("what", "wanted", "median", "worst")]
    rows += [(f"searchable, {name}", "< 2 s", f"{median(s):.2f} s", f"{max(s):.2f} s") for name, s in seconds.items()]
    rows.append((f"CPU of an idle daemon over {given.idle:.0f} s", "< 0.5 % of a core", f"{share:.2f} %", "–"))
    return f"{_DAEMON}\n\n{table(rows)}"


def _soak(given: argparse.Namespace) -> str:
    with _bench() as bench:
        found = soak(bench, given.soak, given.rate)
    tenth = max(len(found.resident) // 10, 1)
    steps = [found.resident[at : at + tenth] for at in range(0, len(found.resident), tenth)]
    rows = [
        ("what", "value"),
        ("events written", f"{found.written:,}"),
        ("events in Elasticsearch", f"{found.arrived:,}"),
        ("largest resident set in each tenth of the time, MB", ", ".join(f"{max(step):.0f}" for step in steps)),
        ("peak, MB (wanted: < 150)", f"{found.peak:.0f}"),
    ]
    return f"{_SOAK.format(minutes=found.minutes, rate=found.rate)}\n\n{table(rows)}"


_PARTS: dict[str, Callable[[argparse.Namespace], str]] = {"speed": _speeds, "daemon": _daemon, "soak": _soak}

_INTRODUCTION = """\
# Benchmarks of shipping

Written by `make benchmark-shipping` (`python -m benchmarks.shipping --write`); do not edit by hand. Elasticsearch runs
on the same machine, one node with a heap of 512 MB.

## Host
"""

_SPEED = """\
## Documents a second

A log of {size} MB (Asterisk 22, PJSIP logger), of which `siplogs ship` is the whole process from its start to its end:
reading, parsing, explaining, sending, state. Beside it `elasticsearch.helpers.parallel_bulk` with its defaults, which
has nothing to do but send the same documents: ready-made JSON that it merely passes on, or dicts, as it is usually
called. In turn, each with a new index; medians of the rounds, ratios are medians of the rounds' own (wanted: at least
0.80). Where server and client share all cores, each takes from the other; with cores of its own the server is as in
most installations, where it is another machine."""

_DAEMON = """\
## The daemon

`siplogs tail`: from writing an event into the log until a search finds it (Elasticsearch itself refreshes once a
second), 20 samples each; and what it costs while nothing happens, beside thirty rotated logs."""

_SOAK = """\
## Soak

`siplogs tail` for {minutes:g} minutes while {rate:,} events a second are written."""


def main() -> int:
    """Measure and show; 2 when there is no server to measure with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shipping", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=ROOT / "tests" / "corpus", help="folder of the recorded loads")
    parser.add_argument("--size", type=int, default=50, metavar="MB", help="size of the log that is shipped (50)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are reported (3)")
    parser.add_argument("--idle", type=float, default=60, metavar="SECONDS", help="how long the idle daemon runs (60)")
    parser.add_argument("--soak", type=float, default=20, metavar="MINUTES", help="length of the soak (20)")
    parser.add_argument("--rate", type=int, default=2000, help="events a second under load (2000)")
    parser.add_argument("--only", choices=_PARTS, help="only this part")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks-shipping.md")
    given = parser.parse_args()
    try:
        parts = [part(given) for name, part in _PARTS.items() if given.only in (None, name)]
    except OSError as error:
        _say(f"benchmarks: {error}")
        return 2
    print("\n\n".join(parts))
    if given.write:
        page = DOCUMENT.read_text(encoding="utf-8") if given.only else _INTRODUCTION
        for part in (*parts, "## Host\n\n" + table(host())):
            page = replaced(page, part, "## Host")
        DOCUMENT.write_text(page.rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
