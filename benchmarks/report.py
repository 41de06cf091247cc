"""Turns a session into the text of docs/benchmarks.md; the terminal shows the same."""

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.budgets import verdicts
from benchmarks.index_size import section
from benchmarks.loads import MEGABYTE
from benchmarks.measure import Cost, typical
from benchmarks.page import Table, table
from benchmarks.session import EXPLAIN, Comparison, Growth, Row, Session
from benchmarks.tools import ALL_CORES, ONE_PROCESS, TOOLS, shown, siplogs

_INTRODUCTION = """\
# Benchmarks

Written by `make benchmark` (`python -m benchmarks --write`); do not edit by hand.

All tools ran in one session on the same files, in turn (A B C, A B C, …), so that a machine whose speed drifts
drifts for all of them. Seconds are medians over the rounds, ratios are medians of the rounds' own ratios, memory is
the largest resident set of any single process of the tool in any round. Files were in the page cache; output went
to `/dev/null`. MB are 1e6 bytes. Read what each tool does *not* do before comparing."""

_READING = """\
- **ripgrep** is the floor: nothing that looks at every byte is much faster, and it does no more than count.
- **lnav** is measured twice. With `:filter-in` it does what one would use it for here: it prints the entries that
  hold SIP, and the budget is against that. The other way only reads and indexes, and tells how many entries there are.
- **pygrok loop** is what a script in Python would do (`benchmarks/pygrok_loop.py`).
- **fslog** reads FreeSWITCH logs only, in one process, and takes no SIP message apart.
- Peak memory includes what a tool maps of the file and touches (ripgrep maps it whole)."""

_KNOWLEDGE = """\
The same log read in one process with and without asking the knowledge base, in turn; the fastest of several rounds
each. The documents with its texts are larger, so that writing them is part of the cost."""


def document(session: Session) -> str:
    """Return the whole document, in Markdown."""
    return "\n\n".join(
        [
            _INTRODUCTION,
            "## Budgets\n\n" + table(_budgets(session)),
            "## Host\n\n" + table(_host(session)),
            "## Tools\n\n" + table(_tools(session)),
            "## Files\n\n" + table(_files(session)),
            "## Side by side\n\n" + _READING,
            *(_comparison(comparison) for comparison in session.comparisons),
            "## Growing files: siplogs, one process\n\n" + table(_growths(session)),
            "## Start-up\n\n" + table(_start_up(session)),
            "## The knowledge base in a scan\n\n" + _KNOWLEDGE + "\n\n" + table(_shares(session)),
            section(session.sizes, session.sizes_problem).rstrip("\n"),
            _commands(session),
        ]
    ).replace("\n\n\n", "\n\n")


def _budgets(session: Session) -> Table:
    words = {True: "yes", False: "**no**", None: "not measured"}
    found = verdicts(session)
    return [("budget", "wanted", "measured", "met"), *((v.budget, v.wanted, v.measured, words[v.met]) for v in found)]


def _host(session: Session) -> Table:
    yardstick, runs = session.yardstick, session.plan.runs
    return [
        *host(f", {runs} run{'s' * (runs > 1)} each"),
        (
            "yardstick: header lines by split + partition, plain Python",
            f"{median(yardstick):.0f} MB/s ({min(yardstick):.0f} to {max(yardstick):.0f} during the session)",
        ),
    ]


def host(runs: str = "") -> list[Sequence[str]]:
    """Return rows of what the machine is, and when it was measured."""
    return [
        ("what", "value"),
        ("processor", _processor()),
        ("cores", str(len(os.sched_getaffinity(0)))),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"),
        ("system", f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("measured", f"{datetime.now(UTC):%Y-%m-%d}{runs}"),
    ]


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _tools(session: Session) -> Table:
    return [
        ("tool", "version", "what it does here", "what it does not do"),
        *(
            (tool.name, session.versions[tool.name] or f"missing: `{tool.install}`", tool.does, tool.lacks)
            for tool in TOOLS
        ),
    ]


def _files(session: Session) -> Table:
    rows = [("name", "what", "recorded as", "bytes", "events")]
    for comparison in session.comparisons:
        load, events = comparison.load, comparison.row(ONE_PROCESS).found
        rows.append(
            (
                load.key,
                load.title,
                f"`{load.source}`" if load.source else "generated, fixed seed",
                f"{comparison.size:,}",
                "–" if events is None else f"{events:,}",
            )
        )
    return rows


def _comparison(comparison: Comparison) -> str:
    head = (
        "tool", "wall s", "CPU s", "MB/s", "found", "found/s", "peak MB",
        "siplogs one process takes", "siplogs all cores takes",
    )  # fmt: skip
    rows = [head, *(_row(comparison, row) for row in comparison.rows)]
    title = f"### {comparison.load.key}: {comparison.load.title}, {comparison.size / MEGABYTE:.0f} MB"
    problems = [f"- {row.tool.name}: {row.problem}" for row in comparison.rows if row.problem]
    return "\n\n".join([title, table(rows), *(["\n".join(problems)] if problems else [])])


def _short(row: Row) -> str:
    return "missing" if row.problem.startswith("missing") else "failed"


def _row(comparison: Comparison, row: Row) -> Sequence[str]:
    cost = row.cost()
    if cost is None:
        return (row.tool.name, _short(row), *["–"] * 7)
    ratios = [comparison.ratio(ours, row.tool) for ours in (ONE_PROCESS, ALL_CORES)]
    return (
        row.tool.name,
        f"{cost.wall:.2f}",
        f"{cost.cpu:.2f}",
        f"{comparison.size / MEGABYTE / cost.wall:.0f}",
        "–" if row.found is None else f"{row.found:,} {row.tool.unit}",
        "–" if row.found is None else f"{row.found / cost.wall:,.0f}",
        f"{cost.peak / MEGABYTE:.0f}",
        *("–" if ratio is None else f"{ratio:.2f} × its time" for ratio in ratios),
    )


def _growths(session: Session) -> Table:
    rows: list[Sequence[str]] = [
        ("name", "MB", "events", "wall s", "CPU s", "MB/s", "events/s", "peak MB", "CPU a byte, smallest = 1")
    ]
    for growth in session.growths:
        rows += (
            [(growth.load.key, f"failed: {growth.problem}", *["–"] * 7)] if growth.problem else list(_growth(growth))
        )
    return rows


def _growth(growth: Growth) -> Iterator[Sequence[str]]:
    smallest = min(growth.costs)
    base = typical(growth.costs[smallest]).cpu / smallest
    for size, costs in growth.costs.items():
        cost, events = typical(costs), growth.events[size]
        yield (
            growth.load.key,
            f"{size / MEGABYTE:.0f}",
            f"{events:,}",
            f"{cost.wall:.2f}",
            f"{cost.cpu:.2f}",
            f"{size / MEGABYTE / cost.wall:.0f}",
            f"{events / cost.wall:,.0f}",
            f"{cost.peak / MEGABYTE:.0f}",
            f"{cost.cpu / size / base:.2f}",
        )


def _start_up(session: Session) -> Table:
    def line(name: str, costs: Sequence[Cost]) -> Sequence[str]:
        if not costs:
            return (name, "not measured", "–", "–")
        cost = typical(costs)
        return (name, f"{cost.cpu:.3f}", f"{cost.wall:.3f}", f"{cost.peak / MEGABYTE:.0f}")

    return [
        ("command", "CPU s", "wall s", "peak MB"),
        line(f"`{shown(siplogs(*EXPLAIN))}`", session.explain),
        line("`python -c pass`, for comparison", session.bare_python),
    ]


def _shares(session: Session) -> Table:
    rows: list[Sequence[str]] = [("name", "events", "with knowledge", "share of the time", "without writing")]
    for one in session.shares:
        known = f"{one.explained / max(one.events, 1):.0%}"
        rows.append((one.key, f"{one.events:,}", known, f"{one.whole:.1%}", f"{one.reading:.1%}"))
    return rows if len(rows) > 1 else [*rows, ("not measured", *["–"] * 4)]


def _commands(session: Session) -> str:
    lines = []
    for comparison in session.comparisons:
        lines.append(f"# {comparison.load.key}")
        lines += [f"{row.command} > /dev/null" for row in comparison.rows]
    installs = dict.fromkeys(tool.install for tool in TOOLS)
    parts = ("## The exact commands", _fenced(lines), "The tools are installed by:", _fenced(installs))
    return "\n\n".join(parts) + "\n"


def _fenced(lines: Sequence[str] | dict[str, None]) -> str:
    return "\n".join(["```sh", *lines, "```"])
