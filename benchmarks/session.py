"""One benchmark session: every tool on every load in turn, siplogs at growing sizes, start-up, and the yardstick."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.enrichment import Share, measure_share
from benchmarks.index_size import Size, index_sizes
from benchmarks.loads import LOADS, MEGABYTE, Load, prepare
from benchmarks.measure import DATA, ROOT, CommandError, Cost, count_lines, run, typical
from benchmarks.tools import ALL_CORES, ONE_PROCESS, TOOLS, Tool, shown, siplogs
from siplogs.errors import SiplogsError

EXPLAIN = ("explain", "486")
_STARTUP_RUNS = 7


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: sizes in bytes (`size` 0: loads as recorded), and how often (the medians are reported)."""

    corpus: Path
    runs: int
    size: int
    quiet_size: int
    sizes: tuple[int, ...]
    loads: tuple[str, ...]


@dataclass(slots=True)
class Row:
    """One tool on one load: its runs, how many things it found, or the `problem` that kept it out."""

    tool: Tool
    command: str
    costs: list[Cost] = field(default_factory=list)
    found: int | None = None
    problem: str = ""

    def cost(self) -> Cost | None:
        """Return the typical cost, or None when the tool did not run."""
        return typical(self.costs) if self.costs and not self.problem else None


@dataclass(slots=True)
class Comparison:
    """All tools on one file of `size` bytes."""

    load: Load
    path: str
    size: int
    rows: list[Row]

    def row(self, tool: Tool) -> Row:
        """Return the row of a tool that fits this load."""
        return next(row for row in self.rows if row.tool is tool)

    def ratio(self, tool: Tool, other: Tool) -> float | None:
        """Return how many times the other's wall time a tool took: the median of the rounds' own ratios."""
        ours = next((row for row in self.rows if row.tool is tool), None)
        theirs = next((row for row in self.rows if row.tool is other), None)
        if ours is None or theirs is None or not ours.cost() or not theirs.cost():
            return None
        return median(a.wall / b.wall for a, b in zip(ours.costs, theirs.costs, strict=True))


@dataclass(slots=True)
class Growth:
    """siplogs in one process on one load at growing sizes (bytes)."""

    load: Load
    costs: dict[int, list[Cost]]
    events: dict[int, int]
    problem: str = ""


@dataclass(slots=True)
class Session:
    """Everything that was measured."""

    plan: Plan
    versions: dict[str, str | None]
    comparisons: list[Comparison] = field(default_factory=list)
    growths: list[Growth] = field(default_factory=list)
    explain: list[Cost] = field(default_factory=list)
    bare_python: list[Cost] = field(default_factory=list)
    yardstick: list[float] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    sizes_problem: str = ""


def measure(plan: Plan) -> Session:
    """Measure everything that the plan asks for, saying on stderr what is being done.

    Raises LoadError when a recording is missing. A tool that is missing or fails gets a row that says so.
    """
    session = Session(plan, {tool.name: tool.version() for tool in TOOLS})
    loads = [load for load in LOADS if load.key in plan.loads]
    for load in loads:
        session.yardstick.append(_yardstick())
        session.comparisons.append(_compare(load, plan, session.versions))
    for load in loads:
        session.yardstick.append(_yardstick())
        session.growths.append(_grow(load, plan))
    _start_up(session)
    session.yardstick.append(_yardstick())
    _knowledge(session, loads)
    return session


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _yardstick() -> float:
    _, said = run([sys.executable, "-m", "benchmarks.calibration"], keep=True)
    return float(said.split()[0])


def _size(load: Load, plan: Plan) -> int:
    return plan.size if load.source else plan.quiet_size


def _file(load: Load, size: int, plan: Plan) -> str:
    return str(prepare(load, size, plan.corpus, DATA).relative_to(ROOT))


def _compare(load: Load, plan: Plan, versions: dict[str, str | None]) -> Comparison:
    path = _file(load, _size(load, plan), plan)
    rows = [_row(tool, load, path, versions[tool.name]) for tool in TOOLS if tool.fits(load)]
    _count_events(rows, load, path)
    for turn in range(plan.runs):
        for row in rows:
            _say(f"{load.key}, run {turn + 1} of {plan.runs}: {row.tool.name}{' - ' * bool(row.problem)}{row.problem}")
            _one_run(row, load, path)
    return Comparison(load, path, (ROOT / path).stat().st_size, rows)


def _row(tool: Tool, load: Load, path: str, version: str | None) -> Row:
    problem = "" if version else f"missing: {tool.install}"
    return Row(tool, shown(tool.command(load, path)), problem=problem)


def _count_events(rows: Sequence[Row], load: Load, path: str) -> None:
    """Let siplogs read the file once unmeasured, which also brings the file into the page cache for everybody."""
    ours = [row for row in rows if row.tool in (ONE_PROCESS, ALL_CORES) and not row.problem]
    for row in ours:
        try:
            row.found = count_lines(row.tool.command(load, path))
        except CommandError as error:
            row.problem = str(error)


def _one_run(row: Row, load: Load, path: str) -> None:
    if row.problem:
        return
    counted = row.tool.counted
    try:
        cost, said = run(row.tool.command(load, path), keep=counted is not None, good=row.tool.good)
    except CommandError as error:
        row.problem = str(error)
        return
    row.costs.append(cost)
    match = counted.search(said) if counted else None
    row.found = int(match[1]) if match else 0 if counted else row.found


def _grow(load: Load, plan: Plan) -> Growth:
    paths = {size: _file(load, size, plan) for size in plan.sizes}
    growth = Growth(load, {size: [] for size in paths}, {})
    try:
        growth.events = {size: count_lines(ONE_PROCESS.command(load, path)) for size, path in paths.items()}
        for turn in range(plan.runs):
            for size, path in paths.items():
                _say(f"{load.key}, {size // MEGABYTE} MB, run {turn + 1} of {plan.runs}")
                growth.costs[size].append(run(ONE_PROCESS.command(load, path))[0])
    except CommandError as error:
        growth.problem = str(error)
    return growth


def _start_up(session: Session) -> None:
    for _ in range(_STARTUP_RUNS):
        session.bare_python.append(run([sys.executable, "-c", "pass"])[0])
        try:
            session.explain.append(run(siplogs(*EXPLAIN))[0])
        except CommandError as error:
            _say(str(error))


def _knowledge(session: Session, loads: Sequence[Load]) -> None:
    """Measure what the knowledge base costs: time of a scan, and room in the index."""
    plan = session.plan
    for load in (load for load in loads if load.source):
        _say(f"{load.key}: share of the knowledge base")
        try:
            session.shares.append(measure_share(load.key, _file(load, min(plan.sizes), plan)))
        except CommandError as error:
            _say(str(error))
    try:
        session.sizes = index_sizes(plan.corpus, plan.loads)
    except (SiplogsError, OSError) as error:
        session.sizes_problem = str(error)
