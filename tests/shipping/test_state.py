"""The state: what older versions wrote is taken over, and who has it can be asked without disturbing anybody."""

import os
import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from siplogs.errors import StateError
from siplogs.shipping.state import APPLICATION, VERSION, NoStateError, Place, Pulse, State, holder

# The database as version 1 made it.
FIRST = f"""
CREATE TABLE logs (
    family TEXT NOT NULL, identity TEXT NOT NULL, path TEXT NOT NULL, seen TEXT NOT NULL, size INTEGER NOT NULL,
    done INTEGER NOT NULL, settled INTEGER NOT NULL, dated BLOB NOT NULL, products TEXT NOT NULL, tail TEXT NOT NULL,
    whole INTEGER NOT NULL, lost INTEGER NOT NULL, acknowledged REAL NOT NULL, last_seen REAL NOT NULL,
    PRIMARY KEY (family, identity)
) WITHOUT ROWID;
CREATE TABLE counts (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO logs VALUES ('/log/full', 'abc', '/log/full', '1:2:3:4.0', 100, 51, 50, x'', 'asterisk', 't', 0, 7, 5.0, 6.0);
INSERT INTO counts VALUES ('created', 12);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = 1;
"""
PLACE = Place("/log/full", "abc", "/log/full", "1:2:3:4.0", 100, 51, 50, b"", "asterisk", "t", False, 7, 5.0, 6.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def version(path: Path) -> int:
    database = sqlite3.connect(path)
    (number,) = database.execute("PRAGMA user_version").fetchone()
    database.close()
    return int(number)


def first(path: Path) -> None:
    database = sqlite3.connect(path)
    database.executescript(FIRST)
    database.close()


def test_a_database_of_the_first_version_is_taken_over(path: Path) -> None:
    first(path)
    for _ in range(2):
        with State(path) as state:
            assert state.places() == [PLACE]
            assert state.counts() == {"created": 12, "lost": 7}
            assert state.pulse() is None
    assert version(path) == VERSION
    with State(path) as state:
        state.beat(Pulse(process=3, error="x"))
        state.beat(Pulse(process=4))
        assert state.pulse() == Pulse(process=4)


def test_who_only_looks_leaves_an_old_database_as_it_is(path: Path) -> None:
    first(path)
    before = path.read_bytes()
    with State(path, readonly=True) as state:
        assert state.places() == [PLACE]
        assert state.pulse() is None
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["state.db"]


def test_a_file_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"root:x:0:0::/root:/bin/bash\n" * 9)
    for readonly in (False, True):
        with pytest.raises(StateError, match="not a state database of siplogs; name another file with --state"):
            State(path, readonly=readonly)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_state_whose_beginning_is_damaged_is_no_stranger(path: Path) -> None:
    with State(path):
        pass
    path.write_bytes(b"\xff" * 100 + path.read_bytes()[100:])
    with pytest.raises(StateError, match="damaged .* --from-beginning"):
        State(path)


def test_a_symbolic_link_names_the_same_state(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "links" / "named.db"
    link.parent.mkdir()
    with State(path, purpose="siplogs tail"):
        link.symlink_to(path)
        assert holder(link) == holder(path) != ""
        with pytest.raises(StateError, match="is working on it"):
            State(link)
    assert [file.name for file in link.parent.iterdir()] == ["named.db"]


def test_a_database_of_a_newer_version_is_refused(path: Path) -> None:
    with State(path):
        pass
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    for readonly in (False, True):
        with pytest.raises(StateError, match="upgrade siplogs here"):
            State(path, readonly=readonly)


def test_what_an_open_state_writes_is_seen_at_once_without_the_lock(path: Path) -> None:
    with State(path, purpose="siplogs tail") as state:
        state.save([PLACE], {"created": 1})
        assert holder(path) == f"process {os.getpid()} (siplogs tail)"
        with State(path, readonly=True) as other:
            assert other.places() == [PLACE]
            state.save([], {"created": 2})
            assert other.counts() == {"created": 3}
            assert other.pulse() is None
            state.beat(Pulse(process=1))
            assert other.pulse() == Pulse(process=1)
    assert holder(path) == ""


def test_there_is_no_state_and_nobody_has_it(path: Path) -> None:
    assert holder(path) == ""
    with pytest.raises(NoStateError, match="no state there yet"):
        State(path, readonly=True)
    assert list(path.parent.iterdir()) == []


def test_asking_who_has_it_does_not_stop_who_wants_it(path: Path) -> None:
    with State(path):
        pass
    ask = "import sys\nfrom pathlib import Path\nfrom siplogs.shipping.state import holder\n"
    ask += "while True: print(holder(Path(sys.argv[1])), flush=True)"
    with subprocess.Popen([sys.executable, "-c", ask, str(path)], stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        assert asking.stdout.readline() == "\n"
        drain = threading.Thread(target=asking.stdout.read)
        drain.start()
        try:
            for _ in range(200):
                with State(path):
                    pass
            assert asking.poll() is None
        finally:
            asking.kill()
            drain.join()


def test_an_emptied_database_is_not_taken_for_a_first_run(path: Path) -> None:
    with State(path) as state:
        state.save([PLACE])
    path.write_bytes(b"")
    for readonly in (False, True):
        with pytest.raises(StateError, match="is empty, but was there") as caught:
            State(path, readonly=readonly)
        assert not isinstance(caught.value, NoStateError)
        assert f"delete {path} and {path}.lock and run siplogs ship --from-beginning" in str(caught.value)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("left", ["lock", "wal"])
def test_a_database_that_is_gone_is_not_taken_for_a_first_run(path: Path, left: str) -> None:
    with State(path):
        pass
    path.unlink()
    if left == "wal":
        (path.parent / "state.db.lock").unlink()
        (path.parent / "state.db-wal").write_bytes(b"pages")
    before = sorted(path.parent.iterdir())
    for readonly in (False, True):
        with pytest.raises(StateError, match="is gone, but was there") as caught:
            State(path, readonly=readonly)
        assert not isinstance(caught.value, NoStateError)
    assert path not in path.parent.iterdir()
    for file in before:
        file.unlink()
    with pytest.raises(NoStateError):
        State(path, readonly=True)


def test_the_remedy_for_a_database_that_is_gone_makes_a_new_one(path: Path) -> None:
    with State(path) as state:
        state.save([PLACE])
    path.unlink()
    with pytest.raises(StateError) as caught:
        State(path)
    (named,) = re.findall(r"or delete (\S+) and run siplogs ship --from-beginning", str(caught.value))
    Path(named).unlink()
    with State(path) as state:
        assert state.places() == []


def test_a_crash_at_any_moment_of_the_first_run_is_no_fault(path: Path) -> None:
    """What is written to the disk stops at each of its steps in turn; the next process begins once more."""
    stop = "import os, sys\nfrom pathlib import Path\nfrom siplogs.shipping.state import State\n"
    stop += "steps = int(sys.argv[2])\ndef hook(event, given):\n    global steps\n"
    stop += "    if event in ('open', 'os.rename', 'os.truncate', 'sqlite3.connect', 'os.remove', 'fcntl.flock'):\n"
    stop += "        steps -= 1\n        if steps < 0: os._exit(9)\n"
    stop += "sys.addaudithook(hook)\nState(Path(sys.argv[1]))\n"
    ended, steps = 9, 0
    while ended == 9:
        folder = path.parent / str(steps)
        folder.mkdir()
        ended = subprocess.run([sys.executable, "-c", stop, folder / path.name, str(steps)], check=False).returncode
        with State(folder / path.name) as state:
            assert state.places() == []
        assert {file.name for file in folder.iterdir()} == {"state.db", "state.db.lock"}
        steps += 1
    assert ended == 0
    assert steps > 4


def test_what_is_no_file_is_refused_and_nothing_is_left_beside_it(path: Path) -> None:
    path.mkdir()
    os.mkfifo(path.parent / "pipe")
    for place in (path, path.parent / "pipe"):
        for readonly in (False, True):
            with pytest.raises(StateError, match="a folder or a device") as caught:
                State(place, readonly=readonly)
            assert str(caught.value).count("\n") == 0
    assert sorted(file.name for file in path.parent.iterdir()) == ["pipe", "state.db"]
    assert list(path.iterdir()) == []


def test_a_link_to_where_the_database_is_to_be_stays_a_link(path: Path) -> None:
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    path.symlink_to(elsewhere / "real.db")
    with State(path) as state:
        state.save([PLACE])
    assert path.is_symlink()
    with State(elsewhere / "real.db", readonly=True) as state:
        assert state.places() == [PLACE]
