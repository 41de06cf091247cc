"""`siplogs patterns`: lists, shows, proves and tries pattern packs."""

import re
from pathlib import Path

import pytest

from tests.cli.command import log, siplogs
from tests.packs.recorded import recorded, shipped

HEAD = 'name = "mine"\ntitle = "x"\nproduct = "asterisk"\nversions = "22"\nprefix = "asterisk"\nsources = ["x"]\n'
RULE = (
    '[[rule]]\nname = "lost"\nkind = "notice"\nliteral = "LOST"\npattern = \'LOST (?P<call_id>\\S+)\'\n'
    '[[rule.sample]]\nlog = "[Nov 21 02:17:08] NOTICE[1] pbx.c: LOST a@b"\nfields = { call_id = "a@b" }\n'
)


def test_list() -> None:
    done = siplogs("patterns", "list")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert [line.split()[0] for line in lines] == list(shipped())
    for line, pack in zip(lines, shipped().values(), strict=True):
        assert f" {len(pack.rules)} rules" in line
        assert pack.data.title in line


@pytest.mark.parametrize("name", shipped())
def test_show(name: str) -> None:
    done = siplogs("patterns", "show", name)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    pack = shipped()[name]
    assert pack.origin in text
    for rule in pack.rules:
        assert f"\n{rule.name} ({rule.kind}" in text
        assert repr(rule.data.literal) in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)


def test_show_of_no_pack() -> None:
    done = siplogs("patterns", "show", "asterisk-pjsib")
    assert (done.returncode, done.stdout) == (2, b"")
    assert re.fullmatch(
        rb"siplogs: no pattern pack 'asterisk-pjsib'; there are asterisk-chan-sip, [^\n]+\n", done.stderr
    )


def test_check() -> None:
    done = siplogs("patterns", "check")
    assert (done.returncode, done.stderr) == (0, b"")
    samples = sum(len(rule.data.sample) for pack in shipped().values() for rule in pack.rules)
    rules = sum(len(pack.rules) for pack in shipped().values())
    assert done.stdout.decode() == f"6 packs, {rules} rules, {samples} samples, 0 wrong\n"


def test_check_takes_the_users_packs_too(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(HEAD + RULE)
    right = siplogs("patterns", "check", SIPLOGS_PATTERNS=str(tmp_path))
    assert (right.returncode, right.stdout[:8]) == (0, b"7 packs,")
    (tmp_path / "mine.toml").write_text(HEAD + RULE.replace('call_id = "a@b"', 'call_id = "c@d"'))
    wrong = siplogs("patterns", "check", SIPLOGS_PATTERNS=str(tmp_path))
    assert wrong.returncode == 2
    assert wrong.stderr.decode() == (
        f"siplogs: {tmp_path}/mine.toml: rule lost: sample 1: field call_id: expected 'c@d', found 'a@b'; "
        "mend the pattern or the sample\n"
    )


@pytest.mark.parametrize("command", [["list"], ["check"], ["show", "asterisk-pjsip"], ["test", "asterisk-pjsip", "-"]])
def test_wrong_pack_of_the_users_is_told_by_every_command(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(HEAD + RULE.replace("call_id", "callid"))
    done = siplogs("patterns", *command, SIPLOGS_PATTERNS=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.decode() == (
        f"siplogs: {tmp_path}/mine.toml: rule lost: unknown field 'callid'; did you mean 'call_id'? "
        "otherwise list it under details\n"
    )


@pytest.mark.parametrize(
    ("pack", "name", "rules"),
    [
        ("asterisk-pjsip", "asterisk/asterisk22-pjsip-default", {"received": rb"<--- Received SIP", "sent": rb"<--- Transmitting SIP"}),
        ("asterisk-security", "asterisk/asterisk22-pjsip-codes", {"accepted-pjsip": rb'SecurityEvent="SuccessfulAuth"'}),
        ("freeswitch-siptrace", "freeswitch/freeswitch-1.10-siptrace-reg", {"received": rb"recv \d+ bytes from", "sent": rb"send \d+ bytes to"}),
    ],
)  # fmt: skip
def test_trial_on_a_log(pack: str, name: str, rules: dict[str, bytes]) -> None:
    done = siplogs("patterns", "test", pack, log(name))
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    hits = {
        rule: int(count.replace(",", "")) for count, rule in re.findall(r"^ *([\d,]+)  ([\w-]+)$", text, re.MULTILINE)
    }
    assert hits.keys() == {rule.name for rule in shipped()[pack].rules}
    for rule, marker in rules.items():
        assert hits[rule] == len(re.findall(marker, recorded(f"{name}.log")))
    assert f" of {len(recorded(f'{name}.log')):,} bytes in records" in text
    assert "SIP-looking lines missed" in text


def test_trial_of_a_log_with_keep_alives() -> None:
    assert b"<--- SIP read from" in recorded("asterisk/asterisk16-chan_sip-raw.log")
    done = siplogs("patterns", "test", "asterisk-chan-sip", log("asterisk/asterisk16-chan_sip-raw"))
    assert (done.returncode, done.stderr) == (0, b"")


def test_trial_shows_missed_lines_without_secrets_and_safely(tmp_path: Path) -> None:
    path = tmp_path / "full"
    path.write_bytes(
        b"[Nov 21 02:17:08] NOTICE[1] x.c: odd SIP/2.0 \x1b[31m\x9b5m sip:alice:5ecre7f00d@example.com\n"
        b'[Nov 21 02:17:08] NOTICE[1] x.c: odd SIP/2.0 Authorization: Digest response="5ecre7f00d"\n' * 20
    )
    done = siplogs("patterns", "test", "asterisk-pjsip", str(path))
    text = done.stdout.decode()
    assert done.returncode == 1
    assert "40 SIP-looking lines missed:" in text
    assert text.count("odd SIP/2.0") == 10
    assert "5ecre7" not in text
    assert "[redacted]" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_trial_of_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "try.toml"
    path.write_text(HEAD + RULE)
    done = siplogs("patterns", "test", str(path), "-", data=b"[Nov 21 02:17:08] NOTICE[1] pbx.c: LOST x@y\n" * 3)
    assert done.returncode == 0
    assert done.stdout.decode().splitlines()[0].split() == ["3", "lost"]


@pytest.mark.parametrize(
    ("pack", "path"), [("asterisk-pjsip", "/nonexistent/full"), ("nothing.toml", "-"), ("asterisk-pjsib", "-")]
)
def test_trial_of_what_is_not_there(pack: str, path: str) -> None:
    done = siplogs("patterns", "test", pack, path, data=b"x\n")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"siplogs: ")
    assert b"Traceback" not in done.stderr


def test_trial_of_an_archive_that_is_cut(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "full.gz"
    path.write_bytes(gzip.compress(recorded("asterisk/asterisk22-pjsip-default.log"))[:6000])
    done = siplogs("patterns", "test", "asterisk-pjsip", str(path))
    assert done.stderr.count(b"\n") == 1
    assert b"full.gz: the gzip archive is cut off" in done.stderr
    assert done.returncode == 2
    hits = {rule: int(count) for count, rule in re.findall(r"^ *(\d+)  ([\w-]+)$", done.stdout.decode(), re.MULTILINE)}
    assert hits.keys() == {rule.name for rule in shipped()["asterisk-pjsip"].rules}
    assert hits["received"] + hits["sent"] > 1


def test_no_log_is_read_with_an_unproven_pack_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(HEAD + RULE.replace('call_id = "a@b"', 'call_id = "c@d"'))
    done = siplogs("scan", log("asterisk/asterisk22-pjsip-default"), SIPLOGS_PATTERNS=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"siplogs: {tmp_path}/mine.toml: rule lost: sample 1: field call_id")
