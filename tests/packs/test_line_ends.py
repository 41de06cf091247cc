"""A log whose every line ends in CRLF gives what the log with line feeds gives; CRLF in a message stays what it is."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siplogs.model import Record
from siplogs.packs import Accounting, RecordStream, Scanner
from siplogs.packs.carriers import WINDOW, unwrap
from tests import test_parallel
from tests.packs.recorded import cut, literals, recorded, shipped
from tests.packs.test_carriers import (
    CHAN_SIP,
    CONSOLE,
    FS_CLI,
    NOTICE,
    PJSIP,
    SIPTRACE,
    STARTS,
    WAYS,
    clean,
    docker_json,
    offsets,
    on_one_line,
    prefixed,
    repeated,
    same_for_any_cut,
    with_body,
)

LOGS = [
    ("asterisk", "asterisk/asterisk22-pjsip-raw.log"),
    ("asterisk", "asterisk/asterisk16-chan_sip-raw.log"),
    ("asterisk", "asterisk/asterisk16-chan_sip-json.log"),
    ("asterisk", "asterisk/asterisk22-pjsip-nosipdebug.log"),
    ("freeswitch", "freeswitch/freeswitch-1.10-siptrace-bad.log"),
    ("freeswitch", "freeswitch/freeswitch-1.10-console-color.txt"),
    ("freeswitch", "freeswitch/freeswitch-1.10-fs_cli-debug.txt"),
    ("freeswitch", "freeswitch/freeswitch-oldtrace-siptrace.log"),
]
NAMES = [name.rpartition("/")[2].partition(".")[0] for _, name in LOGS]
PLAIN = {"pjsip": PJSIP, "chan_sip": CHAN_SIP, "siptrace": SIPTRACE}


def returned(log: bytes) -> bytes:
    """What a terminal makes of a log: a CR before each line feed."""
    return log.replace(b"\n", b"\r\n")


def read(log: bytes, product: str, places: Sequence[int] = ()) -> tuple[list[Record], Accounting]:
    """Read a log in blocks that are cut at `places`, or evenly."""
    scanner = Scanner(literals(product))
    stream = RecordStream(scanner, [pack for pack in shipped().values() if pack.product == product])
    return list(stream(cut(log, places or range(100_000, len(log), 100_000)))), scanner.accounting


def facts(records: list[Record]) -> list[tuple[object, ...]]:
    """Everything but offset and length."""
    return [(r.pack, r.rule, r.kind, r.fields, r.time, r.payload, r.damage, r.raw) for r in records]


@pytest.mark.parametrize(("product", "name"), LOGS, ids=NAMES)
@pytest.mark.parametrize("way", ["", "compose", "docker-json"])
def test_a_log_with_crlf_gives_the_records_of_the_original(product: str, name: str, way: str) -> None:
    log = recorded(name)
    raw = returned(log) if way != "compose" else WAYS["compose"](returned(log))
    raw = docker_json(raw) if way == "docker-json" else raw
    expected, _ = read(log, product)

    found, accounting = read(raw, product)

    assert facts(found) == facts(expected)
    assert len(found) > 30
    assert accounting.read == len(raw) == accounting.in_records + accounting.skipped


@pytest.mark.parametrize("log", PLAIN)
@pytest.mark.parametrize("times", [1, 40])
def test_the_text_is_the_original_byte_for_byte_and_offsets_are_those_of_raw_lines(log: str, times: int) -> None:
    raw = returned(PLAIN[log] * times)
    pieces = list(unwrap([raw], STARTS))
    assert b"".join(piece.data for piece in pieces) == PLAIN[log] * times
    assert [raw_offset for _, raw_offset in offsets(pieces)] == [
        0,
        *(match.end() for match in re.finditer(rb"\n", raw[:-1])),
    ]


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"octal-records", "octal-lines", "journal-json"}))
def test_crlf_within_a_wrapping_or_around_it_goes(way: str) -> None:
    assert clean(WAYS[way](returned(CHAN_SIP))) == CHAN_SIP
    if way != "kubernetes":  # its lines may go on in the next
        assert clean(returned(WAYS[way](CHAN_SIP))) == CHAN_SIP


def test_syslog_that_escapes_control_characters_may_have_crlf_too() -> None:
    for way in ("octal-records", "octal-lines"):
        assert clean(returned(WAYS[way](CHAN_SIP))) == CHAN_SIP


def test_the_text_of_a_file_that_passed_windows_has_line_feeds_only() -> None:
    """Line ends that were CRLF before stay so there: the log has lost which ones were the message's own."""
    for log in PLAIN.values():
        assert clean(re.sub(rb"(?<!\r)\n", b"\r\n", log)) == log.replace(b"\r\n", b"\n")


def test_prefixes_that_every_line_repeats_go_also_with_crlf() -> None:
    log = on_one_line(CHAN_SIP)
    assert clean(returned(repeated(log))) == log


def test_what_a_session_log_writes_around_it_does_not_matter() -> None:
    head, foot = b"Script started on 2026-11-21 02:00:00+00:00\n", b"\nScript done on 2026-11-21 02:00:00+00:00\n"
    assert clean(head + returned(SIPTRACE) + foot) == head + SIPTRACE + foot


CRLF_BODIES: dict[str, Callable[[bytes], bytes]] = {
    "an own log": lambda log: returned(log)[:7000],
    "a wrapped log": lambda log: returned(prefixed(b"asterisk-1  | ")(log))[:7000],
    "notices": lambda _: returned(NOTICE) * 60,
}


@pytest.mark.parametrize("body", CRLF_BODIES)
@pytest.mark.parametrize("log", PLAIN)
def test_bodies_full_of_crlf_entries_do_not_make_a_log_one_of_crlf(body: str, log: str) -> None:
    hostile = with_body(CRLF_BODIES[body](PLAIN[log]))
    for raw in (hostile, hostile * 40, PLAIN[log] + hostile * 12 + PLAIN[log] * 12, PJSIP * 12 + hostile):
        assert clean(raw) == raw


@pytest.mark.parametrize(("product", "name"), LOGS, ids=NAMES)
def test_recorded_logs_with_line_feeds_keep_every_cr(product: str, name: str) -> None:
    log = recorded(name)
    if b"\x1b" not in log and "json" not in name:
        assert clean(log) == log
    assert product


def test_coloured_consoles_with_line_feeds_keep_the_cr_of_messages() -> None:
    for log in (CONSOLE, FS_CLI):
        assert clean(log).count(b"\r\n") == log.count(b"\r\n")
        assert clean(returned(log)) == clean(log)


def test_line_ends_may_change_within_a_log() -> None:
    """From CRLF at once; to CRLF with the next window, as before it nothing tells whose line ends they are."""
    log = CHAN_SIP * 30
    assert clean(returned(log) + log) == log * 2
    found = clean(log + returned(log * 2))
    assert found.startswith(log)
    assert len(found) - len(log * 3) <= WINDOW // 20
    assert found.endswith(log)


MIXED = b"".join(
    [returned(SIPTRACE), PJSIP, returned(PJSIP), prefixed(b"a-1 | ")(returned(CHAN_SIP)), returned(CHAN_SIP)]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=12), st.sampled_from([300, 2048, 9000, WINDOW]))
def test_any_cut_into_blocks_gives_the_same_text_and_offsets(places: list[int], window: int) -> None:
    same_for_any_cut(MIXED, places, window)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(MIXED)), min_size=1, max_size=6), st.sampled_from(["asterisk", "freeswitch"]))
def test_any_cut_gives_the_same_records_and_every_byte_is_counted(places: list[int], product: str) -> None:
    expected, at_once = read(MIXED, product)
    found, in_blocks = read(MIXED, product, places)
    assert found == expected
    assert in_blocks == at_once
    assert at_once.read == len(MIXED) == at_once.in_records + at_once.skipped


@pytest.mark.parametrize(
    "name", ["asterisk/asterisk16-chan_sip-long.log", "freeswitch/freeswitch-1.10-siptrace-dialog.log"]
)
def test_one_process_and_two_give_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "full"
    path.write_bytes(returned(recorded(name)))
    test_parallel.same(path, 4, monkeypatch)


def test_blocks_of_a_few_bytes_give_the_same() -> None:
    raw = returned(SIPTRACE)
    for size in (1, 7, 100):
        assert clean(cut(raw, range(size, len(raw), size))) == SIPTRACE


def test_lines_of_crlf_without_an_entry_stay_as_they_are() -> None:
    raw = b"no entry of a PBX\r\n" * 9000
    assert clean(raw) == raw


def test_a_line_without_an_end_does_not_pile_up() -> None:
    junk = b"x\r" * 1_500_000
    assert clean([returned(NOTICE), junk, junk, b"\n"]).startswith(NOTICE + junk + junk[:-1])
