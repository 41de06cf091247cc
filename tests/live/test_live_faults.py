"""`ship` and `tail` under every fault of server, disk and signals: nothing lost, nothing doubled, a clean end."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_proxy import FaultProxy
from test_live_tail import OPTIONS, Rig, entry, stored, wait_until

from siplogs.outputs.elasticsearch import document
from siplogs.pipeline import read_events
from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.state import State
from siplogs.sources import find
from tests.cli.command import siplogs
from tests.conftest import missing

QUIET = b"[Nov 21 02:00:00] VERBOSE[1] pbx.c: Executing [s@x:1] NoOp in new stack\n"


@pytest.fixture
def proxy(server: Any) -> Iterator[FaultProxy]:
    with FaultProxy(server.name) as running:
        yield running


@pytest.fixture
def rig(proxy: FaultProxy, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, proxy.url)
    yield made
    made.end()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a disk of a few kilobytes."""
    mounted: list[Path] = []

    def mount(name: str, options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False)
        if done.returncode != 0:
            missing("no tmpfs can be mounted here: run these tests as root")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=False)


def fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (4096, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


def said(rig: Rig, text: str) -> Callable[[], bool]:
    return lambda: text in rig.log.read_text(encoding="utf-8")


def stopped(process: "subprocess.Popen[str]", how: signal.Signals = signal.SIGTERM) -> float:
    """Ask for the end; return how many seconds it took."""
    begun = time.monotonic()
    process.send_signal(how)
    assert process.wait(30) == 0
    return time.monotonic() - begun


def same(rig: Rig, node: Any) -> bool:
    found = stored(node)
    assert len(found) == len(set(found))
    return set(found) == rig.expected


def behind(rig: Rig) -> int:
    """Return how many bytes of the logs are not acknowledged as far as the state knows."""
    done = siplogs("status", "--format", "json", data=b"", **rig.environment())
    return sum(log["lag_bytes"] for log in json.loads(done.stdout)["logs"])


def doctor(rig: Rig) -> str:
    return siplogs("doctor", **rig.environment()).stdout.decode()


def test_every_fault_of_the_server_in_a_row(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    proxy.retry_after = "1"
    faults = [429, "reset", ("items", 503), "lost-answer", "half-answer", "slow", b"{}", b"<html>", ("items", 429)]
    proxy.faults.extend([*faults, b'{"errors":true,"items":[]}', b'{"errors":true,"items":[{"index":{}}]}', 502])
    rig.append(*range(5))
    daemon = rig.start("tail", "--from-beginning")
    wait_until(lambda: proxy.bulks > 0)  # the first batch is under way: the faults are more than it alone meets
    for number in range(5, 25):
        rig.append(number)
        time.sleep(0.1)
    rig.expect(rig.live)
    wait_until(lambda: same(rig, blank))
    wait_until(lambda: not proxy.faults)
    wait_until(lambda: behind(rig) == 0)
    assert stopped(daemon) < 5
    with State(rig.folder / "state/state.db") as state:
        counts = state.counts()
    assert counts["created"] + counts.get("present", 0) == 25
    assert counts.get("dead", 0) == 0
    assert not (rig.folder / "state/dead-letters.ndjson").exists()
    assert "Traceback" not in rig.log.read_text()


def test_ship_and_tail_send_no_more_at_once_than_is_set(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    rig.configure(section="[delivery]\nbatch_documents = 1")
    rig.append(*range(5))
    assert rig.run("ship") == (0, "")
    assert (proxy.bulks, len(stored(blank))) == (5, 5)
    rig.append(*range(5, 9))
    rig.start("tail")
    wait_until(lambda: len(stored(blank)) == 9)
    assert proxy.bulks == 9


def test_tail_comes_back_no_sooner_than_the_server_wishes(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    """More refusals in a row than one delivery takes: connecting anew is no way around the wish."""
    metrics = rig.folder / "siplogs.prom"
    rig.configure(section=f'metrics_file = "{metrics}"')
    proxy.retry_after = "3"
    proxy.faults.extend([429] * 6)
    rig.append(*range(5))
    daemon = rig.start("tail", "--from-beginning")
    rig.expect(rig.live)
    wait_until(lambda: metrics.exists() and "\nsiplogs_tail_failing 1\n" in metrics.read_text())
    assert proxy.faults  # long before the pass is given up
    assert "warning Elasticsearch is overloaded (429: made up 429)" in rig.log.read_text()
    wait_until(lambda: same(rig, blank))
    assert len(proxy.refused_at) == 6
    for refused in proxy.refused_at:
        assert min(asked for asked in proxy.asked_at if asked > refused) - refused >= 3
    assert stopped(daemon) < 5


def test_tail_goes_over_to_an_address_that_was_away_when_it_connected(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    with FaultProxy(blank.url) as other:
        rig.url = f"{proxy.url},{other.url}"
        rig.configure()
        other.down = True
        rig.append(1)
        daemon = rig.start("tail", "--from-beginning")
        rig.expect(rig.live)
        wait_until(lambda: same(rig, blank))
        proxy.down, other.down = True, False
        rig.append(2)
        rig.expect(rig.live)
        wait_until(lambda: same(rig, blank))
        assert other.bulks > 0
        assert stopped(daemon) < 5


def test_a_proxy_that_answers_by_itself_makes_tail_wait(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    proxy.faults.extend([(400, b"<h1>plain HTTP sent to the HTTPS port</h1>")] * 5)
    rig.append(*range(5))
    daemon = rig.start("tail", "--from-beginning")
    rig.expect(rig.live)
    wait_until(lambda: same(rig, blank))
    assert (
        "is not Elasticsearch (400: plain HTTP sent to the HTTPS port): see what stands between" in rig.log.read_text()
    )
    assert not (rig.folder / "state/dead-letters.ndjson").exists()
    assert stopped(daemon) < 5


@pytest.mark.parametrize("fault", ["hang", "half-hang", 503])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_while_the_server_hangs_or_refuses(
    rig: Rig, proxy: FaultProxy, blank: Any, fault: Any, how: signal.Signals
) -> None:
    proxy.faults.extend([fault] * 100)
    rig.append(*range(5))
    daemon = rig.start("tail", "--from-beginning")
    wait_until(lambda: proxy.bulks > (2 if fault == 503 else 0))
    assert stopped(daemon, how) < 5
    assert said(rig, "everything acknowledged is saved")()
    proxy.faults.clear()
    proxy.released.set()
    assert rig.run("ship")[0] == 0
    rig.expect(rig.live)
    assert same(rig, blank)


def test_a_clean_stop_while_a_large_log_is_read(rig: Rig, blank: Any) -> None:
    rig.live.write_bytes(entry(0) + QUIET * 2_000_000)
    daemon = rig.start("tail", "--from-beginning")
    wait_until(said(rig, "following"))
    time.sleep(0.3)
    assert stopped(daemon) < 5


def test_ship_ends_at_once_while_the_server_hangs(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    proxy.faults.append("hang")
    rig.append(*range(5))
    run = rig.start("ship")
    wait_until(lambda: proxy.bulks == 1)
    begun = time.monotonic()
    run.send_signal(signal.SIGTERM)
    assert run.wait(30) == 143
    assert time.monotonic() - begun < 5
    assert rig.run("ship") == (0, "")


def test_sighup_during_an_outage_takes_the_new_configuration(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    proxy.down = True
    rig.append(*range(5))
    daemon = rig.start("tail", "--from-beginning")
    wait_until(said(rig, "cannot be reached"))
    daemon.send_signal(signal.SIGHUP)
    wait_until(said(rig, "configuration and packs were read again"))
    rig.url = blank.url
    rig.configure()
    rig.append(5, 6)
    daemon.send_signal(signal.SIGHUP)
    rig.expect(rig.live)
    wait_until(lambda: same(rig, blank))
    assert stopped(daemon) < 5


def test_sighup_in_the_middle_of_a_hanging_request(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    proxy.faults.append("hang")
    rig.append(*range(5))
    daemon = rig.start("tail", "--from-beginning")
    wait_until(lambda: proxy.bulks == 1)
    daemon.send_signal(signal.SIGHUP)
    rig.expect(rig.live)
    wait_until(lambda: same(rig, blank))
    assert stopped(daemon) < 5


def test_a_log_deleted_during_an_outage_is_delivered_after_it(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    proxy.down = True
    rig.append(*range(5))
    daemon = rig.start("tail", "--from-beginning")
    wait_until(said(rig, "cannot be reached"))
    rig.expect(rig.live)
    rig.live.unlink()
    rig.append(60, 61)
    rig.expect(rig.live)
    daemon.send_signal(signal.SIGHUP)
    wait_until(said(rig, "read again"))
    proxy.down = False
    wait_until(lambda: same(rig, blank))
    assert stopped(daemon) < 5


def test_several_nodes_of_which_some_are_dead(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        rig.url = f"{dead},{proxy.url},{blank.url}"
        rig.configuration.write_text(
            rig.configuration.read_text().replace(f'url = "{proxy.url}"', f'url = "{rig.url}"'), encoding="utf-8"
        )
        rig.append(*range(5))
        assert rig.run("ship") == (0, "")
        daemon = rig.start("tail")
        wait_until(said(rig, "following"))
        rig.append(5, 6)
        rig.expect(rig.live)
        wait_until(lambda: same(rig, blank))
        proxy.down = True
        rig.append(*range(7, 12))
        rig.expect(rig.live)
        wait_until(lambda: same(rig, blank))
        assert stopped(daemon) < 5
    assert " error " not in rig.log.read_text()


CONFLICT = {"mappings": {"properties": {"@timestamp": {"type": "ip"}}}}


def test_a_closed_index_and_a_mapping_conflict_never_stop_the_rest(rig: Rig, blank: Any) -> None:
    other = rig.folder / "full-other"
    other.write_bytes(b"".join(map(entry, range(3))).replace(b"[Nov 21", b"[Sep 21"))
    conflict = rig.folder / "full-conflict"
    conflict.write_bytes(b"".join(map(entry, range(2))).replace(b"[Nov 21", b"[Oct 21"))
    closed, wrong = index_of(other), index_of(conflict)
    blank.call("PUT", f"/{closed}")
    blank.call("POST", f"/{closed}/_close")
    blank.call("PUT", f"/{wrong}", CONFLICT)
    rig.append(*range(5))
    daemon = rig.start("tail", "--from-beginning")
    letters = DeadLetters(rig.folder / "state/dead-letters.ndjson")
    wait_until(lambda: len(stored_of(blank, "siplogs-events-*.11")) == 5)
    wait_until(lambda: letters.path.exists() and letters.waiting() == 5)
    rig.append(5)
    wait_until(lambda: len(stored_of(blank, "siplogs-events-*.11")) == 6)
    assert stopped(daemon) < 5
    kinds = {letter.error.type for letter in letters.letters()}
    assert kinds == {"index_closed_exception", "document_parsing_exception"}
    assert said(rig, "documents were refused and kept")()
    blank.call("DELETE", f"/{wrong}")
    blank.call("POST", f"/{closed}/_open?wait_for_active_shards=1")
    assert rig.run("dead-letters", "send")[0] == 0
    rig.expect(rig.live)
    rig.expect(other)
    rig.expect(conflict)
    assert same(rig, blank)
    assert letters.waiting() == 0


def index_of(path: Path) -> str:
    event = next(read_events(find([str(path)], warn=print), OPTIONS))
    return document(event).index


def stored_of(node: Any, index: str) -> list[Any]:
    node.call("POST", f"/{index}/_refresh")
    hits: list[Any] = node.call("POST", f"/{index}/_search", {"size": 1000, "_source": False})["hits"]["hits"]
    return hits


def test_a_full_disk_under_the_state(rig: Rig, blank: Any, small_disk: Callable[..., Path]) -> None:
    disk, metrics = small_disk("state", "size=400k"), rig.folder / "siplogs.prom"
    rig.configure(section=f'metrics_file = "{metrics}"')
    rig.append(*range(5))
    assert rig.run("ship") == (0, "")
    ballast = fill(disk)
    rig.append(*range(5, 9))
    code, told = rig.run("ship")
    assert (code, told.count("\n")) == (2, 1)
    assert "make room" in told
    ballast.unlink()
    daemon = rig.start("tail")
    wait_until(said(rig, "following"))
    rig.append(9)
    rig.expect(rig.live)
    wait_until(lambda: same(rig, blank))
    ballast = fill(disk)
    for number in range(10, 14):
        rig.append(number)
        time.sleep(0.3)
    wait_until(said(rig, "make room"))
    wait_until(lambda: "\nsiplogs_tail_failing 1\n" in metrics.read_text())
    told = siplogs("status", **rig.environment())
    assert told.returncode == 1
    assert (
        f"TROUBLE       the state cannot be kept: the disk of {disk} is full; make room there\n" in told.stdout.decode()
    )
    assert f"broken   state          {disk}/state.db: the disk of {disk} is full" in doctor(rig)
    ballast.unlink()
    rig.append(14)
    rig.expect(rig.live)
    wait_until(lambda: same(rig, blank))
    wait_until(lambda: behind(rig) == 0)
    wait_until(lambda: "\nsiplogs_tail_failing 0\n" in metrics.read_text())
    assert siplogs("status", **rig.environment()).returncode == 0
    assert stopped(daemon) < 5
    assert rig.run("ship", "--verbose") == (0, "0 created, 0 already there, 0 dead letters\n")


def test_a_full_disk_under_the_dead_letters(rig: Rig, blank: Any, small_disk: Callable[..., Path]) -> None:
    disk = small_disk("letters", "size=64k")
    path = disk / "dead-letters.ndjson"
    rig.configure(section=f'[delivery]\ndead_letters = "{path}"')
    ballast = fill(disk)
    rig.append(*range(5))
    blank.call("PUT", f"/{index_of(rig.live)}", CONFLICT)
    code, told = rig.run("ship")
    assert (code, told.count("\n")) == (3, 1)
    assert "make room" in told
    ballast.unlink()
    assert rig.run("ship")[0] == 1
    blank.call("DELETE", "/siplogs-events-*")
    assert DeadLetters(path).waiting() == 5
    assert rig.run("dead-letters", "send")[0] == 0
    rig.expect(rig.live)
    assert same(rig, blank)


def test_a_state_that_must_not_be_written(rig: Rig, blank: Any, small_disk: Callable[..., Path]) -> None:
    disk = small_disk("state", "size=400k")
    rig.append(*range(5))
    assert rig.run("ship") == (0, "")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    code, told = rig.run("ship")
    assert (code, told.count("\n")) == (2, 1)
    assert "--state" in told
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert rig.run("ship") == (0, "")


def test_a_state_of_something_else_or_of_a_newer_siplogs(rig: Rig, blank: Any) -> None:
    import sqlite3

    rig.append(1)
    folder = rig.folder / "state"
    folder.mkdir()
    with sqlite3.connect(folder / "state.db") as foreign:
        foreign.execute("CREATE TABLE cdr (id INTEGER)")
    code, told = rig.run("ship")
    assert (code, told.count("\n")) == (2, 1)
    assert "not a state database of siplogs" in told
    shutil.rmtree(folder)
    assert rig.run("ship") == (0, "")
    with sqlite3.connect(folder / "state.db") as newer:
        newer.execute("PRAGMA user_version = 99")
    for command in ("ship", "tail"):
        code, told = rig.run(command)
        assert (code, told.count("\n")) == (2, 1)
        assert "newer siplogs" in told


def test_a_folder_that_is_missing_at_the_start_is_a_warning_for_tail(rig: Rig, blank: Any) -> None:
    later = rig.folder / "later"
    text = rig.configuration.read_text().replace(f"{rig.folder}/full*", f"{later}/full*")
    rig.configuration.write_text(text, encoding="utf-8")
    daemon = rig.start("tail")
    wait_until(said(rig, "nothing matches"))
    time.sleep(1.5)
    later.mkdir()
    rig.live = later / "full"
    rig.append(*range(3))
    rig.expect(rig.live)
    wait_until(lambda: same(rig, blank))
    assert rig.log.read_text().count("nothing matches") == 1
    assert stopped(daemon) < 5


def test_since_on_the_first_run_of_tail(rig: Rig, blank: Any) -> None:
    def timed(number: int) -> bytes:
        return entry(number).replace(b"02:17:08", b"02:17:%02d" % number)

    rig.live.write_bytes(b"".join(map(timed, range(6))))
    year = next(read_events(find([str(rig.live)], warn=print), OPTIONS)).timestamp[:4]
    daemon = rig.start("tail", "--since", f"{year}-11-21T02:17:03Z")
    wait_until(lambda: len(stored(blank)) == 3)
    with rig.live.open("ab") as log:
        log.write(timed(1) + timed(6))
    wait_until(lambda: len(stored(blank)) == 4)
    assert stopped(daemon) < 5


def test_memory_against_a_server_that_is_down(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    """However much waits, no more than two batches of it are in memory."""
    rig.append(*range(60_000))
    daemon = rig.start("tail", "--from-beginning")
    wait_until(lambda: len(stored_of(blank, "siplogs-events-*")) > 0)
    proxy.down = True
    wait_until(said(rig, "cannot be reached"))
    time.sleep(3)
    assert peak_megabytes(daemon.pid) < 150
    proxy.down = False
    wait_until(lambda: blank.call("GET", "/siplogs-events-*/_count")["count"] == 60_000)
    assert peak_megabytes(daemon.pid) < 150
    assert stopped(daemon) < 5


def peak_megabytes(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def test_constant_load_is_kept_up_with(rig: Rig, blank: Any) -> None:
    """2,000 events a second, written as a PBX writes them; how soon they can be searched is measured in benchmarks."""
    daemon = rig.start("tail", "--from-beginning")
    wait_until(said(rig, "following"))
    text = [b"".join(entry(number) for number in range(start, start + 200)) for start in range(0, 20_000, 200)]
    begun = time.monotonic()
    for number, piece in enumerate(text):
        with rig.live.open("ab") as log:
            log.write(piece)
        time.sleep(max(0.0, begun + (number + 1) / 10 - time.monotonic()))
    wait_until(lambda: blank.call("GET", "/siplogs-events-*/_count")["count"] == 20_000)
    assert stopped(daemon) < 5


def test_tail_follows_files_alone(rig: Rig) -> None:
    os.mkfifo(rig.folder / "pipe")
    for path in ("-", str(rig.folder / "pipe")):
        code, told = rig.run("tail", path)
        assert (code, told.count("\n")) == (2, 1)
        assert f"siplogs ship {path}" in told
