"""What an archive says of its own size, without being unpacked."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from source_archives import LINE, PACK

from siplogs.sources import Source

TELLING = ("gzip", "xz", "zstd")


@given(
    kind=st.sampled_from(TELLING), length=st.sampled_from([1, 127, 128, 16_383, 16_384, 300_000]) | st.integers(1, 5000)
)
def test_an_archive_of_one_piece_tells_its_size(
    tmp_path_factory: pytest.TempPathFactory, kind: str, length: int
) -> None:
    path = tmp_path_factory.mktemp("archive") / "full.1"
    path.write_bytes(PACK[kind]((LINE * (length // len(LINE) + 1))[:length]))
    source = Source.of(str(path))
    assert source.is_packed(length)
    assert not source.is_packed(length + 1)
    assert not source.is_packed(length - 1)


@pytest.mark.parametrize(
    "packed",
    [
        LINE * 3,
        bz2.compress(LINE * 3),
        gzip.compress(LINE) + gzip.compress(LINE * 2),
        lzma.compress(LINE) + lzma.compress(LINE * 2),
        lzma.compress(LINE * 3)[:-1],
        lzma.compress(LINE * 3) + b"\0\0\0\0",
        gzip.compress(LINE * 3)[:-1],
        zstandard.ZstdCompressor(write_content_size=False).compress(LINE * 3),
        b"\xfd7zXZ\0" + b"\0" * 10 + b"\xff\xff\xff\xffYZ",
        b"\xfd7zXZ\0YZ",
        b"\x1f\x8b\x08",
    ],
)
def test_one_that_does_not_tell_is_unpacked(tmp_path: Path, packed: bytes) -> None:
    path = tmp_path / "full.1"
    path.write_bytes(packed)
    assert not Source.of(str(path)).is_packed(len(LINE) * 3)


def test_an_xz_archive_of_several_blocks_tells_its_size(tmp_path: Path) -> None:
    """As xz -T makes it: one index with a record for each block, two here."""
    path = tmp_path / "full.1.xz"
    path.write_bytes(lzma.compress(LINE * 1000))
    single = path.read_bytes()
    index_length = (int.from_bytes(single[-8:-4], "little") + 1) * 4
    block = single[12 : -12 - index_length]
    assert len(block) < 1 << 14
    record = bytes([len(block) & 127 | 128, len(block) >> 7]) + _number(len(LINE) * 1000)
    index = b"\0\x02" + record * 2
    index += b"\0" * (-len(index) % 4) + b"crc!"
    footer = b"crc!" + (len(index) // 4 - 1).to_bytes(4, "little") + single[-4:]
    path.write_bytes(single[:12] + block * 2 + index + footer)
    assert Source.of(str(path)).is_packed(len(LINE) * 2000)


def _number(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
