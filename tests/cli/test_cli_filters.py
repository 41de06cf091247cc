"""Each filter of `siplogs scan` on recorded logs, against what the capture of the same run has."""

import re
from collections import Counter
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import documents, log, same, siplogs, truth
from tests.packs.recorded import recorded
from tests.packs.writers import AFTER, message, pjsip

PJSIP, CHAN_SIP = "asterisk/asterisk22-pjsip-codes", "asterisk/asterisk16-chan_sip-codes"
FREESWITCH = "freeswitch/freeswitch-1.10-siptrace-codes"
SMALL = "asterisk/asterisk22-pjsip-default"
NAMES = [CHAN_SIP, FREESWITCH]


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


@pytest.mark.parametrize("name", [CHAN_SIP])
def test_method(name: str) -> None:
    """A response has the method of its CSeq."""
    rows = [row["cseq"].split()[-1] for row in truth(name)]
    found = messages("--method", "bye,CANCEL", name=name)
    assert Counter(document["sip"]["cseq"]["method"] for document in found) == Counter(
        method for method in rows if method in ("BYE", "CANCEL")
    )


@pytest.mark.parametrize("name", NAMES)
def test_call_id(name: str) -> None:
    rows = truth(name)
    whole = next(row["call_id"] for row in rows if row["code"] == 486)
    for wanted in (whole, whole[:6]):
        found = messages("--call-id", wanted, name=name)
        expected = Counter(row["call_id"] for row in rows if row["call_id"].startswith(wanted))
        assert Counter(document["sip"]["call_id"] for document in found) == expected


@pytest.mark.parametrize(("name", "network"), [(CHAN_SIP, "127.16.0.11"), (FREESWITCH, "127.0.0.8/29")])
def test_ip(name: str, network: str) -> None:
    """Both ends are looked at; the far one is in the truth, the own one is outside these networks."""
    wanted = ip_network(network)
    expected = sum(ip_address(peer(row)) in wanted for row in truth(name))
    assert len(messages("--ip", network, name=name)) == expected > 0


def test_since_and_until() -> None:
    rows = sorted(row["time"] for row in truth(FREESWITCH))
    gaps = [(later - sooner, sooner, later) for sooner, later in pairwise(rows)]
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
    for since, count in (("2h ago", 3), ("60s", 1)):
        assert len(documents(siplogs("scan", "--timezone", "UTC", "--since", since, str(path)))) == count


def test_kinds() -> None:
    everything = Counter(document["siplogs"]["kind"] for document in documents(siplogs("scan", log(SMALL))))
    assert everything["security"] == recorded(f"{SMALL}.log").count(b'SecurityEvent="') > 0
    for kind in ("security", "notice,message"):
        found = Counter(
            document["siplogs"]["kind"] for document in documents(siplogs("scan", "--kind", kind, log(SMALL)))
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
    everything = messages(name=SMALL)
    for option, side, wanted in (("--from", "from", "1001"), ("--to", "to", "1101")):
        expected = [one for one in everything if one["sip"].get(side, {}).get("uri", {}).get("username") == wanted]
        assert expected
        assert same(messages(option, wanted, name=SMALL), expected)
    named = [one for one in everything if "1001" in one["related"].get("user", [])]
    assert same(messages("--user", "1001", name=SMALL), named)


def test_match() -> None:
    text = recorded(f"{PJSIP}.log")
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


@pytest.mark.parametrize("arguments", [["--bogus"], ["--jobs", "-1"], ["--code"]])
def test_wrong_usage(arguments: list[str]) -> None:
    done = siplogs("scan", *arguments)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"Error: " in done.stderr
