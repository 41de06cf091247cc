"""Every RFC section that an entry names exists, and speaks of the entry."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from siplogs.knowledge import Entry, load
from siplogs.knowledge.entry import KINDS
from tests.knowledge.named import LANGUAGES

LIST = Path(__file__).with_name("rfc-sections.csv")
# Sections that speak of a code under a title that names neither the code nor its phrase.
UNDER_ANOTHER_TITLE = {
    "RFC 3312 8": "defines 580 as the answer that refuses the offer",
    "RFC 3329 2.3": "has the server answer 494 with its list of mechanisms",
    "RFC 4412 4.6.2": "defines 417 for a request with no known value",
    "RFC 5630 5.3": "has a proxy put Warning 380 or 381 into its 480",
    "RFC 6086 4.2.2": "defines 469 for a receiver that did not ask for the package",
    "RFC 6228 4": "tells a caller's side what a 199 means to it",
    "RFC 8197 4": "defines what 607 tells each server on the way; the RFC has no other code",
    "RFC 8224 6.2.2": "defines 428, 436, 437 and 438",
    "RFC 8373 5.2": "defines 308 for an offer whose languages do not suit",
    "RFC 8446 6.2": "defines the alerts whose names OpenSSL prints",
    "RFC 8688 3": "defines who sends 608, and with what; the RFC has no other code",
}


def titles() -> dict[str, str]:
    with LIST.open(encoding="utf-8", newline="") as file:
        return {f"RFC {row['rfc']} {row['section']}": row["title"] for row in csv.DictReader(file)}


def sections(entry: Entry) -> Iterator[str]:
    yield from re.findall(r"RFC \d+ \d+(?:\.\d+)*", entry.rfc)


def every_entry(language: str) -> Iterator[Entry]:
    knowledge = load(language=language)
    for kind in KINDS:
        yield from knowledge.entries(kind).values()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_section_is_known(language: str) -> None:
    known = titles()
    assert {entry.id: name for entry in every_entry(language) for name in sections(entry) if name not in known} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_section_speaks_of_the_entry(language: str) -> None:
    known = titles()
    silent = {
        entry.id: f"{name}: {known[name]}"
        for entry in every_entry(language)
        for name in sections(entry)
        if name in known and name not in UNDER_ANOTHER_TITLE and not _speaks(known[name], entry)
    }
    assert silent == {}


def test_every_listed_section_is_named() -> None:
    named = {name for entry in every_entry("en") for name in sections(entry)}
    assert set(titles()) == named
    assert set(UNDER_ANOTHER_TITLE) <= named


def _speaks(title: str, entry: Entry) -> bool:
    """Whether the title has the code, or the kind of entry, or half the words of its phrase."""
    words = set(re.findall(r"[a-z]{4,}", entry.phrase.lower()))
    found = words & set(re.findall(r"[a-z]{4,}", title.lower()))
    kinds = {"warning": "Warning", "protocol": "Reason"}
    return entry.code in title or kinds.get(entry.kind, "?") in title or len(found) * 2 >= len(words) > 0
