"""`siplogs scan` as a shell runs it: filters, formats, exit codes, and what it says when there is nothing to show."""

import bz2
import csv
import gzip
import io
import json
import os
import re
import signal
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard

from siplogs.cli.summary import summary_lines
from siplogs.filters import Filter
from siplogs.parallel import Job, Tally
from siplogs.pipeline import ReadOptions
from tests.cli.command import (
    documents,
    environment,
    group_has_ended,
    log,
    on_a_terminal,
    same,
    siplogs,
    started,
    unpacked,
)
from tests.packs.recorded import recorded
from tests.packs.writers import AFTER, BEFORE, message, pjsip

PJSIP = "asterisk/asterisk22-pjsip-codes"
SMALL = "asterisk/asterisk22-pjsip-default"
FREESWITCH = "freeswitch/freeswitch-1.10-siptrace-codes"
LARGE = "freeswitch/freeswitch-1.10-siptrace-load-large"
ESCAPE = b"\x1b["


def test_exit_codes(tmp_path: Path) -> None:
    """Like grep's: 0 found, 1 nothing matched, 2 trouble, also when the rest was read."""
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
    arguments = ["scan", "--timezone", "UTC", "--code", "4xx", log(SMALL)]
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
    assert json.loads(siplogs("scan", "--code", "486", log(SMALL)).stdout.splitlines()[0])["siplogs"]["code"] == 486
    shown = on_a_terminal("scan", "--code", "486", "--timezone", "UTC", log(SMALL))
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
    wanted = ["scan", "--format", "table", "--code", "486", log(SMALL)]
    assert ESCAPE not in siplogs(*wanted).stdout
    assert ESCAPE in siplogs(*wanted, "--color", "always").stdout
    assert ESCAPE in siplogs(*wanted, "--color", "always", NO_COLOR="1").stdout
    assert "\x1b[" in on_a_terminal(*wanted)
    assert "\x1b[" not in on_a_terminal(*wanted, NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal(*wanted, TERM="dumb")
    assert "\x1b[" not in on_a_terminal(*wanted, "--color", "never")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, zstandard.ZstdCompressor().compress])
def test_compressed_logs_and_standard_input(pack: Any, tmp_path: Path) -> None:
    text = recorded(f"{SMALL}.log")
    expected = siplogs("scan", "--format", "csv", "--timezone", "UTC", "-", data=text)
    packed = siplogs("scan", "--format", "csv", "--timezone", "UTC", "-", data=pack(text))
    assert packed.stdout == expected.stdout
    assert expected.stdout.count(b"\r\n") > 100
    path = tmp_path / "full.1"
    path.write_bytes(pack(text))
    of_file = siplogs("scan", "--format", "csv", "--timezone", "UTC", str(path))
    assert of_file.stdout.replace(str(path).encode(), b"'-") == expected.stdout


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


def test_file_that_no_pack_knows_is_shown_by_its_first_lines_without_secrets(tmp_path: Path) -> None:
    path = tmp_path / "other.log"
    secret = b'2026-11-21 proxy: Authorization: Digest response="5ecre7f00dbabe" sip:alice:5ecre7f00dbabe@example.com'
    path.write_bytes(b"first \x1b[31mline\x1b]0;x\x07\n" + secret + b"\nthird\nfourth\n" * 50)
    done = siplogs("scan", str(path))
    said = done.stderr.decode()
    assert done.returncode == 1
    assert "no SIP messages in 151 lines, and no pattern pack fits" in said
    assert "tried asterisk-chan-sip, asterisk-notices, asterisk-pjsip" in said
    assert "first line\n" in said
    assert "[redacted]" in said
    assert "third" in said
    assert "fourth" not in said
    assert "5ecre7" not in said
    assert "\x1b" not in said


@pytest.mark.parametrize("name", ["freeswitch/freeswitch-1.10-siptrace-bad", "asterisk/asterisk22-pjsip-long"])
def test_stats_add_up(name: str) -> None:
    done = siplogs("scan", "--stats", "--code", "4xx", log(name))
    said = done.stderr.decode()
    figures = {
        label: int(number.replace(",", ""))
        for label, number in re.findall(r"^(read|in records|skipped|events) +([\d,]+) ", said, re.MULTILINE)
    }
    rules = [int(number.replace(",", "")) for number in re.findall(r"^  [\w/-]+ +([\d,]+)$", said, re.MULTILINE)]
    assert figures["read"] == len(recorded(f"{name}.log")) == figures["in records"] + figures["skipped"]
    everything = documents(siplogs("scan", log(name)))
    assert sum(rules) >= figures["events"] == len(everything)
    assert f"found, {done.stdout.count(bytes([10])):,} shown" in said
    truncated = sum(document["siplogs"].get("truncated", False) for document in everything)
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
    text = recorded(f"{FREESWITCH}.log")
    process.stdin.write(text[:60_000])
    process.stdin.flush()
    for _ in range(10):
        assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said == b""
    assert process.returncode == 130


def test_nothing_in_standard_input_is_told() -> None:
    done = siplogs("scan", "-", data=b"")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"siplogs: standard input: nothing came; see whether the command before it failed\n"


def test_file_that_no_pack_knows_beside_a_good_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.log").write_bytes(b"\n  Authorization: Basic c2VjcmV0OnNlY3JldA==  \x1b[31m\nmore\n")
    done = siplogs("scan", str(tmp_path / "odd.log"), log(SMALL))
    assert done.returncode == 2
    assert done.stderr.decode() == (
        f"siplogs: {tmp_path}/odd.log: no pattern pack fits; it begins: Authorization: Basic [redacted]\n"
    )
    assert len(documents(done)) > 100


def test_messages_in_a_shape_that_no_pack_knows_are_not_taken_for_switched_off_logging(tmp_path: Path) -> None:
    entry = b"[Nov 21 02:17:08] VERBOSE[1] other.c: "
    path = tmp_path / "full"
    path.write_bytes(
        entry + b"Asterisk is ready\n" + (entry + b"<+++ odd +++>\n" + message(start=b"SIP/2.0 486 Busy Here")) * 3
    )
    done = siplogs("scan", str(path))
    said = done.stderr.decode().splitlines()
    assert re.fullmatch(
        r"siplogs: no SIP messages could be read in \d+ lines, but 6 places look like SIP in a shape that no pattern pack "
        r"knows; the first:",
        said[0],
    )
    assert said[1].endswith("other.c: <+++ odd +++>")
    assert said[2] == "siplogs:   SIP/2.0 486 Busy Here"
    assert "switch it on" not in done.stderr.decode()


@pytest.mark.parametrize("driver", ["asterisk16-chan_sip-nosipdebug", "asterisk22-pjsip-nosipdebug"])
def test_only_the_switch_of_the_driver_that_wrote_the_log_is_told(driver: str) -> None:
    said = siplogs("scan", log(f"asterisk/{driver}")).stderr.decode()
    switches = re.findall(r"asterisk -rx '([^']*)'", said)
    assert switches == ["sip set debug on" if "chan_sip" in driver else "pjsip set logger on"]


@pytest.mark.parametrize("option", ["--call-id", "--code", "--method", "--user", "--from", "--since", "--match"])
def test_filter_without_a_value_is_wrong_usage(option: str) -> None:
    done = siplogs("scan", option, "", log(SMALL))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"siplogs: {option} is given without a value; ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("scan", ""), "an argument is empty; "),
        (("ship", log(SMALL), ""), "an argument is empty; "),
        (("scan", "--timezone", "", log(SMALL)), "--timezone is given without a value; "),
        (("scan", "--timezone=", log(SMALL)), "--timezone is given without a value; "),
        (("config", "check", "--config", ""), "--config is given without a value; "),
    ],
)
def test_an_empty_variable_is_neither_this_folder_nor_a_default(arguments: tuple[str, ...], told: str) -> None:
    done = siplogs(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"siplogs: {told}")


def test_scan_needs_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "siplogs.toml"
    file.write_text('timezone = "UTC"\n[elasticsearch]\napi_key_file = "/nowhere/key"\n')
    done = siplogs("scan", "--code", "486", log(SMALL), SIPLOGS_CONFIG=str(file))
    assert (done.returncode, done.stderr) == (0, b"")
    shipped = siplogs("ship", log(SMALL), SIPLOGS_CONFIG=str(file))
    assert shipped.returncode == 2
    assert b"cannot read /nowhere/key" in shipped.stderr


def test_bad_api_key_is_told_and_not_repeated() -> None:
    done = siplogs(
        "ship", log(SMALL), SIPLOGS_ELASTICSEARCH_API_KEY="5ecre7\nkey", SIPLOGS_ELASTICSEARCH_URL="http://127.0.0.1:9"
    )
    assert done.returncode == 2
    assert re.fullmatch(rb"siplogs: elasticsearch.api_key holds no API key: [^\n]*\n", done.stderr)
    assert b"5ecre7" not in done.stderr


@pytest.mark.parametrize("zone", ["+25:00", "-99:00", "UTC+99", "a" * 300])
def test_zone_that_cannot_be(zone: str) -> None:
    given = siplogs("scan", "--timezone", zone, log(SMALL))
    configured = siplogs("scan", log(SMALL), SIPLOGS_TIMEZONE=zone)
    for done in (given, configured):
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr.decode().startswith(f"siplogs: no time zone '{zone}'; give a name such as")
        assert done.stderr.count(b"\n") == 1


def test_summary_splits_a_code_by_what_the_events_tell() -> None:
    """A challenge is no failure, but a registration that ended with one is, whatever the code alone means."""
    tally = Tally(matched=3)
    tally.lines_with_code[401, "REGISTER", "received", "asterisk", True] = 1
    tally.lines_with_code[401, "REGISTER", "", "asterisk", False] = 2
    lines = list(summary_lines(tally, Job(ReadOptions(), Filter(), "table")))
    fine = lines.index("Not failures:")
    assert lines[1] == "     1 × 401 Unauthorized  (1 REGISTER received)"
    assert "here the log tells of one" in lines[2]
    assert lines[fine + 1] == "  2 × 401 Unauthorized"


def test_help_names_every_option() -> None:
    done = siplogs("scan", "--help")
    assert done.returncode == 0
    for option in ("--call-id", "--code", "--method", "--from", "--to", "--user", "--ip", "--since", "--until", "--failures",
                   "--kind", "--match", "--format", "--stats", "--pack", "--timezone", "--color", "--jobs"):  # fmt: skip
        assert option.encode() in done.stdout
    assert b"Exit codes" in done.stdout


def test_settings_of_this_machine_stay_out() -> None:
    assert not [name for name in environment() if name.startswith("SIPLOGS_") and name != "SIPLOGS_PATTERNS"]
