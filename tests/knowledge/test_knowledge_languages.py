"""Every language says the same of the same things: equal facts, equal order, equal options; only the words differ."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from siplogs.errors import KnowledgeError
from siplogs.knowledge import Cause, Entry, load
from siplogs.knowledge.base import DATA
from siplogs.knowledge.words import PLACES, Words, read_words

LANGUAGES = sorted(path.parent.name for path in DATA.glob("*/sip"))
OTHERS = [language for language in LANGUAGES if language != "en"]
KINDS = ["sip", *load().kinds()]
SAME = ("phrase", "rfc", "failure", "severity", "check", "maps", "variants", "registered")
OPTION = re.compile(r"(?<![\w-])([A-Za-z_][\w.-]*)=")

both = pytest.mark.parametrize("language", OTHERS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def pairs(kind: str, language: str) -> Iterator[tuple[str, Entry, Entry]]:
    there = load(language=language).entries(kind)
    for key, entry in load().entries(kind).items():
        if key in there:
            yield f"{language} {kind}:{key}", entry, there[key]


def options(text: str) -> Counter[str]:
    return Counter(OPTION.findall(text))


def causes(one: Entry, other: Entry) -> Iterator[tuple[str, list[Cause], list[Cause]]]:
    yield "", one.cause, other.cause
    for here, there in zip(one.refinement, other.refinement, strict=True):
        assert (here.cause is None) == (there.cause is None), here.match
        yield str(here.match), here.cause or [], there.cause or []


def test_spanish_is_there() -> None:
    assert "es" in OTHERS


@both
def test_the_same_kinds_files_and_keys(language: str) -> None:
    assert load(language=language).kinds() == load().kinds()
    for kind in KINDS:
        assert set(load(language=language).entries(kind)) == set(load().entries(kind)), kind


@both
@every_kind
def test_facts_are_equal(kind: str, language: str) -> None:
    for where, here, there in pairs(kind, language):
        for part in SAME:
            assert getattr(here, part) == getattr(there, part), f"{where}: {part}"
        assert list(here.related) == list(there.related), where


@both
@every_kind
def test_refinements_are_for_the_same_contexts_and_change_the_same_parts(kind: str, language: str) -> None:
    for where, here, there in pairs(kind, language):
        assert [one.match for one in here.refinement] == [one.match for one in there.refinement], where
        for one, other in zip(here.refinement, there.refinement, strict=True):
            assert (one.failure, one.severity, one.check) == (other.failure, other.severity, other.check), where
            for part in ("meaning", "when", "retry", "cause"):
                assert (getattr(one, part) is None) == (getattr(other, part) is None), f"{where}: {one.match}: {part}"


@both
@every_kind
def test_causes_are_as_many_for_the_same_stacks_with_the_same_options(kind: str, language: str) -> None:
    wrong = []
    for where, here, there in pairs(kind, language):
        for match, ours, theirs in causes(here, there):
            assert len(ours) == len(theirs), f"{where} {match}"
            for number, (one, other) in enumerate(zip(ours, theirs, strict=True), 1):
                assert set(one.on) == set(other.on), f"{where} {match} cause {number}"
                pieces = [("fix", one.fix, other.fix), *((name, one.on[name], other.on[name]) for name in one.on)]
                wrong += [
                    f"{where} {match} cause {number} {name}: {options(left)} {options(right)}"
                    for name, left, right in pieces
                    if options(left) != options(right)
                ]
    assert wrong == []


@both
@every_kind
def test_no_explanation_is_left_in_english(kind: str, language: str) -> None:
    same = []
    for where, here, there in pairs(kind, language):
        texts = zip(explanations(here), explanations(there), strict=False)
        same += [
            f"{where}: {one}" for one, other in texts if one == other and len(re.findall(r"\b[a-z]{3,}\b", one)) > 5
        ]
    assert same == []


def explanations(entry: Entry) -> Iterator[str]:
    for part in (entry, *entry.refinement):
        yield from (text or "" for text in (part.meaning, part.retry))
        yield from (cause.text for cause in part.cause or ())


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_of_the_layout(language: str) -> None:
    words = load(language=language).words
    assert isinstance(words, Words)
    assert set(words.kind) == set(load().words.kind)
    assert set(words.severity) == {"info", "warning", "error"}
    for name in PLACES:
        assert isinstance(getattr(words, name), str)


@both
def test_words_are_translated(language: str) -> None:
    here, there = load().words, load(language=language).words
    same = [name for name in Words.__struct_fields__ if getattr(here, name) == getattr(there, name)]
    assert set(same) <= {"no", "q850_cause"}


@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [
        ('when = "When"', "", "add the part 'when'"),
        ("recognised =", "recognized =", "remove 'recognized'"),
        ('retry = "Retry"\ncheck', f'retry = "{"long " * 20}"\ncheck', "shorten it"),
        ('code = "Code"', 'code = "Response code"', "shorten it"),
        (
            '"Recognised: {what}"',
            '"Recognised: {that}"',
            "recognised has other places than it is given; write {what} into it",
        ),
        (
            '"Recognised: {what}"',
            '"Recognised: {what} {"',
            "recognised has a brace that belongs to no place; remove it",
        ),
        (
            'failure = "failure"',
            'failure = "{failure}"',
            "failure has other places than it is given; write none into it",
        ),
        ('sip = "SIP response"', "", "kind sip has no name; add it below [kind]"),
        ("[rows]", "[rows", "mend the file there"),
    ],
)
def test_wrong_words_are_named_with_their_remedy(tmp_path: Path, old: str, new: str, remedy: str) -> None:
    shipped = (DATA / "en" / "words.toml").read_text(encoding="utf-8")
    assert old in shipped
    file = tmp_path / "words.toml"
    file.write_text(shipped.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(KnowledgeError) as caught:
        read_words(file)
    message = str(caught.value)
    assert message.startswith(str(file))
    assert remedy in message
    assert "\n" not in message
