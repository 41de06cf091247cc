"""What changes between finding and reading, and what is or is not taken for a log."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_archives import LINE, PACK, drained, read

from siplogs.errors import SourceError
from siplogs.sources import Source, find


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "full"
    path.write_bytes(LINE * 100)
    return path


def test_a_log_that_vanished_meanwhile(log):
    source = Source.of(str(log))
    log.unlink()
    assert drained(source.blocks()) == (b"", f"{log}: no such file; check the path, or whether it was rotated away")
    with pytest.raises(SourceError, match="no such file"):
        source.identity()


def test_a_log_that_became_a_folder_meanwhile(log):
    source = Source.of(str(log))
    log.unlink()
    log.mkdir()
    assert "a folder stands where a file was meant" in drained(source.blocks())[1]


def test_a_log_that_was_rotated_meanwhile_is_not_mixed_with_its_successor(log):
    source = Source.of(str(log))
    log.rename(log.with_name("full.1"))
    log.write_bytes(LINE * 200)
    assert drained(source.blocks()) == (b"", f"{log}: another file took its place meanwhile (rotated?); run again")


@pytest.mark.parametrize("compression", ["", "gzip"])
def test_a_log_that_shrank_meanwhile_is_read_as_far_as_it_is_there(log, compression):
    log.write_bytes(PACK[compression](LINE * 100) + PACK[compression](LINE * 100))
    source = Source.of(str(log))
    with log.open("r+b") as file:
        file.truncate(len(PACK[compression](LINE * 100)))
    came, trouble = drained(source.blocks(size=1000))
    assert came == LINE * 100
    assert trouble == f"{log}: became shorter while it was read (rotated?); run again"


def test_ranges_of_a_plain_log_join_to_the_whole(log):
    source = Source.of(str(log))
    edges = [0, 1, 999, 4000, len(LINE) * 100]
    parts = [b"".join(source.blocks(start, stop)) for start, stop in pairwise(edges)]
    assert b"".join(parts) == log.read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        LINE + b"\0\0\0" + LINE,
        b"\xff\xfa Invalid \x80 UTF-8 \xc3\n" * 50,
        b"\0" * 100_000 + LINE,
        b"\x1b[m\x1b[33m[2026-11-21]\x07\x08 coloured \x1b[0m\r\n" * 20,
        b"a\0b",
        "Zoë Müller ☎ Абонент\n".encode() * 100,
        LINE + bytes(range(256)) * 200,
    ],
    ids=["stray NULs", "invalid UTF-8", "a hole", "colours", "short", "any script", "a caller's bytes between lines"],
)
def test_a_log_with_odd_bytes_is_still_a_log(log, content):
    log.write_bytes(content)
    [source] = find([str(log)], warn=pytest.fail)
    assert read(source) == content


@pytest.mark.parametrize("compression", PACK)
def test_a_capture_is_refused_whatever_it_is_packed_in(log, compression):
    log.write_bytes(
        PACK[compression](b"\x0a\x0d\x0d\x0a" + bytes(range(256)) + b"INVITE sip:1@example.com SIP/2.0\r\n")
    )
    assert drained(Source.of(str(log)).blocks())[1].startswith(f"{log}: this is a packet capture, not a log; ")


@given(head=st.binary(min_size=1, max_size=400), times=st.integers(1, 300))
def test_no_bytes_raise_anything_but_the_error_for_users(tmp_path_factory, head, times):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(head * times)
    warnings = []
    for source in find([str(path)], warn=warnings.append):
        content, trouble = drained(source.blocks(size=777))
        assert trouble or source.compression or content == head * times
    assert all(text.startswith(f"{path}: ") and "\n" not in text for text in warnings)
