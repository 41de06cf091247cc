"""What was delivered of which log: one SQLite database, changed in one transaction, used by one process at a time.

A log is known by its family (folder and name without its rotation) and by the fingerprint of its first line, so that
neither renaming nor compressing it loses the place, and a file that took its name begins anew.
"""

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
from msgspec import Struct

from siplogs.errors import StateError

APPLICATION: Final = 0x51BC1095
VERSION: Final = 3
_MAGIC: Final = b"SQLite format 3\0"
_APPLICATION_AT: Final = 68
"""Where SQLite's header holds the application's number (its file format, section 1.3)."""

_BUSY_SECONDS: Final = 10.0
_LOCK_SECONDS: Final = 0.5
"""For how long a lock is tried to get: whoever asks who has it holds it for a moment."""

_PULSE: Final = "CREATE TABLE pulse (id INTEGER PRIMARY KEY CHECK (id = 1), said BLOB NOT NULL);"
_SCHEMA: Final = f"""
CREATE TABLE logs (
    family TEXT NOT NULL, identity TEXT NOT NULL, path TEXT NOT NULL, seen TEXT NOT NULL, size INTEGER NOT NULL,
    done INTEGER NOT NULL, settled INTEGER NOT NULL, dated BLOB NOT NULL, products TEXT NOT NULL, tail TEXT NOT NULL,
    whole INTEGER NOT NULL, lost INTEGER NOT NULL, acknowledged REAL NOT NULL, last_seen REAL NOT NULL,
    since TEXT NOT NULL DEFAULT '', lost_at REAL NOT NULL DEFAULT 0, period TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (family, identity)
) WITHOUT ROWID;
CREATE TABLE counts (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
{_PULSE}
"""
_THIRD: Final = """
ALTER TABLE logs ADD COLUMN since TEXT NOT NULL DEFAULT '';
ALTER TABLE logs ADD COLUMN lost_at REAL NOT NULL DEFAULT 0;
ALTER TABLE logs ADD COLUMN period TEXT NOT NULL DEFAULT '';
INSERT INTO counts SELECT 'lost', number FROM (SELECT SUM(lost) AS number FROM logs) WHERE number > 0;
"""
_MIGRATIONS: Final[dict[int, str]] = {2: _PULSE, 3: _THIRD}
"""SQL that makes a database of the version before into one of the version that is the key."""


class Place(Struct):
    """How far a log was dealt with.

    `done` is the offset behind the last acknowledged event, `settled` the one from which to read on; `dated` and
    `products` are what the next reading has to know. `tail` is a checksum of what stood before `settled`, of what the
    log begins with as long as that is 0. `seen` is the signature of a file that was read to its end, no more than its
    device and inode before that, and "" once there is nothing left to look for. `size` is its size in bytes when it was
    seen last; `whole` says that nothing more is expected. `lost` counts bytes deleted before they were read,
    the last of them at `lost_at`. Events of before `since` (as in @timestamp, "" for none) are not wanted.
    `period` is the one of the indices that documents go to as long as any that were sent may be unacknowledged.
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
    since: str = ""
    lost_at: float = 0.0
    period: str = ""

    @property
    def inode(self) -> tuple[int, ...]:
        """Device and inode of the file that was seen last, nothing before it was looked at."""
        parts = self.seen.split(":")
        return tuple(map(int, parts[:2])) if len(parts) == 4 else ()

    @property
    def read_to(self) -> int:
        """Size in bytes that the file had when it was last read to its end, 0 before that."""
        size = self.seen.split(":")[2:3]
        return int(size[0]) if size and size[0].isdecimal() else 0

    @property
    def changed_at(self) -> float | None:
        """When the file was changed that was last read to its end, seconds since 1970; None before that."""
        text = self.seen.rpartition(":")[2]
        return float(text) if text[:1].isdigit() else None


def signature(inode: tuple[int, int], size: int | None, modified: float | None) -> str:
    """Return what tells that a file was not changed: device, inode, size and time of change."""
    return f"{inode[0]}:{inode[1]}:{size}:{modified}"


def only_file(seen: str) -> str:
    """Return what a signature says of a file that was not read to its end: device and inode alone."""
    return ":".join(seen.split(":")[:2]) + "::"


class Pulse(Struct):
    """What a `tail` says of itself now and then; times are seconds since 1970.

    `events` counts those that were settled since `started`, `rate` is how many a second lately, `pauses` how often
    Elasticsearch made it wait, `failures` how many passes in a row were given up; `error` is what was wrong last, at
    `failed`, and `failing` says that it is not over. `passed` is when the last pass began in which everything was read;
    `unread` says of the last pass why a log that is there was not, "" where all were. `beat` is when this was written.
    A `ship` leaves one behind when it ends, for the sake of `passed` and of what went wrong.
    """

    process: int = 0
    started: float = 0.0
    beat: float = 0.0
    passed: float = 0.0
    events: int = 0
    rate: float = 0.0
    pauses: int = 0
    failures: int = 0
    error: str = ""
    failed: float = 0.0
    failing: bool = False
    unread: str = ""


_COLUMNS: Final = Place.__struct_fields__
_WRITE: Final = f"REPLACE INTO logs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_ANEW: Final = (
    "run siplogs ship --from-beginning: what is in Elasticsearch already is not doubled, if elasticsearch.period is"
    " what it was"
)


class NoStateError(StateError):
    """There is no database yet."""


class State:
    """The database, open and locked; a context manager."""

    def __init__(self, path: Path, *, purpose: str = "siplogs", readonly: bool = False) -> None:
        """Open or create the database for one process; `readonly` looks at it without the lock.

        Raises StateError when another process has it, when it is damaged, gone or something else, or cannot be written.
        """
        self.path = path
        self._lock = -1
        self._version = VERSION
        try:
            _require_file(path)
            if not readonly:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
                self._lock = _locked(path)
                if not _is_there(path):
                    _make(Path(os.path.realpath(path)))
                _note_holder(self._lock, purpose)
            elif not _is_there(path):
                raise NoStateError(f"{path}: no state there yet; siplogs ship or siplogs tail makes it")
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
        known = _COLUMNS if self._version >= 3 else _COLUMNS[: _COLUMNS.index("since")]
        with self._guarded():
            return [_place(row) for row in self._database.execute(f"SELECT {', '.join(known)} FROM logs")]  # noqa: S608

    def save(self, places: Iterable[Place], counts: dict[str, int] | None = None) -> None:
        """Write places, and add to the running counts, all of it or nothing."""
        rows = [[_stored(getattr(place, name)) for name in _COLUMNS] for place in places]
        with self._guarded(), self._database:
            self._database.executemany(_WRITE, rows)
            for name, number in (counts or {}).items():
                self._database.execute(
                    "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET number = number + ?2",
                    (name, number),
                )

    def counts(self) -> dict[str, int]:
        """Return the running counts by name, such as created, present, dead, and lost for bytes."""
        with self._guarded():
            return dict(self._database.execute("SELECT name, number FROM counts"))

    def pulse(self) -> Pulse | None:
        """Return what a `tail` said of itself last, if one ever ran here."""
        if self._version < 2:
            return None
        with self._guarded():
            row = self._database.execute("SELECT said FROM pulse").fetchone()
        return msgspec.json.decode(row[0], type=Pulse) if row else None

    def beat(self, pulse: Pulse) -> None:
        """Keep what a `tail` says of itself."""
        with self._guarded(), self._database:
            self._database.execute("REPLACE INTO pulse VALUES (1, ?)", (msgspec.json.encode(pulse),))

    def forget(self, places: Iterable[Place]) -> None:
        """Delete what is known of logs that are long gone."""
        with self._guarded(), self._database:
            for place in places:
                self._database.execute(
                    "DELETE FROM logs WHERE family = ? AND identity = ?", (_stored(place.family), place.identity)
                )

    def _opened(self, *, readonly: bool) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?mode={'ro' if readonly else 'rw'}"
        if readonly and not _beside(self.path, "-wal").exists():
            address += "&immutable=1"  # else SQLite wants to write beside a database that nobody has open
        database = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)
        try:
            self._prepare(database, readonly=readonly)
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection, *, readonly: bool) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StateError(f"{self.path}: written by a newer siplogs (version {version}); upgrade siplogs here")
        if readonly:
            self._version = version
        elif version < VERSION:
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
    place.family, place.path = os.fsdecode(place.family), os.fsdecode(place.path)
    return place


def _stored(value: object) -> object:
    """Return what SQLite can keep: a path that is no UTF-8 becomes bytes."""
    return value if not isinstance(value, str) or value.isascii() or _is_text(value) else os.fsencode(value)


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _beside(path: Path, ending: str) -> Path:
    """Name a file that belongs to a database, which may be known by the name of a symbolic link as well."""
    whole = Path(os.path.realpath(path))
    return whole.with_name(whole.name + ending)


def _require_file(path: Path) -> None:
    """Raise StateError where something else stands, before anything is made beside it."""
    if path.exists() and not path.is_file():
        raise StateError(f"{path}: a folder or a device; name a file with --state, such as {path / 'state.db'}")
    head = _head(path)
    own = int.from_bytes(head[_APPLICATION_AT:], "big") == APPLICATION
    if not head or (own and head.startswith(_MAGIC)):
        return
    lock = _beside(path, ".lock")
    if lock.exists() and lock.stat().st_size:
        raise StateError(_damaged(path, "it begins like another file"))
    raise StateError(f"{path}: not a state database of siplogs; name another file with --state")


def _head(path: Path) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(_APPLICATION_AT + 4)


def _is_there(path: Path) -> bool:
    """Tell whether there is a database, or there never was one. Raises StateError where there was one.

    The database is made whole before anything is written into its lock file, so that the rest of a first run which
    crashed is never taken for the rest of a database.
    """
    lock, pages = _beside(path, ".lock"), _beside(path, "-wal")
    was_made = pages.exists() or (lock.exists() and lock.stat().st_size > 0)  # before: it may be being made
    if path.exists() and path.stat().st_size:
        return True
    left = [file for file in (path, lock, pages, _beside(path, "-shm")) if file.exists()]
    if was_made or path in left:
        raise StateError(
            f"{path}: the state database {'is empty' if path in left else 'is gone'}, but was there; restore it, or"
            f" delete {' and '.join(map(str, left))} and {_ANEW}"
        )
    return False


def _make(path: Path) -> None:
    """Make the database in one step, so that no crash leaves half of it."""
    new = _beside(path, ".new")
    new.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(new)) as database:
            database.execute("PRAGMA journal_mode = OFF")  # whatever a crash leaves is deleted by the next process
            database.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT"
            )
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _locked(path: Path) -> int:
    """Take the lock file for this process."""
    file = os.open(_beside(path, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    end = time.monotonic() + _LOCK_SECONDS
    while not _taken(file, fcntl.LOCK_EX):
        if time.monotonic() > end:
            holder = _noted_holder(file)
            os.close(file)
            raise StateError(
                f"{path}: {holder} is working on it; wait for its end, stop it, or name another file with --state"
            )
        time.sleep(_LOCK_SECONDS / 10)
    return file


def _note_holder(file: int, purpose: str) -> None:
    """Write into the lock file who has it; it is never empty again."""
    text = f"process {os.getpid()} ({purpose})\n".encode()
    os.pwrite(file, text, 0)
    os.ftruncate(file, len(text))


def holder(path: Path) -> str:
    """Return which process works on the database, such as "process 12 (siplogs tail)"; "" when none does.

    Raises StateError when that must not be known.
    """
    try:
        file = os.open(_beside(path, ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        text = f"{path}: cannot be looked at ({error.strerror}); ask as the user that ships, or as root"
        raise StateError(text) from error
    try:
        return "" if _taken(file, fcntl.LOCK_SH) else _noted_holder(file)
    finally:
        os.close(file)


def _taken(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _noted_holder(file: int) -> str:
    return os.pread(file, 200, 0).decode("utf-8", "replace").strip() or "another process"


def _damaged(path: Path, what: object) -> str:
    return (
        f"{path}: the state database is damaged ({what}); restore it, or move it and {_beside(path, '.lock')}"
        f" away and {_ANEW}"
    )


def _explained(path: Path, error: OSError | sqlite3.Error) -> StateError:
    text = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
    if isinstance(error, OSError) and error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
        return StateError(f"{path}: {text}; give siplogs a folder that it may write with --state")
    if isinstance(error, OSError) or "disk is full" in text or "disk I/O" in text:
        return StateError(
            f"{path}: cannot be written ({text}); make room there, or see the kernel's log where there is room:"
            " nothing is lost, and it goes on where it was"
        )
    if "readonly" in text or "unable to open" in text:
        return StateError(f"{path}: {text}; let siplogs write the file and its folder, or name another with --state")
    if "not a database" in text or "malformed" in text:
        return StateError(_damaged(path, text))
    return StateError(f"{path}: {text}; see whether the disk and the file are sound")
