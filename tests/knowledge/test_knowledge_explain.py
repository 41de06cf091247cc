"""The pages of `siplogs explain`: entries, comparisons, classes, JSON, colours, languages."""

import json
import re

import pytest
from typer.testing import CliRunner

from siplogs.cli import make_app
from siplogs.errors import FilterError, KnowledgeError
from siplogs.knowledge import CLASSES, load

app = make_app("explain")


def run(*arguments: str, **environment: str) -> str:
    result = CliRunner().invoke(app, ["explain", *arguments], env={"LC_ALL": "C", **environment})
    if result.exception:
        raise result.exception
    return result.stdout


def escapes(text: str) -> list[str]:
    return re.findall(r"\x1b\[[0-9;]*m", text)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("code", [*load().codes(), "455", *CLASSES])
def test_no_line_is_longer_than_80_columns(code: str, language: str) -> None:
    for line in run(code, "--lang", language).splitlines():
        assert len(line) <= 80
        assert line == line.rstrip()


@pytest.mark.parametrize("code", load().codes())
def test_a_page_has_every_part(code: str) -> None:
    page = " ".join(run(code).split())
    entry = load().entry(code)
    for text in (entry.phrase, entry.meaning, entry.when, entry.retry, entry.rfc, *entry.check):
        assert " ".join(text.split()) in page
    for cause in entry.cause:
        assert " ".join(cause.text.split()) in page
    assert ("not registered with IANA" in page) is (not entry.registered)


@pytest.mark.parametrize("kind", load().kinds())
def test_entries_of_other_kinds_have_the_same_page(kind: str) -> None:
    for code, entry in load().entries(kind).items():
        shown = run(f"{kind}:{code}")
        assert max(len(line) for line in shown.splitlines()) <= 80
        page = "".join(shown.split())
        texts = [entry.phrase, entry.meaning, entry.when, entry.retry, entry.rfc, *entry.check, entry.mapped]
        texts += [text for cause in entry.cause for text in (cause.text, cause.tell, cause.fix, *cause.on.values())]
        for text in (*texts, *entry.related.values()):
            assert "".join(text.split()) in page, f"{kind}:{code}: {text}"


def test_a_page_names_the_stacks_and_the_contexts() -> None:
    page = run("488")
    for word in ("PJSIP", "chan_sip", "FreeSWITCH", "siplogs explain 488 --method INVITE --sent", "and with --stack"):
        assert word in page


def test_every_command_of_a_page_shows_another_reading() -> None:
    commands = re.findall(r"^  siplogs explain (.+)$", run("403"), re.MULTILINE)
    assert len(commands) > 2
    for command in commands:
        assert run(*command.split()) != run("403")


def test_context_chooses_the_answer() -> None:
    page = run("403", "--method", "register", "--sent", "--stack", "asterisk-chan-sip")
    assert load().lookup(403, "REGISTER", "sent", "asterisk-chan-sip").cause[0].text in " ".join(page.split())
    assert "More exactly" not in page
    assert "FreeSWITCH  " not in page
    assert run("403", "--method", "REGISTER") != run("403")


def test_a_context_says_which_refinement_speaks() -> None:
    page = " ".join(run("403", "--method", "REGISTER", "--received", "--stack", "asterisk-pjsip").split())
    assert "Read for: REGISTER, received by the PBX, PJSIP." in page
    assert "comes from: REGISTER; REGISTER, received by the PBX; REGISTER, received by the PBX, PJSIP." in page
    assert "this is the general entry" in run("199", "--method", "PUBLISH")


def test_related_entries_and_mappings_are_readable() -> None:
    page = run("dialstatus:BUSY")
    assert "Q.850 17 " in page
    assert "q850:17" in page.partition("That name also fits")[2] or "That name" not in page
    assert "SIP code  486 (RFC 3398, Asterisk, FreeSWITCH)" in run("q850:17")
    assert "Q.850    17 (RFC 3398, Asterisk, FreeSWITCH)" in run("486")
    assert "SIP 403" in run("security:FailedACL")


@pytest.mark.parametrize("codes", [("200", "400"), ("480", "486", "600"), ("401", "407"), ("455", "486")])
def test_codes_stand_side_by_side(codes: tuple[str, ...]) -> None:
    text = run(*codes)
    assert text.index("Key differences") < text.index("Meaning")
    assert max(len(line) for line in text.splitlines()) <= 80
    row = next(line for line in text.splitlines() if line.startswith("Code"))
    assert [code for code in codes if code in row] == list(codes)


def test_key_differences_name_class_and_failure() -> None:
    text = run("200", "400")
    assert "200 is success; 400 is request failure" in text
    assert "Counted as a failure: 400 only." in text
    assert load().entry(486).related["600"] in " ".join(run("486", "600").split())


def test_a_code_twice_is_asked_once() -> None:
    assert run("486", "486") == run("486")


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_lists_its_codes(name: str) -> None:
    lines = run(name.upper()).splitlines()
    listed = [line[:3] for line in lines if re.match(r"[1-6]\d\d ", line)]
    assert listed == [code for code in load().codes() if code[0] == name[0]]
    for code in listed:
        assert any(line.startswith(code) and load().entry(code).brief in line for line in lines)


def test_more_codes_than_columns_are_a_list() -> None:
    lines = run("401", "403", "404", "455").splitlines()
    assert [line[:3] for line in lines] == ["401", "403", "404", "455"]
    assert "unknown, as 400" in lines[3]


def test_entries_of_several_kinds_stand_side_by_side() -> None:
    text = run("q850:17", "486")
    assert "486, seen from q850:17:" in text
    assert re.search(r"^Code +17 User busy +486 Busy Here$", text, re.MULTILINE)


def test_an_unknown_code_says_so() -> None:
    assert "455 is neither registered" in run("455")
    assert "treated as 400" in run("455")
    assert "treated as 183" in run("150")


def test_json_parses_and_is_whole() -> None:
    (entry,) = json.loads(run("488", "--format", "json"))
    assert (entry["id"], entry["asked"], entry["fallback"]) == ("sip.488", "488", False)
    assert {"phrase", "rfc", "meaning", "when", "cause", "check", "failure", "severity", "retry"} <= set(entry)
    assert {"text", "tell", "fix", "on"} == set(entry["cause"][0])


def test_json_of_a_class_an_unknown_code_and_a_context() -> None:
    codes = [entry["code"] for entry in json.loads(run("6xx", "--format", "json"))]
    assert codes == ["6xx", "600", "603", "604", "606", "607", "608", "699"]
    (unknown,) = json.loads(run("455", "--format", "json"))
    assert (unknown["code"], unknown["fallback"]) == ("4xx", True)
    (bye,) = json.loads(run("481", "--method", "BYE", "--format", "json"))
    assert bye["meaning"] == load().lookup(481, "BYE").meaning


def test_colour_is_for_those_who_want_it() -> None:
    assert not escapes(run("486"))
    assert not escapes(run("486", "--color", "never"))
    colored = run("486", "--color", "always", NO_COLOR="1")
    assert escapes(colored)
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored).splitlines() == run("486").splitlines()


def test_json_of_other_kinds_of_names_and_of_a_search() -> None:
    (cause,) = json.loads(run("q850:17", "--format", "json"))
    assert (cause["id"], cause["asked"], cause["kind"], cause["fallback"]) == ("q850.17", "q850:17", "q850", False)
    assert json.loads(run("486", "--format", "json"))[0]["kind"] == "sip"
    assert json.loads(run("USER_BUSY", "--format", "json")) == [cause]
    found = json.loads(run("--search", "not acceptable here", "--format", "json"))
    assert found[0]["id"] == "sip.488"


def test_the_language_is_that_of_the_option_or_the_locale() -> None:
    spanish = run("486", "--lang", "es")
    assert " ".join(load(language="es").entry(486).meaning.split()) in " ".join(spanish.split())
    assert "Causas probables" in spanish
    assert run("486", LC_ALL="es_ES.UTF-8") == spanish
    assert run("486", "--lang", "en", LC_ALL="es_ES.UTF-8") == run("486")
    with pytest.raises(KnowledgeError, match="no knowledge in language 'tlh'; use one of: en, es"):
        run("486", "--lang", "tlh")


def test_options_that_make_no_sense() -> None:
    with pytest.raises(KnowledgeError, match="exclude each other"):
        run("401", "--sent", "--received")
    with pytest.raises(KnowledgeError, match="--stack kamailio: use one of asterisk"):
        run("401", "--stack", "kamailio")
    with pytest.raises(KnowledgeError, match="--format xml: use text or json"):
        run("401", "--format", "xml")
    with pytest.raises(FilterError, match="--color blue"):
        run("401", "--color", "blue")
