"""What stands before an entry's text: consoles without timestamps, and the dialplan's own log lines."""

from pathlib import Path

import pytest

from siplogs.packs import Literals, Scanner, load_packs
from siplogs.resources import data_folder
from tests.packs.recorded import payloads, scanned
from tests.packs.writers import AFTER, WRITERS, message

CONSOLE = {
    b'    -- Got SIP response 486 "Busy Here" back from 192.0.2.1:5060\n': "response-back",
    b"    -- Registered SIP '1001' at 192.0.2.7:5060\n": "registered",
    b"    -- Unregistered SIP '1001'\n": "unregistered",
    b"    -- Added contact 'sip:1102@192.0.2.12:5060' to AOR '1102' with expiration of 60 seconds\n": "contact-added",
    b"    -- Contact 1102/sip:1102@192.0.2.4 is now Unreachable.  RTT: 0.000 msec\n": "contact-unreachable",
    b"  == Endpoint 1102 is now Reachable\n": "endpoint-reachable",
}
ASTERISK = [name for name, (product, _) in WRITERS.items() if product == "asterisk"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("line", CONSOLE)
def test_lines_of_a_console_without_timestamps_are_found(line: bytes, end: bytes) -> None:
    log = b"    -- Called SIP/1001\n" + line + b"  == Using SIP RTP CoS mark 5\n"
    records, accounting = scanned(log.replace(b"\n", end))
    assert [record.rule for record in records] == [CONSOLE[line]]
    assert records[0].time is None
    assert accounting.read == accounting.in_records + accounting.skipped


@pytest.mark.parametrize("line", CONSOLE)
@pytest.mark.parametrize("before", [b"-- ", b"   -- ", b"     -- ", b" == ", b"x  == ", b"\t    -- "])
def test_only_the_consoles_own_blanks_make_such_a_line(line: bytes, before: bytes) -> None:
    text = line.strip().partition(b" ")[2]
    assert scanned(before + text + b"\n")[0] == []


@pytest.mark.parametrize("writer", ASTERISK)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_such_lines_in_a_body_stay_in_their_message(writer: str, end: bytes) -> None:
    body = b"".join(line.replace(b"\n", end) for line in CONSOLE) * 3
    _, write = WRITERS[writer]
    records, _ = scanned(write(message(body, b"Content-Type: text/plain")) + AFTER["asterisk"])
    assert len(records) == 2
    assert records[0].payload is not None
    assert records[0].payload.count(b"Got SIP response") == 3


@pytest.mark.parametrize("writer", ASTERISK)
def test_such_lines_as_folded_headers_stay_in_their_message(writer: str) -> None:
    folded = b"X-Note: a\r\n" + b"".join(CONSOLE).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    _, write = WRITERS[writer]
    records, _ = scanned(write(message(b"", folded)) + AFTER["asterisk"])
    assert len(records) == 2
    assert len(payloads(records)) <= 1


LOST = """
name = "lost"
title = "Lost calls"
product = "asterisk"
versions = "all"
prefix = "asterisk"
sources = ["extensions.conf: Log(NOTICE,LOST CALL ...)"]
details = ["queue"]
[[rule]]
name = "lost"
kind = "notice"
literal = "LOST CALL "
pattern = 'LOST CALL (?P<call_id>\\S{1,400}) in (?P<queue>\\w{1,40})'
[[rule.sample]]
log = "[Nov 21 02:17:08] NOTICE[1][C-00000001] Ext. s: LOST CALL a@b in sales\\n"
fields = { call_id = "a@b", queue = "sales", logger = "Ext. s" }
"""


@pytest.mark.parametrize(
    ("prefix", "fields"),
    [
        (b"[Nov 21 02:17:08] NOTICE[1][C-00000001] Ext. s: ", {"logger": b"Ext. s"}),
        (b"[Nov 21 02:17:08] NOTICE[1]: Ext. _9X.:3 @ from-pstn: ", {"line": b"3", "function": b"@ from-pstn"}),
        (b"[Nov 21 02:17:08] NOTICE[1]: Ext. +4420:3 in @ ivr: ", {"logger": b"Ext. +4420", "function": b"@ ivr"}),
        (b"WARNING[1][C-00000001] Ext. h: ", {"logger": b"Ext. h", "pbx_call": b"C-00000001"}),
    ],
)
def test_what_the_dialplan_logs_can_be_read_by_a_pack(prefix: bytes, fields: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "lost.toml").write_text(LOST)
    pack = load_packs(data_folder("patterns"), tmp_path)["lost"]
    (record,) = Scanner(Literals(pack.rules)).scan([prefix + b"LOST CALL a@b in sales\n"])
    assert record.fields | fields == record.fields
    assert record.fields["call_id"] == b"a@b"
