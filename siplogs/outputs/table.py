"""One line an event for a terminal: when, which call, who to whom, what."""

from typing import Final

from siplogs.enrich.documents import who
from siplogs.model import Event
from siplogs.outputs.text import RESET, STYLES, clean, fitted

CALL_ID: Final = 16
PARTIES: Final = 27
_DIM: Final = "\x1b[2m"
_RED: Final = "\x1b[31m"


class TableRenderer:
    """Rows of `width` columns: time, Call-ID (its beginning, which `--call-id` takes), parties, request or response."""

    def __init__(self, *, color: bool, width: int) -> None:
        self._color = color
        self._rest = max(width - 24 - CALL_ID - PARTIES - 3, 24)

    def head(self) -> bytes:
        """Return the line of column names."""
        names = f"{'Time (UTC)':24} {'Call-ID':{CALL_ID}} {'From → to':{PARTIES}} What"
        return f"{_DIM}{names}{RESET}\n".encode() if self._color else f"{names}\n".encode()

    def event(self, event: Event) -> bytes:
        """Return the event's line, free of control characters."""
        sip, code = event.sip, event.siplogs.code
        call_id = clean(sip.call_id or "")[:CALL_ID] if sip is not None else ""
        parties = ""
        if sip is not None and (sip.from_ is not None or sip.to is not None):
            parties = f"{clean(who(sip.from_))} → {clean(who(sip.to))}"
        what = fitted(clean(_what(event)), self._rest).rstrip()
        if self._color:
            what = f"{_style(event, code)}{what}{RESET}"
        time = event.timestamp[:23].replace("T", " ")
        return f"{time:24} {call_id:{CALL_ID}} {fitted(parties, PARTIES)} {what}\n".encode()


def _style(event: Event, code: int | None) -> str:
    if code is not None:
        return STYLES[str(code)[0]] if event.siplogs.failure or code < 400 else _DIM
    return _RED if event.siplogs.failure else ""


def _what(event: Event) -> str:
    sip, ours = event.sip, event.siplogs
    if ours.kind != "message" or sip is None:
        return _line_text(event)
    arrow = "<" if event.network is not None and event.network.direction == "inbound" else ">"
    cut = " (cut)" if ours.truncated else ""
    if sip.method:
        return f"{arrow} {sip.method} {sip.uri.original if sip.uri else ''}{cut}"
    method = f" ({sip.cseq.method})" if sip.cseq is not None and sip.cseq.method else ""
    return f"{arrow} {sip.code or '?'} {sip.status or ''}{method}{cut}"


def _line_text(event: Event) -> str:
    details = event.siplogs.details or {}
    if "security_event" in details:
        user = event.user.name if event.user is not None and event.user.name else "nobody"
        origin = event.source.address if event.source is not None else "an unknown place"
        return f"! {details['security_event']}: {user} from {origin}"
    return f"! {event.message or ''}"
