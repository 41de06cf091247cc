"""Comma-separated values for spreadsheets: RFC 4180, and no cell that a spreadsheet would run as a formula."""

import csv
import io
from typing import Final

from siplogs.enrich.documents import who
from siplogs.model import Endpoint, Event
from siplogs.outputs.text import clean

COLUMNS: Final = (
    "time", "kind", "call_id", "from", "to", "method", "code", "phrase", "source", "destination", "transport",
    "failure", "meaning", "first_fix", "message", "file", "offset",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # full-width ones: OWASP, CSV Injection


class CsvRenderer:
    """Rows in the order of COLUMNS; the header line is `head()`."""

    def __init__(self) -> None:
        self._buffer = io.StringIO()
        self._writer = csv.writer(self._buffer, lineterminator="\r\n")

    def head(self) -> bytes:
        """Return the line of column names."""
        return self._row(COLUMNS)

    def event(self, event: Event) -> bytes:
        """Return the event's row; control characters are taken out, formulas get an apostrophe in front."""
        sip, ours = event.sip, event.siplogs
        reason = ours.reason
        return self._row(
            (
                event.timestamp,
                ours.kind,
                sip.call_id if sip else "",
                who(sip.from_) if sip and sip.from_ else "",
                who(sip.to) if sip and sip.to else "",
                (event.event.action or "sip-")[4:].upper(),
                str(ours.code or ""),
                event.event.reason,
                _address(event.source),
                _address(event.destination),
                ours.transport,
                "yes" if ours.failure else "",
                reason.meaning if reason else "",
                reason.fixes[0] if reason and reason.fixes else "",
                event.message,
                event.log.file.path if event.log and event.log.file else "",
                str(event.event.sequence),
            )
        )

    def _row(self, cells: tuple[str | None, ...]) -> bytes:
        self._buffer.seek(0)
        self._buffer.truncate()
        self._writer.writerow([guarded(clean(cell or "")) for cell in cells])
        return self._buffer.getvalue().encode()


def guarded(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would take for a formula."""
    return "'" + cell if cell.startswith(_FORMULA) else cell


def _address(end: Endpoint | None) -> str:
    if end is None or end.address is None:
        return ""
    host = f"[{end.address}]" if ":" in end.address else end.address
    return f"{host}:{end.port}" if end.port else host
