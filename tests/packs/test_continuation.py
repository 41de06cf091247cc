"""Logs of old Asterisk in which every line has the entry's prefix: known by any kind of message, however late it comes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siplogs.packs.carriers import unwrap
from siplogs.sources import Source
from tests import test_parallel
from tests.packs.recorded import scanned
from tests.packs.test_carriers import CHAN_SIP, NOTICE, STARTS, clean, offsets, on_one_line, pieces_of, repeated
from tests.packs.test_line_ends import read, returned
from tests.packs.writers import message

PREFIX = b"[Nov 21 02:22:32] VERBOSE[2768] chan_sip.c: "
FILLER = (
    PREFIX.replace(b"chan_sip", b"pbx") + b'Executing [100@default:1] NoOp("SIP/100-00000001", "text") in new stack\n'
)
MARKERS = {
    "sent": (b"Transmitting (NAT) to 192.0.2.21:5060:", b"---"),
    "sent reliably": (b"Reliably Transmitting (no NAT) to 192.0.2.21:5060:", b"---"),
    "sent again": (b"Retransmitting #2 (NAT) to 192.0.2.21:5060:", b"---"),
    "response": (b"<--- Transmitting (NAT) to 192.0.2.21:5060 --->", b"<------------>"),
    "received": (b"<--- SIP read from 192.0.2.21:5060 --->", b"<------------->"),
}


def entry(kind: str, call: bytes) -> bytes:
    """One message as the plain log has it."""
    marker, closing = MARKERS[kind]
    text = message(b"v=0\r\n").replace(b"carrier@", call + b"@").replace(b"\r\n", b"\n")
    return PREFIX + marker + b"\n" + text + closing + b"\n"


@pytest.mark.parametrize("kind", MARKERS)
def test_any_kind_of_message_may_come_first_and_be_the_only_one(kind: str) -> None:
    for log in (entry(kind, b"one"), entry(kind, b"one") + NOTICE + entry(kind, b"two"), NOTICE + entry(kind, b"one")):
        assert clean(repeated(log)) == log
        assert clean(returned(repeated(log))) == log
        assert clean(log) == log


@pytest.mark.parametrize("first", MARKERS)
def test_messages_of_all_kinds_are_found_whole(first: str) -> None:
    kinds = [first, *MARKERS]
    log = b"".join(entry(kind, b"call%d" % number) for number, kind in enumerate(kinds))
    records, _ = read(repeated(log), "asterisk")
    expected, _ = scanned(log)
    assert [record.payload for record in records] == [record.payload for record in expected]
    assert [record.damage for record in records] == [""] * len(kinds)


@pytest.mark.parametrize("kind", ["sent", "received"])
def test_the_first_message_may_come_after_any_amount_of_other_lines(kind: str) -> None:
    late, log = FILLER * 160_000, entry(kind, b"late") * 3
    assert clean([late, repeated(log)]) == late + log


@pytest.mark.parametrize("kind", MARKERS)
@pytest.mark.parametrize("before", [0, 700, 3000])
def test_one_process_and_two_give_the_same(
    kind: str, before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "full"
    messages = b"".join(entry(kind, b"call%d" % number) for number in range(300))
    path.write_bytes(FILLER * before + repeated(messages) + FILLER * 500)
    test_parallel.same(path, 5, monkeypatch)
    assert test_parallel.result(path, 2)[1].messages == 300
    assert Source.of(str(path)).size == path.stat().st_size


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*MARKERS, "notice", "filler"]), max_size=8),
    st.lists(st.integers(0, 10**6), max_size=8),
)
def test_any_cut_gives_the_same(kinds: list[str], places: list[int]) -> None:
    parts = {"notice": NOTICE, "filler": FILLER}
    log = b"".join(parts.get(kind) or entry(kind, b"call%d" % number) for number, kind in enumerate(kinds))
    raw = repeated(log)
    pieces = list(unwrap(pieces_of(raw, places), STARTS))
    assert b"".join(piece.data for piece in pieces) == log
    assert offsets(pieces) == offsets(unwrap([raw], STARTS))
    assert sum(piece.raw_length for piece in pieces) == len(raw)


def test_an_ordinary_log_stays_one_whatever_its_bodies_say() -> None:
    body = repeated(entry("sent", b"forged")).replace(b"\n", b"\r\n")
    ordinary = entry("sent", b"one").replace(b"v=0\n", body.replace(b"\r\n", b"\n"))
    assert clean(ordinary * 3) == ordinary * 3
    assert clean(on_one_line(CHAN_SIP) + ordinary) == on_one_line(CHAN_SIP) + ordinary


def test_lines_that_only_resemble_markers_do_not_decide() -> None:
    noise = [
        PREFIX + b"text --->\n" + FILLER,
        PREFIX + b"Retransmitting was switched on to test:\n" + FILLER,
        b"x" * 9000 + b" --->\n" + FILLER,
        b"ransmitting " * 2000 + b"\n",
    ]
    for lines in noise:
        log = entry("sent", b"one")
        assert clean(lines * 3 + repeated(log)) == lines * 3 + log
