"""`siplogs ship` killed hundreds of times, and Elasticsearch killed under it: in the end each event once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_live_tail import Rig, wait_until

from siplogs.config import ElasticsearchSettings
from siplogs.outputs.elasticsearch import connect
from siplogs.shipping import templates
from tests.conftest import REPOSITORY, START, VERSION, Node, _free_port, missing

EVENTS = 100_000
KILLS = 200


def stored(node: Any) -> list[str]:
    """Every `_id`; none while an index, or the whole server, is not there yet."""
    try:
        return [hit["_id"] for hit in hits(node, source=False)]
    except OSError:
        return []


def sources(node: Any) -> Iterator[Any]:
    """Every document."""
    return (hit["_source"] for hit in hits(node, source=True))


def hits(node: Any, *, source: bool) -> Iterator[Any]:
    """What there is, by scrolling: it is more than one search gives."""
    node.call("POST", "/siplogs-events-*/_refresh")
    query = {"size": 2_000 if source else 10_000, "_source": source, "sort": ["_doc"]}
    page = node.call("POST", "/siplogs-events-*/_search?scroll=1m", query)
    while page["hits"]["hits"]:
        yield from page["hits"]["hits"]
        page = node.call("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})


@pytest.fixture
def rig(server: Any, blank: Any, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, blank.url)
    yield made
    made.end()


def test_killed_two_hundred_times_in_one_shipment(rig: Rig, blank: Any) -> None:
    rig.configure(section="[delivery]\nbatch_documents = 250")
    command = [sys.executable, "-m", "tests.live.crash_loop", str(rig.folder), str(EVENTS), str(KILLS), "20261121"]
    done = subprocess.run(
        command, env=rig.environment(), cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert done.stderr == ""
    assert told["codes"] == [0]
    assert told["killed"] >= KILLS
    assert told["rotations"] >= KILLS // 10
    for path in rig.folder.glob("full*"):
        rig.expect(path)
    found = stored(blank)
    assert len(found) == len(set(found)) == len(rig.expected) == EVENTS
    assert set(found) == rig.expected


class Mortal:
    """An Elasticsearch of the test's own, that may be killed."""

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        self.run = folder / "elasticsearch"
        self.node = Node(f"http://127.0.0.1:{self.port}")
        self.environment = os.environ | {
            "ES_VERSION": VERSION,
            "ES_PORT": str(self.port),
            "ES_RUN": str(self.run),
            "ES_OWNER": "",
        }

    def start(self) -> None:
        done = subprocess.run([START], env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            missing(f"Elasticsearch {VERSION} does not start: {done.stderr.strip()[-500:]}")

    def kill(self) -> None:
        pid = int((self.run / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
            time.sleep(0.05)
        (self.run / "pid").unlink(missing_ok=True)
        for lock in (self.run / "data").glob("**/node.lock"):
            lock.unlink()


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    folder = Path(tempfile.mkdtemp(prefix="siplogs-"))
    folder.chmod(0o755)
    made = Mortal(folder)
    made.start()
    yield made
    if (made.run / "pid").exists():
        made.kill()
    shutil.rmtree(folder, ignore_errors=True)


def test_elasticsearch_killed_and_started_again(mortal: Mortal, tmp_path: Path) -> None:
    server = connect(ElasticsearchSettings(url=[mortal.node.url], replicas=0))
    for _ in templates.install(server):
        pass
    rig = Rig(tmp_path, mortal.node.url)
    rig.configure(section="[delivery]\nbatch_documents = 200")
    try:
        daemon = rig.start("tail", "--from-beginning")
        rig.append(*range(3000))
        wait_until(lambda: bool(stored(mortal.node)))
        mortal.kill()
        rig.append(*range(3000, 3200))
        wait_until(lambda: " error " in rig.log.read_text())
        mortal.start()
        rig.expect(rig.live)
        wait_until(lambda: set(stored(mortal.node)) == rig.expected)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(10) == 0
        found = stored(mortal.node)
        assert len(found) == len(rig.expected) == 3200
    finally:
        rig.end()
