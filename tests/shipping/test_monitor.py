"""Who reads the file of metrics, at any moment, reads all of it: it is replaced, never written."""

import threading
from pathlib import Path

import pytest

from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.monitor import Monitor
from siplogs.shipping.state import State

REPLACED = 300


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    return tmp_path / "textfile" / "siplogs.prom"


def monitor(state: State, metrics: Path) -> Monitor:
    metrics.parent.mkdir(exist_ok=True)
    return Monitor(state, DeadLetters(metrics.parent.parent / "dead.ndjson"), str(metrics), pytest.fail)


def test_who_holds_the_old_metrics_open_reads_them_to_their_end(tmp_path: Path, metrics: Path) -> None:
    with State(tmp_path / "state.db", purpose="siplogs tail") as state:
        told = monitor(state, metrics)
        told.passed(1.0, "", ())
        with metrics.open(encoding="utf-8") as held:
            before = held.read()
            state.save([], {"created": 7})
            told.settled(7)
            told.passed(2.0, "", ())
            held.seek(0)
            assert held.read() == before
        assert 'siplogs_events_total{result="created"} 7\n' in metrics.read_text()
        assert [file.name for file in metrics.parent.iterdir()] == [metrics.name]


def test_a_pass_that_brought_nothing_writes_nothing(tmp_path: Path, metrics: Path) -> None:
    """In the folder of a log it would be news, and the reason for the next pass."""
    with State(tmp_path / "state.db", purpose="siplogs tail") as state:
        told = monitor(state, metrics)
        told.passed(1.0, "", ())
        before = metrics.stat().st_ino
        told.passed(2.0, "", ())
        assert metrics.stat().st_ino == before
        told.settled(1)
        told.passed(3.0, "", ())
        assert metrics.stat().st_ino != before


def test_no_reader_ever_finds_half_of_the_metrics_or_none(tmp_path: Path, metrics: Path) -> None:
    readings: list[str] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            try:
                readings.append(metrics.read_text(encoding="utf-8"))
            except OSError as error:
                readings.append(str(error))

    with State(tmp_path / "state.db", purpose="siplogs tail") as state:
        told = monitor(state, metrics)
        told.passed(1.0, "", ())
        whole = metrics.read_text(encoding="utf-8")
        reader = threading.Thread(target=read)
        reader.start()
        try:
            for _ in range(REPLACED):
                told.settled(1)
                told.passed(1.0, "", ())
        finally:
            ended.set()
            reader.join()
    assert len(readings) > 1
    assert {names(text) for text in readings} == {names(whole)}
    assert whole.endswith("\n")


def names(text: str) -> tuple[str, ...]:
    """What a text of metrics tells of, line by line, without the numbers; its last line has an end."""
    return tuple(line.rpartition(" ")[0] for line in text.split("\n"))
