"""Frames that FreeSWITCH 1.8 and older write line by line, so that other threads' lines come in between.

Source: the message tracer of sofia-sip before 2019-05-30 (tport_logging.c). Each line of the message is indented by
three blanks; a rule stands before and after. The text of a line and its newline are written apart, so another entry
can stand at the end of one of our lines, and the newline follows later as an empty line.
"""

import re
from typing import Final, NamedTuple

RULE: Final = b"   " + b"-" * 72
TRUNCATED: Final = b"   *** message truncated at "
SLACK: Final = 4

_FOREIGN: Final = re.compile(
    rb"(?:[0-9a-f]{8}-[0-9a-f-]{27} )?(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} (?:\d+\.\d+% )?\[[A-Z]+\] "
    rb"|(?:Dialplan|Chatplan): |EXECUTE \[)"
    rb"|(?:recv|send) (?P<size>\d+) bytes (?:from|to) \w+/\[[^\]\n]+\]:\d+[^\n]{0,40} at [\d:.]{15}:$"
)


class Indented(NamedTuple):
    """What the lines after the first rule hold: our text, where other entries stand, and where it all ends.

    `open` says that the data ended before the frame did.
    """

    end: int
    text: bytes
    holes: tuple[tuple[int, int], ...]
    open: bool
    damage: str


class _Reader:
    """Walks over the lines of one frame; its state is the position, what was gathered and how much is missing."""

    def __init__(self, data: bytes, position: int, size: int, *, nested: bool) -> None:
        self.data = data
        self.position = position
        self.missing = size + 2
        self.nested = nested
        self.truncated = False
        self.ran_out = False
        self.text: list[bytes] = []
        self.holes: list[tuple[int, int]] = []

    def run(self) -> bool:
        """Read up to the closing rule that the size allows; False when the data ends first, or too much came."""
        while self.position < len(self.data) and self.missing >= -SLACK - len(self.text):
            newline = self.data.find(b"\n", self.position)
            end = len(self.data) if newline < 0 else newline
            line = self.data[self.position : end]
            self.ran_out = self.ran_out or newline < 0
            if line.startswith(RULE) and self._closes(end):
                return True
            self._take(line, end)
        self.ran_out = self.ran_out or self.position >= len(self.data)
        return False

    def _closes(self, end: int) -> bool:
        after = min(end + 1, len(self.data))
        if self.missing > SLACK and after + len(TRUNCATED) > len(self.data):
            self.ran_out = True
        self.truncated = self.data.startswith(TRUNCATED, after)
        if self.truncated:
            after = self.data.find(b"\n", after) + 1 or len(self.data)
        if self.missing > SLACK and not self.truncated:
            return False
        self.position = after
        return True

    def _take(self, line: bytes, end: int) -> None:
        start, after = self.position, min(end + 1, len(self.data))
        own = line.startswith(b"   ")
        foreign = _FOREIGN.search(line) if self.nested or not own else None
        if own:
            kept = line[3:] if foreign is None else line[3 : foreign.start()]
            self.text.append(kept)
            self.missing -= len(kept) + 2
        if line and (foreign is not None or not own):
            at = start + (foreign.start() if own and foreign is not None else 0)
            self._skip(at, after, foreign)
            return
        self.position = after

    def _skip(self, start: int, after: int, foreign: re.Match[bytes] | None) -> None:
        self.position = after
        if foreign is not None and foreign["size"] and self.data.startswith(RULE, after):
            first = self.data.find(b"\n", after) + 1
            inner = _Reader(self.data, first, int(foreign["size"]), nested=True)
            inner.run()
            self.position = inner.position
        if self.holes and self.holes[-1][1] == start:
            start = self.holes.pop()[0]
        self.holes.append((start, self.position))


def indented_lines(data: bytes, position: int, size: int) -> Indented:
    """Read the frame whose first line is at `position`; `size` is the wire length that its header claims.

    Where the claimed length fits the plain reading, no line inside is taken for another frame: that protects bodies.
    """
    still_open = False
    for nested in (False, True):
        reader = _Reader(data, position, size, nested=nested)
        if reader.run():
            damage = "cut-line" if reader.truncated else ""
            return Indented(
                reader.position, b"\n".join(reader.text), tuple(reader.holes), still_open or reader.ran_out, damage
            )
        still_open = still_open or reader.ran_out
    return _unclosed(data, position)


def _unclosed(data: bytes, position: int) -> Indented:
    """Save the lines up to the first rule or to the first line that is not ours."""
    text: list[bytes] = []
    while position < len(data):
        newline = data.find(b"\n", position)
        end = len(data) if newline < 0 else newline
        line, after = data[position:end], min(end + 1, len(data))
        if line.startswith(RULE):
            return Indented(after, b"\n".join(text), (), open=True, damage="cut")
        if not line.startswith(b"   "):
            break
        text.append(line[3:])
        position = after
    return Indented(position, b"\n".join(text), (), open=True, damage="cut")
