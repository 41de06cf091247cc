"""Every name of FreeSWITCH in the knowledge texts is in the list of names, each with the source that defines it."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.knowledge.named import (
    ELSEWHERE,
    LANGUAGES,
    calls,
    capitals,
    commands,
    files,
    hyphenated,
    options,
    strangers,
    texts,
    underscored,
)

LIST = Path(__file__).with_name("freeswitch-names.csv")
SIDE = ("freeswitch",)
# What stands behind these words is a command in every text, of whatever stack.
STARTS = "|".join(
    (
        "sofia (?:status|global|loglevel|recover|xmlstatus|tracelevel|show|restart|reload|rescan|list|register)",
        "sofia profile (?:NAME|NOMBRE|internal|external) [a-z_]+",
        "fsctl [a-z_]+",
        "hupall [A-Z]+",
        "show (?:channels|calls|codec|registrations|api|application|status)",
    )
)


def rows() -> list[dict[str, str]]:
    with LIST.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


NAMES = {row["name"] for row in rows()}
COMMANDS = [row["name"].split() for row in rows() if row["kind"] == "command"]


def test_each_name_is_listed_once_with_its_source() -> None:
    assert len(NAMES) == len(rows())
    for row in rows():
        assert row["kind"], row
        assert re.match(r"(src|conf/vanilla)\b", row["source"]), row


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", [options, calls, underscored, hyphenated, capitals, files])
def test_names_are_in_the_list(form: Callable[[str], list[str]], language: str) -> None:
    assert strangers(language, SIDE, form, lambda _, name: name in NAMES) == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_commands_are_in_the_list(language: str) -> None:
    found = {
        " ".join(command): text.where
        for text in texts(language)
        if text.stack in ("", "freeswitch")
        for command in commands(text.words, STARTS)
        if not any(_begins(command, known) for known in COMMANDS)
        and not any(command[: len(words)] == words for words in map(str.split, ELSEWHERE["commands"]))
    }
    assert found == {}


def test_every_listed_name_is_of_use() -> None:
    everything = " ".join(text.words for language in LANGUAGES for text in texts(language))
    unused = {row["name"] for row in rows() if row["kind"] != "command" and row["name"] not in everything}
    assert unused == set()


def _begins(command: list[str], known: list[str]) -> bool:
    """Whether the command is `known` to its end; a word in capitals stands for any one word."""
    return len(command) >= len(known) and all(
        place.isupper() or word == place for word, place in zip(command, known, strict=False)
    )
