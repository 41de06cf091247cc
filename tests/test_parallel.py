"""Read in parts on several processes, a log gives the very bytes and counts that one process gives."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from siplogs import parallel
from siplogs.errors import FilterError, SiplogsError, SourceError
from siplogs.filters import Filter
from siplogs.packs import split_points
from siplogs.parallel import Chunk, Job, Output, Tally, read_all
from siplogs.pipeline import Part, ReadOptions
from siplogs.sources import Source
from tests.packs.recorded import recorded, shipped
from tests.packs.writers import AFTER, BEFORE, message, pjsip

OPTIONS = ReadOptions(timezone="UTC", host="pbx")
LOGS = [
    "asterisk/asterisk22-pjsip-raw.log",
    "asterisk/asterisk22-pjsip-queuelimit.log",
    "asterisk/asterisk16-chan_sip-raw.log",
    "asterisk/asterisk16-chan_sip-long.log",
    "freeswitch/freeswitch-1.10-siptrace-dialog.log",
    "freeswitch/freeswitch-1.10-siptrace-midnight.log",
    "freeswitch/freeswitch-1.10.6-siptrace-nocpu.log",
    "freeswitch/freeswitch-oldtrace-siptrace.log",
]


def result(path: Path, jobs: int, form: str = "ndjson", wanted: Filter | None = None) -> tuple[bytes, Tally]:
    job = Job(OPTIONS, wanted or Filter(), form)
    tally, pieces = Tally(), []
    for chunk in read_all([Source.of(str(path))], job, jobs):
        pieces.append(chunk.data)
        if chunk.tally is not None:
            tally.add(chunk.tally)
    return b"".join(pieces), tally


def comparable(data: bytes) -> list[bytes]:
    """Lines without the moment of reading."""
    return [line.partition(b'"created":"')[0] + line.partition(b'"created":"')[2][24:] for line in data.splitlines()]


def same(path: Path, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    size = path.stat().st_size
    one, counted = result(path, 1)
    monkeypatch.setattr(parallel, "PART", max(1, size // parts))
    monkeypatch.setattr(parallel, "WORTH_SPLITTING", 1)
    several, counted_in_parts = result(path, 2)
    assert comparable(several) == comparable(one)
    for name in ("events", "matched", "messages", "responses", "lines_with_code"):
        assert getattr(counted_in_parts, name) == getattr(counted, name), name
    assert structs.asdict(counted_in_parts.accounting) == structs.asdict(counted.accounting)
    assert counted.accounting.read == size


@pytest.mark.parametrize("parts", [3, 11])
@pytest.mark.parametrize("name", LOGS)
def test_parts_give_the_bytes_of_the_whole(
    name: str, parts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "full"
    path.write_bytes(recorded(name))
    same(path, parts, monkeypatch)


def test_a_part_that_would_begin_inside_a_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body full of what looks like entries: a cut falls there, and the next part is read again from its real start."""
    body = b"".join(AFTER["asterisk"].replace(b"after", b"forged%d" % number) for number in range(300)).replace(
        b"\n", b"\r\n"
    )
    log = (
        BEFORE["asterisk"] * 50
        + pjsip(message(body + b'Authorization: Digest response="5ecre7f00d"'))
        + AFTER["asterisk"] * 50
    )
    points = list(split_points(log, shipped()["asterisk-pjsip"]))
    assert len(points) > 300
    path = tmp_path / "full"
    path.write_bytes(log)
    same(path, 5, monkeypatch)
    several, tally = result(path, 2)
    assert tally.events == 101
    assert b"5ecre7" not in several


def test_filters_count_what_they_let_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "PART", 50_000)
    monkeypatch.setattr(parallel, "WORTH_SPLITTING", 1)
    path = tmp_path / "full"
    path.write_bytes(recorded(LOGS[0]))
    everything = result(path, 2)[1]
    data, tally = result(path, 2, wanted=Filter(codes=("4xx",)))
    assert tally.events == everything.events
    assert 0 < tally.matched == data.count(b"\n") < tally.events
    assert {code for code, *_ in tally.responses} | {code for code, *_ in tally.lines_with_code} <= set(range(400, 500))


def in_parts(path: Path, name: str, parts: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chunk]:
    """Read a recorded log on two processes, whatever its size."""
    path.write_bytes(recorded(name))
    monkeypatch.setattr(parallel, "PART", path.stat().st_size // parts)
    monkeypatch.setattr(parallel, "WORTH_SPLITTING", 1)
    return read_all([Source.of(str(path))], Job(OPTIONS, Filter(), "ndjson"), 2)


@pytest.mark.parametrize("number", [0, 3])
def test_a_process_that_is_killed_is_told(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does when memory runs out; the other process must not wait for ever, either."""
    whole = parallel._work

    def killed(part: Part, job: Job) -> Chunk:
        if part.start == starts[number]:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(part, job)

    chunks = in_parts(tmp_path / "full", LOGS[0], 6, monkeypatch)
    source = Source.of(str(tmp_path / "full"))
    starts = [part.start for part in parallel._parts(source, OPTIONS)]
    monkeypatch.setattr(parallel, "_work", killed)
    with pytest.raises(
        SourceError, match=r"full: a reading process ended \(signal 9: out of memory\?\): the output is not"
    ):
        list(chunks)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (FilterError("--match 'x': took over 1 s"), "^--match 'x': took over 1 s$"),
        (
            MemoryError("no more"),
            r"full: a reading process failed \(MemoryError: no more\): the output is not whole; try",
        ),
        (OSError(5, "Input/output error"), r"a reading process failed \(OSError: .*Input/output error"),
    ],
)
def test_what_a_process_raises_is_told(
    raised: Exception, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = parallel._work

    def fails(part: Part, job: Job) -> Chunk:
        if part.start:
            raise raised
        return whole(part, job)

    chunks = in_parts(tmp_path / "full", LOGS[0], 6, monkeypatch)
    monkeypatch.setattr(parallel, "_work", fails)
    assert b'"received"' in next(chunks).data
    with pytest.raises(SiplogsError, match=said):
        list(chunks)


def test_a_full_disk_is_told_by_whichever_process_meets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(in_parts(tmp_path / "full", LOGS[0], 6, monkeypatch))
    with Path("/dev/full").open("wb") as full:
        chunks = read_all(
            [Source.of(str(tmp_path / "full"))], Job(OPTIONS, Filter(), "ndjson"), 2, out=Output(full.fileno())
        )
        with pytest.raises(SiplogsError, match=r"cannot write the output \(no space left on device\)"):
            list(chunks)


def test_a_reader_that_left_is_no_trouble_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(in_parts(tmp_path / "full", LOGS[0], 6, monkeypatch))
    reading, writing = os.pipe()
    os.close(reading)
    job = Job(OPTIONS, Filter(), "ndjson")
    with pytest.raises(BrokenPipeError):
        list(read_all([Source.of(str(tmp_path / "full"))], job, 2, out=Output(writing)))
    os.close(writing)


def test_failures_are_counted_by_what_the_event_tells(tmp_path: Path) -> None:
    """A 401 is none, unless the line says that the registration failed with it."""
    path = tmp_path / "full"
    path.write_bytes(
        pjsip(message(start=b"SIP/2.0 401 Unauthorized")).replace(b"CSeq: 1 MESSAGE", b"CSeq: 1 OPTIONS")
        + b"[Nov 21 02:22:44] NOTICE[1] chan_sip.c: Failed to authenticate on REGISTER to 'a@p' (Tries 2)\n"
    )
    _, tally = result(path, 1)
    ((code, _, _, _, failed),) = tally.responses
    assert (code, failed) == (401, False)
    ((code, method, _, _, failed),) = tally.lines_with_code
    assert (code, method, failed) == (401, "REGISTER", True)


def test_empty_list_of_sources() -> None:
    assert list(read_all([], Job(OPTIONS, Filter(), "ndjson"), 2)) == []


def test_a_log_that_vanishes_is_told(tmp_path: Path) -> None:
    path = tmp_path / "full"
    path.write_bytes(AFTER["asterisk"])
    source = Source.of(str(path))
    path.unlink()
    with pytest.raises(Exception, match="full"):
        list(read_all([source], Job(OPTIONS, Filter(), "ndjson"), 1))
