"""`siplogs scan` as a shell runs it: filters, formats, exit codes, and what it says when there is nothing to show."""

import bz2
import csv
import gzip
import io
import itertools
import json
import os
import re
import signal
import threading
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.cli.command import (
    documents,
    environment,
    group_has_ended,
    log,
    on_a_terminal,
    siplogs,
    started,
    truth,
    unpacked,
)
from tests.packs.recorded import recorded
from tests.packs.writers import AFTER, BEFORE, message, pjsip

PJSIP, CHAN_SIP = "asterisk/asterisk22-pjsip-codes", "asterisk/asterisk16-chan_sip-codes"
FREESWITCH = "freeswitch/freeswitch-1.10-siptrace-codes"
LARGE = "freeswitch/freeswitch-1.10-siptrace-load-large"
NAMES = [PJSIP, CHAN_SIP, FREESWITCH]
ESCAPE = b"\x1b["


def messages(*arguments: str, name: str) -> list[dict[str, Any]]:
    done = siplogs("scan", "--kind", "message", "--timezone", "UTC", *arguments, log(name))
    assert done.stderr == b""
    assert done.returncode == (0 if done.stdout else 1)
    return documents(done)


def peer(row: dict[str, Any]) -> str:
    """The address of the far side in a row of a truth file."""
    inbound = row.get("direction", row.get("dir")) in ("in", "recv")
    return str(row["src"] if inbound else row["dst"]).rpartition(":")[0].strip("[]")


@pytest.mark.parametrize("name", NAMES)
def test_code(name: str) -> None:
    codes = Counter(row["code"] for row in truth(name) if row["code"])
    found = messages("--code", "486", name=name)
    assert len(found) == codes[486] > 0
    assert {document["sip"]["code"] for document in found} == {"486"}

    found = messages("--code", "404, 5xx,6XX", name=name)
    expected = {code: count for code, count in codes.items() if code == 404 or code >= 500}
    assert Counter(document["siplogs"]["code"] for document in found) == expected


@pytest.mark.parametrize("name", NAMES)
def test_method(name: str) -> None:
    """A response has the method of its CSeq."""
    rows = [row["cseq"].split()[-1] for row in truth(name)]
    found = messages("--method", "bye,CANCEL", name=name)
    assert Counter(document["sip"]["cseq"]["method"] for document in found) == {
        method: rows.count(method) for method in ("BYE", "CANCEL")
    }


@pytest.mark.parametrize("name", NAMES)
def test_call_id(name: str) -> None:
    rows = truth(name)
    whole = next(row["call_id"] for row in rows if row["code"] == 486)
    for wanted in (whole, whole[:6]):
        found = messages("--call-id", wanted, name=name)
        expected = Counter(row["call_id"] for row in rows if row["call_id"].startswith(wanted))
        assert Counter(document["sip"]["call_id"] for document in found) == expected
    assert messages("--call-id", whole[1:], name=name) == []


@pytest.mark.parametrize(
    ("name", "network"), [(PJSIP, "127.22.0.16/28"), (CHAN_SIP, "127.16.0.11"), (FREESWITCH, "127.0.0.8/29")]
)
def test_ip(name: str, network: str) -> None:
    """Both ends are looked at; the far one is in the truth, the own one is outside these networks."""
    wanted = ip_network(network)
    expected = sum(ip_address(peer(row)) in wanted for row in truth(name))
    assert len(messages("--ip", network, name=name)) == expected > 0


def test_since_and_until() -> None:
    rows = sorted(row["time"] for row in truth(FREESWITCH))
    gaps = [(later - sooner, sooner, later) for sooner, later in itertools.pairwise(rows)]
    _, sooner, later = max(gaps)
    middle = datetime.fromtimestamp((sooner + later) / 2, UTC)
    text = middle.strftime("%Y-%m-%d %H:%M:%S.%f")
    before = messages("--until", text, name=FREESWITCH)
    after = messages("--since", text, name=FREESWITCH)
    assert len(before) == sum(time <= sooner for time in rows)
    assert len(after) == sum(time >= later for time in rows)
    assert messages("--since", text, "--until", text, name=FREESWITCH) == []
    madrid = siplogs("scan", "--kind", "message", "--timezone", "Europe/Madrid", "--until", text, log(FREESWITCH))
    assert len(documents(madrid)) == len(before)


def test_since_relative_to_now(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    lines = b"".join(
        AFTER["asterisk"].replace(
            b"Nov 21 02:17:09", f"{datetime.fromtimestamp(now.timestamp() - age, UTC):%Y-%m-%d %H:%M:%S}".encode()
        )
        for age in (200_000, 10_000, 4_000, 600, 5)
    )
    path = tmp_path / "full"
    path.write_bytes(lines)
    for since, count in (("1h ago", 2), ("2h ago", 3), ("3 days ago", 5), ("60s", 1)):
        assert len(documents(siplogs("scan", "--timezone", "UTC", "--since", since, str(path)))) == count


def test_kinds() -> None:
    text = recorded(f"{PJSIP}.log")
    everything = Counter(document["siplogs"]["kind"] for document in documents(siplogs("scan", log(PJSIP))))
    assert everything["security"] == text.count(b'SecurityEvent="')
    assert everything["message"] == len(truth(PJSIP))
    for kind in ("security", "notice,registration"):
        found = Counter(
            document["siplogs"]["kind"] for document in documents(siplogs("scan", "--kind", kind, log(PJSIP)))
        )
        assert found == {name: everything[name] for name in kind.split(",") if everything[name]}


def test_failures() -> None:
    """Challenges and cancelled calls are none; what the far side or the PBX refused is."""
    found = messages("--failures", name=PJSIP)
    codes = Counter(row["code"] for row in truth(PJSIP) if row["code"])
    shown = Counter(document["siplogs"]["code"] for document in found)
    assert all(document["siplogs"]["failure"] for document in found)
    assert not {100, 180, 183, 200, 202, 401, 407, 487} & shown.keys()
    for code in (403, 404, 486, 488, 500, 503, 603):
        assert shown[code] == codes[code]


def test_parties() -> None:
    everything = messages(name=PJSIP)
    for option, side in (("--from", "from"), ("--to", "to")):
        expected = [one for one in everything if one["sip"].get(side, {}).get("uri", {}).get("username") == "1001"]
        assert messages(option, "1001", name=PJSIP) == [without(one) for one in expected] or same(messages(option, "1001", name=PJSIP), expected)  # fmt: skip
        assert expected
    named = [one for one in everything if "1001" in one["related"].get("user", [])]
    assert same(messages("--user", "1001", name=PJSIP), named)


def without(document: dict[str, Any]) -> dict[str, Any]:
    """A document without the moment of reading."""
    return document | {"event": {name: value for name, value in document["event"].items() if name != "created"}}


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    return [without(document) for document in one] == [without(document) for document in other]


def test_match() -> None:
    text = recorded(f"{PJSIP}.log")
    found = messages("--match", r"(?i)^user-agent: SIPp", name=PJSIP)
    assert found == [] or all("SIPp" in document["event"]["original"] for document in found)
    found = messages("--match", r"Reason: .*cause=21", name=PJSIP)
    assert len(found) == len(re.findall(rb"\nReason: [^\n]*cause=21", text))
    table = siplogs("scan", "--format", "csv", "--kind", "message", "--match", r"Reason: .*cause=21", log(PJSIP))
    assert table.stdout.count(b"\r\n") == len(found) + bool(found)


def test_match_that_takes_too_long(tmp_path: Path) -> None:
    path = tmp_path / "full"
    path.write_bytes(pjsip(message(b"", b"X: " + b"a" * 3000 + b"!")))
    done = siplogs("scan", "--match", "(a+)+$", str(path))
    assert done.returncode == 2
    assert re.fullmatch(
        rb"siplogs: --match '\(a\+\)\+\$': took over 1 s [^\n]* write a simpler expression\n", done.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--code", "99"], "siplogs: --code 99: give codes from 100 to 699 or classes such as 4xx"),
        (
            ["--kind", "mesage"],
            "siplogs: --kind mesage: no such kind; use one of message, notice, registration, security",
        ),
        (["--ip", "192.0.2.300"], "siplogs: --ip 192.0.2.300: no address or network; write 192.0.2.7 or 192.0.2.0/24"),
        (["--since", "whenever"], "siplogs: 'whenever' is no time; write '2026-11-21 02:00', '02:00' or '2h ago'"),
        (["--match", "["], "siplogs: --match '['"),
        (["--format", "xml"], "siplogs: --format xml: no such format; use one of table, ndjson, json, csv"),
        (["--color", "maybe"], "siplogs: --color maybe: use auto, always or never"),
        (["--timezone", "Europe/Nowhere"], "siplogs: no time zone 'Europe/Nowhere'; give a name such as Europe/Madrid"),
        (["--timezone", "../etc/passwd"], "siplogs: no time zone"),
        (["--pack", "asterisk-pjsib"], "siplogs: no pattern pack 'asterisk-pjsib'; there are asterisk-chan-sip, "),
    ],
)
def test_bad_value_is_told_in_one_line_with_its_remedy(arguments: list[str], expected: str) -> None:
    done = siplogs("scan", *arguments, log(PJSIP))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(expected)
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("arguments", [["--bogus"], ["--jobs", "-1"], ["--jobs", "many"], ["--code"]])
def test_wrong_usage(arguments: list[str]) -> None:
    done = siplogs("scan", *arguments)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"-h" in done.stderr


def test_exit_codes(tmp_path: Path) -> None:
    """Like grep's: 0 found, 1 nothing matched, 2 trouble, also when the rest was read."""
    assert siplogs("scan", log(FREESWITCH)).returncode == 0
    assert siplogs("scan", "--call-id", "nobody", log(FREESWITCH)).returncode == 1
    missing = siplogs("scan", log(FREESWITCH), str(tmp_path / "missing"))
    assert missing.returncode == 2
    assert missing.stdout.count(b"\n") > 100
    assert missing.stderr.count(b"\n") == 1
    assert str(tmp_path / "missing").encode() in missing.stderr
    empty = tmp_path / "empty"
    empty.touch()
    assert siplogs("scan", str(empty)).returncode == 2
    cut = tmp_path / "full.1.gz"
    cut.write_bytes(gzip.compress(recorded(f"{FREESWITCH}.log"))[:50_000])
    done = siplogs("scan", str(cut))
    assert done.returncode == 2
    assert done.stdout.count(b"\n") > 20
    assert done.stderr.count(b"\n") == 1
    assert b"full.1.gz: the gzip archive is cut off" in done.stderr


def test_formats_show_the_same_events() -> None:
    arguments = ["scan", "--timezone", "UTC", "--code", "4xx", log(PJSIP)]
    lines = documents(siplogs(*arguments))
    array = json.loads(siplogs(*arguments, "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(siplogs(*arguments, "--format", "csv").stdout.decode(), newline="")))
    table = siplogs(*arguments, "--format", "table").stdout.decode()
    assert same(array, lines)
    assert [row["code"] for row in rows] == [str(document["siplogs"]["code"]) for document in lines]
    assert [row["time"] for row in rows] == [document["@timestamp"] for document in lines]
    body, _, summary = table.partition("\n\n")
    assert len(body.splitlines()) == len(lines) + 1
    assert summary.startswith(f"{len(lines)} events shown")
    codes = Counter(document["siplogs"]["code"] for document in lines if document["siplogs"]["kind"] == "message")
    for code, count in codes.items():
        assert re.search(rf"(^|\W){count} × {code} ", summary, re.MULTILINE), (code, count)


def test_default_format_in_a_pipe_is_ndjson_and_on_a_terminal_a_table() -> None:
    assert json.loads(siplogs("scan", "--code", "486", log(PJSIP)).stdout.splitlines()[0])["siplogs"]["code"] == 486
    shown = on_a_terminal("scan", "--code", "486", "--timezone", "UTC", log(PJSIP))
    plain = re.sub(r"\x1b\[\d+m", "", shown)
    assert plain.startswith("Time (UTC)")
    assert "486 Busy Here" in plain
    assert "Fix: " in plain
    assert "siplogs explain 486" in plain


@pytest.mark.parametrize("form", ["json", "csv", "ndjson", "table"])
def test_nothing_found(form: str) -> None:
    done = siplogs("scan", "--format", form, "--call-id", "nobody", log(FREESWITCH))
    assert (done.returncode, done.stderr) == (1, b"")
    if form == "json":
        assert json.loads(done.stdout) == []
    else:
        assert done.stdout == b""


def test_colour() -> None:
    wanted = ["scan", "--format", "table", "--code", "486", log(PJSIP)]
    assert ESCAPE not in siplogs(*wanted).stdout
    assert ESCAPE in siplogs(*wanted, "--color", "always").stdout
    assert ESCAPE in siplogs(*wanted, "--color", "always", NO_COLOR="1").stdout
    assert "\x1b[" in on_a_terminal(*wanted)
    assert "\x1b[" not in on_a_terminal(*wanted, NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal(*wanted, TERM="dumb")
    assert "\x1b[" not in on_a_terminal(*wanted, "--color", "never")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, zstandard.ZstdCompressor().compress])
def test_compressed_logs_and_standard_input(pack: Any, tmp_path: Path) -> None:
    text = recorded(f"{FREESWITCH}.log")
    expected = siplogs("scan", "--format", "csv", "--timezone", "UTC", "-", data=text)
    packed = siplogs("scan", "--format", "csv", "--timezone", "UTC", "-", data=pack(text))
    assert packed.stdout == expected.stdout
    assert expected.stdout.count(b"\r\n") > 500
    path = tmp_path / "freeswitch.log.1"
    path.write_bytes(pack(text))
    of_file = siplogs("scan", "--format", "csv", "--timezone", "UTC", str(path))
    assert of_file.stdout.replace(str(path).encode(), b"-") == expected.stdout


def test_folder_and_rotated_set_are_read_oldest_first() -> None:
    folder = Path(log(PJSIP)).parent / "asterisk22-pjsip-rotate-sequential"
    times = [
        document["@timestamp"]
        for document in documents(siplogs("scan", "--kind", "message", "--timezone", "UTC", str(folder)))
    ]
    assert times == sorted(times)
    assert len(times) > 300


def test_file_name_that_is_no_text(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/full-\xff\xfe\x1b[31m"
    Path(os.fsdecode(path)).write_bytes(pjsip(message()) + AFTER["asterisk"])
    for form in ("ndjson", "csv", "table"):
        done = siplogs("scan", "--format", form, os.fsdecode(path))
        assert b"Traceback" not in done.stderr
        assert done.returncode == 0
        assert b"\x1b" not in done.stdout
        assert done.stdout.decode()


@pytest.mark.parametrize(
    ("name", "switch"),
    [
        ("asterisk/asterisk16-chan_sip-nosipdebug", "asterisk -rx 'sip set debug on'"),
        ("asterisk/asterisk22-pjsip-nosipdebug", "asterisk -rx 'pjsip set logger on'"),
        ("freeswitch/freeswitch-1.10-info-nosiptrace", "fs_cli -x 'sofia global siptrace on'"),
    ],
)
def test_log_without_messages_tells_the_switch(name: str, switch: str) -> None:
    done = siplogs("scan", log(name))
    lines = recorded(f"{name}.log").count(b"\n")
    assert f"siplogs: no SIP messages in {lines:,} lines: SIP logging seems to be off" in done.stderr.decode()
    assert switch in done.stderr.decode()
    assert done.returncode == 0
    assert all(document["siplogs"]["kind"] != "message" for document in documents(done))
    filtered = siplogs("scan", "--code", "486", log(PJSIP))
    assert b"logging seems to be off" not in filtered.stderr


def test_file_that_no_pack_knows_is_shown_by_its_first_lines_without_secrets(tmp_path: Path) -> None:
    path = tmp_path / "other.log"
    secret = b'2026-11-21 proxy: Authorization: Digest response="5ecre7f00dbabe" sip:alice:5ecre7f00dbabe@example.com'
    path.write_bytes(b"first \x1b[31mline\x1b]0;x\x07\n" + secret + b"\nthird\nfourth\n" * 50)
    done = siplogs("scan", str(path))
    said = done.stderr.decode()
    assert done.returncode == 1
    assert "no SIP messages in 101 lines, and no pattern pack fits" in said
    assert "tried asterisk-chan-sip, asterisk-notices, asterisk-pjsip" in said
    assert "first line\n" in said
    assert "[redacted]" in said
    assert "third" in said
    assert "fourth" not in said
    assert "5ecre7" not in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    "name", [PJSIP, CHAN_SIP, "freeswitch/freeswitch-1.10-siptrace-bad", "asterisk/asterisk22-pjsip-long"]
)
def test_stats_add_up(name: str) -> None:
    done = siplogs("scan", "--stats", "--code", "4xx", log(name))
    said = done.stderr.decode()
    figures = {
        label: int(number.replace(",", ""))
        for label, number in re.findall(r"^(read|in records|skipped|events) +([\d,]+) ", said, re.MULTILINE)
    }
    rules = [int(number.replace(",", "")) for number in re.findall(r"^  [\w/-]+ +([\d,]+)$", said, re.MULTILINE)]
    assert figures["read"] == len(recorded(f"{name}.log")) == figures["in records"] + figures["skipped"]
    assert sum(rules) >= figures["events"] == len(documents(siplogs("scan", log(name))))
    assert f"found, {done.stdout.count(bytes([10])):,} shown" in said
    truncated = sum(document["siplogs"].get("truncated", False) for document in documents(siplogs("scan", log(name))))
    counted = re.search(r"^truncated +([\d,]+) ", said, re.MULTILINE)
    assert (int(counted[1]) if counted else 0) == truncated


def test_forced_pack() -> None:
    found = documents(siplogs("scan", "--pack", "asterisk-security", log(PJSIP)))
    assert {document["siplogs"]["pack"] for document in found} == {"asterisk-security"}


def test_users_pack_replaces_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'name = "asterisk-notices"\ntitle = "x"\nproduct = "asterisk"\nversions = "22"\nprefix = "asterisk"\nsources = ["x"]\n'
        '[[rule]]\nname = "mine"\nkind = "notice"\nliteral = "is now UNREACH"\npattern = "Peer \'(?P<peer>[^\']*)\' is now UNREACH"\n'
        '[[rule.sample]]\nlog = "[Nov 21 02:17:08] NOTICE[1] chan_sip.c: Peer \'x\' is now UNREACHABLE!"\nfields = { peer = "x" }\n'
    )
    done = siplogs("scan", "-", data=BEFORE["asterisk"] + pjsip(message()), SIPLOGS_PATTERNS=str(tmp_path))
    assert [document["siplogs"]["rule"] for document in documents(done)] == ["mine", "received"]
    (tmp_path / "mine.toml").write_text("name = ")
    done = siplogs("scan", "-", data=BEFORE["asterisk"], SIPLOGS_PATTERNS=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"mine.toml: no valid TOML" in done.stderr


def test_one_and_two_jobs_give_the_same_bytes(tmp_path: Path) -> None:
    path = str(unpacked(LARGE, tmp_path))
    one = siplogs("scan", "--format", "csv", "--timezone", "UTC", "--jobs", "1", "--stats", path)
    two = siplogs("scan", "--format", "csv", "--timezone", "UTC", "--jobs", "2", "--stats", path)
    assert one.stdout == two.stdout
    assert one.stderr == two.stderr
    assert one.stdout.count(b"\r\n") > 20_000


def endless(process: Any, piece: bytes) -> threading.Thread:
    """Keep writing a log into a command's standard input until it ends."""

    def write() -> None:
        with suppress(OSError, ValueError):
            while True:
                process.stdin.write(piece)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("form", ["ndjson", "table", "json", "csv"])
def test_pipe_that_is_closed_early_ends_the_scan_quietly(form: str) -> None:
    """`| head -1`: the log never ends, so only the closed pipe can end the command."""
    process = started("scan", "--format", form, "-")
    thread = endless(process, recorded(f"{FREESWITCH}.log"))
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    code = process.wait(timeout=60)
    thread.join(timeout=60)
    assert process.stderr.read() == b""
    assert code in (0, -signal.SIGPIPE, 128 + signal.SIGPIPE)
    assert group_has_ended(process)


def test_pipe_that_is_closed_early_ends_all_processes(tmp_path: Path) -> None:
    process = started("scan", "--jobs", "2", str(unpacked(LARGE, tmp_path)), stdin=None)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    process.wait(timeout=60)
    assert process.stderr.read() == b""
    assert group_has_ended(process)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_all_processes_quietly(jobs: str, tmp_path: Path) -> None:
    process = started("scan", "--jobs", jobs, str(unpacked(LARGE, tmp_path)), stdin=None)
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said == b""
    assert process.returncode == 130
    assert group_has_ended(process)


def test_ctrl_c_while_waiting_for_standard_input() -> None:
    process = started("scan", "-", "--format", "ndjson")
    assert process.stdin is not None
    assert process.stdout is not None
    log_text = recorded(f"{FREESWITCH}.log")
    process.stdin.write(log_text * 4)
    process.stdin.flush()
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said == b""
    assert process.returncode == 130


def test_help_names_every_option() -> None:
    done = siplogs("scan", "--help")
    assert done.returncode == 0
    for option in ("--call-id", "--code", "--method", "--from", "--to", "--user", "--ip", "--since", "--until", "--failures",
                   "--kind", "--match", "--format", "--stats", "--pack", "--timezone", "--color", "--jobs"):  # fmt: skip
        assert option.encode() in done.stdout
    assert b"Exit codes" in done.stdout


def test_settings_of_this_machine_stay_out() -> None:
    assert not [name for name in environment() if name.startswith("SIPLOGS_") and name != "SIPLOGS_PATTERNS"]
