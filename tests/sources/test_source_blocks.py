"""Content comes out the same whatever the compression, the block size and the range; a fingerprint stays what it is."""

import pickle
import random
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from source_archives import ARCHIVES, LINE, PACK, drained, read

from siplogs.sources import Source, find

HEADED = st.binary(max_size=3000).map(lambda content: LINE + content)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.just("\n"), min_size=1)
CONTENT = HEADED | TEXT.map(str.encode)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("blocks") / "full"


def packed_in_members(content, compression, cuts):
    edges = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    return b"".join(PACK[compression](content[start:stop]) for start, stop in pairwise(edges))


@given(
    content=CONTENT,
    compression=st.sampled_from(sorted(PACK)),
    cuts=st.lists(st.integers(0, 4000), max_size=3),
    size=st.integers(1, 5000),
    start=st.integers(0, 3500),
    stop=st.none() | st.integers(0, 3500),
)
def test_any_range_in_any_blocks_of_any_archive_is_the_slice(place, content, compression, cuts, size, start, stop):
    place.write_bytes(packed_in_members(content, compression, cuts))
    blocks = list(Source.of(str(place)).blocks(start, stop, size))
    assert b"".join(blocks) == content[start:stop]
    assert all(len(block) == size for block in blocks[:-1])
    assert all(blocks)


@given(content=CONTENT, cuts=st.lists(st.integers(0, 4000), max_size=3))
def test_identity_survives_renaming_and_compression(place, content, cuts):
    identities = set()
    for number, compression in enumerate(PACK):
        other = place.with_name(f"renamed.{number}")
        other.write_bytes(packed_in_members(content, compression, cuts))
        identities.add(Source.of(str(other)).identity())
    assert len(identities) == 1
    assert all(len(identity) == 16 and int(identity, 16) >= 0 for identity in identities)


@pytest.mark.parametrize("compression", PACK)
def test_compression_is_told_by_content_and_not_by_name(tmp_path, compression):
    path = tmp_path / "full.gz"
    path.write_bytes(PACK[compression](LINE))
    source = Source.of(str(path))
    assert source.compression == compression
    assert source.seekable == (compression == "")
    assert (source.size, source.modified) == (path.stat().st_size, path.stat().st_mtime)
    assert read(source) == LINE


def test_a_text_that_begins_like_bzip2_is_a_text(tmp_path):
    path = tmp_path / "full"
    path.write_bytes(b"BZh9 is what the file begins with\n")
    assert Source.of(str(path)).compression == ""


def test_skippable_frames_and_frames_of_zstd_mixed(tmp_path):
    skippable = b"\x5e\x2a\x4d\x18\x04\x00\x00\x00abcd"
    path = tmp_path / "full.zst"
    path.write_bytes(skippable + PACK["zstd"](LINE) + skippable + PACK["zstd"](LINE) + skippable)
    assert read(Source.of(str(path))) == LINE * 2


@pytest.mark.parametrize("compression", ARCHIVES)
def test_padding_behind_an_archive_is_not_content(tmp_path, compression):
    path = tmp_path / "full"
    path.write_bytes(PACK[compression](LINE) + bytes(70_000) + PACK[compression](LINE) + bytes(8))
    assert read(Source.of(str(path))) == LINE * 2


@pytest.mark.parametrize("compression", PACK)
def test_progress_adds_up_to_the_size_on_disk(tmp_path, compression):
    path = tmp_path / "full"
    path.write_bytes(PACK[compression](random.Random(5).randbytes(90_000).hex().encode()))
    source, seen = Source.of(str(path)), []
    for _ in source.blocks(size=10_000, on_bytes=seen.append):
        pass
    assert sum(seen) == source.size
    assert len(seen) > 1


@pytest.mark.parametrize("compression", ["", "gzip"])
def test_what_is_appended_after_the_finding_is_left_for_the_next_run(tmp_path, compression):
    path = tmp_path / "full"
    path.write_bytes(PACK[compression](LINE))
    source = Source.of(str(path))
    with path.open("ab") as file:
        file.write(PACK[compression](LINE))
    assert read(source) == LINE
    assert read(Source.of(str(path))) == LINE * 2


@pytest.mark.parametrize(("compression", "bound"), [("gzip", 8e6), ("bzip2", 12e6), ("xz", 8e6), ("zstd", 16e6)])
def test_memory_does_not_grow_with_what_an_archive_unfolds_to(tmp_path, compression, bound):
    path = tmp_path / "full"
    path.write_bytes(PACK[compression](LINE * 400_000))
    source, total = Source.of(str(path)), 0
    tracemalloc.start()
    for block in source.blocks(size=1 << 20):
        total += len(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == len(LINE) * 400_000 > 35_000_000
    assert peak < bound


def test_the_worst_zstd_bomb_stays_below_a_bound(tmp_path):
    path = tmp_path / "full"
    bomb = zstandard.ZstdCompressor(level=3).compress(bytes(200 << 20))
    path.write_bytes(PACK["zstd"](LINE) + bomb)
    assert len(bomb) < 20_000
    source, total = Source.of(str(path)), 0
    tracemalloc.start()
    for block in source.blocks(size=1 << 20):
        total += len(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == len(LINE) + (200 << 20)
    assert peak < 40_000_000


def test_identity_ends_with_the_first_line(tmp_path):
    def identity(content):
        path = tmp_path / "full"
        path.write_bytes(content)
        return Source.of(str(path)).identity()

    assert identity(b"one\ntwo\n") == identity(b"one\nthree\n") == identity(b"one")
    assert identity(b"one\n") != identity(b"two\n")
    assert identity(b"x" * 1024 + b"tail\n") == identity(b"x" * 1024 + b"other\n")
    assert identity(b"x" * 1023 + b"a\n") != identity(b"x" * 1023 + b"b\n")


def test_identity_of_no_content_is_nothing(tmp_path):
    path = tmp_path / "full.gz"
    path.write_bytes(PACK["gzip"](b""))
    assert Source.of(str(path)).identity() == ""


def test_copytruncate_gives_the_copy_the_identity_and_the_live_file_another(tmp_path):
    live, copy = tmp_path / "full", tmp_path / "full.1"
    live.write_bytes(LINE + b"second\n")
    before = Source.of(str(live)).identity()
    copy.write_bytes(live.read_bytes())
    live.write_bytes(LINE.replace(b"02:24:42", b"02:24:44"))
    assert Source.of(str(copy)).identity() == before != Source.of(str(live)).identity()


def test_a_source_of_a_file_goes_to_another_process(tmp_path):
    path = tmp_path / "full"
    path.write_bytes(LINE * 3)
    source = pickle.loads(pickle.dumps(find([str(path)], warn=pytest.fail)[0]))
    assert b"".join(source.blocks(len(LINE), 2 * len(LINE))) == LINE


@given(content=CONTENT, compression=st.sampled_from(ARCHIVES), share=st.floats(0, 1))
def test_an_archive_cut_anywhere_gives_its_beginning_and_says_so(place, content, compression, share):
    whole = PACK[compression](content)
    part = whole[: int(len(whole) * share)]
    place.write_bytes(part or b"x")
    source = Source.of(str(place))
    if source.compression:
        came, trouble = drained(source.blocks())
        assert content.startswith(came)
        assert bool(trouble) == (part != whole)
        assert str(place) in trouble or not trouble


@given(content=CONTENT, compression=st.sampled_from(ARCHIVES), where=st.floats(0, 0.999), value=st.integers(1, 255))
def test_a_damaged_archive_never_does_worse_than_a_warning(place, content, compression, where, value):
    whole = bytearray(PACK[compression](content * 20))
    whole[int(len(whole) * where)] ^= value
    place.write_bytes(whole)
    source = Source.of(str(place))
    trouble = drained(source.blocks())[1]
    assert "\n" not in trouble
    assert str(Path(place)) in trouble or not trouble


@pytest.mark.parametrize("compression", ARCHIVES)
def test_nearly_all_before_a_cut_is_delivered(tmp_path, compression):
    content = b"".join(b"%d %s" % (number * 7919 % 100_003, LINE) for number in range(60_000))
    path = tmp_path / "full"
    whole = PACK[compression](content)
    path.write_bytes(whole[: len(whole) // 2])
    came, trouble = drained(Source.of(str(path)).blocks())
    assert content.startswith(came)
    assert len(came) > len(content) * 0.4
    assert f"the {compression} archive is cut off" in trouble


def test_the_log_before_the_damage_and_the_damage_are_both_told(tmp_path):
    path = tmp_path / "full.1.gz"
    path.write_bytes(PACK["gzip"](LINE * 1000) + b"and something else altogether")
    came, trouble = drained(Source.of(str(path)).blocks())
    assert came == LINE * 1000
    assert "the gzip archive is damaged" in trouble
