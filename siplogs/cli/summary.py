"""What a scan found, in a few lines: responses by code with meaning and first fix, and where the bytes went."""

import textwrap
from collections import Counter
from collections.abc import Iterator

from siplogs.model import Explanation
from siplogs.outputs.text import RESET, clean
from siplogs.parallel import Job, Tally
from siplogs.pipeline import engine

_BOLD, _DIM, _RED, _GREEN, _YELLOW = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"


Context = tuple[int, str, str, str]
Row = tuple[int, int, Counter[Context], Explanation | None]


def summary_lines(tally: Tally, job: Job) -> Iterator[str]:
    """Yield the summary: failures first with meaning and first fix, then the other codes in one line each."""
    counted = tally.responses or tally.lines_with_code
    what = "Responses" if tally.responses else "Codes in log lines"
    yield _paint(job, _BOLD, f"{tally.matched} events shown, {sum(counted.values())} {what.lower()} by code")
    by_code: dict[int, Counter[Context]] = {}
    for key, count in counted.items():
        by_code.setdefault(key[0], Counter())[key] += count
    explain = engine(job.options).knowledge.explanation
    failed: list[Row] = []
    fine: list[Row] = []
    for code, contexts in by_code.items():
        entry = explain(*contexts.most_common(1)[0][0])
        (failed if entry is not None and entry.failure else fine).append((contexts.total(), code, contexts, entry))
    for row in sorted(failed, key=lambda row: (-row[0], row[1])):
        yield from _failure(job, row)
    if fine:
        yield _paint(job, _DIM, "Not failures:")
        texts = [
            f"{total} × {code} {entry.phrase if entry else ''}"
            for total, code, _, entry in sorted(fine, key=lambda f: f[1])
        ]
        yield from textwrap.wrap(", ".join(texts), max(40, job.width - 2), initial_indent="  ", subsequent_indent="  ")
    if failed:
        yield ""
        code = max(failed)[1]
        yield _paint(job, _DIM, f"More: siplogs explain {code}   One call: siplogs scan --call-id BEGINNING PATH")


def _failure(job: Job, row: Row) -> Iterator[str]:
    total, code, contexts, entry = row
    methods: Counter[str] = Counter()
    for (_, method, direction, _), count in contexts.items():
        methods[f"{method or '?'} {direction}"] += count
    shown = ", ".join(f"{count} {name}" for name, count in methods.most_common(4))
    color = _RED if code >= 500 else _YELLOW
    phrase, meaning, fixes = (entry.phrase, entry.meaning, entry.fixes) if entry is not None else ("", "", [])
    yield f"{total:6} × {_paint(job, color, f'{code} {phrase}')}  {_paint(job, _DIM, f'({shown})')}"
    wrapped = max(40, job.width - 10)
    yield from (f"         {line}" for line in textwrap.wrap(meaning, wrapped))
    if fixes:
        lines = textwrap.wrap(f"Fix: {fixes[0]}", wrapped, subsequent_indent="     ")
        yield from (f"         {_paint(job, _GREEN, line)}" for line in lines)


def _paint(job: Job, style: str, text: str) -> str:
    return f"{style}{text}{RESET}" if job.color else text


def nothing_lines(tally: Tally, job: Job) -> Iterator[str]:
    """Yield what to say when a log holds no SIP message: logging is off, or nothing here can read it."""
    packs = engine(job.options).packs
    lines = f"{tally.accounting.lines:,}"
    if tally.products:
        for product in tally.products:
            switches = [pack.data.off for pack in packs.values() if pack.product == product and pack.data.off]
            yield f"no SIP messages in {lines} lines: SIP logging seems to be off; switch it on with " + ", or ".join(
                switches
            )
        return
    if not tally.accounting.read:
        return
    yield f"no SIP messages in {lines} lines, and no pattern pack fits; tried {', '.join(sorted(packs))}; it begins:"
    from siplogs.enrich.redaction import redact

    for line in redact(tally.head).splitlines()[:3]:
        yield f"  {clean(line.decode('utf-8', 'replace'))[:120]}"


def accounting_lines(tally: Tally) -> Iterator[str]:
    """Yield where every byte of the logs went."""
    accounting = tally.accounting
    yield f"read         {accounting.read:>15,} bytes, {accounting.lines:,} lines"
    yield f"in records   {accounting.in_records:>15,} bytes"
    yield f"skipped      {accounting.skipped:>15,} bytes"
    yield f"events       {tally.events:>15,} found, {tally.matched:,} shown"
    for reason, count in sorted(accounting.reasons.items()):
        yield f"{reason:12} {count:>15,} SIP-looking places"
    for rule, count in sorted(accounting.rules.items(), key=lambda item: -item[1]):
        yield f"  {rule:40} {count:>12,}"
