"""`siplogs tail` and repeated `siplogs ship` with a real Elasticsearch: each event once, whatever happens meanwhile."""

import gzip
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from fault_proxy import FaultProxy

from siplogs.pipeline import ReadOptions, read_events
from siplogs.sources import find
from tests.cli.command import siplogs
from tests.packs.writers import message, pjsip

PATIENCE = 60.0
IDLE = 11.0
OPTIONS = ReadOptions(timezone="UTC", host="pbx")


def entry(number: int) -> bytes:
    wire = message(b"body\n", b"Content-Type: text/plain\r\nX-Number: %d" % number)
    return b"[Nov 21 02:%02d:%02d] NOTICE[1] main.c: %d\n" % (number // 60 % 60, number % 60, number) + pjsip(wire)


class Rig:
    """A folder of logs, a configuration, and processes of siplogs that all end with the test."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.live = folder / "full"
        self.expected: set[str] = set()
        self.processes: list[subprocess.Popen[str]] = []
        self.configuration = folder / "siplogs.toml"
        self.url = url
        self.configure()
        self.log = folder / "siplogs.log"

    def configure(self, more: str = "", section: str = "") -> None:
        self.configuration.write_text(
            f'host_name = "pbx"\ntimezone = "UTC"\n{more}\n[elasticsearch]\nurl = "{self.url}"\n'
            f"[tail]\npoll_seconds = 0.1\nsearch_seconds = 0.5\nidle_seconds = 2.0\n"
            f'{section}\n[[input]]\npaths = ["{self.folder}/full*"]\n',
            encoding="utf-8",
        )

    def environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SIPLOGS_")}
        state = self.folder / "state"
        return environment | {"SIPLOGS_CONFIG": str(self.configuration), "STATE_DIRECTORY": str(state)}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", "from siplogs.cli import main; main()", *arguments]
        with self.log.open("a") as log:
            process = subprocess.Popen(command, env=self.environment(), stdout=log, stderr=log, text=True)
        self.processes.append(process)
        return process

    def run(self, *arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-c", "from siplogs.cli import main; main()", *arguments]
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        return done.returncode, done.stderr

    def append(self, *numbers: int) -> None:
        with self.live.open("ab") as file:
            file.write(b"".join(map(entry, numbers)))

    def expect(self, path: Path) -> None:
        """Note the events that a log holds as those that must arrive."""
        self.expected |= {event.event.id for event in read_events(find([str(path)], warn=print), OPTIONS)}

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def rig(server: Any, blank: Any, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, blank.url)
    yield made
    made.end()


def stored(node: Any) -> list[str]:
    query = {"size": 10000, "_source": False, "query": {"match_all": {}}}
    try:
        node.call("POST", "/siplogs-events-*/_refresh")
        return [hit["_id"] for hit in node.call("POST", "/siplogs-events-*/_search", query)["hits"]["hits"]]
    except HTTPError:  # an index that is being made
        return []


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def test_ship_from_cron_is_silent_and_sends_what_is_new(rig: Rig, blank: Any) -> None:
    rig.append(*range(5))
    assert rig.run("ship") == (0, "")
    assert len(stored(blank)) == 5
    rig.append(*range(5, 8))
    assert rig.run("ship", "--verbose") == (0, "3 created, 0 already there, 0 dead letters\n")
    rig.live.rename(rig.folder / "full.1")
    rig.append(90)
    (rig.folder / "full.1.gz").write_bytes(gzip.compress((rig.folder / "full.1").read_bytes()))
    (rig.folder / "full.1").unlink()
    assert rig.run("ship", "--verbose") == (0, "1 created, 0 already there, 0 dead letters\n")
    assert rig.run("ship", "--from-beginning", "--verbose") == (0, "0 created, 9 already there, 0 dead letters\n")


def test_a_record_that_the_end_of_the_file_cuts_waits_for_the_next_run(rig: Rig, blank: Any) -> None:
    whole = entry(1) + entry(2)
    rig.live.write_bytes(whole[:-30])
    assert rig.run("ship")[0] == 0
    rig.live.write_bytes(whole)
    assert rig.run("ship")[0] == 0
    rig.expect(rig.live)
    assert set(stored(blank)) == rig.expected
    assert len(rig.expected) == 2


def test_two_processes_never_work_on_one_state(rig: Rig) -> None:
    rig.append(1)
    daemon = rig.start("tail", "--from-beginning")
    wait_until((rig.folder / "state" / "state.db").exists)
    wait_until(lambda: "following" in rig.log.read_text())
    code, said = rig.run("ship")
    assert code == 2
    assert f"process {daemon.pid} (siplogs tail) is working on it" in said
    assert said.count("\n") == 1


def test_a_damaged_state_is_no_reason_to_start_over_in_silence(rig: Rig) -> None:
    rig.append(1)
    assert rig.run("ship")[0] == 0
    database = rig.folder / "state" / "state.db"
    database.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    code, said = rig.run("ship")
    assert (code, said.count("\n")) == (2, 1)
    assert str(database) in said
    database.write_bytes(b"something else")
    code, said = rig.run("ship")
    assert (code, said.count("\n")) == (2, 1)


def test_tail_follows_through_every_rotation(rig: Rig, blank: Any) -> None:
    rig.append(0)
    daemon = rig.start("tail")
    wait_until(lambda: "following" in rig.log.read_text())
    time.sleep(1.5)
    rig.append(1, 2)
    wait_until(lambda: len(stored(blank)) == 2)
    first = rig.folder / "full.1"
    rig.live.rename(first)
    with first.open("ab") as old:
        old.write(entry(3))
    rig.append(60, 61)
    wait_until(lambda: len(stored(blank)) == 5)
    shutil.copy(rig.live, rig.folder / "full.2")
    os.truncate(rig.live, 0)
    rig.append(120)
    wait_until(lambda: len(stored(blank)) == 6)
    rig.live.unlink()
    rig.append(180, 181)
    wait_until(lambda: len(stored(blank)) == 8)
    daemon.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    assert daemon.wait(PATIENCE) == 0
    assert time.monotonic() - begun < 5
    rig.append(182)
    daemon = rig.start("tail")
    wait_until(lambda: len(stored(blank)) == 9)


def test_an_unfinished_message_is_cut_after_a_while(rig: Rig, blank: Any) -> None:
    rig.append(0)
    rig.start("tail", "--from-beginning")
    wait_until(lambda: len(stored(blank)) == 1)
    with rig.live.open("ab") as log:
        log.write(entry(1)[:-40])
    wait_until(lambda: len(stored(blank)) == 2)
    query = {"query": {"term": {"siplogs.truncated": True}}}
    assert blank.call("POST", "/siplogs-events-*/_search", query)["hits"]["total"]["value"] == 1


def test_what_is_unfinished_is_left_alone_for_as_long_as_is_set(rig: Rig, blank: Any) -> None:
    begun = time.monotonic()
    for _ in passes_until_cut(rig, blank, search="0.5"):
        pass
    assert time.monotonic() - begun >= IDLE


def test_no_pass_is_made_for_what_is_unfinished_sooner_than_is_set(rig: Rig, blank: Any) -> None:
    """Nothing else makes one: the log does not change, and new ones are not looked for. 5 seconds are the default."""
    made = sorted(set(passes_until_cut(rig, blank, search="3600")))
    assert max(later - earlier for earlier, later in pairwise(made)) > (IDLE + 5) / 2


def passes_until_cut(rig: Rig, node: Any, search: str) -> Iterator[float]:
    """Write half a message; yield when the last pass ended, until what there is of it arrives, and when that was."""
    metrics = rig.folder / "state/siplogs.prom"
    rig.configure(section=f'metrics_file = "{metrics}"')
    text = rig.configuration.read_text(encoding="utf-8").replace("search_seconds = 0.5", f"search_seconds = {search}")
    rig.configuration.write_text(text.replace("idle_seconds = 2.0", f"idle_seconds = {IDLE}"), encoding="utf-8")
    rig.append(0)
    rig.start("tail", "--from-beginning")
    wait_until(lambda: len(stored(node)) == 1)
    wait_until(metrics.exists)
    with rig.live.open("ab") as log:
        log.write(entry(1)[:-40])
    end = time.monotonic() + PATIENCE
    while len(stored(node)) == 1:
        assert time.monotonic() < end, "waited in vain"
        yield metrics.stat().st_mtime
        time.sleep(0.1)
    yield time.time()


def test_sighup_reads_the_configuration_again_and_survives_a_wrong_one(rig: Rig, blank: Any) -> None:
    rig.append(0)
    daemon = rig.start("tail", "--from-beginning", "--log-format", "json")
    wait_until(lambda: len(stored(blank)) == 1)
    rig.configuration.write_text("nonsense = [", encoding="utf-8")
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "the old one stays in force" in rig.log.read_text())
    rig.append(1)
    wait_until(lambda: len(stored(blank)) == 2)
    rig.configure('language = "en"')
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "read again" in rig.log.read_text())
    rig.append(2)
    wait_until(lambda: len(stored(blank)) == 3)
    assert all(json.loads(line)["message"] for line in rig.log.read_text().splitlines())


def test_packs_that_became_wrong_keep_those_in_force(rig: Rig, blank: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    packs = rig.folder / "patterns.d"
    packs.mkdir()
    environment = rig.environment() | {"SIPLOGS_PATTERNS": str(packs)}
    monkeypatch.setattr(rig, "environment", lambda: environment)
    rig.append(1)
    daemon = rig.start("tail", "--from-beginning")
    wait_until(lambda: len(stored(blank)) == 1)
    (packs / "mine.toml").write_text("name = 3", encoding="utf-8")
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "the old one stays in force: " in rig.log.read_text())
    rig.append(2)
    rig.expect(rig.live)
    wait_until(lambda: set(stored(blank)) == rig.expected)
    assert rig.log.read_text().count("mine.toml") == 1
    daemon.terminate()
    assert daemon.wait(PATIENCE) == 0


def test_the_daemon_counts_on_over_a_reload(rig: Rig, blank: Any) -> None:
    def told() -> Any:
        done = siplogs("status", "--format", "json", data=b"", **rig.environment())
        return json.loads(done.stdout or "{}").get("tail") or {"events": -1}

    rig.append(*range(3))
    daemon = rig.start("tail", "--from-beginning")
    wait_until(lambda: told()["events"] == 3)
    before = told()
    rig.configure('language = "en"')
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "read again" in rig.log.read_text())
    rig.append(3, 4)
    wait_until(lambda: told()["events"] == 5)
    assert told()["started"] == before["started"]
    assert len(stored(blank)) == 5


def test_a_server_that_refuses_at_the_start_ends_the_daemon_before_it_is_ready(
    rig: Rig, blank: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    blank.call("DELETE", "/_index_template/siplogs-events")
    rig.append(1)
    name = f"siplogs-test-live-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}")
        systemd.setblocking(False)
        code, said = rig.run("tail", "--log-format", "json")
        told = []
        with suppress(BlockingIOError):
            while True:
                told.append(systemd.recv(4096))
    last = json.loads(said.splitlines()[-1])
    assert (code, last["log.level"], b"READY=1" in told) == (3, "error", False)
    assert "the index template siplogs-events at" in last["message"]
    assert said.count("the index template siplogs-events at") == 1
    assert len([json.loads(line) for line in said.splitlines()]) == 2


def test_the_daemon_does_not_ask_to_be_run_again(rig: Rig, blank: Any) -> None:
    with FaultProxy(blank.url) as proxy:
        rig.url = proxy.url
        rig.configure()
        proxy.faults.extend([503] * 4)
        rig.append(1)
        rig.start("tail", "--from-beginning")
        wait_until(lambda: "nothing is lost" in rig.log.read_text())
        wait_until(lambda: "delivery works again" in rig.log.read_text())
        assert "run again" not in rig.log.read_text()
    assert len(stored(blank)) == 1


def test_a_state_that_was_emptied_or_deleted_is_no_first_run(rig: Rig, blank: Any) -> None:
    rig.append(1)
    assert rig.run("ship")[0] == 0
    rig.append(2)
    database = rig.folder / "state" / "state.db"
    for lose in (lambda: database.write_bytes(b""), database.unlink):
        lose()
        for command in ("tail", "ship"):
            code, said = rig.run(command)
            assert (code, said.count("\n")) == (2, 1)
            assert "restore it, or delete" in said
    assert len(stored(blank)) == 1
    database.with_name("state.db.lock").unlink()
    assert rig.run("ship", "--from-beginning", "-v") == (0, "1 created, 1 already there, 0 dead letters\n")


def test_a_crash_at_any_moment_loses_and_doubles_nothing(rig: Rig, blank: Any) -> None:
    chance = random.Random(20261121)
    number = 0
    for turn in range(20):
        rig.append(*range(number, number + 40))
        number += 40
        daemon = rig.start("tail", "--from-beginning")
        time.sleep(chance.uniform(0.3, 1.2))
        daemon.kill()
        daemon.wait()
        if turn % 5 == 4:
            old = rig.folder / f"full.{100 - turn}"
            rig.live.rename(old)
            rig.expect(old)
            number += 1000
    rig.append(number)
    rig.expect(rig.live)
    assert rig.run("ship")[0] == 0
    found = stored(blank)
    assert len(found) == len(set(found)) == len(rig.expected) == 801
    assert set(found) == rig.expected
