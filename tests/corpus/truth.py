"""Compares what siplogs finds in a recorded log with what tshark saw in the capture of the same run."""

import json
import lzma
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from siplogs.model import Endpoint, Event
from siplogs.pipeline import Part, Reading, ReadOptions
from siplogs.sources import Source

CORPUS = Path(__file__).parent


class Seen(NamedTuple):
    """What both sides say of one message; the time stands apart, as logs are coarser."""

    direction: str
    what: str
    call_id: str
    cseq: str
    peer: str


class Comparison(NamedTuple):
    """Messages that only one side has, and the largest difference in time of the others, in seconds."""

    matched: int
    missing: list[Seen]
    invented: list[Seen]
    latest: float


def compare(log: Path, options: ReadOptions | None = None) -> Comparison:
    """Match the messages of a log with its truth file as multisets, each in order of time."""
    truth: dict[Seen, list[float]] = defaultdict(list)
    for row in rows(log.with_name(log.name.replace(".log.xz", ".truth.ndjson.xz"))):
        truth[seen_in_capture(row)].append(row["time"])
    found: dict[Seen, list[float]] = defaultdict(list)
    for event in messages(log, options):
        found[seen_in_log(event)].append(datetime.fromisoformat(event.timestamp).timestamp())
    missing = [seen for seen in truth for _ in truth[seen][len(found.get(seen, ())) :]]
    invented = [seen for seen in found for _ in found[seen][len(truth.get(seen, ())) :]]
    differences = [
        abs(mine - theirs)
        for seen in truth
        if len(truth[seen]) == len(found.get(seen, ()))
        for mine, theirs in zip(sorted(found[seen]), sorted(truth[seen]), strict=True)
    ]
    return Comparison(sum(map(len, found.values())) - len(invented), missing, invented, max(differences, default=0.0))


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("logged", True):
                yield row


def messages(log: Path, options: ReadOptions | None = None) -> Iterator[Event]:
    reading = Reading(Part(Source.of(str(log))), options or ReadOptions(timezone="UTC"))
    yield from (event for event in reading if event.siplogs.kind == "message")
    accounting = reading.accounting
    assert accounting.read == accounting.in_records + accounting.skipped


def seen_in_capture(row: dict[str, Any]) -> Seen:
    inbound = row.get("direction", row.get("dir")) in ("in", "recv")
    code = row["code"]
    return Seen(
        "in" if inbound else "out",
        str(code) if code is not None else (row["method"] or "").upper(),
        normal(row["call_id"]),
        normal_cseq(row["cseq"]),
        row["src"] if inbound else row["dst"],
    )


def seen_in_log(event: Event) -> Seen:
    assert event.sip is not None
    assert event.network is not None
    inbound = event.network.direction == "inbound"
    cseq = event.sip.cseq
    return Seen(
        "in" if inbound else "out",
        event.sip.code or event.sip.method or "",
        normal(event.sip.call_id),
        normal_cseq(f"{cseq.code or ''} {cseq.method or ''}" if cseq is not None else ""),
        address(event.source if inbound else event.destination),
    )


def normal(call_id: str | None) -> str:
    """chan_sip logs runs of blanks as one."""
    return " ".join((call_id or "").split())


def normal_cseq(cseq: str | None) -> str:
    """tshark shows what stands there; siplogs shows a number only when it is one that RFC 3261 allows."""
    words = (cseq or "").upper().split()
    number = words[0] if len(words) > 1 and words[0].isdigit() and int(words[0]) < 2**31 else ""
    return f"{number} {words[-1]}".strip() if words else ""


def address(end: Endpoint | None) -> str:
    if end is None:
        return ""
    host = f"[{end.address}]" if ":" in (end.address or "") else end.address
    return f"{host}:{end.port}" if end.port else f"{host}"
