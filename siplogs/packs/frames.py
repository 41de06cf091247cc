"""Where a record ends: by byte count, by terminator or with its line, and what of a cut record can be saved.

Every framer is a plain function over a buffer. It returns a `Frame`, or None when more of the log must be read before
the end can be known; with `final` it always returns a Frame. The SIP message's own length wins over what its body
looks like: text inside a body never ends a record, nor begins one.
"""

import re
from typing import Any, Final, NamedTuple

from siplogs.packs.indented import indented_lines
from siplogs.packs.pack import Rule

LOOKAHEAD: Final = 256
STRIPPED_AT_MOST: Final = 64
SEARCHED: Final = 262_144

_NEWLINE: Final = 10

_LENGTH: Final = re.compile(rb"\n(?:Content-Length|l)[ \t]*:[ \t]*(\d{1,9})[ \t]*\r?\n", re.IGNORECASE)


class Frame(NamedTuple):
    """The end of a record and its payload, as positions in the buffer; `damage` is "" for a whole one.

    A record that other lines interrupt has its payload in `text`, and the places of those lines in `holes`. Where the
    message's own length and the log disagree, what stands before `doubtful` could be text of its body.
    """

    end: int
    payload_start: int
    payload_end: int
    damage: str = ""
    text: bytes | None = None
    holes: tuple[tuple[int, int], ...] = ()
    doubtful: int = 0


class Window:
    """What a framer sees: the buffer, where the record's entry starts, and whether no more bytes will come."""

    __slots__ = ("data", "entry", "final", "largest")

    def __init__(self, data: bytes, entry: int, final: bool, largest: int) -> None:
        self.data = data
        self.entry = entry
        self.final = final
        self.largest = largest


def frame_record(rule: Rule, window: Window, match: Any) -> Frame | None:
    """Find where the record ends whose marker `match` found; None: read on first."""
    frame = _framed(rule, window, match)
    length = len(window.data)
    if frame is not None and frame.end > length:
        return Frame(length, min(frame.payload_start, length), min(frame.payload_end, length), "cut")
    return frame


def _framed(rule: Rule, window: Window, match: Any) -> Frame | None:
    by = rule.data.frame.by
    if by == "bytes":
        if rule.data.frame.newlines == "wire":
            return _by_wire_bytes(rule, window, match)
        return _by_stripped_bytes(rule, window, match)
    if by == "terminator":
        return _by_terminator(rule, window, match.end())
    if by == "indented":
        return indented_frame(window, match)
    return _by_line(window, match.end())


def indented_frame(window: Window, match: Any) -> Frame | None:
    """FreeSWITCH's old tracer: indented lines between two rules, with anybody's lines in between."""
    found = indented_lines(window.data, match.end(), int(match["bytes"]))
    if found.open and not window.final and len(window.data) < match.end() + SEARCHED:
        return None
    start = match.end()
    return Frame(found.end, start, start, found.damage, found.text, found.holes)


def _by_line(window: Window, text_end: int) -> Frame:
    newline = window.data.find(b"\n", text_end)
    end = len(window.data) if newline < 0 else newline + 1
    return Frame(end, end, end)


def _short_of(window: Window, position: int) -> bool:
    return not window.final and len(window.data) < position + LOOKAHEAD


def _entry_at(rule: Rule, data: bytes, position: int) -> bool:
    return position >= len(data) or rule.prefix.start.match(data, position) is not None


def whole_frame(rule: Rule, data: bytes, entry: int, match: Any, largest: int) -> Frame | None:
    """Frame a message that PJSIP counted where an entry follows it, as it nearly always does; None: look closer."""
    start, size = match.end(), int(match["bytes"])
    end = start + size
    if size <= largest and end + LOOKAHEAD < len(data) and end < entry + rule.prefix.cut and data[end] == _NEWLINE:
        return Frame(end + 1, start, end) if rule.prefix.start.match(data, end + 1) else None
    return None


def _by_wire_bytes(rule: Rule, window: Window, match: Any) -> Frame | None:
    """PJSIP's logger: the message is exactly as many bytes as the marker says, then one line feed."""
    data, start, size = window.data, match.end(), int(match["bytes"])
    end, cut = start + size, window.entry + rule.prefix.cut
    if size > window.largest:
        return _salvage(rule, window, start, start, "too-large")
    if _short_of(window, end):
        return None
    if rule.prefix.cut and end > cut and rule.prefix.start.match(data, cut):
        return Frame(cut, start, cut, "cut-entry")
    if data[end : end + 1] == b"\n" and (_entry_at(rule, data, end + 1) or rule.data.bare):
        return Frame(end + 1, start, end)
    return _counted_without_returns(rule, data, start, size) or _salvage(rule, window, start, end, "altered")


def _counted_without_returns(rule: Rule, data: bytes, start: int, size: int) -> Frame | None:
    end = stripped_end(data, start, size)
    if end < len(data) and data[end : end + 1] == b"\n" and _entry_at(rule, data, end + 1):
        return Frame(end + 1, start, end)
    return None


def stripped_end(data: bytes, start: int, size: int) -> int:
    """Return where `size` wire bytes end in text that lost its CRs: each line feed counts two bytes."""
    end = start + size - data.count(b"\n", start, start + size)
    missing = size - (end - start) - data.count(b"\n", start, end)
    while missing > 1:
        grown = end + (missing + 1) // 2
        missing -= (grown - end) + data.count(b"\n", end, grown)
        end = grown
    return end + 1 if missing == 1 and data[end : end + 1] != b"\n" else end


def _by_stripped_bytes(rule: Rule, window: Window, match: Any) -> Frame | None:
    """FreeSWITCH's siptrace: the count is the wire's, the text lost its CRs and is closed by at most one newline."""
    data, start, size = window.data, match.end(), int(match["bytes"])
    cut = window.entry + rule.data.frame.cut
    if rule.data.frame.cut and start + size > cut and cut <= len(data) and not _short_of(window, cut):
        for end in (cut, cut - 1):
            closing = data[end : end + 1] == b"\n"
            if _entry_at(rule, data, end + closing):
                return Frame(end + closing, start, end, "cut-entry")
    if size > window.largest:
        return _salvage(rule, window, start, start, "too-large")
    if _short_of(window, start + size):
        return None
    counted = stripped_end(data, start, size)
    for end in (*_ends_with_bare_lines(data, start, size), counted):
        closing = data[end : end + 1] == b"\n"
        if end <= len(data) and _entry_at(rule, data, end + closing):
            return Frame(end + closing, start, end)
    return _salvage_stripped(rule, window, start, size, counted)


def _salvage_stripped(rule: Rule, window: Window, start: int, size: int, counted: int) -> Frame | None:
    data, last = window.data, min(start + size + 1, len(window.data))
    found = rule.prefix.start.search(data, start, min(last + LOOKAHEAD, len(data)))
    if found is not None and found.start() <= last:
        glued = data[found.start() - 1 : found.start()] != b"\n"
        short = found.start() < counted
        return Frame(found.start(), start, found.start() - (not glued), "cut" if short else "", doubtful=last * short)
    if counted < len(data):
        return Frame(counted + (data[counted : counted + 1] == b"\n"), start, counted)
    return Frame(len(data), start, len(data), "cut")


def _ends_with_bare_lines(data: bytes, start: int, size: int) -> tuple[int, ...]:
    """Guess the ends where the wire had bare line feeds everywhere, or in the body only, or no last CRLF.

    They come before the end that counts every line feed twice: an entry exactly there is no accident, while the body of
    a message with bare line feeds can hold a text that looks like an entry where the count would end.
    """
    blank = data.find(b"\n\n", start, start + size)
    without_last = stripped_end(data, start, size - 2)
    if blank < 0:
        return (start + size, without_last)
    return (start + size, start + size - data.count(b"\n", start, blank + 2), without_last)


def _salvage(rule: Rule, window: Window, start: int, end: int, damage: str) -> Frame | None:
    """Save what is there of a message whose count does not fit the log.

    A few bytes short means that the PBX took escape sequences out: then the last entry that starts before the counted
    end is the next one. Otherwise the message was cut, and the first entry after its start is the next one.
    """
    data = window.data
    limit = max(end, start) if damage == "altered" else min(len(data), start + window.largest)
    ends = entry_starts(rule, data, start, min(limit + 2, len(data)))
    if damage == "altered" and ends and end + 1 - ends[-1] <= STRIPPED_AT_MOST:
        return Frame(ends[-1], start, ends[-1] - 1, "")
    if ends:
        return Frame(ends[0], start, ends[0] - 1, "cut", doubtful=end if damage == "altered" else 0)
    if damage == "altered" and (end < len(data) or not window.final):
        return Frame(min(end, len(data)), start, min(end, len(data)), "" if data[end : end + 1] == b"\n" else "altered")
    if not window.final and len(data) < start + window.largest:
        return None
    return Frame(min(limit, len(data)), start, min(limit, len(data)), damage if damage != "altered" else "cut")


def entry_starts(rule: Rule, data: bytes, start: int, stop: int) -> list[int]:
    """List the positions of lines in [start, stop) that begin as an entry of this dialect does."""
    found, position = [], data.find(b"\n", start, stop)
    while position >= 0:
        if rule.prefix.start.match(data, position + 1) and position + 1 < len(data):
            found.append(position + 1)
        position = data.find(b"\n", position + 1, stop)
    return found


def _by_terminator(rule: Rule, window: Window, start: int) -> Frame | None:
    """chan_sip and pjproject: a closing line, believed only where Content-Length agrees.

    Where the log lost the CRs, Content-Length leaves room: then the last closing line that can be right is taken, as
    an earlier one may be text of the body.
    """
    data, stop = window.data, min(len(window.data), start + window.largest)
    best = confirmed = fallback = None
    latest = stop
    position = _find_line(data, rule.terminator, start, stop)
    while 0 <= position <= latest:
        after = position + len(rule.terminator) + 1
        if _short_of(window, after):
            return None
        cut = _cut_before(rule, data, window.entry, position)
        if cut is not None:
            return confirmed or Frame(cut, start, cut, "cut-entry")
        if _entry_at(rule, data, after) or rule.data.bare:
            overrun = _overrun(rule, data, start, position) if best is confirmed is None else None
            if overrun is not None:
                return overrun
            found = _closed_at(data, start, position, after)
            fallback = fallback or found
            length, counted = _body_length(data, start, position), _is_confirmed(rule, data, start, position, after)
            if length.at_most >= length.claimed and (counted or confirmed is None):
                best, latest = found, position + max(0, length.claimed - length.at_least)
            elif counted and confirmed is None:
                doubtful = min(length.claimed - length.at_least, window.largest)
                confirmed, latest = found._replace(doubtful=position + doubtful), min(stop, position + doubtful)
        position = _find_line(data, rule.terminator, position + 1, stop)
    chosen = best or confirmed
    if chosen is None:
        return _unterminated(rule, window, start, stop, fallback)
    return None if _short_of(window, latest) else chosen


def _closed_at(data: bytes, start: int, position: int, after: int) -> Frame:
    """Frame a message that the closing line at `position` ends; a line feed that the logger added is not its own."""
    added = data[position - 3 : position] == b"\r\n\n"
    return Frame(after, start, max(start, position - added))


def _overrun(rule: Rule, data: bytes, start: int, position: int) -> Frame | None:
    """End a message without a closing line where an entry begins behind its body: the closing line is another one's."""
    length = _body_length(data, start, position)
    if length.at_least <= length.claimed:
        return None
    blank = _blank_line(data, start, position)
    behind = entry_starts(rule, data, max(start, blank + length.claimed // 2 - 1) if blank >= 0 else start, position)
    for begin in behind:
        body = _body_length(data, start, begin)
        if body.at_most >= body.claimed:
            exact = body.at_least <= body.claimed + 1
            return Frame(begin, start, begin - 1, "cut", doubtful=0 if exact else position)
    return None


def _unterminated(rule: Rule, window: Window, start: int, stop: int, fallback: Frame | None) -> Frame | None:
    if not window.final and stop < start + window.largest:
        return _interrupted(rule, window, start, stop) if len(window.data) > start + SEARCHED else None
    ending = "cut" if stop == len(window.data) else "too-large"
    return fallback or _interrupted(rule, window, start, stop) or Frame(stop, start, stop, ending)


class _Length(NamedTuple):
    """What Content-Length claims, and between what the body's length on the wire must be."""

    claimed: int
    at_least: int
    at_most: int


def _body_length(data: bytes, start: int, end: int) -> _Length:
    """Measure the body in [start, end); a log that lost its CRs leaves open how many there were."""
    blank = _blank_line(data, start, end)
    found = _LENGTH.search(data, max(0, start - 1), blank) if blank >= 0 else None
    if found is None:
        return _Length(0, 0, 0) if blank < 0 else _Length(0, end - blank - 1, end - blank)
    length = end - blank
    if data[blank - 2 : blank - 1] == b"\r":
        return _Length(int(found[1]), length, length)
    return _Length(int(found[1]), length - 1, length + data.count(b"\n", blank, end))


def _find_line(data: bytes, mark: bytes, start: int, stop: int) -> int:
    """Return where `mark` stands alone on a line at or after `start`, or -1."""
    position = data.find(mark, start, stop)
    while position >= 0:
        after = position + len(mark)
        alone = data[after : after + 1] in (b"\n", b"")
        if alone and (position == start or data[position - 1 : position] == b"\n"):
            return position
        position = data.find(mark, position + 1, stop)
    return -1


def _cut_before(rule: Rule, data: bytes, entry: int, position: int) -> int | None:
    """Return where the PBX cut this entry, when an entry was glued on before `position`."""
    cut = entry + rule.prefix.cut
    if rule.prefix.cut and cut <= position and rule.prefix.start.match(data, cut):
        return cut
    return None


def body_is_whole(data: bytes, start: int, end: int) -> bool:
    """Say whether the message in [start, end) holds the body that its Content-Length claims, CRs lost or not."""
    length = _body_length(data, start, end)
    return length.at_most >= length.claimed


def _is_confirmed(rule: Rule, data: bytes, start: int, end: int, after: int) -> bool:
    """Say whether the PBX itself counted as many body lines after this message as stand before the terminator."""
    found = rule.confirm.match(data, after) if rule.confirm is not None else None
    blank = _blank_line(data, start, end)
    return found is not None and int(found["lines"]) == (data.count(b"\n", blank, end) if blank >= 0 else 0)


def _blank_line(data: bytes, start: int, end: int) -> int:
    """Return the position after the empty line that ends the headers, or -1."""
    wire, bare = data.find(b"\n\r\n", start, end), data.find(b"\n\n", start, end)
    if wire >= 0 and (bare < 0 or wire < bare):
        return wire + 3
    return bare + 2 if bare >= 0 else -1


def _interrupted(rule: Rule, window: Window, start: int, stop: int) -> Frame | None:
    """End a message without a terminator where the PBX cut it, or at the next entry that its body cannot hold."""
    cut = _cut_before(rule, window.data, window.entry, stop)
    if cut is not None:
        return Frame(cut, start, cut, "cut-entry")
    for position in entry_starts(rule, window.data, start, stop):
        if body_is_whole(window.data, start, position) or window.final:
            return Frame(position, start, max(start, position - 1), "cut")
    return None
