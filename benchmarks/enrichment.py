"""What the knowledge base costs a scan: the same log read and written as JSON with and without asking it.

Both ways run in one process, in turn, so that the ratio does not depend on the machine. With the knowledge base the
documents are larger, too: writing its texts is part of the cost.
"""

import json
import sys
from dataclasses import dataclass
from time import process_time

from msgspec.structs import replace

from benchmarks.measure import ROOT, run
from siplogs.model import Explanation
from siplogs.outputs import make_renderer
from siplogs.pipeline import Part, Reading, ReadOptions, engine
from siplogs.sources import Source

ROUNDS = 7


class Ignorance:
    """A knowledge base that knows nothing."""

    def explanation(self, code: int, method: str, direction: str, stack: str) -> Explanation | None:
        """Explain no response code."""

    def term(self, kind: str, text: str, stack: str) -> Explanation | None:
        """Explain nothing else either."""


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a scan's CPU time goes into knowledge: in all, and without the writing of its texts."""

    key: str
    events: int
    explained: int
    whole: float
    reading: float


def measure_share(key: str, path: str) -> Share:
    """Measure one load in a process of its own; CommandError when that fails."""
    _, said = run([sys.executable, "-m", "benchmarks.enrichment", str(ROOT / path)], keep=True)
    return Share(key, **json.loads(said.splitlines()[0]))


def _cost(path: str, options: ReadOptions, *, written: bool) -> float:
    render = make_renderer("ndjson").event
    started = process_time()
    for event in Reading(Part(Source.of(path)), options):
        if written:
            render(event)
    return process_time() - started


def _share(path: str, knowing: ReadOptions, ignorant: ReadOptions, *, written: bool) -> float:
    """Return the share of the time that is not needed without knowledge, by the fastest round of each way."""
    costs = [[_cost(path, way, written=written) for way in (knowing, ignorant)] for _ in range(ROUNDS)]
    with_, without = (min(way) for way in zip(*costs, strict=True))
    share: float = 1 - without / with_
    return share


def main(path: str) -> None:
    """Print the shares of one log as JSON."""
    knowing = ReadOptions()
    ignorant = replace(knowing, host="ignorant")
    engine(ignorant).knowledge = Ignorance()  # type: ignore[assignment]
    explained = [event.siplogs.reason is not None for event in Reading(Part(Source.of(path)), knowing)]
    _cost(path, ignorant, written=True)
    shares = {"whole": True, "reading": False}
    answer = {name: _share(path, knowing, ignorant, written=written) for name, written in shares.items()}
    print(json.dumps({"events": len(explained), "explained": sum(explained), **answer}))


if __name__ == "__main__":
    main(*sys.argv[1:])
