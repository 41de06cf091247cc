"""`siplogs tail` beside a real Asterisk under SIPp: what Elasticsearch has is what SIPp counted and the wire carried."""

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_live_asterisk import _on_the_wire
from test_live_crashes import sources
from test_live_tail import Rig, wait_until

from siplogs.model import Event
from tests.corpus.truth import seen_in_log
from tests.live.asterisk import Asterisk

RATE = 30
SECONDS = 120 if os.environ.get("SIPLOGS_TEST_FULL") else 15


@pytest.fixture
def rig(server: Any, blank: Any, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, blank.url)
    yield made
    made.end()


def copytruncate(asterisk: Asterisk) -> None:
    """As logrotate does it, but with Asterisk held meanwhile: what it wrote between copying and truncating is lost.

    It is held for so long that both sides send again what was not answered.
    """
    process = asterisk._process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    shutil.copy2(asterisk.log, asterisk.log.with_name("full.99"))
    os.truncate(asterisk.log, 0)
    time.sleep(1)
    process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(("version", "driver"), [("16", "chan_sip"), ("22", "pjsip")])
def test_calls_through_rotations_arrive_exactly_once(
    start_asterisk: Callable[..., Asterisk], rig: Rig, blank: Any, version: str, driver: str
) -> None:
    asterisk = start_asterisk(version, driver)
    text = rig.configuration.read_text().replace(f"{rig.folder}/full*", str(asterisk.log))
    rig.configuration.write_text(text, encoding="utf-8")
    daemon = rig.start("tail", "--from-beginning")
    wait_until(lambda: "following" in rig.log.read_text())
    counted: list[Counter[str]] = []

    def call() -> None:
        callers = asterisk.sipp("call", calls=SECONDS * RATE, rate=RATE)
        assert (callers.successful, callers.failed) == (SECONDS * RATE, 0)
        counted.append(callers.messages)

    with asterisk.capture(rig.folder / "calls.pcap"), asterisk.answering() as phones:
        calling = threading.Thread(target=call)
        calling.start()
        time.sleep(SECONDS / 3)
        asterisk.cli("logger rotate")
        time.sleep(SECONDS / 3)
        copytruncate(asterisk)
        calling.join()
    asterisk.stop()
    assert asterisk.log.with_name("full.0").exists()
    total = (counted[0] + phones).total()
    wire = Counter(_on_the_wire(rig.folder / "calls.pcap", asterisk.address))
    assert wire.total() == total
    query = {"term": {"siplogs.kind": "message"}}
    wait_until(lambda: blank.call("POST", "/siplogs-events-*/_count", {"query": query})["count"] >= total)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(5) == 0
    found = (msgspec.convert(source, Event) for source in sources(blank))
    assert Counter(seen_in_log(event) for event in found if event.siplogs.kind == "message") == wire
