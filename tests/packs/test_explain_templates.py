"""What rules ask the knowledge base about a line without a response code is known there, in every language."""

from collections.abc import Iterator
from typing import Final

import pytest

from siplogs.knowledge import load
from siplogs.packs.pack import Pack, Rule
from tests.packs.recorded import scanned, shipped, told

LANGUAGES: Final = ("en", "es")
ASKED: Final = [(pack, rule) for pack in shipped().values() for rule in pack.rules if rule.data.explain]
FAILURES: Final = [
    (pack, rule)
    for pack in shipped().values()
    for rule in pack.rules
    if rule.data.set.get("outcome") == "failure" and "code" not in rule.data.set
]
NOT_ASKED: Final = {
    "asterisk-notices/log-overrun": "Asterisk's logger lost entries: no failure of SIP, and the line says what to do",
    "asterisk-notices/log-resumed": "the same, with how many entries were lost",
}


def names(rules: list[tuple[Pack, Rule]]) -> list[str]:
    return [rule.key.replace("/", "-") for _, rule in rules]


def without_code(pack: Pack, rule: Rule) -> Iterator[dict[str, str]]:
    """The fields of every sample in which the rule found no numeric response code."""
    for sample in rule.data.sample:
        for record in scanned(sample.log.encode(), pack.product)[0]:
            fields = told(record)
            if record.rule == rule.name and not fields.get("code", "").isdigit():
                yield fields


def questions(explain: str, fields: dict[str, str]) -> Iterator[tuple[str, str]]:
    for written in explain.split(" | "):
        kind, _, name = written.partition(":")
        yield kind, fields.get(name[1:-1], "") if name.startswith("{") else name


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("pack", "rule"), ASKED, ids=names(ASKED))
def test_every_sample_without_a_code_is_explained(pack: Pack, rule: Rule, language: str) -> None:
    knowledge = load(language=language)
    for fields in without_code(pack, rule):
        asked = list(questions(rule.data.explain, fields))
        assert any(knowledge.term(kind, name) for kind, name in asked), asked


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("pack", "rule"), ASKED, ids=names(ASKED))
def test_every_fixed_question_has_an_entry(pack: Pack, rule: Rule, language: str) -> None:
    """A key that no sample reaches, because a group before it is known, must be right all the same."""
    del pack
    fixed = [question for question in questions(rule.data.explain, {}) if question[1]]
    assert [question for question in fixed if load(language=language).term(*question) is None] == []


@pytest.mark.parametrize(("pack", "rule"), FAILURES, ids=names(FAILURES))
def test_every_failure_without_a_code_asks_for_its_reason(pack: Pack, rule: Rule) -> None:
    if rule.key in NOT_ASKED:
        assert not rule.data.explain, "take it out of the list"
    elif "code" not in rule.pattern.groupindex or any(without_code(pack, rule)):
        assert rule.data.explain


def test_the_list_of_those_that_ask_nothing_names_rules_that_are_there() -> None:
    assert NOT_ASKED.keys() <= {rule.key for _, rule in FAILURES}


@pytest.mark.parametrize("pack", shipped().values(), ids=lambda pack: pack.name)
def test_who_made_a_response_is_said_in_known_words_and_only_where_there_is_one(pack: Pack) -> None:
    for rule in pack.rules:
        side = rule.data.set.get("response")
        assert side in (None, "sent", "received", "local"), rule.key
        assert side is None or "code" in rule.data.set or "code" in rule.pattern.groupindex, rule.key


def test_rules_whose_line_does_not_tell_who_made_the_response() -> None:
    """Each has its reason in `about`; a new rule with a code must say who made it, or be added here."""
    assert {
        rule.key
        for pack in shipped().values()
        for rule in pack.rules
        if ("code" in rule.data.set or "code" in rule.pattern.groupindex) and "response" not in rule.data.set
    } == {
        "asterisk-notices/refresh-refused",
        "freeswitch-log/gateway-failed-503",
        "freeswitch-log/ping-failed-503",
        "freeswitch-log/state",
        "freeswitch-log/state-skipped",
        "freeswitch-log/user-ping-failed-503",
    }
