"""`docs/codes.md` says what the data says, and reads as what it is."""

import re
from pathlib import Path

from siplogs.knowledge import CLASSES, load
from siplogs.knowledge.reference import anchor, main, reference

DOCS = Path(__file__).parents[2] / "docs"
TEXT = reference(load())


def test_the_reference_is_current() -> None:
    assert (DOCS / "codes.md").read_text(encoding="utf-8") == TEXT, "make docs"


def test_every_entry_has_its_heading_meaning_and_causes() -> None:
    plain = TEXT.replace("\\", "")
    knowledge = load()
    for kind in ("sip", *knowledge.kinds()):
        for entry in knowledge.entries(kind).values():
            assert f"### {entry.code}" in plain
            for text in (entry.brief, entry.meaning, entry.when):
                assert text.replace("\\", "") in plain, entry.id
            for number, cause in enumerate(entry.cause, 1):
                assert f"{number}. {cause.text} → {cause.fix}".replace("\\", "") in plain, entry.id


def test_headings_are_in_order_and_contents_lead_to_them() -> None:
    sections = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
    assert [heading[:3] for heading in sections[:6]] == list(CLASSES)
    assert len(sections) == 6 + len(load().kinds())
    linked = re.findall(r"^- \[(.*)\]\(#(.*)\): \d+$", TEXT, re.MULTILINE)
    assert linked == [(heading, anchor(heading)) for heading in sections]


def test_it_stays_small_enough_to_be_shown() -> None:
    assert len(TEXT.encode()) < 512 * 1024


def test_main_writes_into_a_folder(tmp_path: Path) -> None:
    main(str(tmp_path))
    assert (tmp_path / "codes.md").read_text(encoding="utf-8") == TEXT
