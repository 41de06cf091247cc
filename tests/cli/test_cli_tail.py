"""`siplogs tail` without a server: what it tells systemd and its journal when it starts, reloads and ends."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import environment, siplogs, started
from tests.packs.writers import message, pjsip

PATIENCE = 60.0
NOWHERE = "http://127.0.0.1:1"
FED = 15
LINE = b"[Nov 21 10:00:00] NOTICE[1] main.c: text\n"


class Daemon:
    """A folder with a log and a configuration, the daemon that follows it, and what systemd would hear of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = folder / "stderr"
        self.log = folder / "full"
        self.log.write_bytes(pjsip(message()) + LINE)
        self.configuration = folder / "siplogs.toml"
        self.configure(f'url = "{NOWHERE}"')
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.systemd.bind(f"\0siplogs-test-{os.getpid()}-{folder.name}")
        self.systemd.settimeout(PATIENCE)
        self.processes: list[subprocess.Popen[bytes]] = []

    def configure(self, elasticsearch: str, more: str = "") -> None:
        text = f'timezone = "UTC"\n[elasticsearch]\n{elasticsearch}\n{more}\n[[input]]\npaths = ["{self.log}"]\n'
        self.configuration.write_text(text, encoding="utf-8")

    def settings(self, **more: str) -> dict[str, str]:
        name = self.systemd.getsockname().decode().replace("\0", "@")
        kept = {"STATE_DIRECTORY": str(self.folder), "NOTIFY_SOCKET": name}
        found = environment(SIPLOGS_CONFIG=str(self.configuration), **kept) | more
        return found if "JOURNAL_STREAM" in more else {key: found[key] for key in found if key != "JOURNAL_STREAM"}

    def start(self, *arguments: str, **more: str) -> "subprocess.Popen[bytes]":
        with self.said.open("ab") as said:
            process = started("tail", *arguments, stderr=said, env=self.settings(**more))
        self.processes.append(process)
        return process

    def ended(self, *arguments: str, **more: str) -> tuple[int, list[str]]:
        """Run the daemon until it ends by itself; exit code and lines."""
        code = self.start(*arguments, **more).wait(PATIENCE)
        return code, self.lines()

    def lines(self) -> list[str]:
        return self.said.read_text(encoding="utf-8").splitlines()

    def heard(self) -> list[str]:
        """What systemd was told so far, the watchdog's food and the status left out."""
        told: list[str] = []
        self.systemd.setblocking(False)
        try:
            while True:
                told.append(self.systemd.recv(4096).decode())
        except BlockingIOError:
            pass
        self.systemd.settimeout(PATIENCE)
        return [text.partition("\n")[0] for text in told if not text.startswith(("STATUS=", "WATCHDOG="))]

    def wait_for_systemd(self, text: str) -> list[str]:
        """Wait until systemd is told something; what else it was told before."""
        before = []
        while not (told := self.systemd.recv(4096).decode()).startswith(text):
            before.append(told)
        return before

    def status(self) -> Any:
        state = str(self.folder / "state.db")
        return json.loads(siplogs("status", "--format", "json", "--state", state, data=b"", **self.settings()).stdout)

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.systemd.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.end()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


IMPOSSIBLE: dict[str, tuple[str, tuple[str, ...], str]] = {
    "no-address": ("", (), "no Elasticsearch address"),
    "unknown-setting": ('urls = "x"', (), "unknown setting elasticsearch.urls; did you mean elasticsearch.url"),
    "no-such-pack": (f'url = "{NOWHERE}"', ("--pack", "nonesuch", "full"), "no pattern pack 'nonesuch'"),
    "a-pipe": (f'url = "{NOWHERE}"', ("-",), "tail follows files"),
    "no-ca": ('url = "https://127.0.0.1:1"\nca_file = "/nonexistent"', (), "elasticsearch.ca_file: /nonexistent"),
    "both": (f'url = "{NOWHERE}"', ("--from-beginning", "--since", "1h"), "exclude each other"),
    "since": (f'url = "{NOWHERE}"', ("--since", "soon"), "soon"),
    "folder": (f'url = "{NOWHERE}"', ("--state", "/usr"), "/usr: a folder or a device; name a file"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_can_never_work_is_the_last_line_of_the_journal(daemon: Daemon, case: str) -> None:
    """Said once, as every line of the journal is written, and nobody is told that the daemon is ready."""
    elasticsearch, arguments, said = IMPOSSIBLE[case]
    daemon.configure(elasticsearch)
    code, lines = daemon.ended(*arguments, "--log-format", "json")
    assert code == 2
    told = [json.loads(line) for line in lines]
    assert [said in line["message"] for line in told] == [False] * (len(told) - 1) + [True]
    assert told[-1]["log.level"] == "error"
    assert "READY=1" not in daemon.heard()


def test_the_last_line_of_the_journal_has_a_priority_for_journald(daemon: Daemon) -> None:
    daemon.configure("")
    daemon.said.touch()
    look = daemon.said.stat()
    journal = {"JOURNAL_STREAM": f"{look.st_dev}:{look.st_ino}"}
    code, lines = daemon.ended(**journal)
    assert code == 2
    assert lines[-1].startswith("<3>no Elasticsearch address")
    assert sum("no Elasticsearch address" in line for line in lines) == 1
    code, lines = daemon.ended("--log-format", "json", **journal)
    assert lines[-1].startswith("<3>{")
    assert "no Elasticsearch address" in json.loads(lines[-1].removeprefix("<3>"))["message"]
    code, lines = daemon.ended(JOURNAL_STREAM="8:1234")  # of somebody else
    assert re.match(r"20\S+Z error no Elasticsearch address", lines[-1])
    daemon.said.unlink()
    code, lines = daemon.ended(SIPLOGS_TAIL_LOG_FORMAT="json", SIPLOGS_CONFIG=str(daemon.folder / "nowhere"))
    assert (code, len(lines)) == (2, 1)
    assert "no such file" in json.loads(lines[0])["message"]


def test_an_outage_does_not_keep_the_daemon_from_being_ready(daemon: Daemon) -> None:
    process = daemon.start()
    assert daemon.wait_for_systemd("READY=1") == []
    wait_until(lambda: "cannot be reached" in "".join(daemon.lines()))
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert daemon.heard() == ["STOPPING=1"]
    assert "stopped; everything acknowledged is saved" in daemon.lines()[-1]


def test_journal_and_systemd_are_told_of_an_outage_and_of_what_waits(daemon: Daemon) -> None:
    daemon.start("--from-beginning", "--log-format", "json")
    daemon.wait_for_systemd("STATUS=waiting: Elasticsearch cannot be reached")
    sizes = []
    for _ in range(2):
        sizes.append(daemon.log.stat().st_size)
        wait_until(lambda: sizes[-1] in waiting(daemon))
        with daemon.log.open("ab") as log:
            log.write(pjsip(message()) + LINE)
    assert set(waiting(daemon)) <= {*sizes, daemon.log.stat().st_size}


def waiting(daemon: Daemon) -> list[int]:
    """How many bytes waited at each failure, as the journal says."""
    told = [json.loads(line) for line in daemon.lines() if line.startswith("{")]
    return [line["waiting"] for line in told if "failures" in line]


def test_the_daemon_may_open_as_many_files_as_its_hard_limit_allows(daemon: Daemon) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = min(256, hard - 1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    try:
        process = daemon.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    daemon.wait_for_systemd("READY=1")
    limits = Path(f"/proc/{process.pid}/limits").read_text(encoding="ascii")
    (allowed,) = re.findall(r"^Max open files +(\d+) +(\d+) ", limits, re.MULTILINE)
    assert allowed == (str(hard), str(hard))


@pytest.mark.parametrize("server", ["away", "deaf"])
def test_the_watchdog_is_fed_while_the_server_is_waited_for(daemon: Daemon, server: str) -> None:
    """Also within a pause: a server that is away is tried half as often each time, too seldom to feed a watchdog."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        if server == "deaf":
            daemon.configure(f'url = "http://127.0.0.1:{deaf.getsockname()[1]}"')
        process = daemon.start(WATCHDOG_USEC="300000")
        told: list[str] = []

        def fed() -> bool:
            told.append(daemon.systemd.recv(4096).decode())
            return "READY=1" in told and told.count("WATCHDOG=1") >= FED

        wait_until(fed)
        assert told.count("READY=1") == 1
        assert process.poll() is None
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert daemon.heard() == ["STOPPING=1"]


def test_a_server_that_hangs_does_not_keep_the_daemon_from_being_ready(daemon: Daemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        daemon.configure(f'url = "http://127.0.0.1:{deaf.getsockname()[1]}"')
        process = daemon.start()
        daemon.wait_for_systemd("READY=1")
        assert not any("cannot be reached" in line for line in daemon.lines())
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_a_reload_takes_over_all_settings_but_the_state_and_says_so(daemon: Daemon) -> None:
    process = daemon.start()
    daemon.wait_for_systemd("READY=1")
    wait_until(lambda: (daemon.folder / "state.db").exists() and daemon.status()["tail"]["failures"] > 1)
    before = daemon.status()["tail"]
    metrics, other = daemon.folder / "siplogs.prom", daemon.folder / "other.db"
    tail = f'[tail]\nlog_format = "json"\nlog_level = "warning"\nmetrics_file = "{metrics}"'
    daemon.configure('url = "https://127.0.0.1:1"\nverify = false', f'[delivery]\nstate = "{other}"\n{tail}')
    text = len(daemon.lines())
    process.send_signal(signal.SIGHUP)
    daemon.wait_for_systemd("RELOADING=1")
    daemon.wait_for_systemd("READY=1")
    wait_until(lambda: any("https" in line for line in daemon.lines()[text:]))
    wait_until(metrics.exists)
    lines = daemon.lines()
    news = [json.loads(line) for line in lines if line.startswith("{")]
    assert not any("{" in line for line in lines[:text])
    warnings = [line["message"] for line in news if line["log.level"] == "warning"]
    assert "elasticsearch.verify is off" in warnings[0]
    assert f"{other} is taken by a restart alone, {daemon.folder / 'state.db'} stays in use; restart" in warnings[1]
    assert {line["log.level"] for line in news} == {"warning", "error"}
    assert not other.exists()
    after = daemon.status()["tail"]
    assert after["started"] == before["started"]
    assert after["failures"] > before["failures"]
    assert not any("read again" in line for line in lines)  # the new level has it left out
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert "siplogs_working 0" in metrics.read_text()


def test_a_wrong_new_configuration_is_said_as_before_and_the_daemon_is_ready_again(daemon: Daemon) -> None:
    process = daemon.start("--log-format", "json")
    daemon.wait_for_systemd("READY=1")
    for wrong in ('urls = "x"', f'url = "{NOWHERE}"\nca_file = "/nonexistent"\nurl = 1', ""):
        daemon.configure(wrong)
        count = len(daemon.lines())
        process.send_signal(signal.SIGHUP)
        daemon.wait_for_systemd("RELOADING=1")
        daemon.wait_for_systemd("READY=1")
        wait_until(lambda count=count: any("stays in force" in line for line in daemon.lines()[count:]))  # type: ignore[misc]
    assert process.poll() is None
    assert all(json.loads(line)["message"] for line in daemon.lines())
    assert "no Elasticsearch address" in [line for line in daemon.lines() if "in force" in line][-1]


SECTION_TWICE = "[elasticsearch]", "[[elasticsearch]]"
FORESEEN = {
    "a-list-of-sections": (SECTION_TWICE, "siplogs.toml:2: elasticsearch is a section: write [elasticsearch] and"),
    "no-section": (("[elasticsearch]", "tail = 1\n[elasticsearch]"), "siplogs.toml:2: tail is a section: write [tail]"),
}


@pytest.mark.parametrize("case", FORESEEN)
def test_a_section_that_is_none_keeps_the_old_configuration(daemon: Daemon, case: str) -> None:
    process = daemon.start()
    daemon.wait_for_systemd("READY=1")
    (old, new), said = FORESEEN[case]
    daemon.configuration.write_text(daemon.configuration.read_text().replace(old, new, 1), encoding="utf-8")
    process.send_signal(signal.SIGHUP)
    daemon.wait_for_systemd("RELOADING=1")
    daemon.wait_for_systemd("READY=1")
    wait_until(lambda: any("the old one stays in force: " in line and said in line for line in daemon.lines()))
    process.terminate()
    assert process.wait(PATIENCE) == 0


def test_what_nobody_foresaw_in_a_new_configuration_keeps_the_old_one(daemon: Daemon) -> None:
    """A mistake of the program itself, put there by the test, as none is known."""
    broken = "from siplogs import config; from siplogs.cli import main, tail\n"
    broken += "load, calls = config.load, []\n"
    broken += (
        "def second(*a, **k):\n  calls.append(1)\n  if len(calls) > 1: [][len('two\\nlines')]\n  return load(*a, **k)\n"
    )
    broken += "config.load = second; main()"
    with daemon.said.open("ab") as said:
        command = [sys.executable, "-c", broken, "tail"]
        process = subprocess.Popen(command, stderr=said, env=daemon.settings(), start_new_session=True)
    daemon.processes.append(process)
    daemon.wait_for_systemd("READY=1")
    process.send_signal(signal.SIGHUP)
    daemon.wait_for_systemd("RELOADING=1")
    daemon.wait_for_systemd("READY=1")
    wait_until(lambda: any("stays in force: IndexError: list index out of range" in line for line in daemon.lines()))
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert "Traceback" not in "".join(daemon.lines())


def test_a_path_that_cannot_be_looked_at_stops_neither_the_start_nor_a_reload(daemon: Daemon) -> None:
    text = daemon.configuration.read_text().replace("paths = [", f'paths = ["{daemon.folder}/{"x" * 300}", ')
    daemon.configuration.write_text(text, encoding="utf-8")
    process = daemon.start()
    daemon.wait_for_systemd("READY=1")
    assert sum("file name too long" in line for line in daemon.lines()) == 1
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: any("read again" in line for line in daemon.lines()))
    assert daemon.status()["logs"][0]["path"] == str(daemon.log)
    process.terminate()
    assert process.wait(PATIENCE) == 0


def test_a_state_that_was_lost_ends_the_daemon_with_the_remedy(daemon: Daemon) -> None:
    process = daemon.start()
    daemon.wait_for_systemd("READY=1")
    process.terminate()
    assert process.wait(PATIENCE) == 0
    state = daemon.folder / "state.db"
    for lose, said in ((lambda: state.write_bytes(b""), "is empty"), (state.unlink, "is gone")):
        lose()
        daemon.said.unlink()
        daemon.heard()
        code, lines = daemon.ended()
        assert (code, len(lines)) == (2, 1)
        assert said in lines[0]
        assert "run siplogs ship --from-beginning" in lines[0]
        assert daemon.heard() == []
        assert siplogs("status", data=b"", **daemon.settings()).returncode == 2
