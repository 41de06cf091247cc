"""What Hyperscan looks for in a log: literals of all rules and marks of secrets in one pass, what looks like SIP."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import hyperscan

from siplogs.packs.pack import Rule

LOOKS_LIKE_SIP: Final = b"SIP/2.0"
LONG_GAP: Final = 4096


class Literals:
    """All literals of the active rules, and marks to be noted in records, in one Hyperscan database.

    `marks` are regular expressions as Hyperscan knows them; bit n of a record's `marked` says that number n ends in it.
    """

    def __init__(self, rules: Sequence[Rule], marks: Sequence[bytes] = ()) -> None:
        by_literal: dict[bytes, list[Rule]] = {}
        for rule in rules:
            by_literal.setdefault(rule.literal, []).append(rule)
        self._groups = list(by_literal.items())
        self._lengths = [len(literal) for literal, _ in self._groups]
        self._database = hyperscan.Database()
        count = len(self._groups)
        expressions = [_escaped(literal) for literal, _ in self._groups] + list(marks)
        noted = hyperscan.HS_FLAG_CASELESS
        self._database.compile(
            expressions=expressions,
            ids=list(range(len(expressions))),
            elements=len(expressions),
            flags=[0] * count + [noted] * len(marks),
        )
        self.notes_marks = bool(marks)

    def find(self, data: bytes, start: int, stop: int) -> tuple[list[tuple[int, list[Rule]]], list[tuple[int, int]]]:
        """List (position, rules) of every literal in data[start:stop], and (end, bit) of marks, both by position."""
        hits: list[tuple[int, int]] = []
        marks: list[tuple[int, int]] = []
        lengths, count, append, mark = self._lengths, len(self._lengths), hits.append, marks.append

        def found(number: int, _from: int, to: int, _flags: int, _context: object) -> None:
            if number < count:
                append((start + to - lengths[number], number))
            else:
                mark((start + to, 1 << number - count))

        piece: Any = data if start == 0 and stop == len(data) else memoryview(data)[start:stop]
        if stop > start:
            self._database.scan(piece, match_event_handler=found)
        hits.sort()
        groups = self._groups
        return [(position, groups[number][1]) for position, number in hits], marks


def _escaped(literal: bytes) -> bytes:
    return b"".join(b"\\x%02x" % byte for byte in literal)


@cache
def _looks() -> hyperscan.Database:
    database = hyperscan.Database()
    database.compile(expressions=[_escaped(LOOKS_LIKE_SIP)], ids=[0], elements=1, flags=[hyperscan.HS_FLAG_DOTALL])
    return database


def count_looks(data: bytes, start: int, stop: int) -> int:
    """Count the places in data[start:stop] that look like SIP; long gaps by Hyperscan, which is three times as fast."""
    if stop - start < LONG_GAP:
        return data.count(LOOKS_LIKE_SIP, start, stop)
    found: list[int] = []
    piece: Any = memoryview(data)[start:stop]
    _looks().scan(piece, match_event_handler=lambda *hit: found.append(hit[0]))
    return len(found)
