"""What the shipped knowledge must hold: every registered code, every part, nothing said twice."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from siplogs.knowledge import CLASSES, Entry, KnowledgeBase, covers, load
from siplogs.knowledge.entry import KINDS

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "es")
STACKS = {"asterisk-chan-sip", "asterisk-pjsip", "freeswitch"}

COMMON = (
    "400 401 403 404 405 407 408 410 415 416 420 421 422 423 430 480 481 482 483 484 486 487 488 489 491 493 494 "
    "500 501 502 503 504 505 513 580 600 603 604 606 607 608"
).split()

# States and facts that are no failures though they are printed as reasons.
NO_FAILURES = {"sip": ("401", "407", "487")}


@pytest.fixture(scope="module", params=LANGUAGES)
def knowledge(request: pytest.FixtureRequest) -> KnowledgeBase:
    return load(language=request.param)


def table(name: str, key: str = "code") -> dict[str, dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return {row[key]: row for row in csv.DictReader(file)}


def registered() -> dict[str, dict[str, str]]:
    return table("iana-response-codes")


def entries(knowledge: KnowledgeBase) -> Iterator[Entry]:
    """All entries of all kinds."""
    for kind in ("sip", *knowledge.kinds()):
        yield from knowledge.entries(kind).values()


def responses(knowledge: KnowledgeBase) -> Iterator[Entry]:
    for code in (*CLASSES, *knowledge.codes()):
        yield knowledge.entry(code)


def texts(entry: Entry) -> Iterator[str]:
    for part in (entry, *entry.refinement):
        yield from (text for text in (part.meaning, part.when, part.retry) if text)
        for cause in part.cause or ():
            yield from (cause.text, cause.tell, cause.fix, *cause.on.values())
    yield entry.brief
    yield from entry.related.values()


def sentences(text: str) -> Iterator[str]:
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        words = sentence.strip(" .").lower()
        if len(words.split()) > 2:
            yield words


def test_every_registered_code_has_its_own_entry(knowledge: KnowledgeBase) -> None:
    assert sorted(set(registered()) - set(knowledge.codes())) == []


def test_registered_says_what_the_registry_says(knowledge: KnowledgeBase) -> None:
    assert {code for code in knowledge.codes() if knowledge.entry(code).registered} == set(registered())


@pytest.mark.parametrize("code", sorted(registered()))
def test_phrase_and_rfc_are_those_of_the_registry(knowledge: KnowledgeBase, code: str) -> None:
    entry, row = knowledge.entry(code), registered()[code]
    assert entry.phrase == row["phrase"]
    assert entry.rfc.split()[:2] == ["RFC", row["reference"].removeprefix("RFC")]
    assert re.fullmatch(r"RFC \d+ \d+(\.\d+)*", entry.rfc), "number and section"


@pytest.mark.parametrize("code", sorted(table("q850-causes"), key=int))
def test_every_cause_of_q850_has_its_entry(knowledge: KnowledgeBase, code: str) -> None:
    entry, name = knowledge.entries("q850")[code], table("q850-causes")[code]["name"]
    assert name.casefold() in {one.casefold() for one in (entry.phrase, *entry.variants)}


@pytest.mark.parametrize("code", sorted(table("warning-codes")))
def test_every_warning_code_has_its_entry(knowledge: KnowledgeBase, code: str) -> None:
    entry, row = knowledge.entries("warning")[code], table("warning-codes")[code]
    assert entry.phrase.casefold() == row["phrase"].casefold()
    assert entry.rfc.split()[:2] == ["RFC", row["reference"].removeprefix("RFC")]


def test_every_kind_has_entries(knowledge: KnowledgeBase) -> None:
    assert set(knowledge.kinds()) == set(KINDS) - {"sip"}
    assert all(knowledge.entries(kind) for kind in knowledge.kinds())


def test_no_sentence_stands_in_two_places(knowledge: KnowledgeBase) -> None:
    seen = defaultdict(list)
    for entry in entries(knowledge):
        for text in texts(entry):
            for sentence in sentences(text):
                seen[sentence].append(entry.id)
    assert {sentence: ids for sentence, ids in seen.items() if len(ids) > 1} == {}


@pytest.mark.parametrize("code", COMMON)
def test_common_codes_have_four_causes_and_answer_for_all_stacks(knowledge: KnowledgeBase, code: str) -> None:
    entry = knowledge.entry(code)
    assert len(entry.cause) >= 4
    parts = [entry.cause, *(refinement.cause or [] for refinement in entry.refinement)]
    assert len({cause.text for part in parts for cause in part}) == sum(len(part) for part in parts)
    spoken = {refinement.match.stack for refinement in entry.refinement}
    assert {stack for stack in STACKS if any(one and covers(one, stack) for one in spoken)} == STACKS


def test_only_final_refusals_are_failures(knowledge: KnowledgeBase) -> None:
    for entry in responses(knowledge):
        assert entry.failure == (entry.code[0] in "456" and entry.code not in NO_FAILURES["sip"]), entry.code


def test_related_entries_exist_and_are_others(knowledge: KnowledgeBase) -> None:
    for entry in entries(knowledge):
        for key in entry.related:
            kind, colon, code = key.partition(":")
            there = (kind, code) if colon and kind in KINDS else (entry.kind, key)
            assert there[1] in knowledge.entries(there[0]), f"{entry.id}: {key}"
            assert there != (entry.kind, entry.code), entry.id


def test_names_of_an_entry_are_its_own(knowledge: KnowledgeBase) -> None:
    for entry in entries(knowledge):
        names = [entry.phrase, *entry.variants]
        assert len(entry.variants) == len(set(entry.variants)), entry.id
        assert all(name == name.strip() and name.isprintable() for name in names), entry.id
        assert knowledge.find(entry.kind, entry.code) is entry
        assert entry in knowledge.named(entry.code)


def test_every_name_is_found(knowledge: KnowledgeBase) -> None:
    for entry in entries(knowledge):
        for name in (entry.phrase, *entry.variants):
            found = knowledge.find(entry.kind, name.upper())
            assert found is not None, f"{entry.id}: {name}"
            assert name.casefold() in {one.casefold() for one in (found.code, found.phrase, *found.variants)}


def test_every_refinement_can_be_reached_and_changes_the_answer(knowledge: KnowledgeBase) -> None:
    for entry in entries(knowledge):
        for refinement in entry.refinement:
            match = refinement.match
            method = match.method[0] if match.method else ""
            refined = knowledge.lookup(entry, method, match.direction, match.stack)
            assert refined != entry, (entry.id, match)
            assert refinement.meaning in (None, refined.meaning), (entry.id, match)


def test_advice_names_one_stack_under_that_stack_only(knowledge: KnowledgeBase) -> None:
    foreign = {
        "asterisk-pjsip": ("sip.conf:", "sofia profile", "Gateway:"),
        "asterisk-chan-sip": ("pjsip.conf", "sofia profile", "Gateway:"),
        "freeswitch": ("pjsip.conf", "sip.conf", "extensions.conf"),
    }
    for entry in entries(knowledge):
        for part in (entry, *entry.refinement):
            for cause in part.cause or ():
                for stack, advice in cause.on.items():
                    found = [word for word in foreign.get(stack, ()) if re.search(rf"(?<!pj){re.escape(word)}", advice)]
                    assert not found, (entry.id, stack, advice)


def test_no_address_of_a_real_host(knowledge: KnowledgeBase) -> None:
    allowed = re.compile(r"192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|0\.0\.0\.0|1\.1\.1\.1|192\.168\.0\.0|255\.")
    for entry in entries(knowledge):
        for text in texts(entry):
            for address in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", re.sub(r"RFC \d+ [\d.]+|1\.3\.6\.[\d.]+", "", text)):
                assert allowed.match(address), (entry.id, address)
