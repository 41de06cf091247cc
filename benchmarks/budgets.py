"""The budgets of siplogs, and what the session says about each."""

from dataclasses import dataclass

from benchmarks.loads import MEGABYTE
from benchmarks.measure import typical
from benchmarks.session import Growth, Session
from benchmarks.tools import ALL_CORES, FSLOG, LNAV, ONE_PROCESS

DENSE = ("pjsip", "chan_sip")
DENSE_EVENTS_PER_SECOND = 60_000
DENSE_RATE = 50
QUIET_RATE = 500
FSLOG_TIMES = 1.5
LNAV_TIMES = 1 / 3
EXPLAIN_CPU = 0.2
PEAK = 150
KNOWLEDGE_SHARE = 0.1
LINEAR_TIMES = 1.15
"""How much more CPU time a byte may cost in the largest file than in the second largest one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One budget: what is wanted, what was measured, and whether that is met (None: not measured)."""

    budget: str
    wanted: str
    measured: str
    met: bool | None


def verdicts(session: Session) -> list[Verdict]:
    """Return a verdict for every budget."""
    return [
        *_dense(session),
        _quiet(session),
        *_against_others(session),
        _explain(session),
        _memory(session),
        *(_linear(growth) for growth in session.growths),
        _knowledge(session),
    ]


def _missing(budget: str, wanted: str) -> Verdict:
    return Verdict(budget, wanted, "not measured", None)


def _largest(growth: Growth) -> tuple[int, float, int] | None:
    """Return bytes, typical wall seconds and events of the largest file that was measured."""
    measured = [size for size, costs in growth.costs.items() if costs]
    if growth.problem or not measured:
        return None
    size = max(measured)
    return size, typical(growth.costs[size]).wall, growth.events[size]


def _dense(session: Session) -> list[Verdict]:
    found = []
    for growth in (g for g in session.growths if g.load.key in DENSE):
        names = (f"{growth.load.key}: events, one process", f"{growth.load.key}: bytes, one process")
        wanted = (f"≥ {DENSE_EVENTS_PER_SECOND:,} events/s", f"≥ {DENSE_RATE} MB/s")
        largest = _largest(growth)
        if largest is None:
            found += [_missing(name, want) for name, want in zip(names, wanted, strict=True)]
            continue
        size, wall, events = largest
        rate, speed = events / wall, size / MEGABYTE / wall
        found.append(Verdict(names[0], wanted[0], f"{rate:,.0f} events/s", rate >= DENSE_EVENTS_PER_SECOND))
        found.append(Verdict(names[1], wanted[1], f"{speed:.0f} MB/s", speed >= DENSE_RATE))
    return found


def _quiet(session: Session) -> Verdict:
    budget, wanted = "hardly any SIP, one process", f"≥ {QUIET_RATE} MB/s"
    for comparison in (c for c in session.comparisons if c.load.key == "quiet"):
        cost = comparison.row(ONE_PROCESS).cost()
        if cost:
            speed = comparison.size / MEGABYTE / cost.wall
            return Verdict(budget, wanted, f"{speed:.0f} MB/s", speed >= QUIET_RATE)
    return _missing(budget, wanted)


def _against_others(session: Session) -> list[Verdict]:
    found = []
    for comparison in session.comparisons:
        for other, times in ((FSLOG, FSLOG_TIMES), (LNAV, LNAV_TIMES)):
            if not other.fits(comparison.load):
                continue
            budget = f"{comparison.load.key}: all cores against {other.name}"
            wanted = f"≤ {times:.2f} × its wall time"
            ratio = comparison.ratio(ALL_CORES, other)
            if ratio is None:
                found.append(_missing(budget, wanted))
            else:
                found.append(Verdict(budget, wanted, f"{ratio:.2f} ×", ratio <= times))
    return found


def _explain(session: Session) -> Verdict:
    budget, wanted = "start-up: siplogs explain 486", f"≤ {EXPLAIN_CPU} s of CPU"
    if not session.explain:
        return _missing(budget, wanted)
    cpu = typical(session.explain).cpu
    return Verdict(budget, wanted, f"{cpu:.3f} s", cpu <= EXPLAIN_CPU)


def _memory(session: Session) -> Verdict:
    budget, wanted = "peak memory of a process, any size", f"≤ {PEAK} MB"
    peaks = [
        cost.peak
        for comparison in session.comparisons
        for tool in (ONE_PROCESS, ALL_CORES)
        for cost in comparison.row(tool).costs
    ]
    peaks += [cost.peak for growth in session.growths for costs in growth.costs.values() for cost in costs]
    if not peaks:
        return _missing(budget, wanted)
    peak = max(peaks) / MEGABYTE
    return Verdict(budget, wanted, f"{peak:.0f} MB", peak <= PEAK)


def _linear(growth: Growth) -> Verdict:
    sizes = sorted(size for size, costs in growth.costs.items() if costs)
    budget = f"{growth.load.key}: linear in size"
    if growth.problem or len(sizes) < 2:
        return _missing(budget, f"CPU a byte ≤ {LINEAR_TIMES} × that of a smaller file")
    before, last = sizes[-2:]
    times = (typical(growth.costs[last]).cpu / last) / (typical(growth.costs[before]).cpu / before)
    wanted = f"CPU a byte at {last // MEGABYTE} MB ≤ {LINEAR_TIMES} × that at {before // MEGABYTE} MB"
    return Verdict(budget, wanted, f"{times:.2f} ×", times <= LINEAR_TIMES)


def _knowledge(session: Session) -> Verdict:
    budget, wanted = "the knowledge base in a scan", f"≤ {KNOWLEDGE_SHARE:.0%} of its time"
    if not session.shares:
        return _missing(budget, wanted)
    share = max(one.whole for one in session.shares)
    return Verdict(budget, wanted, f"{share:.1%}", share <= KNOWLEDGE_SHARE)
