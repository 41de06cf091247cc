"""Read in parts on several processes, a log gives the very bytes and counts that one process gives."""

from pathlib import Path

import pytest
from msgspec import structs

from siplogs import parallel
from siplogs.filters import Filter
from siplogs.packs import split_points
from siplogs.parallel import Job, Tally, read_all
from siplogs.pipeline import ReadOptions
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


def test_empty_list_of_sources() -> None:
    assert list(read_all([], Job(OPTIONS, Filter(), "ndjson"), 2)) == []


def test_a_log_that_vanishes_is_told(tmp_path: Path) -> None:
    path = tmp_path / "full"
    path.write_bytes(AFTER["asterisk"])
    source = Source.of(str(path))
    path.unlink()
    with pytest.raises(Exception, match="full"):
        list(read_all([source], Job(OPTIONS, Filter(), "ndjson"), 1))
