"""What carries a log is recognised from its content and taken off; what only looks carried stays as it is."""

import json
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siplogs.errors import PackError
from siplogs.packs.carriers import WINDOW, Unwrapped, recognise, unwrap
from siplogs.packs.wrapping import load_carriers
from siplogs.resources import data_folder
from tests.packs.recorded import cut, scanned, shipped

DATA = Path(__file__).parent / "data/carriers"
STARTS = tuple({pack.prefix.name: pack.prefix.start for pack in shipped().values()}.values())
PJSIP, CHAN_SIP, SIPTRACE, CONSOLE, FS_CLI, JSON = (
    (DATA / name).read_bytes()
    for name in ("pjsip.log", "chan_sip.log", "siptrace.log", "console.txt", "fs_cli.txt", "chan_sip.json.log")
)
PLAIN = {"pjsip": PJSIP, "chan_sip": CHAN_SIP, "siptrace": SIPTRACE}
PROMPT = b"pbx*CLI> \r\x1b[0K"
NOTICE = b"[Nov 21 02:17:08] NOTICE[12] chan_sip.c: Peer '1001' is now Reachable. (12ms / 2000ms)\n"


def lines(log: bytes) -> list[bytes]:
    return [line + b"\n" for line in log.split(b"\n")[:-1]]


def prefixed(prefix: bytes) -> Callable[[bytes], bytes]:
    return lambda log: b"".join(prefix + line for line in lines(log))


def docker_json(log: bytes) -> bytes:
    texts = [line.decode("utf-8", "surrogateescape") for line in lines(log)]
    objects = [{"log": text, "stream": "stdout", "time": "2026-11-21T02:17:08.123456789Z"} for text in texts]
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects).encode("utf-8", "surrogateescape")


def journal_json(log: bytes) -> bytes:
    texts = [line.removesuffix(b"\n") for line in lines(log)]
    messages = [list(text) if b"\r" in text else text.decode() for text in texts]
    objects = [{"_PID": "9", "__REALTIME_TIMESTAMP": "1795227428123456", "MESSAGE": text} for text in messages]
    return "".join(json.dumps(one) + "\n" for one in objects).encode()


def kubernetes(log: bytes) -> bytes:
    """Wrap lines as a pod's log does; long ones are split."""
    pieces = []
    for line in lines(log):
        text = line.removesuffix(b"\n")
        for start in range(0, max(len(text), 1), 120):
            flag = b"P" if start + 120 < len(text) else b"F"
            pieces.append(b"2026-11-21T02:17:08.1234%05dZ stdout %s %s\n" % (start, flag, text[start : start + 120]))
    return b"".join(pieces)


def octal(text: bytes) -> bytes:
    return text.replace(b"\r", b"#015").replace(b"\t", b"#011")


def one_record_an_entry(log: bytes) -> bytes:
    """Wrap entries as rsyslog writes records of several lines."""
    entries = re.split(rb"(?m)^(?=\[Nov 21 |(?:recv|send) \d+ bytes|\d{4}-\d\d-\d\d )", log)
    bodies = [octal(entry.removesuffix(b"\n")).replace(b"\n", b"#012") for entry in entries if entry]
    return b"".join(b"Nov 21 02:17:08 pbx1 asterisk[1234]: " + body + b"\n" for body in bodies)


SYSLOG = prefixed(b"Nov 21 02:17:08 pbx1 asterisk[1234]: ")
COMPOSE = prefixed(b"asterisk-1  | ")
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "compose": COMPOSE,
    "compose-v1": prefixed(b"pbx_freeswitch_1    | "),
    "docker-time": prefixed(b"2026-11-21T02:17:08.123456789Z "),
    "compose-time": prefixed(b"asterisk-1  | 2026-11-21T02:17:08.123456789Z "),
    "kubernetes": kubernetes,
    "docker-json": docker_json,
    "rfc3164": SYSLOG,
    "rfc3164-priority": prefixed(b"<134>Nov  1 02:17:08 pbx1 asterisk: "),
    "freeswitch-tag": prefixed(b"Nov 21 02:17:08 pbx1 freeswitch[77]: "),
    "rfc3164-hostless": prefixed(b"Nov 21 02:17:08 asterisk[1234]: "),
    "rsyslog-iso": prefixed(b"2026-11-21T02:17:08.123456+00:00 pbx1 asterisk[1234]: "),
    "rfc5424": prefixed(b'<134>1 2026-11-21T02:17:08.1Z pbx1 asterisk 9 - [a@9 b="c\\]"][d] \xef\xbb\xbf'),
    "rfc5424-bare": prefixed(b"<134>1 2026-11-21T02:17:08.1Z pbx1 asterisk - - - "),
    "journal-iso": prefixed(b"2026-11-21T02:17:08+0000 pbx1 asterisk[1234]: "),
    "journal-precise": prefixed(b"Nov 21 02:17:08.123456 pbx1 asterisk[1234]: "),
    "journal-full": prefixed(b"Sat 2026-11-21 02:17:08 UTC pbx1 asterisk[1234]: "),
    "journal-full-zone": prefixed(b"Sat 2026-11-21 02:17:08 CEST pbx1 freeswitch[1234]: "),
    "journal-unix": prefixed(b"1795227428.123456 pbx1 asterisk[1234]: "),
    "kubectl-prefix": prefixed(b"[pod/asterisk-7c9d8f6b5d-x2x4z/asterisk] "),
    "kubectl-prefix-time": prefixed(b"[pod/pbx-0/pbx] 2026-11-21T02:17:08.123456789Z "),
    "journal-json": journal_json,
    "octal-lines": lambda log: SYSLOG(octal(log)),
    "octal-records": one_record_an_entry,
    "twice": lambda log: SYSLOG(COMPOSE(log)),
    "compose-of-json": lambda log: COMPOSE(docker_json(log)),
    "coloured-compose": prefixed(b"\x1b[36masterisk-1  | \x1b[0m"),
}


def clean(blocks: bytes | Iterable[bytes], window: int = WINDOW) -> bytes:
    whole = [blocks] if isinstance(blocks, bytes) else blocks
    return b"".join(piece.data for piece in unwrap(whole, STARTS, window=window))


def messages(log: bytes) -> list[tuple[str, str, bytes | None]]:
    records = [record for product in ("asterisk", "freeswitch") for record in scanned(log, product)[0]]
    return [(record.rule, record.damage, record.payload) for record in records if record.kind == "message"]


def offsets(pieces: Iterable[Unwrapped]) -> list[tuple[int, int]]:
    """(position in the clean text, raw offset) where lines of the clean text begin, and at every byte of short text."""
    found, done, raw, inside = [], 0, 0, False
    for piece in pieces:
        assert piece.raw_start == raw
        raw += piece.raw_length
        assert piece.raw_offset(len(piece.data)) == raw
        starts = [] if inside else [0]
        starts += [match.end() for match in re.finditer(rb"\n", piece.data) if match.end() < len(piece.data)]
        found += [(done + start, piece.raw_offset(start)) for start in starts]
        done += len(piece.data)
        inside = not piece.data.endswith(b"\n")
    return found


def pieces_of(raw: bytes, places: Iterable[int]) -> list[bytes]:
    return cut(raw, [place % (len(raw) + 1) for place in places])


def same_for_any_cut(raw: bytes, places: Iterable[int], window: int) -> list[Unwrapped]:
    """Unwrapping gives the same text and offsets wherever blocks end; return what it gives."""
    whole = list(unwrap([raw], STARTS, window=window))
    pieces = list(unwrap(pieces_of(raw, places), STARTS, window=window))
    assert b"".join(piece.data for piece in pieces) == b"".join(piece.data for piece in whole)
    assert offsets(pieces) == offsets(whole)
    assert sum(piece.raw_length for piece in pieces) == sum(piece.raw_length for piece in whole) == len(raw)
    return whole


def shipped_samples() -> list[tuple[str, bytes, bytes]]:
    return [
        (carrier["name"], sample["raw"].encode(), sample["clean"].encode())
        for path in sorted((data_folder("patterns") / "carriers").glob("*.toml"))
        for carrier in tomllib.loads(path.read_text())["carrier"]
        for sample in carrier["sample"]
    ]


@pytest.mark.parametrize(("name", "raw", "expected"), shipped_samples())
def test_every_sample_of_every_carrier_becomes_its_clean_text(name: str, raw: bytes, expected: bytes):
    carriers = recognise(raw, STARTS)
    assert carriers is not None
    assert carriers.layers[0].carrier.name == name
    assert clean(raw) == expected


def test_every_carrier_has_a_sample_and_says_what_it_is():
    assert all(carrier.data.sample and carrier.data.about for carrier in load_carriers())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("log", PLAIN)
def test_a_wrapped_log_becomes_the_plain_one_byte_for_byte(way: str, log: str):
    raw = WAYS[way](PLAIN[log])
    assert raw != PLAIN[log]
    assert clean(raw) == PLAIN[log]
    assert messages(clean(raw)) == messages(PLAIN[log])
    assert len(messages(PLAIN[log])) >= 4


@pytest.mark.parametrize("way", WAYS)
def test_a_wrapped_log_over_many_windows_becomes_the_plain_one(way: str):
    log = PJSIP * 40
    assert clean(WAYS[way](log)) == log


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"octal-records", "kubernetes"}))
def test_raw_offsets_are_those_of_the_raw_lines(way: str):
    raw = WAYS[way](CHAN_SIP * 9)
    expected = [0, *(match.end() for match in re.finditer(rb"\n", raw))][:-1]
    found = offsets(unwrap([raw], STARTS))
    assert [offset for _, offset in found] == expected


def test_raw_offsets_never_decrease_and_records_begin_at_raw_lines():
    raw = one_record_an_entry(CHAN_SIP)
    (piece,) = unwrap([raw], STARTS)
    found = [piece.raw_offset(position) for position in range(len(piece.data) + 1)]
    assert found == sorted(found)
    records = scanned(piece.data)[0]
    begun = {0, *(match.end() for match in re.finditer(rb"\n", raw))}
    assert {piece.raw_offset(record.offset) for record in records} <= begun
    assert len({piece.raw_offset(record.offset) for record in records}) == len(records)


def test_asterisk_json_becomes_what_the_default_formatter_writes():
    found = clean(JSON)
    entries = [json.loads(line) for line in JSON.splitlines()[1:]]
    assert found.startswith(JSON.split(b"\n")[0] + b"\n[Nov 21 ")
    assert len(re.findall(rb"(?m)^\[Nov 21 [\d:]{8}\] [A-Z]+\[\d+\]", found)) == len(entries)
    for entry in entries:
        assert entry["logmsg"]["message"].encode() in found
    assert re.search(rb"(?m)^\[Nov 21 02:22:21\] VERBOSE\[\d+\]\[C-00000001\] chan_sip\.c: ", found)
    markers = [entry for entry in entries if re.search("SIP read|ransmitting", entry["logmsg"]["message"])]
    assert len(messages(found)) == len(markers) >= 3


def as_json(log: bytes) -> bytes:
    """Write a plain log of Asterisk as its [json] formatter would have."""
    entries = re.split(rb"(?m)^(?=\[Nov 21 )", log)[1:]
    objects = []
    for entry in entries:
        match = re.match(rb"\[(.*?)\] ([A-Z]+)\[(\d+)\](?:(\[C-\w+\]))? (\S+): (.*)", entry, re.DOTALL)
        time, level, thread, call, file, text = (part.decode() if part else "" for part in match.groups())
        location = {"filename": file, "function": "f", "line": 354}
        message = {"location": location, "level": level, "message": text}
        identifiers = {"lwp": int(thread), "callid": call}
        objects.append({"hostname": "", "timestamp": time, "identifiers": identifiers, "logmsg": message})
    return "".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) + "\n" for one in objects).encode()


@pytest.mark.parametrize("log", ["pjsip", "chan_sip"])
@pytest.mark.parametrize("way", ["", "compose", "docker-json", "rfc3164", "kubernetes", "journal-json"])
def test_asterisk_json_comes_back_byte_for_byte_also_out_of_another_wrapping(log: str, way: str):
    raw = as_json(PLAIN[log])
    assert clean(WAYS[way](raw) if way else raw) == PLAIN[log]


def test_a_json_object_that_was_cut_gives_the_message_as_far_as_it_is_there():
    whole = as_json(CHAN_SIP).split(b"\n")[0]
    text = clean(whole + b"\n")
    head = whole.index(b'"message":"') + len(b'"message":"')
    for end in range(head, len(whole)):
        found = clean(whole[:end] + b"\n" + as_json(NOTICE))
        assert found.endswith(b"\n" + NOTICE)
        assert text.startswith(found.removesuffix(NOTICE).removesuffix(b"\n"))


def test_bytes_that_are_no_utf8_survive_json():
    raw = as_json(NOTICE).replace(b"1001", b"\xff\xfe\xe2\x98")
    assert clean(raw) == NOTICE.replace(b"1001", b"\xff\xfe\xe2\x98")
    assert clean(docker_json(NOTICE.replace(b"1001", b"\xff\xfe\xe2\x98"))) == NOTICE.replace(
        b"1001", b"\xff\xfe\xe2\x98"
    )


@pytest.mark.parametrize(("log", "received", "sent"), [(CONSOLE, 3, 3), (FS_CLI, 3, 1)])
@pytest.mark.parametrize("way", ["", "compose", "docker-json", "rfc3164"])
def test_colours_and_prompts_go_and_the_line_ends_of_sip_text_stay(log: bytes, received: int, sent: int, way: str):
    found = clean(WAYS[way](log) if way else log)
    assert b"\x1b" not in found
    assert not re.search(rb"freeswitch@|\r[^\r\n]", found)
    assert found.count(b"\r\n") == log.count(b"\r\n")
    assert found.count(b"\n") == log.count(b"\n")
    assert len(re.findall(rb"(?m)^recv \d+ bytes from", found)) == received
    assert len(re.findall(rb"(?m)^send \d+ bytes to", found)) == sent
    assert [damage for _, damage, _ in messages(found)] == [""] * (received + sent)


def console(log: bytes) -> bytes:
    """Show a plain log as `asterisk -rvvvvv` shows it: bare messages, coloured entries, the prompt overwritten."""
    shown = re.sub(rb"(?m)^\[[^]\n]*\] VERBOSE\[\d+\](?:\[C-\w+\])? \S+: ", PROMPT, log + NOTICE)
    return re.sub(rb"(?m)^(\[[^]\n]*\]) ([A-Z]+)(\[\d+\])(?:\[C-\w+\])? (\S+): ", coloured, shown)


def coloured(entry: re.Match[bytes]) -> bytes:
    white, off = b"\x1b[1;37m", b"\x1b[0m"
    level = b"%s \x1b[1;33m%s%s%s: " % (entry[1], entry[2], off, entry[3])
    return PROMPT + level + white + entry[4] + off + b":" + white + b"7" + off + b" " + white + b"f" + off + b": "


@pytest.mark.parametrize("log", ["pjsip", "chan_sip"])
def test_an_asterisk_console_gives_all_its_messages(log: str):
    found = clean(console(PLAIN[log]))
    assert found.endswith(b"\n[Nov 21 02:17:08] NOTICE[12]: chan_sip.c:7 f: " + NOTICE.split(b": ", 1)[1])
    assert b"\x1b" not in found
    assert [payload for _, _, payload in messages(found)] == [payload for _, _, payload in messages(PLAIN[log])]


UNTIMED = b"NOTICE[1234]: chan_sip.c:24563 in handle_request: Registration from '<sip:1@192.0.2.1>' failed\n"


@pytest.mark.parametrize(
    ("prefix", "stamp"),
    [
        (b"Nov 21 02:17:08 pbx1 asterisk[1234]: ", b"[Nov 21 02:17:08] "),
        (b"2026-11-21T02:17:08.123456+00:00 pbx1 asterisk[1]: ", b"[2026-11-21T02:17:08.123456+00:00] "),
        (b"<134>1 2026-11-21T02:17:08Z pbx1 asterisk 1 - - ", b"[2026-11-21T02:17:08Z] "),
        (b"2026-11-21T02:17:08.123456789Z stdout F ", b"[2026-11-21T02:17:08.123456789Z] "),
        (b"Nov 21 02:17:08 asterisk[1234]: ", b"[Nov 21 02:17:08] "),
        (b"Sat 2026-11-21 02:17:08 UTC pbx1 asterisk[1]: ", b"[2026-11-21 02:17:08 UTC] "),
        (b"Sat 2026-11-21 02:17:08 CEST pbx1 asterisk[1]: ", b"[2026-11-21 02:17:08] "),
        (b"Sat 2026-11-21 02:17:08 +0530 pbx1 asterisk[1]: ", b"[2026-11-21 02:17:08 +0530] "),
        (b"1795227428.123456 pbx1 asterisk[1]: ", b"[1795227428.123456] "),
        (b"[pod/pbx-0/pbx] 2026-11-21T02:17:08.123456789Z ", b"[2026-11-21T02:17:08.123456789Z] "),
    ],
)
def test_an_entry_without_a_time_gets_that_of_its_carrier(prefix: bytes, stamp: bytes):
    assert clean(prefix + UNTIMED) == stamp + UNTIMED
    assert clean(prefix + UNTIMED + prefix + NOTICE) == UNTIMED + NOTICE


def test_freeswitch_text_without_a_time_stays_as_it_is():
    text = b"EXECUTE [depth=0] sofia/internal/1000@example.com answer()\n"
    assert clean(SYSLOG(text + SIPTRACE)) == text + SIPTRACE


def test_the_further_lines_of_a_journal_record_lose_their_indentation():
    log = CHAN_SIP.replace(b"\r\n", b"\n")
    prefix = b"Nov 21 02:22:01 pbx1 asterisk[25898]: "
    entries = re.split(rb"(?m)^(?=\[Nov 21 )", log)[1:]
    raw = b"".join(prefix + entry[:-1].replace(b"\n", b"\n" + b" " * len(prefix)) + b"\n" for entry in entries)
    assert clean(raw) == log


def repeated(log: bytes, name: bytes = b"") -> bytes:
    """Put the entry's prefix before every line of a message, as Asterisk 1.4 and 1.6 could."""
    found, prefix = [], b""
    for line in lines(log):
        match = re.match(rb"\[[^]\n]*\] [A-Z]+\[\d+\](?:\[C-\w+\])? \S+: ", line)
        prefix = match[0] if match else prefix
        found.append(line if match else prefix + line)
    return b"".join(found)


def on_one_line(log: bytes) -> bytes:
    """Write the markers of received messages behind their prefix."""
    return re.sub(rb"(?m)(^\[[^]\n]*\] \S+ chan_sip\.c: )\n(?=<---)", rb"\1", log)


def test_prefixes_that_every_line_of_a_message_repeats_are_taken_off():
    log = on_one_line(CHAN_SIP)
    assert clean(repeated(log)) == log
    assert clean(repeated(log) * 20) == log * 20
    assert messages(clean(repeated(log))) == messages(log)
    assert clean(SYSLOG(repeated(log))) == log


def test_lines_of_other_threads_keep_their_prefixes_in_such_a_log():
    log = repeated(on_one_line(CHAN_SIP))
    first, rest = log.split(b"\n", 1)
    second, rest = rest.split(b"\n", 1)
    found = clean(b"\n".join([first, second, NOTICE.rstrip(b"\n"), rest]))
    assert found.split(b"\n")[2] + b"\n" == NOTICE


def test_a_log_that_stops_repeating_prefixes_is_left_alone_from_there():
    log = on_one_line(CHAN_SIP)
    assert clean(repeated(log) + log + repeated(log)) == log + log + repeated(log)


def test_plain_blocks_pass_through_as_they_are():
    log = PJSIP * (4 * WINDOW // len(PJSIP) + 2)
    blocks = [log[:WINDOW], log[WINDOW : 3 * WINDOW], log[3 * WINDOW :]]
    pieces = list(unwrap(blocks, STARTS))
    assert all(piece.data is block for piece, block in zip(pieces, blocks, strict=True))
    assert [piece.raw_offset(7) for piece in pieces] == [7, WINDOW + 7, 3 * WINDOW + 7]


@pytest.mark.parametrize("log", PLAIN)
def test_plain_logs_are_recognised_as_plain(log: str):
    assert recognise(PLAIN[log] * 30, STARTS) is None
    assert recognise(PLAIN[log], STARTS) is None


def with_body(body: bytes) -> bytes:
    """A plain log with one message of a stranger among its own."""
    message = b"MESSAGE sip:1@192.0.2.1 SIP/2.0\r\nCall-ID: x@y\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    marker = (
        b"[Nov 21 02:35:59] VERBOSE[7] res_pjsip_logger.c: <--- Received SIP request (%d bytes) from UDP:192.0.2.9:5060"
    )
    return (marker + b" --->\n%s\n") % (len(message), message)


HOSTILE = {
    name: with_body(wrap(PJSIP)[:7000])
    for name, wrap in {**WAYS, "colour": lambda _: CONSOLE, "prompt": lambda _: FS_CLI, "json": as_json}.items()
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_body_that_looks_wrapped_stays_as_it_is_however_often_it_is_sent(kind: str):
    hostile = HOSTILE[kind]
    for log in (PJSIP + hostile + PJSIP, hostile, PJSIP + hostile * 40 + PJSIP, hostile * 40, PJSIP * 10 + hostile):
        assert recognise(log, STARTS) is None
        assert clean(log) == log


@pytest.mark.parametrize("kind", sorted(WAYS))
def test_a_body_that_looks_wrapped_stays_as_it_is_in_a_console_without_prefixes(kind: str):
    bare = re.sub(rb"(?m)^\[[^]\n]*\] [A-Z]+\[\d+\] \S+: ", b"", PJSIP + HOSTILE[kind] + PJSIP)
    if kind != "coloured-compose":
        assert clean(bare) == bare
    assert len(messages(clean(bare))) == len(messages(PJSIP)) * 2 + 1


def test_a_body_cut_by_the_end_of_a_long_plain_log_stays_as_it_is():
    log = PJSIP * 10
    for size in range(0, 7000, 250):
        end = (log * 2)[: WINDOW - 500] + b"\n"
        assert clean(end + HOSTILE["compose"][: 300 + size]) == end + HOSTILE["compose"][: 300 + size]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_body_that_looks_wrapped_stays_as_it_is_within_a_wrapping(kind: str):
    log = PJSIP * 20 + HOSTILE[kind] * 30 + PJSIP
    assert clean(COMPOSE(log)) == log
    assert clean(docker_json(log)) == log


def test_escapes_in_a_body_do_not_switch_the_stripping_on():
    body = b"".join(
        b"\x1b[m\x1b[36m2026-11-21 02:05:32.326110 [NOTICE] sofia.c:1 x %d\n" % number for number in range(99)
    )
    for log in (PJSIP + with_body(body), SIPTRACE + with_body(body) * 9):
        assert clean(log) == log


def test_carriers_change_within_one_log():
    parts = [
        PJSIP * 30,
        COMPOSE(CHAN_SIP * 20),
        prefixed(b"Nov 21 02:17:08 asterisk-1[1234]: ")(SIPTRACE * 30),
        FS_CLI * 30,
        PJSIP * 30,
        docker_json(PJSIP * 30),
    ]
    expected = [PJSIP * 30, CHAN_SIP * 20, SIPTRACE * 30, clean(FS_CLI) * 30, PJSIP * 30, PJSIP * 30]
    assert clean(b"".join(parts)) == b"".join(expected)


def test_carriers_change_within_a_few_lines_when_nothing_is_plain():
    within = ("compose-time", "twice", "compose-of-json", "kubectl-prefix-time")
    ways = [name for name in WAYS if name not in within]
    assert clean(b"".join(WAYS[name](NOTICE) for name in ways)) == NOTICE * len(ways)


MIXED = b"".join(
    [PJSIP, COMPOSE(CHAN_SIP), SIPTRACE, SYSLOG(PJSIP), FS_CLI, as_json(CHAN_SIP), kubernetes(PJSIP), PJSIP, CONSOLE]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=12), st.sampled_from([512, 2048, WINDOW]))
def test_any_cut_into_blocks_gives_the_same_text_and_offsets(places: list[int], window: int):
    same_for_any_cut(MIXED, places, window)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=8))
def test_any_cut_of_a_log_that_repeats_prefixes_gives_the_same(places: list[int]):
    log = on_one_line(CHAN_SIP)
    raw = NOTICE + repeated(log) + NOTICE + repeated(log) + log
    pieces = list(unwrap(pieces_of(raw, places), STARTS))
    assert b"".join(piece.data for piece in pieces) == NOTICE + log + NOTICE + log + log
    assert offsets(pieces) == offsets(unwrap([raw], STARTS))


FRAGMENTS = st.sampled_from(
    [
        *(wrap(NOTICE) for wrap in WAYS.values()),
        *(wrap(b"") or b'{"log":"' for wrap in (docker_json, COMPOSE)),
        *re.findall(rb".{1,90}", JSON[:2000] + CONSOLE[:900] + FS_CLI[:900] + repeated(CHAN_SIP)[:2000]),
        *(
            b"\n",
            b"\r",
            b"\x1b[",
            b"\\u",
            b'"',
            b"#012",
            b" --->\n",
            b'{"timestamp":',
            b'"logmsg":',
            b'"MESSAGE":[1,999',
        ),
        *(
            NOTICE.replace(b"\n", b"\r\n"),
            b"a=sendrecv\r\n",
            NOTICE,
            UNTIMED,
            b"pbx*CLI> ",
            b"<------------->\n",
            b"Nov 21 02:17:08 ",
            b"2026-11-21T02:17:08.123456789Z ",
        ),
    ]
)


NAMELESS = st.sampled_from(
    [
        *(WAYS[way](NOTICE * 2) for way in ("docker-time", "kubernetes", "docker-json", "journal-json")),
        *(NOTICE, NOTICE.replace(b"\n", b"\r\n"), UNTIMED, b"\r\n", b"\n", repeated(CHAN_SIP)[:2000]),
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(FRAGMENTS | st.binary(max_size=40), max_size=60).map(b"".join),
    st.lists(st.integers(0, 10**6), max_size=6),
    st.sampled_from([64, 300, WINDOW]),
)
def test_any_bytes_never_raise_and_any_cut_of_them_gives_the_same(raw: bytes, places: list[int], window: int):
    whole = same_for_any_cut(raw, places, window)
    assert all(0 <= offset <= len(raw) for _, offset in offsets(whole))
    recognise(raw, STARTS)


@settings(max_examples=100, deadline=None)
@given(st.lists(NAMELESS | st.binary(max_size=20), max_size=40).map(b"".join), st.sampled_from([64, 300, WINDOW]))
def test_offsets_never_decrease_where_no_program_is_named(raw: bytes, window: int):
    whole = list(unwrap([raw], STARTS, window=window))
    found = [piece.raw_offset(position) for piece in whole for position in range(len(piece.data) + 1)]
    assert found == sorted(found)


def test_lines_without_an_end_do_not_pile_up():
    junk = b"x" * 3_000_000
    assert clean([junk, junk]) == junk * 2
    assert clean(b"asterisk-1  | " + NOTICE + b"asterisk-1  | " + junk) == NOTICE + junk


def test_a_carrier_that_is_wrong_is_named_with_its_file(tmp_path: Path):
    (tmp_path / "mine.toml").write_text("[[carrier]]\nname = 'x'\nabout = 'y'\npattern = '('\nsample = []\n")
    with pytest.raises(PackError, match=r"mine\.toml: carrier x: .*regular expression"):
        load_carriers(tmp_path)


def test_long_hostile_lines_are_got_through():
    hostile = [
        b"a" * 100_000,
        b"{" * 100_000,
        b'{"log":"' * 20_000,
        b"<1>1 " + b"[" * 100_000,
        b'{"MESSAGE":[' + b"1," * 90_000,
    ]
    hostile += [
        b"2026-11-21T02:17:08Z " + b"x" * 100_000,
        b"[" + b" \x1b[" * 50_000,
        b'{"timestamp":' * 9000,
        b"\\" * 99_999,
    ]
    for line in hostile:
        assert clean(COMPOSE(line + b"\n" + NOTICE)).endswith(NOTICE)
        assert clean(line + b"\n" + NOTICE) == line + b"\n" + NOTICE
