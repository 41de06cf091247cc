"""Pieces of recorded logs, and the scanner with all packs of a product, for the tests of several rooms."""

import lzma
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from siplogs.model import Record
from siplogs.packs import Accounting, Literals, Pack, Scanner, load_packs
from siplogs.resources import data_folder

CORPUS = Path(__file__).parents[1] / "corpus"
NOWHERE = Path("/nonexistent/patterns.d")


@lru_cache
def shipped() -> dict[str, Pack]:
    """The packs of the repository, without any of the user's."""
    return load_packs(data_folder("patterns"), NOWHERE)


@lru_cache
def literals(product: str) -> Literals:
    """All literals of a product's packs."""
    return Literals([rule for pack in shipped().values() if pack.product == product for rule in pack.rules])


@lru_cache(maxsize=4)
def recorded(name: str) -> bytes:
    """The content of a recorded log, named by its path below the corpus, without `.xz`."""
    with lzma.open(CORPUS / f"{name}.xz") as file:
        return file.read()


def scanned(
    blocks: bytes | Iterable[bytes], product: str = "asterisk", **options: Any
) -> tuple[list[Record], Accounting]:
    """Scan one log, whole or in blocks, with all packs of a product."""
    scanner = Scanner(literals(product), **options)
    records = list(scanner.scan([blocks] if isinstance(blocks, bytes) else blocks))
    return records, scanner.accounting


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut a log into blocks at these places."""
    return [data[start:stop] for start, stop in pairwise([0, *sorted(places), len(data)])]


def payloads(records: Iterable[Record]) -> list[bytes]:
    """The SIP messages of records, as logged."""
    return [record.payload for record in records if record.kind == "message" and record.payload is not None]


def told(record: Record) -> dict[str, str]:
    """What a rule took out of the log: its fields and the time, as text."""
    fields = record.fields if record.time is None else record.fields | {"time": record.time}
    return {name: value.decode(errors="replace") for name, value in fields.items()}
