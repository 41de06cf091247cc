"""What the tests of this room share: packing content as the four archive formats, and a line that a PBX would write."""

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator

import zstandard

from siplogs.errors import SourceError
from siplogs.sources import Source

LINE = b"[2026-11-21 02:24:42] VERBOSE[31362] chan_sip.c: Reliably Transmitting to 192.0.2.7:5060\n"

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    "gzip": lambda content: gzip.compress(content, 1),
    "bzip2": lambda content: bz2.compress(content, 1),
    "xz": lambda content: lzma.compress(content, preset=0),
    "zstd": lambda content: zstandard.ZstdCompressor(level=1, write_checksum=True).compress(content),
}
ARCHIVES = [name for name in PACK if name]


def drained(blocks: Iterator[bytes]) -> tuple[bytes, str]:
    """Read to the end or to the trouble: what came, and the trouble's text."""
    content = b""
    try:
        for block in blocks:
            content += block
    except SourceError as error:
        return content, str(error)
    return content, ""


def read(source: Source) -> bytes:
    return b"".join(source.blocks())
