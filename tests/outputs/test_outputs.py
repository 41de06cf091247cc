"""What is printed is safe on a terminal and in a spreadsheet, holds no secret, and is the document that is published."""

import csv
import io
import json
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siplogs.cli.summary import nothing_lines, summary_lines
from siplogs.enrich.redaction import redact
from siplogs.filters import Filter
from siplogs.outputs import FORMATS, make_renderer
from siplogs.outputs.csv import COLUMNS, guarded
from siplogs.outputs.text import clean, fitted, width_of
from siplogs.parallel import Job, Tally, read_part
from siplogs.pipeline import Part, Reading, ReadOptions
from siplogs.sources import Source
from tests.enrich.test_redaction import EVENT, EVENTS, HOLDERS, SECRET, filled
from tests.packs.recorded import CORPUS
from tests.packs.writers import AFTER, BEFORE, WRITERS, message

SCHEMA = Path(__file__).parents[2] / "docs/event.schema.json"
OPTIONS = ReadOptions(timezone="UTC", host="pbx")
COLOURS = re.compile(r"\x1b\[(?:[012]|3[1-6])m")
SIMILAR = ("load", ".truth.", "nouuid", "-info", "rotate", "mixed", "16-pjsip", "iso")
LOGS = sorted(path for path in CORPUS.glob("*/*.xz") if not any(part in path.name for part in SIMILAR))
EVIL = st.text(
    st.sampled_from(
        "\x1b\x9b\x07\x08\x00\x7f\x85\u202e\u202d\u2066\u2069\u200f\u061c\u2028\u2029\u200b\ufeff[]0;31mJHK?=+-@\tab\"',"
    )
    | st.characters(exclude_categories=["Cs"]),
    max_size=40,
).map(lambda text: text.replace("\n", " ").replace("\r", " "))


def events_of(log: bytes) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "full")
        path.write_bytes(log)
        return list(Reading(Part(Source.of(str(path))), OPTIONS))


def rendered(log: bytes, form: str, *, color: bool = False) -> tuple[bytes, Tally]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "full")
        path.write_bytes(log)
        tally = Tally()
        data = b""
        for chunk in read_part(Part(Source.of(str(path))), Job(OPTIONS, Filter(), form, color)):
            data += chunk.data
            tally = chunk.tally or tally
        return data, tally


def is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs")


def hostile(texts: list[str]) -> bytes:
    """A PJSIP message with hostile text in the places that are shown, and lines that quote such text."""
    encoded = [text.encode() for text in texts]
    wire = message(
        b"",
        b"Subject: " + encoded[0],
        b"User-Agent: " + encoded[1],
        start=b"SIP/2.0 486 " + encoded[2],
    )
    wire = wire.replace(
        b"<sip:1001@192.0.2.1>;tag=1", b'"' + encoded[3] + b'" <sip:' + encoded[4] + b"@192.0.2.1>;tag=1"
    )
    wire = wire.replace(b"carrier@192.0.2.11", encoded[5]).replace(b"<sip:600@192.0.2.1>", encoded[6])
    line = b"[Nov 21 02:35:34] NOTICE[31724] chan_sip.c: Registration from '%s' failed for '192.0.2.9:5092' - Wrong password\n"
    return WRITERS["pjsip"][1](wire) + line % encoded[3].replace(b"%", b"") + AFTER["asterisk"]


@settings(max_examples=60, deadline=None)
@given(st.lists(EVIL, min_size=7, max_size=7))
def test_table_and_summary_hold_no_character_that_acts_on_a_terminal(texts: list[str]) -> None:
    for color in (False, True):
        data, tally = rendered(hostile(texts), "table", color=color)
        text = data.decode()
        assert text.count("\n") == tally.matched == len(text.splitlines())
        summary = list(summary_lines(tally, Job(OPTIONS, Filter(), "table", color)))
        for line in [*text.split("\n"), *summary]:
            plain = COLOURS.sub("", line) if color else line
            assert not [character for character in plain if is_unsafe(character)]


@settings(max_examples=60, deadline=None)
@given(st.lists(EVIL, min_size=1, max_size=3))
def test_first_lines_of_an_unknown_file_are_shown_safely(texts: list[str]) -> None:
    head = "\n".join(texts).encode()
    tally = Tally(head=head)
    tally.accounting.read = len(head) + 1
    lines = list(nothing_lines(tally, Job(OPTIONS, Filter(), "table")))
    assert "no pattern pack fits" in lines[0]
    assert not [character for line in lines for character in line if is_unsafe(character)]


@settings(max_examples=200, deadline=None)
@given(EVIL)
def test_clean_text_is_safe_and_of_the_width_that_is_said(text: str) -> None:
    shown = clean(text)
    assert not [character for character in shown if is_unsafe(character)]
    assert clean(shown) == shown
    for width in (1, 5, 30):
        assert width_of(fitted(shown, width)) == width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\x1b]never closed", "anever closed"),
        ("a\x1bP1;2|x\x1b\\b", "ab"),
        ("soft\xadhyphen \U000e0041tag", "soft hyphen  tag"),
        ("Zoë ☎ 电话 Абонент", "Zoë ☎ 电话 Абонент"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\x9b31mb", "a 31mb"),
        ("a\u202eb\u2066c\u061cd", "a b c d"),
        ("a\rb\nc\td\0e", "a b c d e"),
        ("\x1b", " "),
    ],
)
def test_clean_text(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize("cell", ["=1+1", "+34600", "-1", "@x", "=cmd|' /C calc'!A0", "＝1+1", "＋1", "－1", "＠x"])
def test_formulas_are_guarded(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"
    assert guarded(f"x{cell}") == f"x{cell}"


@settings(max_examples=60, deadline=None)
@given(st.lists(EVIL, min_size=7, max_size=7))
def test_csv_is_read_back_as_it_was_and_runs_nothing(texts: list[str]) -> None:
    data, tally = rendered(hostile(texts), "csv")
    rows = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    assert len(rows) == tally.matched
    assert data.endswith(b"\r\n")
    for row in rows:
        assert len(row) == len(COLUMNS)
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
            assert not [character for character in cell if is_unsafe(character)]
    answer = dict(zip(COLUMNS, rows[0], strict=True))
    assert answer["kind"] == "message"
    assert (
        answer["call_id"] == guarded(clean(texts[5].strip(" \t")))
        or answer["call_id"].strip()[:1] in ("", "'")
        or texts[5]
    )


def test_csv_row() -> None:
    log = WRITERS["pjsip"][1](message(start=b'SIP/2.0 486 Busy, very "busy"')) + AFTER["asterisk"]
    renderer = make_renderer("csv")
    text = renderer.head() + b"".join(renderer.event(event) for event in events_of(log))  # type: ignore[attr-defined]
    header, answer, line = csv.DictReader(io.StringIO(text.decode(), newline="")).fieldnames, *csv.DictReader(io.StringIO(text.decode(), newline=""))  # fmt: skip
    assert tuple(header or ()) == COLUMNS
    assert (answer["code"], answer["phrase"], answer["method"]) == ("486", 'Busy, very "busy"', "MESSAGE")
    assert (answer["from"], answer["to"], answer["call_id"]) == ("1001", "600", "carrier@192.0.2.11")
    assert (answer["source"], answer["transport"], answer["failure"]) == ("192.0.2.11:5060", "udp", "yes")
    assert answer["meaning"]
    assert answer["first_fix"]
    assert (line["kind"], line["code"], line["call_id"]) == ("notice", "", "")


def test_table_rows_have_the_given_width() -> None:
    log = (
        WRITERS["pjsip"][1](message(b"", b"Subject: x", start=b"SIP/2.0 486 " + "电话".encode() * 100))
        + AFTER["asterisk"]
    )
    for width in (80, 100, 200):
        renderer = make_renderer("table", width=width)
        for event in events_of(log):
            assert width_of(renderer.event(event).decode().rstrip("\n")) <= max(width, 97)


@lru_cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_documents_of_recorded_logs_keep_the_published_schema(path: Path) -> None:
    """Every shape of document once: what fields it has decides, so that thousands of equal ones cost nothing."""
    renderer = make_renderer("ndjson")
    seen = set()
    for event in Reading(Part(Source.of(str(path))), OPTIONS):
        line = renderer.event(event)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        document = json.loads(line)
        shape = (frozenset(paths(document)), document["siplogs"]["rule"])
        if shape not in seen:
            seen.add(shape)
            validator().validate(document)
    assert seen or "startup" in path.name


def paths(document: Any, prefix: str = "") -> Iterator[str]:
    for name, value in document.items():
        yield prefix + name
        if isinstance(value, dict) and name not in ("headers", "details"):
            yield from paths(value, f"{prefix}{name}.")


@settings(max_examples=60, deadline=None)
@given(st.lists(EVIL, min_size=7, max_size=7))
def test_documents_of_hostile_messages_keep_the_published_schema(texts: list[str]) -> None:
    data, tally = rendered(hostile(texts), "ndjson")
    lines = data.splitlines()
    assert len(lines) == tally.matched
    for line in lines:
        validator().validate(json.loads(line))


def test_json_is_an_array_of_the_same_documents() -> None:
    log = WRITERS["pjsip"][1](message()) + AFTER["asterisk"]
    events = events_of(log)
    array, lines = make_renderer("json"), make_renderer("ndjson")
    parts = [array.event(event) for event in events]
    assert all(part.startswith(b",\n") for part in parts)
    text = b"[" + b"".join(parts).removeprefix(b",\n") + b"]"
    assert json.loads(text) == [json.loads(lines.event(event)) for event in events]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_no_secret_of_a_message_comes_out_in_any_format(form: str, writer: str, data: st.DataObject) -> None:
    product, write = WRITERS[writer]
    holders = data.draw(st.lists(st.sampled_from(HOLDERS), min_size=1, max_size=3))
    headers = [filled(holder) for holder in holders if holder[1:2] != b"="]
    body = b"\r\n".join([b"v=0", *[filled(holder) for holder in holders if holder[1:2] == b"="], b""])
    start = data.draw(
        st.sampled_from([b"INVITE sip:600:%s@192.0.2.1 SIP/2.0", b"SIP/2.0 401 Unauthorized", b"SIP/2.0 200 %s"])
    )
    if b"200" in start:
        start = b"SIP/2.0 200 OK"
    kind = data.draw(st.sampled_from([b"application/sdp", b"text/plain"]))
    entry = write(message(body, *headers, b"Content-Type: " + kind, start=filled(start)))
    whole = len(entry)
    end = data.draw(st.sampled_from([whole, whole]) | st.integers(whole // 4, whole))
    log = BEFORE[product] + write(message()) + entry[:end]
    if end < whole and log[-60:].find(SECRET[:8]) >= 0 and re.search(rb"sips?:[^\s<>]*$", log, re.IGNORECASE):
        return  # a password that is cut before its @ cannot be told from a port
    found, _ = rendered(log + (AFTER[product] if end == whole else b""), form)
    assert SECRET[:10] not in found


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("holder", EVENTS)
@pytest.mark.parametrize(
    "event", [b"ChallengeResponseFailed", b"InvalidPassword", b"SuccessfulAuth", b"ChallengeSent", b"NewOne"]
)
def test_no_hash_of_a_security_event_comes_out_in_any_format(form: str, holder: bytes, event: bytes) -> None:
    found, tally = rendered(EVENT % (event, filled(holder)), form)
    assert tally.matched == 1
    assert SECRET not in found


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=60, deadline=None)
@given(holder=st.sampled_from(HOLDERS), line=st.sampled_from([
    b"[Nov 21 02:35:34] NOTICE[1] chan_sip.c: Registration from '%s' failed for '192.0.2.9:5092' - Wrong password\n",
    b"[Nov 21 02:35:34] NOTICE[1] chan_sip.c: Call from '%s' (192.0.2.9:5062) to extension '%s' rejected because extension not"
    b" found in context 'phones'.\n",
    b"[Nov 21 02:35:34] WARNING[1] chan_sip.c: Received response: \"Forbidden\" from '%s'\n",
    b"[Nov 21 02:35:34] NOTICE[1] res_pjsip/pjsip_distributor.c: Request 'INVITE' from '%s' failed for '192.0.2.9:5060' "
    b"(callid: %s) - No matching endpoint found\n",
]))  # fmt: skip
def test_no_secret_that_a_line_quotes_comes_out_in_any_format(form: str, holder: bytes, line: bytes) -> None:
    """A caller may send a password as display name or Call-ID, and the PBX quotes it."""
    quoted = filled(holder).replace(b"\r\n", b"")
    if SECRET in redact(b"x " + quoted):
        return  # unfolded or within a line it is no header, no line of SDP any more
    found, _ = rendered(line.replace(b"%s", quoted), form)
    assert SECRET not in found


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_secret_in_recorded_logs_comes_out(form: str) -> None:
    """The digests and nonces of a recorded log are in none of its documents."""
    for name in ("asterisk/asterisk22-pjsip-codes.log", "freeswitch/freeswitch-1.10-siptrace-reg.log"):
        import lzma

        log = lzma.decompress((CORPUS / f"{name}.xz").read_bytes())
        secrets = set(re.findall(rb'(?:response|cnonce|[^c]nonce) *= *"([^"]{8,})"', log))
        assert len(secrets) > 5
        found, _ = rendered(log, form)
        assert not [secret for secret in islice(secrets, 200) if secret in found]
