"""Tries one pack on a log: how often each rule hits, and which lines look like SIP but were not taken."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from siplogs.errors import PackError
from siplogs.packs.accounting import Accounting
from siplogs.packs.literals import Literals
from siplogs.packs.pack import Pack, load_pack_file, load_packs
from siplogs.packs.scanner import Scanner

REMEMBERED: Final = 1000


class Trial(Struct):
    """What came of a trial: hits by rule, missed lines (the first ones), how many there were, where bytes went."""

    hits: dict[str, int]
    missed: list[bytes]
    missed_count: int
    accounting: Accounting


def trial(name: str, folder: Path, blocks: Iterable[bytes]) -> Trial:
    """Run the pack of that name, or of that file, over a log. Raises PackError when there is no such pack."""
    pack = _pack(name, folder)
    scanner = Scanner(Literals(pack.rules), remember_missed=REMEMBERED)
    hits = {rule.name: 0 for rule in pack.rules}
    for _ in scanner.scan(blocks):
        pass
    for rule in hits:
        hits[rule] = scanner.accounting.rules[f"{pack.name}/{rule}"]
    return Trial(hits, scanner.missed, scanner.accounting.reasons["unknown-shape"], scanner.accounting)


def _pack(name: str, folder: Path) -> Pack:
    if name.endswith(".toml"):
        return load_pack_file(Path(name), folder)
    packs = load_packs(folder)
    if name not in packs:
        raise PackError(f"no pattern pack {name!r}; there are {', '.join(sorted(packs))}, or give a .toml file")
    return packs[name]
