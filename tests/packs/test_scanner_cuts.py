"""However a log is cut into blocks or ranges, and whatever bytes it holds: the same records, and every byte counted."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from siplogs.model import Record
from siplogs.packs import Accounting, Scanner, split_points
from tests.packs.recorded import cut, literals, recorded, scanned, shipped

PIECE = 60_000
LOGS = [
    ("asterisk", "asterisk/asterisk22-pjsip-raw.log"),
    ("asterisk", "asterisk/asterisk22-pjsip-long.log"),
    ("asterisk", "asterisk/asterisk16-chan_sip-raw.log"),
    ("asterisk", "asterisk/asterisk16-chan_sip-long.log"),
    ("asterisk", "asterisk/asterisk16-chan_sip-queuelimit.log"),
    ("freeswitch", "freeswitch/freeswitch-1.10-siptrace-dialog.log"),
    ("freeswitch", "freeswitch/freeswitch-1.10-siptrace-bad.log"),
    ("freeswitch", "freeswitch/freeswitch-1.10.6-siptrace-nocpu.log"),
    ("freeswitch", "freeswitch/freeswitch-1.10-siptrace-midnight.log"),
    ("freeswitch", "freeswitch/freeswitch-oldtrace-siptrace.log"),
    ("freeswitch", "freeswitch/freeswitch-oldtrace-load.log"),
]
NAMES = [name.rpartition("/")[2].removesuffix(".log") for _, name in LOGS]
SIPLIKE = [
    b"\n", b"\r\n", b"SIP/2.0 200 OK\r\n", b"Call-ID: a@b\r\n", b"Content-Length: 20\r\n", b"-- end of packet.\n",
    b"[Nov 21 02:17:08] VERBOSE[19111] chan_sip.c: ", b"[Nov 21 02:17:08] VERBOSE[1] res_pjsip_logger.c: ",
    b"<--- SIP read from UDP:192.0.2.20:5060 --->\n", b"<------------->\n", b"<------------>\n", b"---\n", b"\0",
    b"<--- Transmitting (no NAT) to 192.0.2.20:5060 --->\n", b"Retransmitting #2 (NAT) to 192.0.2.20:5060:\n",
    b"<--- Received SIP request (30 bytes) from UDP:192.0.2.11:5060 --->\n", b"OPTIONS sip:a@b SIP/2.0\r\n", b"x" * 100,
    b"<--- Transmitting SIP response (20 bytes) to UDP:192.0.2.11:5060 --->\n", b"2026-11-21 01:50:03.134991 ",
    b"recv 44 bytes from udp/[192.0.2.11]:48057 at 01:50:03.136548:\n", b"100.00% [WARNING] sofia.c:1 x\n", b"-" * 72 + b"\n",
    b"send 18 bytes to tcp/[2001:db8::1]:5070 at 01:50:03.136548:\n", b"   " + b"-" * 72 + b"\n", b"   Call-ID: x\n", b"   ",
    b"[Nov 21 02:17:08] ERROR[1] pjproject: sip_endpoint.c Error processing packet from 192.0.2.66:5060: x [code 1]:\n",
    b'SecurityEvent="', b"Hangup ", b"Registration from '", b"   *** message truncated at 20 ***\n", b"z" * 9000,
]  # fmt: skip


def facts(records: list[Record]) -> list[tuple[object, ...]]:
    return [structs.astuple(record) for record in records]


def adds_up(accounting: Accounting, size: int) -> bool:
    return accounting.read == size == accounting.in_records + accounting.skipped


@pytest.mark.parametrize(("product", "name"), LOGS, ids=NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_cut_of_a_recorded_log_gives_the_same_records(product: str, name: str, data: st.DataObject) -> None:
    whole = recorded(name)
    start = data.draw(st.integers(0, max(0, len(whole) - PIECE)), label="start")
    piece = whole[start : start + data.draw(st.integers(1, PIECE), label="size")]
    places = data.draw(st.lists(st.integers(0, len(piece)), max_size=12), label="cuts")
    expected, all_at_once = scanned(piece, product)

    found, in_blocks = scanned(cut(piece, places), product)

    assert facts(found) == facts(expected)
    assert in_blocks == all_at_once
    assert adds_up(in_blocks, len(piece))


@pytest.mark.parametrize(("product", "name"), LOGS, ids=NAMES)
def test_small_blocks_give_the_same_records(product: str, name: str) -> None:
    piece = recorded(name)[: PIECE // 2]
    expected, _ = scanned(piece, product)

    for size in (97, 1009):
        found, accounting = scanned(cut(piece, range(size, len(piece), size)), product)
        assert facts(found) == facts(expected)
        assert adds_up(accounting, len(piece))


@pytest.mark.parametrize("product", ["asterisk", "freeswitch"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
@example(data=None)
def test_any_bytes_in_any_cut(product: str, data: st.DataObject | None) -> None:
    """Never an error; every byte in a record or skipped; records never overlap, and the cut changes nothing."""
    log = b"".join(data.draw(st.lists(st.sampled_from(SIPLIKE) | st.binary(max_size=40), max_size=40))) if data else b""
    places = data.draw(st.lists(st.integers(0, len(log)), max_size=6)) if data else []
    expected, all_at_once = scanned(log, product)

    found, in_blocks = scanned(cut(log, places), product)

    assert facts(found) == facts(expected)
    assert in_blocks == all_at_once
    assert adds_up(all_at_once, len(log))
    assert sum(record.length for record in expected) <= all_at_once.in_records
    assert all(record.offset >= 0 and record.offset + record.length <= len(log) for record in expected)
    if not any("indented" in record.rule for record in expected):
        assert all(first.offset + first.length <= second.offset for first, second in pairwise(expected))


@pytest.mark.parametrize(("product", "name"), LOGS, ids=NAMES)
def test_records_of_recorded_logs_do_not_overlap(product: str, name: str) -> None:
    """Each byte of a log is in one record at most; an indented record has other lines, and records, inside."""
    log = recorded(name)
    records, accounting = scanned(log, product)

    assert adds_up(accounting, len(log))
    assert sum(record.length for record in records) <= accounting.in_records
    plain = [record for record in records if "indented" not in record.rule]
    assert all(first.offset + first.length <= second.offset for first, second in pairwise(plain))
    assert len({record.offset for record in records}) == len(records)


@pytest.mark.parametrize(("product", "name"), LOGS, ids=NAMES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_ranges_that_begin_at_entries_give_the_records_of_the_whole(
    product: str, name: str, data: st.DataObject
) -> None:
    log = recorded(name)[: 4 * PIECE]
    pack = next(pack for pack in shipped().values() if pack.product == product)
    expected, all_at_once = scanned(log, product)
    points = list(split_points(log, pack))
    stops = sorted(data.draw(st.sets(st.sampled_from(points), min_size=1, max_size=5)))

    found: list[Record] = []
    total, reached, doubtful = Accounting(), 0, 0
    for start, stop in pairwise([0, *stops, None]):
        assert start is not None
        begin = max(start, reached)
        if stop is not None and begin >= stop:
            continue
        scanner = Scanner(literals(product), offset=begin, stop=stop, doubtful=doubtful)
        found += scanner.scan(cut(log[begin:], [5_000, 50_000] if len(log) - begin > 50_000 else []))
        total.add(scanner.accounting)
        assert scanner.end >= (stop or 0)
        reached, doubtful = scanner.end, scanner.doubtful

    assert reached == len(log)
    assert adds_up(total, len(log))
    assert total.in_records == all_at_once.in_records
    assert [fact[:9] for fact in facts(found)] == [fact[:9] for fact in facts(expected)]


@pytest.mark.parametrize("product", ["asterisk", "freeswitch"])
def test_a_log_of_nothing(product: str) -> None:
    for blocks in ([], [b""], [b"", b""]):
        records, accounting = scanned(blocks, product)
        assert (records, accounting) == ([], Accounting())
