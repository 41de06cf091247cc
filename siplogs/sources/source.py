"""One log to read: what is known of it beforehand, its decompressed content in blocks, its fingerprint."""

import errno
import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from siplogs.errors import SourceError
from siplogs.sources.content import refuse_binary
from siplogs.sources.decompress import MAGIC_LENGTH, compression_of, decompressed, said_size
from siplogs.sources.pipe import STANDARD_INPUT, Pipe

BLOCK: Final = 4 * 1024 * 1024

_RAW: Final = 32 * 1024
_FIRST_LINE: Final = 1024
_FRAME_HEADER: Final = 18
_ARCHIVE_END: Final = 65_536
_LET_IN: Final = (
    "let its group (adm, asterisk or freeswitch) read the log and its folders (logrotate: create 0640), and the user"
    " into the group: usermod -aG"
)


class Source(Struct):
    """A log, opened only while it is read; one of a regular file can be sent to another process.

    `path` is as given, "-" for standard input. `size` (bytes on disk, None for a stream) and `modified` (seconds since
    1970) are those of the moment when it was found; `name` is what to call it where it is read by another path.
    `compression` is "", gzip, bzip2, xz or zstd by content; a stream's is known once its first bytes were read.
    `seekable` says that ranges cost nothing: a regular, uncompressed file.
    """

    path: str
    size: int | None = None
    modified: float | None = None
    compression: str = ""
    seekable: bool = False
    inode: tuple[int, int] = (0, 0)
    pipe: Pipe | None = None
    name: str = ""

    @classmethod
    def of(cls, path: str) -> "Source":
        """Look at a file without reading more than its first bytes; "-" is standard input.

        Raises SourceError when it does not exist, is a folder, is empty or must not be read.
        """
        if path == STANDARD_INPUT:
            return cls(path, pipe=Pipe(path))
        try:
            status = Path(path).stat()
            inode = status.st_dev, status.st_ino
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                return cls(path, inode=inode, pipe=Pipe(path))
            with Path(path).open("rb") as file:
                compression = compression_of(file.read(MAGIC_LENGTH))
        except (OSError, ValueError) as error:
            raise SourceError(f"{shown(path)}: {explained(error, path)}") from error
        if not status.st_size:
            raise SourceError(f"{shown(path)}: the file is empty; see whether the PBX logs to it")
        return cls(path, status.st_size, status.st_mtime, compression, not compression, inode)

    def blocks(
        self,
        start: int = 0,
        stop: int | None = None,
        size: int = BLOCK,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Iterator[bytes]:
        """Yield the decompressed content from `start` up to `stop` in blocks of `size` bytes, the last one shorter.

        A file is read to the size that it had when it was found, a stream to its end, once; a stream's blocks are
        shorter where its writer pauses. `on_bytes` is told of bytes as they are taken from the disk or the stream,
        each once: over a whole file they add up to `size` on disk.

        Raises SourceError before the first block when the content is binary (looked at where `start` is 0) or the file
        is not the one found any more; after the last block that could be read when an archive is cut or damaged or
        the file shrank; at the end of a stream in which nothing came.
        """
        if stop is not None and stop <= start:
            return
        if self.pipe:
            with suppress(SourceError):  # the same comes again when the content is read
                self.identity()
        content = self._content(start, stop, size, on_bytes or _nobody)
        blocks = _gathered(refuse_binary(content, shown(self.path)) if start == 0 else content, size)
        yield from blocks if self.pipe is None else _something(blocks, shown(self.path))

    def identity(self) -> str:
        """Fingerprint the log by its first line: 16 hexadecimal characters, "" when there is no content.

        It covers the decompressed content up to the first line feed, at most 1024 bytes, so that neither renaming nor
        compressing nor copying changes it. Raises SourceError when nothing can be read.
        """
        if self.pipe is None:
            return _fingerprint(self._content(0, _FIRST_LINE, _RAW, _nobody))
        if self.pipe.identity is None:
            taken: list[bytes] = []
            try:
                self.pipe.identity = _fingerprint(self._unpacked(_noted(self._raw(_nobody), taken)))
            finally:
                self.pipe.put_back(taken)
        return self.pipe.identity

    def is_packed(self, size: int) -> bool:
        """Tell whether this is an archive that says, without being unpacked, that it holds so many bytes."""
        if not self.compression or self.pipe is not None:
            return False
        try:
            with self._opened() as file:
                beginning = file.read(MAGIC_LENGTH + _FRAME_HEADER)
                file.seek(max((self.size or 0) - _ARCHIVE_END, 0))
                said = said_size(self.compression, beginning, file.read(_ARCHIVE_END))
        except (OSError, SourceError):
            return False
        return said == (size % 2**32 if self.compression == "gzip" else size)

    def _content(self, start: int, stop: int | None, size: int, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
        if self.seekable:
            end = self.size or 0
            return self._read(start, end if stop is None else min(stop, end), size, on_bytes)
        return _window(self._unpacked(self._raw(on_bytes)), start, stop)

    def _unpacked(self, raw: Iterator[bytes]) -> Iterator[bytes]:
        return decompressed(raw, self.compression, shown(self.path))

    def _raw(self, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
        if self.pipe is None:
            return self._read(0, self.size or 0, _RAW, on_bytes)
        if self.pipe.identity is None:
            self.compression = compression_of(self.pipe.beginning(MAGIC_LENGTH))
        return _counted(self.pipe.batches(), on_bytes)

    def _read(self, start: int, stop: int, size: int, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
        with self._opened() as file:
            file.seek(start)
            while start < stop:
                data = self._taken(file, min(size, stop - start))
                start += len(data)
                on_bytes(len(data))
                yield data

    def _opened(self) -> FileIO:
        try:
            file = FileIO(self.path)
            status = os.fstat(file.fileno())
        except OSError as error:
            raise SourceError(f"{shown(self.path)}: {explained(error, self.path)}") from error
        if (status.st_dev, status.st_ino) != self.inode:
            file.close()
            raise SourceError(f"{shown(self.path)}: another file took its place meanwhile (rotated?); run again")
        return file

    def _taken(self, file: FileIO, length: int) -> bytes:
        try:
            data = file.read(length)
        except OSError as error:
            raise SourceError(f"{shown(self.path)}: {explained(error, self.path)}") from error
        if not data:
            raise SourceError(f"{shown(self.path)}: became shorter while it was read (rotated?); run again")
        return data


def shown(path: str) -> str:
    """Write a path so that it stays on one line of a terminal: control characters and stray bytes are escaped."""
    if path == STANDARD_INPUT:
        return "standard input"
    return path if path.isprintable() else path.encode("unicode_escape", "backslashreplace").decode("ascii")


def explained(error: OSError | ValueError, path: str) -> str:
    """Say what stands between us and a file, and what to do about it."""
    if not isinstance(error, OSError):
        return "not a possible path; check its spelling"
    if error.errno == errno.EACCES:
        return f"permission denied for {_denied(path)}"
    remedies = {
        errno.ENOENT: "no such file; check the path, or whether it was rotated away",
        errno.ENOTDIR: "a part of the path is a file, not a folder; check the path",
        errno.EISDIR: "a folder stands where a file was meant; give the logs in it",
        errno.ELOOP: "symbolic links go in circles; give the log itself",
    }
    return remedies.get(error.errno or 0, f"cannot be read ({(error.strerror or str(error)).lower()})")


def _denied(path: str) -> str:
    """Say who must not read a file, and how its group lets him: right for a service and for who looks by hand."""
    user = _name(pwd.getpwuid, os.geteuid())
    with suppress(OSError):
        status = Path(path).stat()
        group, mode = _name(grp.getgrgid, status.st_gid), stat.S_IMODE(status.st_mode)
        if mode & stat.S_IRGRP and status.st_gid:
            return f"the user {user}; usermod -aG {group} {user}, and restart what ships (or log in again)"
        owner = _name(pwd.getpwuid, status.st_uid)
        return f"the user {user}; {_LET_IN} GROUP {user} (now {owner}:{group}, mode {mode:04o})"
    return f"the user {user}; {_LET_IN} GROUP {user}"


def _name(known: Callable[[int], tuple[Any, ...]], number: int) -> str:
    """Return the name of a user or a group, its number where it has none."""
    try:
        return str(known(number)[0])
    except KeyError:
        return str(number)


def _fingerprint(content: Iterator[bytes]) -> str:
    line = b""
    try:
        for piece in content:
            line += piece
            if b"\n" in piece or len(line) >= _FIRST_LINE:
                break
    except SourceError:
        if not line:
            raise
    beginning = line[:_FIRST_LINE].partition(b"\n")[0]
    return blake2b(beginning, digest_size=8).hexdigest() if line else ""


def _window(pieces: Iterator[bytes], start: int, stop: int | None) -> Iterator[bytes]:
    position = 0
    for piece in pieces:
        part = piece[max(0, start - position) : None if stop is None else stop - position]
        position += len(piece)
        if part or not piece:
            yield part
        if stop is not None and position >= stop:
            return


def _gathered(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    pending = bytearray()
    try:
        for piece in pieces:
            if not pending and len(piece) == size:
                yield piece
                continue
            pending += piece
            while len(pending) >= size or (pending and not piece):
                yield bytes(pending[:size])
                del pending[:size]
    except SourceError:
        if pending:
            yield bytes(pending)
        raise
    if pending:
        yield bytes(pending)


def _something(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    empty = True
    for block in blocks:
        empty = False
        yield block
    if empty:
        raise SourceError(f"{name}: nothing came; see whether the command before it failed")


def _counted(pieces: Iterator[bytes], on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    for piece in pieces:
        on_bytes(len(piece))
        yield piece


def _noted(pieces: Iterator[bytes], taken: list[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        taken.append(piece)
        yield piece


def _nobody(_: int) -> None:
    """Take note of nothing."""
