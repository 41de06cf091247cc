"""Streaming decompression of gzip, bzip2, xz and zstd, told apart by content; memory does not grow with the file."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import zstandard

from siplogs.errors import SourceError

MAGIC_LENGTH: Final = 16
"""Bytes of the beginning that `compression_of` needs to see."""

_PIECE: Final = 16 * 1024  # a damaged archive loses at most the piece in which the damage shows
_ZSTD_FEED: Final = 128  # a zstd block of 4 bytes may stand for 128 KiB, so this bounds a piece to 4 MiB
_XZ_MEMORY: Final = 256 * 1024 * 1024  # `xz -9` needs 65 MiB to unpack; only a bomb asks for more than this
_GZIP_WINDOW: Final = 31  # zlib's way to say: gzip header and checksum, any window

_MAGIC: Final = (
    ("gzip", (b"\x1f\x8b\x08",)),
    ("bzip2", tuple(b"BZh%d%s" % (level, mark) for level in range(1, 10) for mark in (b"1AY&SY", b"\x17rE8P\x90"))),
    ("xz", (b"\xfd7zXZ\0",)),
    ("zstd", (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + variant]) + b"\x2a\x4d\x18" for variant in range(16)))),
)


class _Decoder(Protocol):
    """One archive member being unpacked: what `bz2` and `lzma` offer by themselves."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """zlib's decoder in the shape of the others."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(_GZIP_WINDOW)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        content = self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)
        self.needs_input = len(content) < max_length
        return content


class _Zstd:
    """zstandard's decoder in the shape of the others: fed little by little, as it cannot limit what it returns."""

    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor().decompressobj()
        self._waiting = memoryview(b"")

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def needs_input(self) -> bool:
        return not self._waiting

    @property
    def unused_data(self) -> bytes:
        return bytes(self._decoder.unused_data) + bytes(self._waiting)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:  # noqa: ARG002
        self._waiting = memoryview(data) if data else self._waiting
        feed, self._waiting = self._waiting[:_ZSTD_FEED], self._waiting[_ZSTD_FEED:]
        return self._decoder.decompress(feed)


_DECODERS: Final[dict[str, Callable[[], _Decoder]]] = {
    "gzip": _Gzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
    "zstd": _Zstd,
}
_DAMAGE: Final = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)


def said_size(compression: str, beginning: bytes, end: bytes) -> int | None:
    """Return how many bytes an archive of one member says that it holds, None where it does not say.

    gzip says it modulo 2**32 only. Formats: RFC 1952 2.3.1 (ISIZE), RFC 8878 3.1.1.1.4 (zstd's frame content size), the
    .xz file format 2.1.2 and 4 (footer and index).
    """
    if compression == "gzip":
        return int.from_bytes(end[-4:], "little")
    if compression == "zstd":
        try:
            size = int(zstandard.frame_content_size(beginning))
        except zstandard.ZstdError:
            return None
        return size if size >= 0 else None
    return _size_in_index(end) if compression == "xz" else None


def _size_in_index(end: bytes) -> int | None:
    """Read the index at the end of an xz archive: records of packed and unpacked size, in groups of seven bits."""
    footer = end[-12:]
    length = (int.from_bytes(footer[4:8], "little") + 1) * 4
    index = end[-12 - length : -12]
    if not footer.endswith(b"YZ") or len(index) != length or index[0] != 0:
        return None
    numbers: list[int] = []
    value = shift = 0
    for byte in index[1:-4]:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(value)
            value = shift = 0
    count = numbers[0] if numbers else 0
    return sum(numbers[2 : 1 + 2 * count : 2]) if 0 < 2 * count < len(numbers) else None


def compression_of(beginning: bytes) -> str:
    """Name the compression of a file by its first `MAGIC_LENGTH` bytes: "", gzip, bzip2, xz or zstd.

    Formats: RFC 1952 2.3.1 (gzip), RFC 8878 3.1 (zstd and its skippable frames), the .xz file format 2.1.1.1.
    """
    return next((name for name, marks in _MAGIC if beginning.startswith(marks)), "")


def decompressed(pieces: Iterator[bytes], compression: str, name: str) -> Iterator[bytes]:
    """Unpack a stream of compressed pieces, however many members it is made of; empty pieces are passed on as they are.

    Raises SourceError, naming `name`, after everything that could be unpacked, when the archive is cut or damaged.
    """
    if not compression:
        yield from pieces
        return
    decoder: _Decoder | None = None
    for piece in pieces:
        if not piece:
            yield piece
        data = piece
        while data := data if decoder else data.lstrip(b"\0"):
            decoder = decoder or _DECODERS[compression]()
            yield from _fed(decoder, data, compression, name)
            data, decoder = (decoder.unused_data, None) if decoder.eof else (b"", decoder)
    if decoder:
        raise SourceError(
            f"{name}: the {compression} archive is cut off; it was read up to there, fetch it again whole"
        )


def _fed(decoder: _Decoder, data: bytes, compression: str, name: str) -> Iterator[bytes]:
    while True:
        try:
            content = decoder.decompress(data, _PIECE)
        except _DAMAGE as error:
            text = f"{name}: the {compression} archive is damaged; it was read up to there, fetch it again whole"
            raise SourceError(text) from error
        if content:
            yield content
        if decoder.eof or decoder.needs_input:
            return
        data = b""
