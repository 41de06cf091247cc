"""The file of refused documents: durable, private, sent again completely, safe between processes."""

import fcntl
import json
import multiprocessing
import os
import resource
import signal
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siplogs.errors import DeliveryError
from siplogs.outputs.elasticsearch import Document
from siplogs.shipping.dead_letters import DeadLetters, Refusal

WHY = Refusal(400, "document_parsing_exception", "failed to parse field [@timestamp]")


def document(name: str, body: object = "x") -> Document:
    return Document("siplogs-events-2026.11", name, msgspec.json.encode({"body": body}))


def kept(letters: DeadLetters) -> list[Document]:
    return [one for documents in letters.batches() for one in documents]


@pytest.fixture
def letters(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "state" / "dead.ndjson")


def test_a_line_says_what_why_and_when(letters: DeadLetters) -> None:
    before = datetime.now(UTC)
    letters.keep([(document("a"), WHY), (document("b"), WHY)])
    after = datetime.now(UTC)
    lines = [json.loads(line) for line in letters.path.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == ["a", "b"]
    assert lines[0]["index"] == "siplogs-events-2026.11"
    assert lines[0]["error"] == {"status": 400, "type": WHY.type, "reason": WHY.reason}
    assert lines[0]["document"] == {"body": "x"}
    for line in lines:
        assert line["time"].endswith("Z")
        assert before - timedelta(milliseconds=1) < datetime.fromisoformat(line["time"]) <= after
    assert stat.S_IMODE(letters.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(letters.path.parent.stat().st_mode) == 0o700


@given(
    bodies=st.lists(st.recursive(st.text() | st.integers(0, 9), lambda inner: st.lists(inner, max_size=3)), max_size=5)
)
def test_what_was_kept_comes_back_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, bodies: list[object]) -> None:
    letters = DeadLetters(tmp_path_factory.mktemp("letters") / "dead.ndjson")
    documents = [document(str(number), body) for number, body in enumerate(bodies)]
    for one in documents:
        letters.keep([(one, WHY)])
    assert kept(letters) == documents
    assert kept(letters) == []


def test_a_set_that_failed_is_sent_again_before_the_next(letters: DeadLetters) -> None:
    letters.keep([(document("a"), WHY)])
    failed = letters.batches()
    assert [one.id for one in next(failed)] == ["a"]
    failed.close()  # type: ignore[attr-defined]
    letters.keep([(document("b"), WHY)])
    assert [[one.id for one in documents] for documents in letters.batches()] == [["a"], ["b"]]
    assert kept(letters) == []


def test_what_is_refused_again_stays(letters: DeadLetters) -> None:
    letters.keep([(document("a"), WHY), (document("b"), WHY)])
    for documents in letters.batches():
        for one in list(documents)[1:]:
            letters.keep([(one, WHY)])
    assert [one.id for one in kept(letters)] == ["b"]


def test_nothing_kept_is_nothing_to_send(letters: DeadLetters) -> None:
    assert kept(letters) == []
    letters.path.parent.mkdir()
    assert kept(letters) == []


def test_a_line_cut_by_a_crash_is_dropped_and_one_without_line_end_is_not(letters: DeadLetters) -> None:
    letters.keep([(document("a"), WHY)])
    whole = letters.path.read_bytes()
    letters.path.write_bytes(whole + whole[:30])
    letters.keep([(document("b"), WHY)])
    assert [one.id for one in kept(letters)] == ["a", "b"]
    letters.path.write_bytes(whole.rstrip(b"\n"))
    letters.keep([(document("c"), WHY)])
    assert [one.id for one in kept(letters)] == ["a", "c"]
    letters.path.write_bytes(whole + whole[:30])
    assert [one.id for one in kept(letters)] == ["a"]


def test_a_foreign_line_is_named_and_stays_while_the_others_are_sent(letters: DeadLetters) -> None:
    letters.keep([(document("a"), WHY), (document("b"), WHY)])
    first, second = letters.path.read_bytes().splitlines(keepends=True)
    damaged = second.replace(b'"id"', b'"i\xff"')
    letters.path.write_bytes(first + damaged + b"\n")
    letters.keep([(document("c"), WHY)])
    told = [f"{letters.path}:2: is no dead letter: mend or delete the line"]
    assert (list(letters.damaged()), [one.id for one in letters.letters()]) == (told, ["a", "c"])
    failed = letters.batches()
    assert [one.id for one in next(failed)] == ["a", "c"]
    failed.close()  # type: ignore[attr-defined]
    taken = f"{letters.path}.sending"
    assert (letters.where(), list(letters.damaged())) == (taken, [told[0].replace(str(letters.path), taken)])
    letters.keep([(document("d"), WHY)])
    assert letters.where() == f"{taken} and {letters.path}"
    assert [[one.id for one in documents] for documents in letters.batches()] == [["a", "c"], ["d"]]
    assert letters.path.read_bytes() == damaged
    assert (letters.where(), letters.waiting()) == (str(letters.path), 1)
    assert kept(letters) == []
    assert letters.path.read_bytes() == damaged
    letters.path.write_bytes(second)
    assert [one.id for one in kept(letters)] == ["b"]
    assert list(letters.damaged()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(DeliveryError, match=r"cannot keep 1 refused documents in .*delivery\.dead_letters"):
        DeadLetters(blocked / "dead.ndjson").keep([(document("a"), WHY)])


def test_a_dead_letter_for_which_there_is_no_room_leaves_nothing_behind(letters: DeadLetters) -> None:
    letters.keep([(document("first"), WHY)])
    size = letters.path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
    try:
        with pytest.raises(DeliveryError, match="make room"):
            letters.keep([(document("second"), WHY)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert letters.path.stat().st_size == size
    letters.keep([(document("third"), WHY)])
    assert [one.id for one in kept(letters)] == ["first", "third"]


def test_two_processes_do_not_send_at_once(letters: DeadLetters) -> None:
    letters.keep([(document("a"), WHY)])
    other = os.open(letters.path.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(DeliveryError, match="another siplogs is sending it"):
        kept(letters)
    os.close(other)
    assert [one.id for one in kept(letters)] == ["a"]


def test_writers_and_a_sender_at_once_lose_nothing(letters: DeadLetters) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(letters, name)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    found: list[str] = []
    while any(writer.is_alive() for writer in writers):
        found += [one.id for one in kept(letters)]
    found += [one.id for one in kept(letters)]
    assert sorted(found) == sorted(f"{name}{number}" for name in ("a", "b") for number in range(100))


def _write(letters: DeadLetters, name: str) -> None:
    for number in range(100):
        letters.keep([(document(f"{name}{number}"), WHY)])


def test_letters_are_counted_and_told_while_they_wait_and_while_they_are_sent(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "letters.ndjson")
    assert (letters.waiting(), list(letters.letters())) == (0, [])
    refusal = Refusal(400, "mapping", "no")
    for number in range(3):
        letters.keep([(Document("index", f"id{number}", b"{}"), refusal)])
        assert letters.waiting() == number + 1
    for batch in letters.batches():
        assert letters.waiting() == 3
        letters.keep([(one, refusal) for one in batch])
        assert letters.waiting() == 6
    assert letters.waiting() == 3
    assert [(one.id, one.error) for one in letters.letters()] == [(f"id{number}", refusal) for number in range(3)]
