"""From a log to its events: whose log it is, what is counted, and ids that no copy, name or compression changes."""

import bz2
import gzip
import lzma
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import zstandard

from siplogs.errors import ConfigError, PackError
from siplogs.model import Event
from siplogs.pipeline import Part, Reading, ReadOptions, read_events
from siplogs.sip import Limits
from siplogs.sources import Source, find
from tests.packs.recorded import CORPUS, recorded
from tests.packs.writers import AFTER, BEFORE, message, pjsip

UTC = ReadOptions(timezone="UTC")
LOGS = [
    "asterisk/asterisk22-pjsip-default.log",
    "asterisk/asterisk22-pjsip-debug5.log",
    "asterisk/asterisk22-pjsip-long.log",
    "asterisk/asterisk16-chan_sip-raw.log",
    "asterisk/asterisk16-chan_sip-debug5.log",
    "asterisk/asterisk16-pjsip-nosipdebug.log",
    "freeswitch/freeswitch-1.10-siptrace-bad.log",
    "freeswitch/freeswitch-1.10-siptrace-midnight.log",
    "freeswitch/freeswitch-1.10-sofia-loglevel-all-9.log",
    "freeswitch/freeswitch-1.10-info-nosiptrace.log",
    "freeswitch/freeswitch-oldtrace-siptrace.log",
]

ROOT = Path(__file__).parents[1]


def read(path: Path | str, options: ReadOptions = UTC) -> tuple[list[Event], Reading]:
    reading = Reading(Part(Source.of(str(path))), options)
    return list(reading), reading


def corpus(name: str) -> str:
    return str(CORPUS / f"{name}.xz")


def written(folder: Path, data: bytes, name: str = "full") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", LOGS)
def test_events_of_recorded_logs(name: str) -> None:
    events, reading = read(corpus(name))
    accounting = reading.accounting

    assert accounting.read == len(recorded(name)) == accounting.in_records + accounting.skipped
    assert accounting.lines == recorded(name).count(b"\n")
    assert reading.products == (name.partition("/")[0],)
    assert reading.trouble is None
    assert len({event.event.id for event in events}) == len(events) > 0
    for event in events:
        assert re.fullmatch(r"2026-11-2\dT\d\d:\d\d:\d\d\.\d{3,6}Z", event.timestamp)
        assert event.siplogs.code is None or 100 <= event.siplogs.code <= 699
        assert event.siplogs.class_ == (f"{event.siplogs.code // 100}xx" if event.siplogs.code else None)
        assert event.event.sequence is not None
        assert event.siplogs.reason is not None or event.siplogs.code is None


def test_order_is_that_of_the_log() -> None:
    events, _ = read(corpus("asterisk/asterisk16-chan_sip-raw.log"))
    offsets = [event.event.sequence or 0 for event in events]
    assert offsets == sorted(offsets)


def test_frames_around_midnight_get_the_right_day() -> None:
    events, _ = read(corpus("freeswitch/freeswitch-1.10-siptrace-midnight.log"))
    times = [event.timestamp for event in events]
    days = [time[:10] for time in times]
    assert len(set(days)) == 2
    assert days == sorted(days)
    assert {time[11:13] for time in times} <= {"23", "00"}


def test_the_date_told_beside_an_event_is_the_one_that_it_needed() -> None:
    """A checkpoint may be made behind any event, however far the log was looked at by then."""
    reading = Reading(Part(Source.of(corpus("freeswitch/freeswitch-1.10-siptrace-midnight.log"))), UTC)
    told = [(event.timestamp, reading.dated.decode()) for event in reading if event.siplogs.kind == "message"]
    assert len({dated[:10] for _, dated in told}) == 2
    assert all(dated and dated.replace(" ", "T") <= time for time, dated in told)


def test_internal_codes_are_no_responses() -> None:
    """`entering state [terminated][904]` tells of no response that ever was on the wire."""
    log = recorded("freeswitch/freeswitch-1.10-siptrace-trunk.log")
    internal = set(re.findall(rb"state \[\w+\]\[(9\d\d)\]", log))
    assert internal
    events, _ = read(corpus("freeswitch/freeswitch-1.10-siptrace-trunk.log"))
    assert not {event.siplogs.code for event in events if event.siplogs.code} & {int(code) for code in internal}


def test_debug_lines_that_repeat_messages_are_not_counted_twice() -> None:
    for name in ("asterisk/asterisk16-chan_sip-debug5.log", "asterisk/asterisk22-pjsip-debug5.log"):
        markers = len(
            re.findall(
                rb"<--- (?:Received SIP|Transmitting SIP|SIP read)|ransmitting (?:#\d+ )?\([^)\n]+\) to ",
                recorded(name),
            )
        )
        events, reading = read(corpus(name))
        keep_alives = sum(count for rule, count in reading.accounting.rules.items() if rule.endswith("/keep-alive"))
        messages = [event for event in events if event.siplogs.kind == "message"]
        assert len(messages) + keep_alives == markers


def test_same_content_has_the_same_ids_however_it_is_kept(tmp_path: Path) -> None:
    log = recorded("asterisk/asterisk22-pjsip-default.log")
    packed = {
        "full": log,
        "full.1": log,
        "full.2.gz": gzip.compress(log),
        "full.3.bz2": bz2.compress(log),
        "full.4": lzma.compress(log),
        "full.5.zst": zstandard.ZstdCompressor().compress(log),
    }
    ids = []
    for name, data in packed.items():
        events, _ = read(written(tmp_path, data, name))
        ids.append([event.event.id for event in events])
    assert all(one == ids[0] for one in ids)
    assert len(ids[0]) > 100


def test_a_grown_log_keeps_the_ids_of_what_was_there(tmp_path: Path) -> None:
    log = recorded("asterisk/asterisk22-pjsip-default.log")
    half = log[: log.index(b"\n[", len(log) // 2) + 1]
    before, _ = read(written(tmp_path, half))
    after, _ = read(written(tmp_path, log))
    assert [event.event.id for event in before] == [event.event.id for event in after[: len(before)]]


def test_pack_that_is_asked_for(tmp_path: Path) -> None:
    events, _ = read(
        corpus("asterisk/asterisk22-pjsip-default.log"), ReadOptions(packs=("asterisk-pjsip",), timezone="UTC")
    )
    assert {event.siplogs.pack for event in events} == {"asterisk-pjsip"}
    others, _ = read(
        corpus("asterisk/asterisk22-pjsip-default.log"), ReadOptions(packs=("freeswitch-log",), timezone="UTC")
    )
    assert others == []


def test_no_such_pack() -> None:
    with pytest.raises(PackError, match=r"no pattern pack 'asterisk-pjsib'; there are asterisk-chan-sip, "):
        list(Reading(Part(Source.of(corpus(LOGS[0]))), ReadOptions(packs=("asterisk-pjsib",))))


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "+25", "x y"])
def test_no_such_zone(zone: str) -> None:
    with pytest.raises(ConfigError, match=f"no time zone {re.escape(repr(zone))}"):
        Reading(Part(Source.of(corpus(LOGS[0]))), ReadOptions(timezone=zone))


def test_zone_of_the_setting() -> None:
    madrid, _ = read(corpus(LOGS[0]), ReadOptions(timezone="Europe/Madrid"))
    utc, _ = read(corpus(LOGS[0]))
    lines = [pair for pair in zip(madrid, utc, strict=True) if pair[0].siplogs.kind == "message"]
    assert {(one.event.timezone, other.event.timezone) for one, other in lines} == {("+01:00", "+00:00")}
    assert all(int(other.timestamp[11:13]) - int(one.timestamp[11:13]) in (1, -23) for one, other in lines)


def test_record_whose_time_cannot_be_read_is_counted(tmp_path: Path) -> None:
    bad = pjsip(message()).replace(b"Nov 21 02:17:08", b"Nov 99 02:17:08")
    events, reading = read(written(tmp_path, BEFORE["asterisk"] + bad + AFTER["asterisk"]))
    assert [event.siplogs.damage for event in events] == [None, "no-time", None]
    assert reading.accounting.reasons == {"bad-time": 1}
    assert events[1].timestamp == events[0].timestamp
    assert events[1].siplogs.truncated is None


def test_damage_is_told(tmp_path: Path) -> None:
    cut = pjsip(message(b"", b"X-Long: " + b"h" * 9000))[:8191]
    events, reading = read(written(tmp_path, cut + pjsip(message()) + AFTER["asterisk"]))
    assert [(event.siplogs.truncated, event.siplogs.damage) for event in events] == [
        (True, "cut-entry"),
        (None, None),
        (None, None),
    ]
    assert reading.accounting.reasons == {"truncated": 1}


def test_largest_message(tmp_path: Path) -> None:
    log = written(tmp_path, pjsip(message(b"", b"X: " + b"h" * 3000)) + pjsip(message()))
    events, reading = read(log, ReadOptions(timezone="UTC", largest=2000))
    assert [event.siplogs.damage for event in events] == ["too-large", None]
    assert reading.accounting.reasons == {"too-large": 1}


def test_original_can_be_left_out(tmp_path: Path) -> None:
    log = written(tmp_path, pjsip(message()) + AFTER["asterisk"])
    for original in (True, False):
        events, _ = read(log, ReadOptions(timezone="UTC", original=original))
        assert [event.event.original is not None for event in events] == [original, original]


def test_two_pbxs_in_one_file(tmp_path: Path) -> None:
    log = (
        recorded("asterisk/asterisk22-pjsip-default.log")[:60_000]
        + b"\n"
        + recorded("freeswitch/freeswitch-1.10-siptrace-reg.log")[:60_000]
    )
    events, reading = read(written(tmp_path, log))
    assert set(reading.products) == {"asterisk", "freeswitch"}
    assert Counter(event.siplogs.pbx for event in events).keys() == {"asterisk", "freeswitch"}


@pytest.mark.parametrize("data", [b"\n", b"x" * 100, b"hello\nworld\n" * 1000, "Zoë ☎\n".encode() * 40])
def test_text_that_is_no_log_gives_no_events(tmp_path: Path, data: bytes) -> None:
    events, reading = read(written(tmp_path, data))
    assert (events, reading.products) == ([], ())
    assert reading.accounting.read == len(data) == reading.accounting.skipped


def test_archive_that_is_cut_gives_what_is_there_and_a_warning(tmp_path: Path) -> None:
    packed = gzip.compress(recorded("asterisk/asterisk22-pjsip-default.log"))
    path = written(tmp_path, packed[: len(packed) // 2], "full.1.gz")
    whole = written(tmp_path, AFTER["asterisk"], "full")
    warnings: list[str] = []
    events = list(read_events(find([str(path), str(whole)], warn=warnings.append), UTC, warnings.append))
    assert len(events) > 10
    assert events[-1].siplogs.peer == "after"
    assert len(warnings) == 1
    assert str(path) in warnings[0]
    assert "\n" not in warnings[0]


def test_header_caps_are_options(tmp_path: Path) -> None:
    """A message at the cap is read whole; one line or byte more is a finding, and the rest of the message stays."""
    wire = message(b"", b"X-Long: " + b"h" * 92)
    lines = wire.count(b"\r\n") - 2
    for limits, found in (
        (Limits(header_count=lines, header_length=101), set()),
        (Limits(header_count=lines - 1), {"header-count-exceeded"}),
        (Limits(header_length=100), {"header-too-long"}),
    ):
        log = written(tmp_path, pjsip(wire) + pjsip(message()))
        events, _ = read(log, ReadOptions(timezone="UTC", limits=limits))
        capped = {finding.id for finding in events[0].siplogs.findings or []}
        assert capped & {"header-count-exceeded", "header-too-long"} == found
        assert len(events) == 2


PEAK = r"""
import re, sys
from pathlib import Path
from siplogs.pipeline import Part, Reading, ReadOptions
from siplogs.sources import Source
for _ in Reading(Part(Source.of(sys.argv[1])), ReadOptions(timezone="UTC")):
    pass
print(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    """In kilobytes; the larger log is eight times the smaller one."""
    piece = recorded("asterisk/asterisk22-pjsip-nosipdebug.log") * 170
    peaks = []
    for times in (1, 8):
        log = tmp_path / f"{times}.log"
        log.write_bytes(piece * times)
        done = subprocess.run([sys.executable, "-c", PEAK, str(log)], capture_output=True, check=True, cwd=ROOT)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 16_000
