"""The loader and the look-up: contexts, caching, unknown codes, and errors that name file, entry and remedy."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siplogs.errors import KnowledgeError
from siplogs.knowledge import CLASSES, KnowledgeBase, Match, load
from siplogs.knowledge.base import DATA
from siplogs.knowledge.entry import KINDS
from siplogs.model import Explanation

ENTRY = """
code = "487"
phrase = "General"
rfc = "RFC 3261 21.4.25"
failure = true
severity = "error"
brief = "A short general text"
meaning = "The general meaning."
when = "The general when."
retry = "The general retry."
check = ["Via"]

[related]
486 = "Differs in this way."

[[cause]]
text = "The first cause."
tell = "The first tell."
fix = "The first general fix."
on.asterisk = "The first fix on Asterisk."
on.asterisk-pjsip = "The first fix on PJSIP."

[[cause]]
text = "The second cause."
tell = "The second tell."
fix = "The second fix."

[[refinement]]
match = { method = ["BYE", "INVITE"], direction = "sent" }
meaning = "Method and direction."

[[refinement]]
match = { method = ["BYE"] }
meaning = "Method only."
failure = false

[[refinement]]
match = { direction = "sent" }
meaning = "Direction only."
retry = "The retry of a sent one."

[[refinement]]
match = { stack = "asterisk" }
meaning = "Any Asterisk."

[[refinement]]
match = { stack = "asterisk-pjsip" }
meaning = "PJSIP alone."
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    entries = tmp_path / "xx" / "sip"
    entries.mkdir(parents=True)
    for name in CLASSES:
        shutil.copy(DATA / "en" / "sip" / f"{name}.toml", entries)
    (entries / "487.toml").write_text(ENTRY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def base(folder: Path) -> KnowledgeBase:
    return KnowledgeBase(folder, "xx")


def mend(folder: Path, old: str, new: str) -> KnowledgeBase:
    assert old in ENTRY
    (folder / "xx" / "sip" / "487.toml").write_text(ENTRY.replace(old, new, 1), encoding="utf-8")
    return KnowledgeBase(folder, "xx")


@pytest.mark.parametrize(
    ("context", "meaning"),
    [
        (("", "", ""), "The general meaning."),
        (("ACK", "received", "freeswitch"), "The general meaning."),
        (("BYE", "", ""), "Method only."),
        (("", "sent", ""), "Direction only."),
        (("BYE", "received", "asterisk-pjsip"), "Method only."),
        (("ACK", "sent", "asterisk-chan-sip"), "Direction only."),
        (("BYE", "sent", "asterisk-pjsip"), "Method and direction."),
        (("", "", "asterisk-chan-sip"), "Any Asterisk."),
        (("", "", "asterisk-notices"), "Any Asterisk."),
        (("", "", "asterisk"), "Any Asterisk."),
        (("", "", "asterisk-pjsip"), "PJSIP alone."),
        (("", "", "asterisks"), "The general meaning."),
    ],
)
def test_the_most_specific_refinement_wins(base: KnowledgeBase, context: tuple[str, str, str], meaning: str) -> None:
    assert base.lookup(487, *context).meaning == meaning
    explanation = base.explanation(487, *context)
    assert explanation is not None
    assert explanation.meaning == meaning


def test_parts_that_the_winner_leaves_out_come_from_the_next_best(base: KnowledgeBase) -> None:
    entry = base.lookup(487, "BYE", "sent")
    assert (entry.meaning, entry.retry, entry.failure) == ("Method and direction.", "The retry of a sent one.", False)
    assert entry.when == "The general when."


def test_the_whole_entry_stays_readable(base: KnowledgeBase) -> None:
    base.lookup(487, "BYE", "sent")
    assert base.entry(487).meaning == "The general meaning."
    assert len(base.entry(487).refinement) == 5


@pytest.mark.parametrize(
    ("stack", "fix"),
    [
        ("", "The first general fix."),
        ("freeswitch", "The first general fix."),
        ("asterisk", "The first fix on Asterisk."),
        ("asterisk-chan-sip", "The first fix on Asterisk."),
        ("asterisk-pjsip", "The first fix on PJSIP."),
    ],
)
def test_fixes_are_those_of_the_stack(base: KnowledgeBase, stack: str, fix: str) -> None:
    explanation = base.explanation(487, stack=stack)
    assert explanation is not None
    assert explanation.fixes == [fix, "The second fix."]


def test_a_document_carries_the_first_three_causes() -> None:
    explanation = load().explanation(486)
    assert explanation is not None
    assert len(explanation.causes) == len(explanation.fixes) == 3
    assert explanation.causes == [cause.text for cause in load().entry(486).cause[:3]]
    assert (explanation.id, explanation.failure, explanation.fallback) == ("sip.486", True, None)


def test_load_gives_one_object_for_one_question() -> None:
    assert load() is load()
    assert load().language == "en"


@given(
    code=st.integers(-10, 1000),
    method=st.sampled_from(["", "INVITE", "REGISTER", "BYE", "invite"]) | st.text(max_size=8),
    direction=st.sampled_from(["", "sent", "received", "local", "odd"]),
    stack=st.sampled_from(["", "asterisk-pjsip", "asterisk-chan-sip", "asterisk", "freeswitch", "freeswitch-log"]),
)
def test_any_question_gets_the_same_object_each_time(code: int, method: str, direction: str, stack: str) -> None:
    first = load().explanation(code, method, direction, stack)
    assert first is load().explanation(code, method, direction, stack)
    assert isinstance(first, Explanation) == (100 <= code <= 699)
    assert load().is_failure(code, method) in (True, False)


def test_methods_that_the_log_makes_up_do_not_fill_memory() -> None:
    knowledge = KnowledgeBase(DATA, "en")
    objects = {id(knowledge.explanation(486, f"FUZZ{number}")) for number in range(10_000)}
    assert len(objects) == 1
    assert len(knowledge._explanations) <= 4096


def test_explanations_are_frozen() -> None:
    explanation = load().explanation(486)
    with pytest.raises(AttributeError):
        explanation.meaning = "changed"


@pytest.mark.parametrize("code", [101, 298, 399, 455, 577, 699 - 1])
def test_an_unknown_code_gets_its_class(code: int) -> None:
    explanation = load().explanation(code)
    assert explanation is not None
    assert (explanation.id, explanation.fallback) == (f"sip.{code // 100}xx", True)
    assert load().entry(code).code == f"{code // 100}xx"


@pytest.mark.parametrize("code", [0, -1, 99, 700, 904, "7xx", "", "abc", "0xx"])
def test_what_is_no_code_is_refused(code: int | str) -> None:
    with pytest.raises(KnowledgeError, match="from 100 to 699"):
        load().entry(code)


@pytest.mark.parametrize("code", [0, 99, 700, 904])
def test_what_is_no_code_has_no_explanation(code: int) -> None:
    assert load().explanation(code) is None
    assert not load().is_failure(code)


@pytest.mark.parametrize(
    ("code", "method", "failure"),
    [
        (183, "", False),
        (200, "BYE", False),
        (302, "", False),
        (401, "", False),
        (407, "INVITE", False),
        (487, "INVITE", False),
        (455, "", True),
        (486, "", True),
        (650, "", True),
    ],
)
def test_what_counts_as_a_failure(code: int, method: str, failure: bool) -> None:
    assert load().is_failure(code, method) is failure


def test_a_language_that_is_not_there() -> None:
    with pytest.raises(KnowledgeError, match=r"language 'tlh'; use one of: en"):
        load(language="tlh")


def test_a_missing_class_entry(folder: Path) -> None:
    (folder / "xx" / "sip" / "4xx.toml").unlink()
    with pytest.raises(KnowledgeError, match=r"entry 4xx is missing; add sip/4xx.toml"):
        load(folder, "xx")


@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [
        ('meaning = "The general meaning."\n', "", "add the part 'meaning'"),
        ("retry =", "retries =", "remove 'retries'"),
        ('"The general when."', f'"{"long " * 73}"', "shorten it"),
        ('"The first tell."', '""', "write more"),
        ('severity = "error"', 'severity = "bad"', "use one of the values"),
        ("failure = true", 'failure = "yes"', "expected type"),
        ('direction = "sent"', 'direction = "up"', "use one of the values"),
        ("on.asterisk =", "on.kamailio =", "use one of the values"),
        ('method = ["BYE"]', 'method = ["bye"]', "write it in that form"),
        ('code = "487"', 'code = "486"', "rename it 486.toml"),
        ("[related]", "[related", "mend the file there"),
    ],
)
def test_wrong_data_is_named_with_its_remedy(folder: Path, old: str, new: str, remedy: str) -> None:
    base = mend(folder, old, new)
    with pytest.raises(KnowledgeError) as caught:
        base.explanation(487)
    message = str(caught.value)
    assert "487.toml" in message
    assert remedy in message
    assert "entry 48" in message or "TOML" in message
    assert "\n" not in message


def test_bytes_that_are_no_text_are_named(folder: Path) -> None:
    (folder / "xx" / "sip" / "487.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(KnowledgeError, match=r"487\.toml: cannot be read"):
        KnowledgeBase(folder, "xx").entry(487)


def test_conditions_have_an_order() -> None:
    matches = [
        Match(),
        Match(stack="asterisk"),
        Match(stack="asterisk-pjsip"),
        Match(direction="sent"),
        Match(method=["BYE"]),
        Match(direction="sent", stack="asterisk"),
        Match(method=["BYE"], stack="freeswitch"),
        Match(method=["BYE"], direction="sent"),
        Match(method=["BYE"], direction="sent", stack="freeswitch"),
    ]
    assert sorted(matches, key=lambda match: match.weight) == matches


def test_names_of_other_kinds() -> None:
    knowledge = load()
    assert knowledge.kinds() == [kind for kind in KINDS if kind != "sip"]
    for text in ("17", "USER_BUSY", "user_busy", "AST_CAUSE_USER_BUSY", " User busy "):
        entry = knowledge.find("q850", text)
        assert entry is not None
        assert entry.id == "q850.17"
    assert knowledge.find("q850", "999") is None
    assert knowledge.find("sip", "busy here") is knowledge.entry(486)
    with pytest.raises(KnowledgeError, match="'isup' is no kind of reason; use one of: sip, q850"):
        knowledge.entries("isup")


def test_a_key_outweighs_a_phrase_and_a_phrase_a_variant() -> None:
    knowledge = load()
    assert next(entry.id for entry in knowledge.named("BUSY")) == "dialstatus.BUSY"
    assert {"sip.486", "q850.17"} <= {entry.id for entry in knowledge.named("BUSY")}
    assert [entry.id for entry in knowledge.named("Not Acceptable Here")] == ["sip.488"]


@pytest.mark.parametrize(
    "text", ["not-acceptable here", "Not_Acceptable_Here", "NOT ACCEPTABLE  HERE", "NotAcceptableHere"]
)
def test_what_stands_between_the_letters_of_a_name_does_not_matter(text: str) -> None:
    assert [entry.id for entry in load().named(text)] == ["sip.488"]


@pytest.mark.parametrize(
    ("agent", "scanner"),
    [
        ("friendly-scanner", "scanner.friendly-scanner"),
        ("sipcli/v1.8", "scanner.sipcli"),
        ("Mozilla sipvicious 0.3", "scanner.sipvicious"),
        ("sipper phone", None),
        ("Yealink SIP-T46S 66.85", None),
    ],
)
def test_a_scanner_is_known_by_its_word(agent: str, scanner: str | None) -> None:
    found = load().term("scanner", agent)
    assert (found.id if found else None) == scanner


def test_words_behind_the_functions_of_openssl() -> None:
    found = load().term("transport", "error:0A00010B:SSL routines::wrong version number")
    assert found is not None
    assert found.id == "transport.wrong-version-number"


def test_a_term_is_the_same_object_each_time_and_knows_the_stack() -> None:
    knowledge = load()
    first = knowledge.term("q850", "1", "asterisk-pjsip")
    assert first is knowledge.term("q850", "1", "asterisk-pjsip")
    assert first is not None
    entry = knowledge.entries("q850")["1"]
    assert first.fixes == [cause.fix_for("asterisk-pjsip") for cause in entry.cause[:3]]
    assert first.fixes != [cause.fix for cause in entry.cause[:3]]


def test_what_is_no_term() -> None:
    knowledge = load()
    assert knowledge.term("q850", "") is None
    assert knowledge.term("isup", "17") is None
    assert knowledge.term("q850", "4711") is None


def test_terms_that_the_log_makes_up_do_not_fill_memory() -> None:
    knowledge = KnowledgeBase(DATA, "en")
    assert {knowledge.term("q850", f"FUZZ{number}") for number in range(10_000)} == {None}
    assert len(knowledge._terms) <= 4096


def test_search_wants_every_word_and_puts_titles_first() -> None:
    knowledge = load()
    found = knowledge.search("not acceptable here")
    assert found[0].id == "sip.488"
    assert knowledge.search("NOT Acceptable hErE") == found
    assert knowledge.search("acceptable zyzzyva") == knowledge.search(" ") == []
    for entry in knowledge.search("music hold"):
        assert "hold" in str(entry).casefold()


def test_search_knows_no_accents() -> None:
    spanish = load(language="es")
    assert spanish.search("contraseña") == spanish.search("contrasena") != []


def test_the_nearest_names() -> None:
    knowledge = load()
    assert knowledge.nearest("USER_BUSSY")[0].id == "q850.17"
    assert knowledge.nearest("Not Acceptible Here")[0].id == "sip.488"
    assert knowledge.nearest("zzzzzzzzzzzz") == []


def test_refinements_of_a_context(base: KnowledgeBase) -> None:
    spoken = base.refinements(base.entry(487), "BYE", "sent", "asterisk-pjsip")
    assert [one.meaning for one in spoken][-2:] == ["Method only.", "Method and direction."]
    assert base.refinements(base.entry(487)) == []


names = st.text(max_size=40) | st.sampled_from(["17", "486", "q.850", "BUSY", "::", "sip", "friendly-scanner"])


@given(text=names, kind=st.sampled_from([*KINDS, "", "isup"]), stack=st.sampled_from(["", "freeswitch", "asterisk"]))
def test_any_text_may_be_asked(text: str, kind: str, stack: str) -> None:
    knowledge = load()
    term = knowledge.term(kind, text, stack)
    assert term is None or term.id.startswith(f"{kind}.")
    if kind in KINDS:
        found = knowledge.find(kind, text)
        assert found is None or found.kind == kind
    for entry in (*knowledge.named(text), *knowledge.nearest(text)):
        assert entry is knowledge.entries(entry.kind)[entry.code]


@given(text=names)
def test_any_text_may_be_searched(text: str) -> None:
    words = text.split()
    found = load().search(text)
    assert found == [] or words
    assert len({entry.id for entry in found}) == len(found)
