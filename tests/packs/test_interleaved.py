"""Lines of several programs in one log: each PBX's messages come out whole, other programs' lines are left out."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siplogs.model import Record
from siplogs.packs.carriers import WINDOW, unwrap
from tests import test_parallel
from tests.packs.recorded import recorded
from tests.packs.test_carriers import (
    CHAN_SIP,
    NOTICE,
    PJSIP,
    SIPTRACE,
    STARTS,
    clean,
    lines,
    prefixed,
    same_for_any_cut,
)
from tests.packs.test_line_ends import read

DATABASE = b"".join(b"2026-11-21 LOG: checkpoint %d\n" % number for number in range(400))
PREFIXES = {
    "compose": (b"asterisk-1  | ", b"freeswitch-1 | ", b"db-1        | "),
    "kubectl": (b"[pod/asterisk-0/pbx] ", b"[pod/freeswitch-0/pbx] ", b"[pod/db-0/db] "),
    "syslog": (b"Nov 21 02:17:08 a asterisk[1]: ", b"Nov 21 02:17:08 b freeswitch[77]: ", b"Nov 21 02:17:08 a db[9]: "),
    "syslog-hostless": (b"Nov 21 02:17:08 asterisk: ", b"Nov 21 02:17:08 freeswitch: ", b"Nov 21 02:17:08 db[9]: "),
    "journal-full": (
        b"Sat 2026-11-21 02:17:08 UTC h asterisk[1]: ",
        b"Sat 2026-11-21 02:17:08 UTC h freeswitch[77]: ",
        b"Sat 2026-11-21 02:17:08 UTC h db[9]: ",
    ),
    "rfc5424": (
        b"<1>1 2026-11-21T02:17:08Z h pbx 1 - - ",
        b"<1>1 2026-11-21T02:17:08Z h fs 2 - - ",
        b"<1>1 - h db 9 - - ",
    ),
}


def interleaved(logs: list[list[bytes]], turns: list[int], run: int) -> bytes:
    """Take `run` lines of a log at a time, whose turn it is; at last what is left of each."""
    at, found = [0] * len(logs), []
    for turn in turns:
        number = turn % len(logs)
        found += logs[number][at[number] : at[number] + run]
        at[number] += run
    return b"".join(found + [line for number, log in enumerate(logs) for line in log[at[number] :]])


def every(count: int, *, of: int) -> list[int]:
    """A turn order that is neither regular nor by chance."""
    return [number * number // 3 % of for number in range(count)]


def facts(records: list[Record]) -> Counter[str]:
    return Counter(repr((r.pack, r.rule, r.fields, r.time, r.payload, r.damage)) for r in records)


@pytest.mark.parametrize("way", PREFIXES)
@pytest.mark.parametrize("run", [1, 3, 17])
def test_lines_of_another_program_are_left_out_and_counted(way: str, run: int) -> None:
    pbx, _, other = PREFIXES[way]
    raw = interleaved([lines(prefixed(pbx)(PJSIP)), lines(prefixed(other)(DATABASE))], every(900, of=2), run)
    expected, _ = read(PJSIP, "asterisk")

    assert clean(raw) == PJSIP
    found, accounting = read(raw, "asterisk")
    assert facts(found) == facts(expected)
    assert accounting.read == len(raw) == accounting.in_records + accounting.skipped
    assert [raw[record.offset :].startswith(pbx) for record in found] == [True] * len(found)


@pytest.mark.parametrize(
    ("product", "name"),
    [
        ("asterisk", "asterisk/asterisk16-chan_sip-codes.log"),
        ("freeswitch", "freeswitch/freeswitch-1.10-siptrace-flow.log"),
    ],
)
def test_a_recorded_log_is_read_as_its_own_among_another_programs_lines(product: str, name: str) -> None:
    log = recorded(name)
    raw = interleaved(
        [lines(prefixed(b"pbx-1 | ")(log)), lines(prefixed(b"db-1 | ")(DATABASE * 20))], every(9000, of=2), 3
    )
    assert facts(read(raw, product)[0]) == facts(read(log, product)[0])


@pytest.mark.parametrize("way", PREFIXES)
def test_two_pbxs_in_one_log_are_both_read(way: str) -> None:
    first, second, other = PREFIXES[way]
    logs = [
        lines(prefixed(first)(CHAN_SIP * 12)),
        lines(prefixed(second)(SIPTRACE * 14)),
        lines(prefixed(other)(DATABASE)),
    ]
    raw = interleaved(logs, every(3000, of=3), 2)
    for product, log in (("asterisk", CHAN_SIP * 12), ("freeswitch", SIPTRACE * 14)):
        found, accounting = read(raw, product)
        assert facts(found) == facts(read(log, product)[0])
        assert accounting.read == len(raw) == accounting.in_records + accounting.skipped
        begun = [raw[record.offset :].startswith(first if product == "asterisk" else second) for record in found]
        assert begun == [True] * len(found)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2), max_size=900), st.integers(1, 40))
def test_any_order_of_two_logs_gives_the_messages_of_both(turns: list[int], run: int) -> None:
    asterisk, freeswitch, other = PREFIXES["compose"]
    logs = [prefixed(asterisk)(CHAN_SIP * 4), prefixed(freeswitch)(SIPTRACE * 5), prefixed(other)(DATABASE[:5000])]
    raw = interleaved([lines(log) for log in logs], turns, run)
    for product, log in (("asterisk", CHAN_SIP * 4), ("freeswitch", SIPTRACE * 5)):
        assert facts(read(raw, product)[0]) == facts(read(log, product)[0])


MIXED = interleaved(
    [
        lines(prefixed(prefix)(log))
        for prefix, log in zip(PREFIXES["compose"], (CHAN_SIP * 3, SIPTRACE * 3, DATABASE), strict=True)
    ],
    every(800, of=3),
    2,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=10), st.sampled_from([600, 5000, WINDOW]))
def test_any_cut_into_blocks_gives_the_same_text_and_offsets(places: list[int], window: int) -> None:
    same_for_any_cut(MIXED + PJSIP + MIXED, places, window)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(MIXED)), min_size=1, max_size=6), st.sampled_from(["asterisk", "freeswitch"]))
def test_any_cut_gives_the_same_records_and_every_byte_is_counted(places: list[int], product: str) -> None:
    expected, at_once = read(MIXED, product)
    found, in_blocks = read(MIXED, product, places)
    assert found == expected
    assert in_blocks == at_once
    assert at_once.read == len(MIXED) == at_once.in_records + at_once.skipped


def test_one_process_and_two_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "compose.log"
    path.write_bytes(MIXED * 4)
    test_parallel.same(path, 3, monkeypatch)


def test_the_last_line_of_a_log_may_lack_its_end() -> None:
    raw = b"a-1 | %sb-1 | %sa-1 | %s" % (NOTICE, NOTICE, NOTICE[:-1])
    assert sorted(clean(raw).split(b"\n")) == [NOTICE[:-1]] * 3


def test_an_entry_that_never_ends_is_not_kept_for_ever() -> None:
    endless = prefixed(b"a-1 | ")(b"x" * 50_000 + b"\n") * 60
    raw = prefixed(b"a-1 | ")(NOTICE) + prefixed(b"b-1 | ")(NOTICE) + endless
    pieces = list(unwrap(cut_evenly(raw), STARTS))
    assert max(len(piece.data) for piece in pieces) < 1_300_000
    assert clean(raw).count(b"\n") == 62


def cut_evenly(raw: bytes) -> list[bytes]:
    return [raw[start : start + 65_536] for start in range(0, len(raw), 65_536)]


def test_lines_of_a_body_that_name_another_program_stay_in_the_message() -> None:
    log = PJSIP.replace(b"Content-Length", b"X: asterisk-1  | [Nov 21 02:17:08] NOTICE[1] a.c: x\r\nContent-Length")
    assert clean(prefixed(b"pbx-1 | ")(log)) == log
