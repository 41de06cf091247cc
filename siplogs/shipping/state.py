"""What was delivered of which log: one SQLite database, changed in one transaction, used by one process at a time.

A log is known by its family (folder and name without its rotation) and by the fingerprint of its first line, so that
neither renaming nor compressing it loses the place, and a file that took its name begins anew.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from siplogs.errors import StateError

APPLICATION: Final = 0x51BC1095
VERSION: Final = 1
_BUSY_SECONDS: Final = 10.0

_SCHEMA: Final = """
CREATE TABLE logs (
    family TEXT NOT NULL, identity TEXT NOT NULL, path TEXT NOT NULL, seen TEXT NOT NULL, size INTEGER NOT NULL,
    done INTEGER NOT NULL, settled INTEGER NOT NULL, dated BLOB NOT NULL, products TEXT NOT NULL, tail TEXT NOT NULL,
    whole INTEGER NOT NULL, lost INTEGER NOT NULL, acknowledged REAL NOT NULL, last_seen REAL NOT NULL,
    PRIMARY KEY (family, identity)
) WITHOUT ROWID;
CREATE TABLE counts (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
"""
_MIGRATIONS: Final[dict[int, str]] = {}
"""SQL that makes a database of the version before into one of the version that is the key."""


class Place(Struct):
    """How far a log was dealt with.

    `done` is the offset behind the last acknowledged event, `settled` the one from which to read on; `dated` and
    `products` are what the next reading has to know. `tail` is a checksum of what stood before `settled`. `seen` tells
    a file that was read to its end (device, inode, size, time of change), `size` its size in bytes then; `whole` says
    that it was read to its end and nothing more is expected. `lost` counts bytes deleted before they were read.
    """

    family: str
    identity: str
    path: str = ""
    seen: str = ""
    size: int = 0
    done: int = 0
    settled: int = 0
    dated: bytes = b""
    products: str = ""
    tail: str = ""
    whole: bool = False
    lost: int = 0
    acknowledged: float = 0.0
    last_seen: float = 0.0


_COLUMNS: Final = Place.__struct_fields__
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM logs"  # noqa: S608
_WRITE: Final = f"REPLACE INTO logs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608


class State:
    """The database, open and locked; a context manager."""

    def __init__(self, path: Path, *, purpose: str = "siplogs", readonly: bool = False) -> None:
        """Open or create the database for one process; `readonly` looks at it without the lock.

        Raises StateError when another process has it, when it is damaged or is something else, or cannot be written.
        """
        self.path = path
        self._lock = -1
        try:
            if not readonly:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
                self._lock = _locked(path.with_name(path.name + ".lock"), path, purpose)
            self._database = self._opened(readonly=readonly)
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise _explained(path, error) from error
        except StateError:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the database and give the lock back."""
        if hasattr(self, "_database"):
            self._database.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def places(self) -> list[Place]:
        """Return what is known of every log."""
        with self._guarded():
            return [_place(row) for row in self._database.execute(_SELECT)]

    def place(self, family: str, identity: str) -> Place | None:
        """Return what is known of one log."""
        with self._guarded():
            row = self._database.execute(f"{_SELECT} WHERE family = ? AND identity = ?", (family, identity)).fetchone()
        return _place(row) if row else None

    def save(self, places: Iterable[Place], counts: dict[str, int] | None = None) -> None:
        """Write places, and add to the running counts, all of it or nothing."""
        rows = [[getattr(place, name) for name in _COLUMNS] for place in places]
        with self._guarded(), self._database:
            self._database.executemany(_WRITE, rows)
            for name, number in (counts or {}).items():
                self._database.execute(
                    "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET number = number + ?2",
                    (name, number),
                )

    def counts(self) -> dict[str, int]:
        """Return the running counts by name, such as created, present and dead."""
        with self._guarded():
            return dict(self._database.execute("SELECT name, number FROM counts"))

    def forget(self, places: Iterable[Place]) -> None:
        """Delete what is known of logs that are long gone."""
        with self._guarded(), self._database:
            for place in places:
                self._database.execute(
                    "DELETE FROM logs WHERE family = ? AND identity = ?", (place.family, place.identity)
                )

    def _opened(self, *, readonly: bool) -> sqlite3.Connection:
        if readonly and not self.path.exists():
            raise StateError(f"{self.path}: no state there yet; siplogs ship or siplogs tail makes it")
        address = f"{self.path.absolute().as_uri()}?mode={'ro' if readonly else 'rwc'}"
        database = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)
        try:
            self._prepare(database, readonly=readonly)
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection, *, readonly: bool) -> None:
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables and not readonly:
            database.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT"
            )
        elif application != APPLICATION:
            raise StateError(f"{self.path}: not a state database of siplogs; name another file with --state")
        elif version > VERSION:
            raise StateError(f"{self.path}: written by a newer siplogs (version {version}); upgrade siplogs here")
        elif version < VERSION and not readonly:
            for step in range(version + 1, VERSION + 1):
                database.executescript(f"BEGIN; {_MIGRATIONS[step]} PRAGMA user_version = {step}; COMMIT")
        (sound,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise StateError(_damaged(self.path, sound))
        if not readonly:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explained(self.path, error) from error


def _place(row: tuple[object, ...]) -> Place:
    place = Place(*row)  # type: ignore[arg-type]
    place.whole = bool(place.whole)
    return place


def _locked(lock: Path, path: Path, purpose: str) -> int:
    """Take the lock file for this process; whoever has it wrote its number and purpose into it."""
    file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(file, 200, 0).decode("utf-8", "replace").strip() or "another process"
        os.close(file)
        raise StateError(
            f"{path}: {holder} is working on it; wait for its end, stop it, or name another file with --state"
        ) from error
    os.ftruncate(file, 0)
    os.pwrite(file, f"process {os.getpid()} ({purpose})\n".encode(), 0)
    return file


def _damaged(path: Path, what: object) -> str:
    return (
        f"{path}: the state database is damaged ({what}); move it away and run siplogs ship --from-beginning: what is"
        " in Elasticsearch already is not doubled"
    )


def _explained(path: Path, error: OSError | sqlite3.Error) -> StateError:
    text = str(error)
    if isinstance(error, OSError):
        return StateError(f"{path}: {error.strerror}; give siplogs a folder that it may write with --state")
    if "disk is full" in text or "disk I/O" in text:
        return StateError(
            f"{path}: cannot be written ({text}); make room there, nothing is lost, the next run continues"
        )
    if "readonly" in text or "unable to open" in text:
        return StateError(f"{path}: {text}; let siplogs write the file and its folder, or name another with --state")
    if "not a database" in text:
        return StateError(f"{path}: not a state database of siplogs; name another file with --state")
    if isinstance(error, sqlite3.DatabaseError) and "malformed" in text:
        return StateError(_damaged(path, text))
    return StateError(f"{path}: {text}; see whether the disk and the file are sound")
