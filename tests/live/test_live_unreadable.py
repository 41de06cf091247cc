"""What a daemon and runs from cron must not read, or cannot: `siplogs status` and its metrics tell, with a real server."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_live_operations import told
from test_live_tail import PATIENCE, Rig, entry, stored, wait_until

from siplogs.outputs.elasticsearch import Document
from siplogs.shipping.dead_letters import DeadLetters, Refusal
from tests.cli.command import COMMAND

BOUND = [] if os.geteuid() else ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
"""Makes root a user whom permissions bind."""


@pytest.fixture
def rig(server: Any, blank: Any, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, blank.url)
    yield made
    for path in (tmp_path / "full", tmp_path / "full2"):
        if path.exists():
            path.chmod(0o644)
    made.end()


def test_a_log_that_must_not_be_read_for_long_is_told_by_status_and_metrics(rig: Rig, blank: Any) -> None:
    metrics, other = rig.folder / "siplogs.prom", rig.folder / "full_other"
    rig.configure(section=f'metrics_file = "{metrics}"')
    rig.append(0)
    other.write_bytes(entry(1))
    daemon = subprocess.Popen([*BOUND, *COMMAND, "tail", "--from-beginning"], env=rig.environment())
    rig.processes.append(daemon)  # type: ignore[arg-type]

    def series() -> dict[str, float]:
        found = re.findall(r"^siplogs_(\S+) (\S+)$", metrics.read_text(), re.MULTILINE) if metrics.exists() else []
        return {name: float(value) for name, value in found}

    def of(name: str, path: Path) -> float:
        return series().get(f'{name}{{path="{path}",family="{path}"}}', -1.0)

    wait_until(lambda: len(stored(blank)) == 2 and series().get("unreadable") == 0)
    with rig.live.open("ab") as file:
        rig.live.chmod(0)
        file.write(entry(2))
    wait_until(lambda: series().get("unreadable") == 1)
    with other.open("ab") as file:
        file.write(entry(3))
    wait_until(lambda: len(stored(blank)) == 3)
    code, found = told(rig, "status")
    assert (code, found["tail"]["failures"], found["failing"]) == (1, 0, False)
    assert found["trouble"].startswith(f"a log is not read: {rig.live}: permission denied")
    passed = found["tail"]["passed"]
    wait_until(lambda: of("log_lag_seconds", rig.live) > 2.0 and of("log_lag_seconds", other) == 0)
    assert (of("log_readable", rig.live), of("log_readable", other)) == (0, 1)
    assert series()["tail_pass_timestamp_seconds"] == pytest.approx(passed)
    rig.live.chmod(0o644)
    wait_until(lambda: told(rig, "status")[0] == 0 and series()["unreadable"] == 0)
    wait_until(lambda: len(stored(blank)) == 4)
    daemon.terminate()
    assert daemon.wait(PATIENCE) == 0


def test_runs_from_cron_that_must_not_read_a_log_are_told(rig: Rig, blank: Any) -> None:
    rig.append(0)
    assert rig.run("ship")[0] == 0
    rig.append(1)
    rig.live.chmod(0)
    for _ in range(2):
        done = subprocess.run([*BOUND, *COMMAND, "ship"], env=rig.environment(), capture_output=True, check=False)
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
        code, found = told(rig, "status")
        assert (code, found["tail"], [log["state"] for log in found["logs"]]) == (1, None, ["unreadable"])
        assert found["trouble"].startswith(f"a log is not read: {rig.live}: permission denied")
    rig.live.chmod(0o644)
    assert rig.run("ship")[0] == 0
    assert told(rig, "status")[0] == 0


def test_a_damaged_dead_letter_stays_and_does_not_hinder_the_others(rig: Rig, blank: Any) -> None:
    letters = DeadLetters(rig.folder / "state/dead-letters.ndjson")
    body = b'{"@timestamp": "2026-11-20T10:00:00Z"}'
    letters.keep([(Document("siplogs-events-2026.11", name, body), Refusal(400, "x", "y")) for name in ("a", "b", "c")])
    lines = letters.path.read_bytes().splitlines(keepends=True)
    letters.path.write_bytes(lines[0] + lines[1][9:] + lines[2])
    wrong = f"siplogs: {letters.path}:1: is no dead letter: mend or delete the line\n"
    assert rig.run("dead-letters", "send") == (2, wrong)
    assert {hit["_id"] for hit in hits(blank)} == {"a", "c"}
    assert letters.path.read_bytes() == lines[1][9:]
    assert rig.run("ship", "--dead-letters") == (2, wrong)
    letters.path.write_bytes(lines[1])
    assert rig.run("ship", "--dead-letters") == (0, "")
    assert {hit["_id"] for hit in hits(blank)} == {"a", "b", "c"}
    assert (letters.waiting(), letters.where()) == (0, str(letters.path))


def hits(node: Any) -> list[dict[str, Any]]:
    node.call("POST", "/siplogs-events-*/_refresh")
    found: list[dict[str, Any]] = node.call("GET", "/siplogs-events-*/_search")["hits"]["hits"]
    return found
