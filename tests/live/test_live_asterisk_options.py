"""Every name of Asterisk in the knowledge texts exists in a real Asterisk, 16 or 22."""

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.knowledge.named import (
    ELSEWHERE,
    LANGUAGES,
    calls,
    commands,
    files,
    options,
    strangers,
    texts,
    types,
    underscored,
)
from tests.live.asterisk import Asterisk
from tests.live.asterisk_names import Names, names_of, together

SIDES = ("asterisk-pjsip", "asterisk-chan-sip", "asterisk")
FREESWITCH = Path(__file__).parents[1] / "knowledge/freeswitch-names.csv"
CARDS = ("dahdi", "pri")  # commands of modules that load only with a telephony card
# First words of commands that prose uses too often otherwise
PROSE = {"no", "help", "say", "reload", "test", "file", "translate", "local", "media", "console"}
SECONDS = ("show", "set", "list", "reload", "send", "load", "unload", "debug")

in_each_language = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(scope="module")
def names(start_asterisk: Callable[..., Asterisk]) -> Names:
    return together([names_of(start_asterisk("16", "chan_sip")), names_of(start_asterisk("22", "pjsip"))])


@pytest.fixture(scope="module")
def freeswitch() -> set[str]:
    with FREESWITCH.open(encoding="utf-8", newline="") as file:
        return {row["name"] for row in csv.DictReader(file)}


@in_each_language
def test_options_exist_on_their_stack(names: Names, language: str) -> None:
    def known(stack: str, name: str) -> bool:
        # variables and fields of events have capital letters, and stand in no list
        return name in names.options(stack) or (not name.islower() and name in names.strings)

    assert strangers(language, SIDES, options, known) == {}


@in_each_language
def test_options_of_general_texts_exist_somewhere(names: Names, freeswitch: set[str], language: str) -> None:
    everywhere = names.options("asterisk") | freeswitch

    def known(_: str, name: str) -> bool:
        return name in everywhere or (not name.islower() and name in names.strings)

    assert strangers(language, ("",), options, known) == {}


@in_each_language
def test_types_of_sections_exist(names: Names, language: str) -> None:
    sections = {"asterisk-pjsip": names.types, "asterisk-chan-sip": {"peer", "user", "friend"}}
    assert strangers(language, sections, types, lambda stack, name: name in sections[stack]) == {}


@in_each_language
def test_applications_and_functions_exist(names: Names, language: str) -> None:
    real = names.applications | names.functions
    assert strangers(language, SIDES, calls, lambda _, name: name in real) == {}


@in_each_language
def test_words_with_underscores_are_names_of_asterisk(names: Names, language: str) -> None:
    def known(stack: str, name: str) -> bool:
        return name in names.options(stack) | names.strings or f"{name}.so" in names.files

    assert strangers(language, SIDES, underscored, known) == {}


@in_each_language
def test_files_exist(names: Names, language: str) -> None:
    assert strangers(language, SIDES, files, lambda _, name: name in names.files) == {}


@in_each_language
def test_commands_are_known_to_the_console(names: Names, language: str) -> None:
    starts = defaultdict(set, {root: set(SECONDS) for root in CARDS})
    for command in names.commands:
        root, second, *_ = [*command.split(), "", ""]
        if root.isidentifier() and root not in PROSE:
            starts[root].update({*SECONDS, second} if second.isidentifier() else SECONDS)
    pattern = "|".join(f"{root} (?:{'|'.join(sorted(seconds))})" for root, seconds in starts.items())
    found = {
        " ".join(command): text.where
        for text in texts(language)
        if text.stack != "freeswitch"
        for command in commands(text.words, pattern)
        if not names.accepts(command) and not _excused(command)
    }
    assert found == {}


def _excused(command: list[str]) -> bool:
    return any(command[: len(words)] == words for words in map(str.split, ELSEWHERE["commands"]))


@in_each_language
def test_the_texts_name_many_things(language: str) -> None:
    """The patterns above still find what they look for."""
    named = {form: {name for text in texts(language) for name in form(text.words)} for form in (options, calls, files)}
    assert {form.__name__: len(found) > 40 for form, found in named.items()} == dict.fromkeys(
        ("options", "calls", "files"), True
    )


def test_wrong_names_are_found(names: Names) -> None:
    """The sets above are no catch-all: a letter missing, or another driver's option, is noticed."""
    assert "qualify_frequncy" not in names.options("asterisk") | names.strings
    assert "qualifyfreq" not in names.options("asterisk-pjsip")
    assert "rewrite_contact" not in names.options("asterisk-chan-sip")
    assert not names.accepts(["pjsip", "show", "endpoits"])
    assert not names.accepts(["sip", "show"])
    assert names.accepts(["rtp", "set", "debug", "on"])
    assert not names.accepts(["rtp", "set", "debug", "maybe"])
