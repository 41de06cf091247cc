"""Whose log it is, told from its content, and where it can be cut into parts."""

from collections.abc import Iterable, Iterator
from typing import Final

from siplogs.packs.pack import Pack

_LINES: Final = 4000
_ENOUGH: Final = 0.02


def recognise_products(head: bytes, packs: Iterable[Pack]) -> list[str]:
    """List the products whose entries or markers begin lines of `head`, the most frequent first; [] for none."""
    packs = list(packs)
    counts: dict[str, int] = {}
    for prefix, product in {(pack.prefix, pack.product) for pack in packs}:
        counts[product] = sum(1 for start in _line_starts(head) if prefix.start.match(head, start))
    for pack in packs:
        counts[pack.product] += sum(head.count(rule.literal) for rule in pack.rules if rule.kind == "message")
    most = max(counts.values(), default=0)
    return sorted((name for name, count in counts.items() if count > most * _ENOUGH), key=lambda name: -counts[name])


def _line_starts(data: bytes) -> Iterator[int]:
    position = 0
    for _ in range(_LINES):
        yield position
        position = data.find(b"\n", position) + 1
        if not position:
            return


def split_points(data: bytes, pack: Pack) -> Iterator[int]:
    """Yield the places in `data`, after its first line, where an entry with a full time begins."""
    full = pack.prefix.date or pack.prefix.start
    position = data.find(b"\n") + 1
    while position:
        if full.match(data, position):
            yield position
        position = data.find(b"\n", position) + 1
