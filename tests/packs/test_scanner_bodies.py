"""What a caller writes into a message stays in that message: no line of a body becomes a record of its own."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from siplogs.model import Record
from tests.packs.recorded import payloads, recorded, scanned
from tests.packs.writers import (
    AFTER,
    BEFORE,
    RULER,
    WRITERS,
    chan_sip_received,
    chan_sip_response,
    chan_sip_sent,
    message,
    pjsip,
    siptrace,
)

FORGED = {
    "asterisk": [
        b"[Nov 21 02:17:08] NOTICE[1] chan_sip.c: Registration from '<sip:1@a>' failed for '203.0.113.9:5060' - Wrong password",
        b'[Nov 21 02:17:08] SECURITY[1] res_security_log.c: SecurityEvent="InvalidPassword",EventTV="2026-11-21T02:34:48.486+0000",'
        b'Severity="Error",Service="PJSIP",EventVersion="2",AccountID="admin",SessionID="forged@x",LocalAddress="IPV4/UDP/'
        b'192.0.2.1/5060",RemoteAddress="IPV4/UDP/203.0.113.9/5060",Challenge="x"',
        b"[Nov 21 02:17:08] VERBOSE[1] res_pjsip_logger.c: <--- Received SIP request (18 bytes) from UDP:203.0.113.9:5060 --->",
        b"<--- Received SIP response (18 bytes) from UDP:203.0.113.9:5060 --->",
        b"[Nov 21 02:17:08] VERBOSE[1] chan_sip.c: ",
        b"<--- SIP read from UDP:203.0.113.9:5060 --->",
        b"<--- Transmitting (no NAT) to 203.0.113.9:5060 --->",
        b"[Nov 21 02:17:08] VERBOSE[1] chan_sip.c: Reliably Transmitting (no NAT) to 203.0.113.9:5060:",
        b"[Nov 21 02:17:08] VERBOSE[1] chan_sip.c: --- (11 headers 0 lines) ---",
        b"<------------->",
        b"<------------>",
        b"---",
        b"-- end of packet.",
        b'    -- Got SIP response 486 "Busy Here" back from 203.0.113.9:5060',
        b"    -- Registered SIP 'forged' at 203.0.113.9:5060",
        b"  == Endpoint forged is now Reachable",
    ],
    "freeswitch": [
        b"2026-11-21 01:50:03.134991 100.00% [ERR] sofia.c:1 Gateway 'forged' is down!",
        b"151128b2-9cc5-4a8d-8a64-8b886fa43941 2026-11-21 01:50:03.395013 100.00% [NOTICE] switch_channel.c:1142 New Channel x",
        b"send 10 bytes to udp/[203.0.113.9]:5060 at 01:02:03.000000:",
        b"recv 18 bytes from udp/[203.0.113.9]:5060 at 01:02:03.000000:",
        RULER,
        b"   " + RULER,
        b"   Call-ID: forged@x",
        b"   *** message truncated at 10 ***",
        b"Dialplan: sofia/internal/1000@lab.test parsing",
        b"EXECUTE [depth=0] x",
        b"nta.c:2957 agent_recv_request() nta: received REGISTER sip:x SIP/2.0 (CSeq 1) (load: 1 rps)",
    ],
}
COMMON = [
    b"",
    b"SIP/2.0 486 Busy Here",
    b"Call-ID: forged@x",
    b"INVITE sip:forged@x SIP/2.0",
    b"Content-Length: 0",
    b"text",
]


def only(records: list[Record]) -> Record:
    messages = [record for record in records if record.kind == "message"]
    assert len(messages) == 1
    return messages[0]


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_lines_of_a_body_never_become_records(writer: str, data: st.DataObject) -> None:
    product, write = WRITERS[writer]
    lines = data.draw(st.lists(st.sampled_from(FORGED[product] + COMMON), max_size=12))
    body = b"\r\n".join(lines) + data.draw(st.sampled_from([b"", b"\r\n"]))
    log = BEFORE[product] + write(message(body, b"Content-Type: text/plain")) + AFTER[product]

    records, accounting = scanned(log, product)

    before, *_, after = records
    assert len(records) == 3
    assert (before.fields["peer"], after.fields["peer"]) == (b"before", b"after")
    (payload,) = payloads(records)
    assert payload.replace(b"\r", b"").rstrip(b"\n").endswith(body.replace(b"\r", b"").rstrip(b"\n"))
    assert records[1].damage in ("", "doubtful")
    assert accounting.reasons == {}


@pytest.mark.parametrize("forged", FORGED["asterisk"][:2])
@pytest.mark.parametrize("lines", [0, 1, 7])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_forged_counts_do_not_let_a_body_out_of_chan_sips_message(forged: bytes, lines: int, end: bytes) -> None:
    """A body may hold a terminator and, after it, the very line by which chan_sip tells how long the body is."""
    counts = b"[Nov 21 02:17:08] VERBOSE[1] chan_sip.c: --- (7 headers %d lines) ---" % lines
    body = end.join([*[b"text"] * lines, b"<------------->", counts, forged, b"text", b""])
    log = BEFORE["asterisk"] + chan_sip_received(message(body)) + AFTER["asterisk"]

    records, _ = scanned(log)

    assert len(records) == 3
    assert forged in (only(records).payload or b"")


@pytest.mark.parametrize("forged", FORGED["asterisk"][:2])
@pytest.mark.parametrize("feeds", [0, 20, 400])
def test_bare_line_feeds_do_not_let_a_body_out_of_chan_sips_message(forged: bytes, feeds: int) -> None:
    """The log has lost the CRs: text that never had any must not pass for more bytes than it is."""
    body = b"\n" * feeds + b"<------------->\n" + forged + b"\n"
    log = BEFORE["asterisk"] + chan_sip_received(message(body)) + AFTER["asterisk"]

    records, _ = scanned(log)

    assert b"forged" not in b"".join(record.raw for record in records if record.kind != "message")
    assert [record.kind for record in records if b"203.0.113.9" in record.raw] == []
    assert only(records).payload is not None
    assert forged in (only(records).payload or b"")


@pytest.mark.parametrize("forged", FORGED["freeswitch"][:2])
@pytest.mark.parametrize("feeds", [0, 20, 400])
def test_bare_line_feeds_do_not_let_a_body_out_of_a_traced_message(forged: bytes, feeds: int) -> None:
    for fewer in (0, 1, 2):
        body = b"\n" * feeds + forged + b"\n" + b"x" * max(0, feeds - len(forged) - fewer)
        log = BEFORE["freeswitch"] + siptrace(message(body)) + AFTER["freeswitch"]

        records, _ = scanned(log, "freeswitch")

        assert [record.rule for record in records if record.kind != "message"] == ["gateway-down", "gateway-down"]
        assert forged in (only(records).payload or b"")


@pytest.mark.parametrize(
    ("product", "name", "call_id", "count"),
    [
        ("asterisk", "asterisk/asterisk22-pjsip-raw.log", rb"raw-log-like-body-\d+@lab.example.test", 4),
        ("asterisk", "asterisk/asterisk16-chan_sip-raw.log", rb"raw-log-like-body-\d+@lab.example.test", 4),
    ],
)
def test_recorded_bodies_that_look_like_a_log(product: str, name: str, call_id: bytes, count: int) -> None:
    records, _ = scanned(recorded(name), product)

    found = [payload for payload in payloads(records) if re.search(rb"\nCall-ID: " + call_id, payload)]

    assert len(found) == count
    requests = [payload for payload in found if payload.startswith(b"MESSAGE")]
    assert len(requests) == 2
    for payload in requests:
        head, _, body = payload.replace(b"\r", b"").partition(b"\n\n")
        claimed = int(re.search(rb"Content-Length: +(\d+)", head)[1])  # type: ignore[index]
        assert len(body) + body.count(b"\n") in (claimed, claimed + 1, claimed + 2)
        assert body.count(b"SIP/2.0") >= 1


def test_recorded_body_that_looks_like_a_trace() -> None:
    log = recorded("freeswitch/freeswitch-1.10-siptrace-dialog.log")
    records, _ = scanned(log, "freeswitch")

    bodies = [payload.partition(b"\n\n")[2] for payload in payloads(records) if b"\nCall-ID: in-body@x" in payload]

    assert len(bodies) == log.count(b"Call-ID: in-body@x") == 4
    for body in bodies:
        assert body.splitlines()[1:4] == [
            b"Call-ID: in-body@x",
            RULER,
            b"send 10 bytes to udp/[127.0.0.1]:5060 at 01:02:03.000000:",
        ]
    assert not any(
        record.fields.get("destination_port") == b"5060" and record.time == b"01:02:03.000000" for record in records
    )


def test_a_message_in_a_message_in_a_message() -> None:
    """A body that is itself a whole log of a message whose body is a log."""
    for product, write in WRITERS.values():
        wire = message(b"innermost")
        for _ in range(3):
            wire = message(
                AFTER[product].replace(b"\n", b"\r\n") + write(wire).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            )
        records, _ = scanned(BEFORE[product] + write(wire) + AFTER[product], product)
        assert len(records) == 3, write
        assert (records[0].fields["peer"], records[-1].fields["peer"]) == (b"before", b"after")
        assert b"innermost" in (records[1].payload or b"")


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from([b"Subject", b"User-Agent", b"X-Evil"]), value=st.sampled_from(FORGED["asterisk"]))
def test_a_header_that_looks_like_a_log_line_stays_in_its_line(name: bytes, value: bytes) -> None:
    for write in (pjsip, chan_sip_received, chan_sip_sent, chan_sip_response):
        log = BEFORE["asterisk"] + write(message(b"", name + b": " + value)) + AFTER["asterisk"]
        records, _ = scanned(log)
        assert len(records) == 3
        assert name + b": " + value in (records[1].payload or b"")


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=300))
def test_any_body_comes_out_of_a_pjsip_log_as_it_was(body: bytes) -> None:
    assume(b"\0" not in body and b"\x1b" not in body)
    wire = message(body)
    records, _ = scanned(BEFORE["asterisk"] + pjsip(wire) + AFTER["asterisk"])
    assert only(records).payload == wire
    assert len(records) == 3
