"""Documents that Elasticsearch refused for good: kept in a file with the reason, to be sent again by hand.

One line a document: `index`, `id`, `time`, `error` and the `document` itself. The file is readable by its owner alone.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec import Raw, Struct

from siplogs.errors import ConfigError, DeliveryError
from siplogs.outputs.elasticsearch import Document

_BLOCK: Final = 1_048_576


class Refusal(Struct, frozen=True):
    """Why a document was refused: HTTP status, Elasticsearch's name of the error, and its words."""

    status: int
    type: str
    reason: str


class Letter(Struct, frozen=True):
    """A refused document: where it was to go, when it was refused (UTC), why, and what it is."""

    index: str
    id: str
    time: str
    error: Refusal
    document: Raw


class DeadLetters:
    """The file of refused documents; several processes may write to it and one may send it again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._taken = path.with_name(f"{path.name}.sending")
        self._counted: dict[tuple[int, int, int], int] = {}

    def keep(self, refused: Sequence[tuple[Document, Refusal]]) -> None:
        """Append documents so that they survive a crash right afterwards. Raises DeliveryError."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        letters = (Letter(one.index, one.id, now, error, Raw(one.body)) for one, error in refused)
        self._write([msgspec.json.encode(letter) + b"\n" for letter in letters])

    def _write(self, lines: Sequence[bytes]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(self.path) as file:
                is_new = not os.fstat(file).st_size
                _append(file, b"".join(lines))
            if is_new:
                _save_name(self.path.parent)
        except OSError as error:
            raise DeliveryError(
                f"cannot keep {len(lines)} refused documents in {self.path} ({error.strerror}): make room or set"
                " delivery.dead_letters; nothing is lost, run again"
            ) from error

    def letters(self) -> Iterator[Letter]:
        """Yield what waits, the oldest first; what a crash left of a line is passed over. Raises ConfigError."""
        yield from (letter for _, letter in self._read() if letter is not None)

    def damaged(self) -> Iterator[str]:
        """Say of each line that is no dead letter where it is, and what to do. Raises ConfigError."""
        for place, letter in self._read():
            if letter is None:
                yield f"{place}: is no dead letter: mend or delete the line"

    def where(self) -> str:
        """Return the file that letters wait in, or both, for while they are sent they are in another one."""
        there = [str(path) for path in (self._taken, self.path) if os.path.exists(path)]  # noqa: PTH110 (never raises)
        return " and ".join(there) or str(self.path)

    def _read(self) -> Iterator[tuple[str, Letter | None]]:
        for file in self._files():
            for number, line in enumerate(file, 1):
                letter = _letter(line)
                if letter is not None or _is_damaged(line):
                    yield f"{file.name}:{number}", letter

    def waiting(self) -> int:
        """Return how many letters wait; a file that did not change is not counted again. Raises ConfigError."""
        total = 0
        for file in self._files():
            status = os.fstat(file.fileno())
            look = (status.st_ino, status.st_size, status.st_mtime_ns)
            if look not in self._counted:
                self._counted[look] = sum(block.count(b"\n") for block in iter(partial(file.read, _BLOCK), b""))
            total += self._counted[look]
        self._counted = dict(list(self._counted.items())[-2:])
        return total

    def _files(self) -> Iterator[BinaryIO]:
        for path in (self._taken, self.path):
            try:
                with path.open("rb") as file:
                    yield file
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ConfigError(
                    f"{path}: cannot be read ({error.strerror}): ask as the user that ships, or as root"
                ) from error

    def batches(self) -> Iterator[Iterator[Document]]:
        """Yield the kept documents, a set at a time, to be sent again.

        A set is given up once the caller comes back for the next; one whose sending failed is yielded by the next call.
        Lines that are no dead letters stay in the file. Raises DeliveryError when another process is at it.
        """
        if not self.path.parent.is_dir():
            return
        with self._alone():
            left_over = self._taken.exists()
            if left_over:
                yield from self._send_taken()
            if self._take():
                yield from self._send_taken()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise DeliveryError(f"{self.path}: another siplogs is sending it; wait for its end") from error
        finally:
            os.close(folder)

    def _take(self) -> bool:
        if not self.path.exists():
            return False
        with _locked(self.path):
            self.path.rename(self._taken)
        return True

    def _send_taken(self) -> Iterator[Iterator[Document]]:
        damaged: list[bytes] = []
        with self._taken.open("rb") as file:
            yield self._documents(file, damaged)
        if damaged:
            self._write(damaged)
        self._taken.unlink()

    def _documents(self, lines: Iterable[bytes], damaged: list[bytes]) -> Iterator[Document]:
        for line in lines:
            letter = _letter(line)
            if letter:
                yield Document(letter.index, letter.id, bytes(letter.document))
            elif _is_damaged(line):
                damaged.append(line)


def _letter(line: bytes) -> Letter | None:
    try:
        return msgspec.json.decode(line, type=Letter)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_damaged(line: bytes) -> bool:
    """Tell whether a line that is no letter once was one: what a crash left of the last line was not."""
    return line.endswith(b"\n") and not line.isspace()


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open a file for appending under a lock; a file renamed while waiting for the lock is opened anew."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(path, file):
                yield file
                return
        finally:
            os.close(file)


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _save_name(folder: Path) -> None:
    """Let the name of a new file survive a power cut, as its content does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _append(file: int, text: bytes) -> None:
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        _end_last_line(file, size)
    size = os.fstat(file).st_size
    try:
        while text:
            text = text[os.write(file, text) :]
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise


def _end_last_line(file: int, size: int) -> None:
    """Add a missing line end, or cut off what a crash left of a line: it was never acknowledged and comes again."""
    line, start = b"", size
    while start and b"\n" not in line:
        length = min(_BLOCK, start)
        start -= length
        line = os.pread(file, length, start) + line
    start += line.rfind(b"\n") + 1
    if _letter(line[line.rfind(b"\n") + 1 :]):
        os.write(file, b"\n")
    else:
        os.ftruncate(file, start)
