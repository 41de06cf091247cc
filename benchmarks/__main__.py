"""`python -m benchmarks`: measure, show, and with --write keep the figures in docs/benchmarks.md."""

import argparse
import sys
from pathlib import Path

from benchmarks.loads import LOADS, MEGABYTE, LoadError
from benchmarks.measure import ROOT
from benchmarks.report import document
from benchmarks.session import Plan, measure

DOCUMENT = ROOT / "docs" / "benchmarks.md"
_KEYS = tuple(load.key for load in LOADS)
_QUICK = {"runs": 1, "size": 5, "quiet_size": 20, "sizes": [1, 5, 20]}
_USUAL = {"runs": 3, "size": 0, "quiet_size": 500, "sizes": [5, 50, 500]}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=ROOT / "tests" / "corpus", help="folder of the recorded loads")
    parser.add_argument("--runs", type=int, help="rounds; medians are reported (3)")
    parser.add_argument(
        "--size", type=int, metavar="MB", help="repeat or cut the recorded loads to this (0: as recorded)"
    )
    parser.add_argument("--quiet-size", type=int, metavar="MB", help="size of the log with hardly any SIP (500)")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="MB", help="sizes of the growing files (5 50 500)")
    parser.add_argument("--loads", nargs="+", choices=_KEYS, default=list(_KEYS), help="only these")
    parser.add_argument("--quick", action="store_true", help="small files, one run: to try the harness, not to publish")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    given = parser.parse_args()
    if given.quick and given.write:
        parser.error("--quick is for trying the harness; its figures are not to be published: leave out --write")
    return given


def _plan(given: argparse.Namespace) -> Plan:
    chosen = {**(_QUICK if given.quick else _USUAL), **{k: v for k, v in vars(given).items() if v is not None}}
    return Plan(
        corpus=chosen["corpus"],
        runs=chosen["runs"],
        size=chosen["size"] * MEGABYTE,
        quiet_size=chosen["quiet_size"] * MEGABYTE,
        sizes=tuple(sorted(size * MEGABYTE for size in chosen["sizes"])),
        loads=tuple(chosen["loads"]),
    )


def main() -> int:
    """Run the session; 0 when it could be measured (met budgets or not), 2 when a recording is missing."""
    given = _arguments()
    try:
        text = document(measure(_plan(given)))
    except LoadError as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        return 2
    print(text)
    if given.write:
        DOCUMENT.write_text(text, encoding="utf-8")
        sys.stderr.write(f"written: {DOCUMENT.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
