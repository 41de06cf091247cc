"""What a scan found, in a few lines: responses by code with meaning and first fix, and where the bytes went."""

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from siplogs.enrich.redaction import redact
from siplogs.model import Explanation
from siplogs.outputs.text import RESET, clean
from siplogs.packs import Pack
from siplogs.parallel import Context, Job, Tally
from siplogs.pipeline import engine

_BOLD, _DIM, _RED, _GREEN, _YELLOW = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"

SEEN: Final = 0.02
"""Places that look like SIP, as a share of the lines, above which messages are there though none could be read."""

_LINES_SHOWN: Final = 3
_LINE_WIDTH: Final = 120

Row = tuple[int, int, Counter[Context], Explanation | None]


def summary_lines(tally: Tally, job: Job) -> Iterator[str]:
    """Yield the summary: failures first with meaning and first fix, then the other codes in one line each."""
    counted = tally.responses or tally.lines_with_code
    what = "Responses" if tally.responses else "Codes in log lines"
    yield _paint(job, _BOLD, f"{tally.matched} events shown, {sum(counted.values())} {what.lower()} by code")
    by_code: dict[tuple[int, bool], Counter[Context]] = {}
    for key, count in counted.items():
        by_code.setdefault((key[0], key[-1]), Counter())[key] += count
    explain = engine(job.options).knowledge.explanation
    failed: list[Row] = []
    fine: list[Row] = []
    for (code, is_failure), contexts in by_code.items():
        _, method, side, stack, _ = contexts.most_common(1)[0][0]
        row = contexts.total(), code, contexts, explain(code, method, side, stack)
        (failed if is_failure else fine).append(row)
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
    for (_, method, side, _, _), count in contexts.items():
        methods[" ".join(filter(None, (method, side))) or "of an unknown request"] += count
    shown = ", ".join(f"{count} {name}" for name, count in methods.most_common(4))
    color = _RED if code >= 500 else _YELLOW
    phrase, meaning, fixes = (entry.phrase, entry.meaning, entry.fixes) if entry is not None else ("", "", [])
    if entry is not None and not entry.failure:
        meaning = f"{code} alone is no failure, but here the log tells of one."
        fixes = [f"see the lines: siplogs scan --failures --code {code} PATH"]
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
    accounting = tally.accounting
    places = accounting.reasons["unknown-shape"]
    none = f"no SIP messages in {accounting.lines:,} lines"
    if tally.products and places > accounting.lines * SEEN:
        seen = f"but {places:,} places look like SIP in a shape that no pattern pack knows"
        yield f"no SIP messages could be read in {accounting.lines:,} lines, {seen}; the first:"
        yield from _beginning(tally.head)
    elif tally.products:
        for product in tally.products:
            switches = _switches(tally, [pack for pack in packs.values() if pack.product == product])
            remedy = f"switch it on with {', or '.join(switches)}" if switches else "read with all pattern packs"
            yield f"{none}: SIP logging seems to be off; {remedy}"
    elif accounting.read:
        yield f"{none}, and no pattern pack fits; tried {', '.join(sorted(packs))}; it begins:"
        yield from _beginning(tally.head)


def _switches(tally: Tally, packs: Sequence[Pack]) -> list[str]:
    """Say how messages are switched on: for the drivers that the log has lines of, else for all, the newest first."""
    seen: Counter[bytes] = Counter()
    for rule in (rule for pack in packs for rule in pack.rules):
        seen[rule.constants.get("provider", b"")] += tally.accounting.rules[rule.key]
    able = [pack for pack in packs if pack.data.off and any(rule.is_message for rule in pack.rules)]

    def lines(pack: Pack) -> int:
        providers = {pack.data.provider.encode(), *(rule.constants.get("provider", b"") for rule in pack.rules)}
        return sum(seen[provider] for provider in providers - {b""})

    def likelihood(pack: Pack) -> tuple[int, int]:
        return lines(pack), max(map(int, re.findall(r"\d+", pack.data.versions)), default=0)

    meant = [pack for pack in able if lines(pack)] or able
    return [pack.data.off for pack in sorted(meant, key=likelihood, reverse=True)]


def unknown_lines(tally: Tally) -> Iterator[str]:
    """Yield a line on each log that no pattern pack fits."""
    for path, head in tally.unknown:
        first = next((line.strip() for line in _beginning(head) if line.strip()), "blank lines")
        yield f"{path}: no pattern pack fits; it begins: {first}"


def _beginning(head: bytes) -> Iterator[str]:
    for line in redact(head).splitlines()[:_LINES_SHOWN]:
        yield f"  {clean(line.decode('utf-8', 'replace'))[:_LINE_WIDTH]}"


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
