"""How fast siplogs ships, beside the bare client; what its daemon costs, and how soon an event can be searched.

    python -m benchmarks.shipping --elasticsearch http://127.0.0.1:9200      an Elasticsearch for this alone
    python -m benchmarks.shipping --elasticsearch URL --soak 20              minutes at --rate events a second

Everything runs against the same server, in turn: a whole `siplogs ship` process from its start to its end, and
`elasticsearch.helpers.parallel_bulk` with its defaults, which is handed the same documents as ready-made JSON.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from elasticsearch import ApiError, Elasticsearch
from elasticsearch.helpers import parallel_bulk

from benchmarks.loads import LOADS, prepare
from benchmarks.measure import DATA, ROOT
from siplogs.outputs.elasticsearch import document
from siplogs.pipeline import ReadOptions, read_events
from siplogs.sources import find

OPTIONS = ReadOptions(timezone="UTC", host="pbx")
TICKS = os.sysconf("SC_CLK_TCK")
TENTHS = 10


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


def speed(bench: Bench, log: Path, rounds: int) -> dict[str, float]:
    """Documents a second of both, medians of some rounds in turn."""
    shutil.copy(log, bench.live)
    documents = [document(event) for event in read_events(find([str(bench.live)], warn=print), OPTIONS)]
    ready: list[Any] = documents  # what parallel_bulk takes is up to its callback
    shipped: list[float] = []
    bare: list[float] = []
    for _ in range(rounds):
        bench.wipe()
        shipped.append(len(documents) / bench.run("ship"))
        bench.wipe()
        begun = time.perf_counter()
        good = sum(ok for ok, _ in parallel_bulk(bench.client, ready, expand_action_callback=_ready_made))
        if good != len(documents):
            raise SystemExit("parallel_bulk did not create all documents")
        bare.append(good / (time.perf_counter() - begun))
    parsed = time.perf_counter()
    for _ in map(document, read_events(find([str(bench.live)], warn=print), OPTIONS)):
        pass
    parsed = time.perf_counter() - parsed
    ratio = median(one / other for one, other in zip(shipped, bare, strict=True))
    return {
        "documents": len(documents),
        "bytes a document": round(sum(len(one.body) for one in documents) / len(documents)),
        "ship, documents/s": round(median(shipped)),
        "parallel_bulk, documents/s": round(median(bare)),
        "ratio": round(ratio, 2),
        "reading alone, documents/s": round(len(documents) / parsed),
    }


def idle(bench: Bench, seconds: float) -> dict[str, float]:
    """Share of a core that a daemon takes that follows a quiet log with thirty rotations."""
    bench.wipe()
    bench.live.write_bytes(_entry(1) * 50)
    for number in range(1, 31):
        archive = bench.folder / f"full.{number}.gz"
        subprocess.run(["gzip", "-c", bench.live], stdout=archive.open("wb"), check=True)
        bench.live.write_bytes(_entry(number * 100) * 50)
    with bench.tail() as process:
        time.sleep(20)
        before = _cpu(process.pid)
        time.sleep(seconds)
        share = (_cpu(process.pid) - before) / seconds
    return {"idle, % of a core": round(100 * share, 2)}


def latency(bench: Bench, samples: int) -> dict[str, float]:
    """Seconds from writing an event to finding it by a search, on a quiet log and at 2,000 events a second."""
    _clear(bench)
    bench.live.write_bytes(_entry(0))
    found: dict[str, float] = {}
    with bench.tail():
        while bench.count() == 0:
            time.sleep(0.1)
        quiet = [_searchable(bench, number) for number in range(1, samples + 1)]
        with _load(bench.live, 2000):
            time.sleep(3)
            busy = [_searchable(bench, 10_000_000 + number) for number in range(samples)]
    for name, seconds in (("quiet", quiet), ("2,000 events/s", busy)):
        found[f"latency {name}, median s"] = round(median(seconds), 2)
        found[f"latency {name}, longest s"] = round(max(seconds), 2)
    return found


def soak(bench: Bench, minutes: float, rate: int) -> dict[str, float]:
    """Memory of the daemon over time while events are written at a steady rate, and whether all arrived."""
    _clear(bench)
    bench.live.touch()
    resident: list[float] = []
    with bench.tail() as process:
        end = time.monotonic() + minutes * 60
        with _load(bench.live, rate) as written:
            while time.monotonic() < end:
                time.sleep(min(30.0, max(minutes * 6, 1)))
                resident.append(_status(process.pid, "VmRSS"))
                print(
                    f"{len(resident):4} {resident[-1]:6.1f} MB, {written[0]} written, {bench.count()} searchable",
                    flush=True,
                )
        while bench.count() < written[0]:
            time.sleep(0.5)
        quarter = max(len(resident) // 4, 1)
        return {
            "events": written[0],
            "arrived": bench.count(),
            "RSS after the first quarter, MB": round(max(resident[:quarter]), 1),
            "RSS in the last quarter, MB": round(max(resident[-quarter:]), 1),
            "peak RSS, MB": round(_status(process.pid, "VmHWM"), 1),
        }


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


def show(figures: dict[str, float]) -> None:
    """Print figures as JSON."""
    print(json.dumps(figures, indent=2), flush=True)


def main() -> int:
    """Measure and show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shipping", description=__doc__)
    parser.add_argument("--elasticsearch", metavar="URL", required=True, help="a server whose siplogs-events-* may go")
    parser.add_argument("--corpus", type=Path, default=ROOT / "tests" / "corpus", help="folder of the recorded loads")
    parser.add_argument("--size", type=int, default=50, metavar="MB", help="size of the log that is shipped (50)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are reported (3)")
    parser.add_argument("--idle", type=float, default=60, metavar="SECONDS", help="how long the idle daemon runs (60)")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="only this: memory under a steady load")
    parser.add_argument("--rate", type=int, default=2000, help="events a second of the soak (2000)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(given.elasticsearch, Path(folder))
        if given.soak:
            show(soak(bench, given.soak, given.rate))
        else:
            show(speed(bench, prepare(LOADS[0], given.size * 1_000_000, given.corpus, DATA), given.rounds))
            show(idle(bench, given.idle))
            show(latency(bench, 20))
    return 0


if __name__ == "__main__":
    sys.exit(main())
