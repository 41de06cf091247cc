"""The documents of small recorded logs, word for word.

`golden/NAME.expected.ndjson` is rewritten only by `python -m tests.corpus.test_golden` and reviewed as a diff.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from siplogs.model import Event
from siplogs.pipeline import Part, Reading, ReadOptions
from siplogs.sources import Source

GOLDEN = Path(__file__).parent / "golden"
LOGS = sorted(GOLDEN.glob("*.log"))
RECORDED = 1_795_240_000.0


def documents(log: Path) -> Iterator[bytes]:
    source = replace(Source.of(str(log)), modified=RECORDED)
    encode = msgspec.json.Encoder().encode
    for event in Reading(Part(source), ReadOptions(timezone="UTC", host="pbx.example.com")):
        yield encode(_lasting(event, log.name))


def _lasting(event: Event, name: str) -> Event:
    """Take out what differs from run to run: when it was read, by which version, and from which folder."""
    assert event.log is not None
    assert event.log.file is not None
    event.event.created = None
    event.agent = None
    event.log = replace(event.log, file=replace(event.log.file, path=name))
    return event


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_documents_are_as_reviewed(log: Path) -> None:
    expected = log.with_suffix(".expected.ndjson").read_bytes().splitlines()

    found = list(documents(log))

    assert len(found) == len(expected) > 4
    for mine, theirs in zip(found, expected, strict=True):
        assert msgspec.json.decode(mine) == msgspec.json.decode(theirs)


if __name__ == "__main__":
    for path in LOGS:
        path.with_suffix(".expected.ndjson").write_bytes(b"".join(line + b"\n" for line in documents(path)))
