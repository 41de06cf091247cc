"""A user's packs: they replace shipped ones, and a wrong one is refused with file, entry and remedy on one line."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from siplogs.errors import PackError
from siplogs.packs import Literals, Scanner, check_packs, load_packs, require_proof, trial
from siplogs.packs.pack import load_pack_file
from siplogs.resources import data_folder

SHIPPED = data_folder("patterns")
HEAD = """
name = "mine"
title = "Lines of our own"
product = "asterisk"
versions = "22"
prefix = "asterisk"
sources = ["our dialplan"]
details = ["queue"]
"""
RULE = """
[[rule]]
name = "lost-call"
kind = "notice"
literal = "LOST CALL"
pattern = 'LOST CALL (?P<call_id>\\S+) in (?P<queue>\\w+)'
set = { outcome = "failure" }

[[rule.sample]]
log = "[Nov 21 02:17:08] NOTICE[1] pbx.c: LOST CALL a@b in sales\\n"
fields = { call_id = "a@b", queue = "sales" }
"""
CATASTROPHE = "(a+)+$"


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    """The one line that says what is wrong with a pack."""
    with pytest.raises(PackError) as caught:
        require_proof([load_pack_file(path, SHIPPED)])
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def test_right_pack_is_taken_beside_the_shipped_ones(tmp_path: Path) -> None:
    written(tmp_path, HEAD + RULE)

    packs = load_packs(SHIPPED, tmp_path)

    assert {"mine", "asterisk-pjsip", "freeswitch-log"} <= packs.keys()
    assert list(check_packs(packs.values())) == []
    (record,) = Scanner(Literals(packs["mine"].rules)).scan([b"[Nov 21 02:17:09] NOTICE[7] pbx.c: LOST CALL x in y\n"])
    assert (record.fields["call_id"], record.fields["queue"], record.fields["outcome"]) == (b"x", b"y", b"failure")


def test_a_users_pack_replaces_the_shipped_one_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, HEAD.replace('"mine"', '"asterisk-notices"') + RULE)
    monkeypatch.setenv("SIPLOGS_PATTERNS", str(tmp_path))

    packs = load_packs(SHIPPED)

    assert packs["asterisk-notices"].origin == str(path)
    assert [rule.name for rule in packs["asterisk-notices"].rules] == ["lost-call"]
    assert len(packs["asterisk-security"].rules) > 1


def test_two_packs_of_the_users_with_one_name_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + RULE)
    copy = path.with_name("zz-copy.toml")
    copy.write_bytes(path.read_bytes())
    with pytest.raises(PackError) as caught:
        load_packs(SHIPPED, tmp_path)
    assert str(caught.value) == f"{copy}: {path} is a pack named 'mine' too; give one another name"


def test_a_wrong_pack_of_the_users_is_refused_with_all_packs(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + RULE.replace("call_id", "callid"))
    with pytest.raises(PackError, match=re.escape(f"{path}: rule lost-call: unknown field 'callid'")):
        load_packs(SHIPPED, tmp_path)


def test_no_folder_of_the_users_is_no_trouble(tmp_path: Path) -> None:
    assert load_packs(SHIPPED, tmp_path / "nothing").keys() == load_packs(SHIPPED, tmp_path).keys()


def test_unknown_field_names_the_nearest(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + RULE.replace("call_id", "callid"))
    assert re.search(r"rule lost-call: unknown field 'callid'; did you mean 'call_id'\?", refusal(path))


def test_unknown_field_without_a_near_one_says_where_to_list_it(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD.replace('["queue"]', "[]") + RULE.replace("queue", "zzyzx"))
    text = refusal(path)
    assert "rule lost-call: unknown field 'zzyzx'" in text
    assert "details" in text
    assert "did you mean" not in text


def test_unknown_name_under_set(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + RULE.replace("set = { outcome", "set = { outcom"))
    assert "rule lost-call: unknown field 'outcom'; did you mean 'outcome'?" in refusal(path)


def test_rule_without_sample(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + RULE.partition("[[rule.sample]]")[0] + "sample = []\n")
    text = refusal(path)
    assert "rule lost-call" in text
    assert "[[rule.sample]]" in text


def test_rule_where_sample_was_forgotten_altogether(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + RULE.partition("[[rule.sample]]")[0])
    text = refusal(path)
    assert "rule lost-call" in text
    assert "sample" in text


@pytest.mark.parametrize("pattern", ["LOST CALL (?P<call_id>", "LOST CALL [", "LOST CALL **"])
def test_bad_regular_expression(tmp_path: Path, pattern: str) -> None:
    path = written(tmp_path, HEAD + re.sub(r"pattern = .*", lambda _: f"pattern = '{pattern}'", RULE))
    text = refusal(path)
    assert "rule lost-call: the pattern is no valid regular expression" in text
    assert text.endswith("mend it")


def test_bad_confirm_expression(tmp_path: Path) -> None:
    frame = 'frame = { by = "terminator", terminator = "---", confirm = "(" }\n'
    path = written(tmp_path, HEAD + RULE.replace("set =", frame + "set ="))
    assert "rule lost-call: the pattern is no valid regular expression" in refusal(path)


@pytest.mark.parametrize("text", ["name = ", HEAD + "[[rule]", 'name = "a"\nname = "b"\n', "\x00"])
def test_bad_toml(tmp_path: Path, text: str) -> None:
    said = refusal(written(tmp_path, text))
    assert "no valid TOML" in said
    assert "mend that line" in said


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b'name = "\xff\xfe"\n')
    assert "no valid TOML" in refusal(path)


def test_unknown_prefix_lists_the_known_ones(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD.replace('prefix = "asterisk"', 'prefix = "asterix"') + RULE)
    text = refusal(path)
    assert "unknown prefix 'asterix'" in text
    assert "asterisk, freeswitch" in text


def test_wrong_kind_names_the_rule(tmp_path: Path) -> None:
    second = RULE.replace("lost-call", "found-call").replace('kind = "notice"', 'kind = "notise"')
    text = refusal(written(tmp_path, HEAD + RULE + second))
    assert "rule found-call" in text
    assert "notise" in text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("kind =", "kint ="), "kint"),
        (('literal = "LOST CALL"', ""), "literal"),
        (('literal = "LOST CALL"', "literal = 7"), "literal"),
        (('literal = "LOST CALL"', 'literal = ""'), "literal"),
        (("set =", 'frame = { by = "magic" }\nset ='), "magic"),
        (("set =", 'frame = { by = "bytes" }\nset ='), "(?P<bytes>"),
        (("set =", 'frame = { by = "terminator" }\nset ='), "frame.terminator"),
    ],
)
def test_wrong_entry_of_a_rule(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    text = refusal(written(tmp_path, HEAD + RULE.replace(*change)))
    assert "rule lost-call" in text
    assert expected in text


@pytest.mark.parametrize("missing", ["name", "title", "product", "versions", "prefix", "sources"])
def test_missing_entry_of_a_pack(tmp_path: Path, missing: str) -> None:
    head = "\n".join(line for line in HEAD.splitlines() if not line.startswith(missing))
    assert f"`{missing}`" in refusal(written(tmp_path, head + RULE))


def test_duplicate_rule_name(tmp_path: Path) -> None:
    text = refusal(written(tmp_path, HEAD + RULE + RULE))
    assert "rule lost-call" in text
    assert "twice" in text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('call_id = "a@b"', 'call_id = "z@b"'), "field call_id: expected 'z@b', found 'a@b'"),
        (("LOST CALL a@b in", "LOST HOPE a@b in"), "the rule does not find it"),
        (("\nfields =", '\ndamage = "cut"\nfields ='), "damage: expected 'cut', found ''"),
    ],
)
def test_sample_that_is_not_kept(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    text = refusal(written(tmp_path, HEAD + RULE.replace(*change)))
    assert "rule lost-call: sample 1" in text
    assert expected in text


def test_an_ignoring_rule_must_find_its_sample_too(tmp_path: Path) -> None:
    rule = RULE.replace('"notice"', '"ignore"')
    assert list(check_packs([load_pack_file(written(tmp_path, HEAD + rule), SHIPPED)])) == []

    text = refusal(written(tmp_path, HEAD + rule.replace("LOST CALL a@b in", "LOST HOPE a@b in")))

    assert "rule lost-call: sample 1: the rule does not find it" in text


OPTIONAL = RULE.replace("in (?P<queue>\\w+)'", "in (?P<queue>\\w+)(?: by (?P<user>\\w*))?'")


def test_group_that_no_sample_fills(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + OPTIONAL)

    assert refusal(path) == (
        f"{path}: rule lost-call: no sample fills the group 'user'; "
        "add a sample that has it, or take it out of the pattern"
    )


def test_group_that_is_only_ever_empty_or_set_is_not_proven(tmp_path: Path) -> None:
    rule = OPTIONAL.replace("in sales", "in sales by ").replace('{ outcome = "failure" }', '{ user = "1001" }')
    assert "no sample fills the group 'user'" in refusal(written(tmp_path, HEAD + rule))


def test_one_sample_that_fills_a_group_is_enough(tmp_path: Path) -> None:
    second = '\n[[rule.sample]]\nlog = "[Nov 21 02:17:09] NOTICE[1] pbx.c: LOST CALL c@d in sales by 1001\\n"\n'
    path = written(tmp_path, HEAD + OPTIONAL + second + 'fields = { user = "1001" }\n')
    assert list(check_packs([load_pack_file(path, SHIPPED)])) == []


def test_groups_of_an_ignoring_rule_are_of_no_use_and_need_no_proof(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + OPTIONAL.replace('"notice"', '"ignore"'))
    assert list(check_packs([load_pack_file(path, SHIPPED)])) == []


def test_groups_are_asked_for_only_where_the_samples_are_kept(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + OPTIONAL.replace("LOST CALL a@b in", "LOST HOPE a@b in"))
    (trouble,) = check_packs([load_pack_file(path, SHIPPED)])
    assert "the rule does not find it" in trouble


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").mkdir()
    text = refusal(tmp_path / "mine.toml")
    assert "cannot be read" in text


def test_trial_takes_a_pack_by_name_or_file(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + RULE)
    log = [
        b"[Nov 21 02:17:08] NOTICE[1] pbx.c: LOST CALL a@b in sales\n",
        b"[Nov 21 02:17:08] NOTICE[1] pbx.c: half of SIP/2.0 something\n",
        b"[Nov 21 02:17:09] NOTICE[1] pbx.c: LOST CALL c@d in sales\n",
    ]

    tried = trial(str(path), SHIPPED, log)

    assert tried.hits == {"lost-call": 2}
    assert (tried.missed_count, tried.missed) == (1, [log[1].rstrip(b"\n")])
    assert set(trial("asterisk-pjsip", SHIPPED, log).hits.values()) == {0}


@pytest.mark.parametrize("name", ["asterisk-pjsib", "missing.toml"])
def test_trial_of_a_pack_that_is_not_there(name: str) -> None:
    with pytest.raises(PackError) as caught:
        trial(name, SHIPPED, [])
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_catastrophic_pattern_hits_its_limit_and_the_scan_goes_on(tmp_path: Path) -> None:
    """Without the limit this would take longer than the universe is old; the scan must end and find what follows."""
    rule = RULE.replace("LOST CALL (?P<call_id>\\S+) in (?P<queue>\\w+)", f"LOST CALL {CATASTROPHE}")
    rule = rule.replace("a@b in sales", "aaa").replace('{ call_id = "a@b", queue = "sales" }', "{}")
    good = RULE.replace("lost-call", "good").replace("LOST CALL", "GOOD CALL")
    path = written(tmp_path, HEAD + rule.replace('aaa\\n"', 'aaa"') + good)
    assert list(check_packs([load_pack_file(path, SHIPPED)])) == []
    log = tmp_path / "full"
    evil = b"[Nov 21 02:17:08] NOTICE[1] pbx.c: LOST CALL " + b"a" * 5000 + b"!\n"
    log.write_bytes(evil + b"[Nov 21 02:17:09] NOTICE[1] pbx.c: GOOD CALL c@d in sales\n")
    program = (
        "import sys; from pathlib import Path; from siplogs.packs import trial\n"
        "from siplogs.resources import data_folder\n"
        "print(trial(sys.argv[1], data_folder('patterns'), [Path(sys.argv[2]).read_bytes()]).hits)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(path), str(log)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )

    assert (done.stderr, done.stdout.strip()) == ("", "{'lost-call': 0, 'good': 1}")
