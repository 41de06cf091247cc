"""Messages that the log cut, lost or garbled: saved as far as they are there, marked, and what follows is not lost."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siplogs.model import Record
from tests.packs.recorded import payloads, recorded, scanned
from tests.packs.writers import (
    AFTER,
    BEFORE,
    RULER,
    WRITERS,
    chan_sip_received,
    chan_sip_sent,
    message,
    pjsip,
    siptrace,
    siptrace_old,
    siptrace_unclosed,
)

ENTRY = 8191
FRAME = 16_000


def messages(records: list[Record]) -> list[Record]:
    return [record for record in records if record.kind == "message"]


def peers(records: list[Record]) -> list[bytes]:
    return [record.fields["peer"] for record in records if record.kind != "message"]


@pytest.mark.parametrize("write", [pjsip, chan_sip_sent])
@pytest.mark.parametrize("size", [ENTRY + 1 - 600, ENTRY, 3 * ENTRY])
@pytest.mark.parametrize("following", ["pjsip", "chan_sip-sent", "chan_sip-received"])
def test_entry_cut_by_asterisks_logger(write: object, size: int, following: str) -> None:
    """main/logger.c formats an entry into 8,192 bytes: the rest is gone, its line feed too, the next one is glued on."""
    entry = write(message(b"", b"X-Long: " + "é".encode() * (size // 2)))  # type: ignore[operator]
    after = message(b"", start=b"OPTIONS sip:after@b SIP/2.0")
    log = BEFORE["asterisk"] + entry[:ENTRY] + WRITERS[following][1](after) + AFTER["asterisk"]

    records, accounting = scanned(log)

    if len(entry) <= ENTRY:
        assert [record.damage for record in messages(records)] == ["", ""]
        return
    first, second = messages(records)
    assert (first.damage, second.damage) == ("cut-entry", "")
    assert first.payload is not None
    assert (first.offset, first.length) == (len(BEFORE["asterisk"]), ENTRY)
    assert entry[:ENTRY].endswith(first.payload[-500:])
    assert (second.payload or b"").startswith(b"OPTIONS sip:after@b")
    assert second.offset == len(BEFORE["asterisk"]) + ENTRY
    assert peers(records) == [b"before", b"after"]
    assert accounting.reasons["truncated"] == 1


def test_entry_cut_several_times_running() -> None:
    long = pjsip(message(b"", b"X-Long: " + b"h" * 9000))[:ENTRY]
    records, accounting = scanned(long * 5 + pjsip(message()) + AFTER["asterisk"])
    assert [record.damage for record in messages(records)] == ["cut-entry"] * 5 + [""]
    assert accounting.reasons == {"truncated": 5}


def test_one_liner_that_is_cut_does_not_take_the_next_entry_with_it() -> None:
    head = b"[Nov 21 02:17:08] NOTICE[1] chan_sip.c: Registration from '<sip:"
    long = (head + b"x" * 9000)[:ENTRY]
    records, _ = scanned(long + pjsip(message()) + AFTER["asterisk"])
    assert [record.kind for record in records][-2:] == ["message", records[-1].kind]
    assert payloads(records) == [message()]
    assert peers(records)[-1:] == [b"after"]


@pytest.mark.parametrize("write", [siptrace, siptrace_unclosed])
def test_frame_cut_at_sixteen_thousand_bytes(write: object) -> None:
    """sofia-sip's tracer has a buffer of 16,000 bytes: the message ends in the middle of a line; N stays the whole."""
    frame = write(message(b"y" * 100, b"X-Long: " + b"h" * 20_000))[:FRAME]  # type: ignore[operator]
    end = b"\n" if write is siptrace else b""
    next_frame = siptrace(message(start=b"OPTIONS sip:after@b SIP/2.0"))
    for following in (next_frame, AFTER["freeswitch"]):
        log = BEFORE["freeswitch"] + frame + end + following + AFTER["freeswitch"]
        records, accounting = scanned(log, "freeswitch")
        first = messages(records)[0]
        assert first.damage in ("cut-entry", "cut")
        assert first.payload is not None
        assert first.payload.endswith(b"hhh")
        assert len(first.payload) == FRAME - len(frame.partition(RULER + b"\n")[0]) - 73
        assert accounting.reasons["truncated"] == 1
        assert len(messages(records)) == 1 + (following is next_frame)
        assert peers(records)[-1] == b"after"


@pytest.mark.parametrize("write", [siptrace, siptrace_unclosed])
def test_nul_ends_the_text_of_a_frame(write: object) -> None:
    """The rest of the message is not printed, and N is not what is there."""
    wire = message(b"v=0\r\n" * 60, b"X-Nul: a\0b")
    frame = write(wire).partition(b"\0")[0] + (b"\n" if write is siptrace else b"")  # type: ignore[operator]
    for following in (siptrace(message(start=b"OPTIONS sip:after@b SIP/2.0")), AFTER["freeswitch"] * 3):
        records, _ = scanned(frame + following + AFTER["freeswitch"], "freeswitch")
        first = messages(records)[0]
        assert first.damage
        assert (first.payload or b"").rstrip(b"\n").endswith(b"X-Nul: a")
        assert peers(records)[-1] == b"after"
        assert len(messages(records)) + len(peers(records)) == (3 if b"OPTIONS" in following else 5)


def test_line_cut_by_the_old_tracer() -> None:
    log = siptrace_old(message(b"", b"X-Long: hhh")) + b"   *** message truncated at 2438 ***\n" + AFTER["freeswitch"]
    records, accounting = scanned(log, "freeswitch")
    assert messages(records)[0].damage == "cut-line"
    assert accounting.reasons == {"truncated": 1}
    assert peers(records) == [b"after"]


def test_old_tracers_frame_with_anything_in_between() -> None:
    """Another entry at the end of a line, between lines, and a frame of another profile inside the frame."""
    lines = siptrace_old(message()).splitlines(keepends=True)
    inner = siptrace_old(message(start=b"OPTIONS sip:inner@b SIP/2.0"))
    lines[4] = lines[4].rstrip(b"\n") + BEFORE["freeswitch"] + b"\n"
    lines[6] = lines[6] + AFTER["freeswitch"]
    lines[7] = lines[7].rstrip(b"\n") + inner + b"\n"
    records, accounting = scanned(b"".join(lines) + AFTER["freeswitch"], "freeswitch")

    assert {(payload.partition(b" SIP")[0], payload.rstrip(b"\n")[-17:]) for payload in payloads(records)} == {
        (b"MESSAGE sip:600@192.0.2.1", b"Content-Length: 0"),
        (b"OPTIONS sip:inner@b", b"Content-Length: 0"),
    }
    assert all(not record.damage for record in messages(records))
    assert sorted(peers(records)) == [b"after", b"after", b"before"]
    assert accounting.read == accounting.in_records + accounting.skipped


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_file_that_ends_anywhere(writer: str, data: st.DataObject) -> None:
    product, write = WRITERS[writer]
    entry = write(message(b"v=0\r\ns=-\r\n", b"Content-Type: application/sdp"))
    cut = data.draw(st.integers(1, len(entry)))
    log = BEFORE[product] + write(message()) + BEFORE[product] + entry[:cut]

    records, accounting = scanned(log, product)

    found = messages(records)
    assert (found[0].payload or b"").startswith(b"MESSAGE")
    assert peers(records) == [b"before", b"before"]
    assert len(found) in (1, 2)
    if len(found) == 2:
        assert found[1].offset + found[1].length <= len(log)
        assert (found[1].payload or b"") in entry.replace(b"\n   ", b"\n") or found[1].payload == b""
    assert accounting.read == len(log) == accounting.in_records + accounting.skipped


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_file_that_begins_anywhere(writer: str, data: st.DataObject) -> None:
    product, write = WRITERS[writer]
    entry = write(message(b"v=0\r\ns=-\r\n", b"Content-Type: application/sdp"))
    cut = data.draw(st.integers(1, len(entry)))
    follow = write(message(start=b"OPTIONS sip:after@b SIP/2.0"))
    log = entry[cut:] + BEFORE[product] + follow + AFTER[product]

    records, _ = scanned(log, product)

    assert [payload for payload in payloads(records) if payload.startswith(b"OPTIONS sip:after@b")]
    assert peers(records) == [b"before", b"after"]


def test_terminator_that_is_missing() -> None:
    """A message that is not closed ends where its body does and an entry begins, not at another one's terminator."""
    cut = chan_sip_received(message()).partition(b"<------------->")[0]
    records, accounting = scanned(cut + AFTER["asterisk"] + chan_sip_received(message()) + AFTER["asterisk"])
    first, second = messages(records)
    assert first.damage == "cut"
    assert (first.payload or b"").rstrip(b"\n").endswith(b"Content-Length: 0")
    assert second.damage == ""
    assert peers(records) == [b"after", b"after"]
    assert accounting.reasons == {"truncated": 1}


def test_escape_sequences_that_the_log_lost() -> None:
    """PJSIP's count is the wire's, Asterisk takes terminal escapes out of what it logs."""
    wire = message(b"", b"Subject: \x1b[31mred\x1b[0m")
    log = pjsip(wire).replace(b"\x1b[31m", b"").replace(b"\x1b[0m", b"") + pjsip(message()) + AFTER["asterisk"]
    records, _ = scanned(log)
    assert payloads(records) == [message(b"", b"Subject: red"), message()]
    assert peers(records) == [b"after"]


@pytest.mark.parametrize("writer", WRITERS)
def test_largest_message(writer: str) -> None:
    """At the cap a message is whole, one byte above it is cut and counted; what follows is found in both cases."""
    product, write = WRITERS[writer]
    if writer == "siptrace-old":
        return
    cap = 3000
    for extra, damage in ((0, ""), (-600, ""), (1000, "too-large")):
        fill = cap - len(message()) - 10 + extra - (20 if "siptrace" not in writer else 0)
        wire = message(b"", b"X-Fill: " + b"f" * (fill - 2))
        for following in (b"", write(message())):
            log = BEFORE[product] + write(wire) + following + AFTER[product]
            records, accounting = scanned(log, product, largest=cap)
            record = messages(records)[0]
            assert record.damage == damage, (extra, len(wire))
            assert len(record.payload or b"") <= cap
            assert accounting.reasons == ({"too-large": 1} if damage else {})
            assert len(messages(records)) == 1 + bool(following)
            assert peers(records) == [b"before", b"after"]


def test_absurd_counts_neither_hang_nor_swallow() -> None:
    head = b"[Nov 21 02:17:08] VERBOSE[1] res_pjsip_logger.c: <--- Received SIP request (99999999 bytes) from UDP:a:1 --->\n"
    records, accounting = scanned(head + message() + b"\n" + AFTER["asterisk"])
    assert peers(records) == [b"after"]
    assert messages(records)[0].damage in ("cut", "too-large")
    assert accounting.reasons.total() == 1


@pytest.mark.parametrize("junk", [b"\r\n\r\n", b"\n\n", b"\0", b"\r\n", b"\0\0\0\0"])
def test_keep_alives_are_counted_and_are_no_messages(junk: bytes) -> None:
    entry = b"[Nov 21 02:22:31] VERBOSE[27868] chan_sip.c: \n<--- SIP read from UDP:192.0.2.20:5060 --->\n"
    log = entry + junk.replace(b"\r", b"") + b"\n<------------->\n" + AFTER["asterisk"]
    records, accounting = scanned(log)
    assert messages(records) == []
    assert accounting.rules["asterisk-chan-sip/keep-alive"] == 1
    assert peers(records) == [b"after"]


def test_datagram_of_junk_is_a_message_for_the_parser_to_judge() -> None:
    entry = b"[Nov 21 02:22:31] VERBOSE[27868] chan_sip.c: \n<--- SIP read from UDP:192.0.2.20:5060 --->\n"
    records, _ = scanned(entry + b"GET / HTTP/1.0\nHost: x\n\n<------------->\n" + AFTER["asterisk"])
    assert payloads(records)[0].startswith(b"GET / HTTP/1.0")


@pytest.mark.parametrize("name", ["asterisk22-pjsip-long", "asterisk16-chan_sip-long"])
def test_recorded_long_messages(name: str) -> None:
    """Every marker of the log is found, also those in the middle of a line; only entries of 8,191 bytes are cut."""
    log = recorded(f"asterisk/{name}.log")
    records, accounting = scanned(log)
    markers = len(re.findall(rb"<--- (?:Received SIP|Transmitting SIP|SIP read)|ransmitting (?:#\d+ )?\(", log))
    cut = [record for record in messages(records) if record.damage]
    assert len(messages(records)) == markers
    assert len(cut) == accounting.reasons["truncated"] > 5
    assert {record.damage for record in cut} == {"cut-entry"}
    for record in cut:
        assert record.length <= ENTRY
        assert log[record.offset + record.length - 1 : record.offset + record.length] != b"\n"


def test_recorded_frames_of_1_10_6_that_are_glued_to_the_next() -> None:
    log = recorded("freeswitch/freeswitch-1.10.6-siptrace-nocpu.log")
    records, _ = scanned(log, "freeswitch")
    headers = re.findall(rb"(?:recv|send) \d+ bytes (?:from|to) \w+/\[[^\]\n]+\]:\d+ at [\d:.]{15}:\n-{72}\n", log)
    fakes = log.count(b"send 10 bytes to udp/[127.0.0.1]:5060 at 01:02:03.000000:")
    assert len(messages(records)) == len(headers)
    assert fakes > 0
