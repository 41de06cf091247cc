"""Runs every shipped pattern on long lines that almost fit it; a process of its own, as one that hangs must be ended.

`python -m tests.packs.near_misses patterns|scan PRODUCT` prints the name of each pattern before it is run.
"""

import sys
from collections.abc import Iterator
from typing import Any

from siplogs.packs.pack import Rule
from tests.packs.recorded import scanned, shipped

SHORT, LONG = 20_000, 200_000
FILLERS = (b" ", b"a", b"1", b"'", b'"', b"(", b",", b" - ", b"[", b"<", b":", b"\\", b"\r")


def lines(sample: bytes, length: int, places: int) -> Iterator[bytes]:
    """Lines that begin as the sample does and then go wrong for long, or that repeat parts of it."""
    step = max(1, len(sample) // places)
    for place in range(0, len(sample), step):
        for filler in {sample[place : place + 1], *(FILLERS if length == SHORT else ())}:
            yield sample[:place] + filler * (length // len(filler)) + sample[place:-1] + b"\x00"
        yield sample[:place] * (length // max(place, 1))


def texts(rule: Rule) -> list[bytes]:
    """The samples' entries without what stands before the text."""
    found = []
    for sample in rule.data.sample:
        log = sample.log.encode()
        prefix = next((match for pattern in rule.prefix.patterns if (match := pattern.match(log))), None)
        found.append(log[prefix.end() if prefix is not None and rule.data.at == "entry" else 0 :])
    return found


def patterns(product: str) -> Iterator[tuple[str, Any, list[bytes]]]:
    """Every pattern of a product as (name, function to call with a line, samples)."""
    packs = [pack for pack in shipped().values() if pack.product == product]
    prefix = packs[0].prefix
    entries = [sample.log.encode() for sample in prefix.samples]
    entries += [pack.rules[0].data.sample[0].log.encode() for pack in packs]
    for pattern in prefix.patterns:
        yield "prefix", pattern.match, entries
    yield "start", prefix.start.search, entries
    if prefix.date is not None:
        yield "date", prefix.date.match, entries
    for pack in packs:
        for rule in pack.rules:
            yield f"{pack.name}/{rule.name}", rule.pattern.match, texts(rule)
            for whole in getattr(rule, "whole", []):
                yield f"{pack.name}/{rule.name} with its prefix", whole.match, [rule.data.sample[0].log.encode()]
            if rule.confirm is not None:
                yield f"{pack.name}/{rule.name} confirm", rule.confirm.match, [b"x: --- (11 headers 10 lines) ---\n"]


def run_patterns(product: str) -> None:
    for name, call, samples in patterns(product):
        print(name, flush=True)
        for sample in samples[:3]:
            for length, places in ((SHORT, 12), (LONG, 3)):
                for line in lines(sample, length, places):
                    call(line)


def run_scan(product: str) -> None:
    """One line that holds a literal very often, with and without an entry's beginning before each."""
    rules = [rule for pack in shipped().values() if pack.product == product for rule in pack.rules]
    entry = next(iter(rules)).prefix.samples[0].log.encode()
    for literal in sorted({rule.literal for rule in rules}, key=len)[:20]:
        for piece in (literal, entry + literal, literal + entry):
            print(piece, flush=True)
            scanned(piece * (LONG // len(piece)), product)
            scanned(entry + piece * (LONG // len(piece)) + b"\n", product)


if __name__ == "__main__":
    {"patterns": run_patterns, "scan": run_scan}[sys.argv[1]](sys.argv[2])
    print("done")
