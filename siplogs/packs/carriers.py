"""Takes what carried a PBX's log off again: containers, syslog, the journal, terminals, Asterisk's JSON.

A stream of raw blocks becomes a stream of clean blocks with a map back to raw offsets. What wraps the log is decided
for windows of the raw stream, at multiples of WINDOW bytes, a line belonging to the window in which it starts; so the
result does not depend on how the stream was cut into blocks.

- A window is wrapped when no plain entry begins a line in it and wrapped entries do; plain when a plain entry does.
- From plain to wrapped: only at a whole window (the body of one message cannot fill it), and with it the lines of the
  window before that follow its last plain entry. From wrapped to plain: at the first plain entry.
- The last window of a stream, when shorter, does not make a plain log a wrapped one.
- What is wrapped inside a wrapping is judged by the same rule, for all lines that one carrier wraps in a window.

What is left is brought to the form in which a PBX writes its log: lines of other programs go (`interleaved`), the CR of
lines that end in CRLF (`line_ends`), and prefixes that every line of a message repeats (`continuation`).

Plain windows cost a look at their first lines; blocks of them pass through as they came.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from siplogs.packs.continuation import joined
from siplogs.packs.interleaved import Programs
from siplogs.packs.line_ends import without_returns
from siplogs.packs.recognition import NOTHING, Carriers, Judge
from siplogs.packs.unwrapped import Builder, Line, Unwrapped

WINDOW: Final = 65_536
LONGEST_LINE: Final = 1_048_576


def recognise(block: bytes, starts: Sequence[re.Pattern[bytes]]) -> Carriers | None:
    """Say what wraps a block of a log, None for a plain one.

    `starts` are the patterns by which entries of the dialects begin (`Prefix.start`). A block in which any line begins
    as a plain entry is plain; of most plain blocks only the first lines are looked at.
    """
    judge = Judge(starts)
    if judge.entry_soon(block, 0, len(block)) or not judge.suspects(block, 0, len(block)):
        return None
    return judge.look(block.removesuffix(b"\n").split(b"\n"))[0]


def unwrap(
    blocks: Iterable[bytes], starts: Sequence[re.Pattern[bytes]], *, window: int = WINDOW
) -> Iterator[Unwrapped]:
    """Yield the clean text of a stream of blocks; what is plain passes through unchanged, also an incomplete last line.

    `starts` as for `recognise`; `window` in bytes must be larger than any entry of a plain log, for safety. The clean
    text and its raw offsets depend on the stream alone, not on its blocks. Any bytes are taken; nothing is raised.
    """
    judge = Judge(starts)
    return joined(without_returns(_pieces(blocks, _Stream(judge, window)), judge, window))


def _pieces(blocks: Iterable[bytes], stream: "_Stream") -> Iterator[Unwrapped]:
    for block in blocks:
        yield from stream.feed(block)
    yield from stream.feed(b"", final=True)


class _Stream:
    """The raw stream from the first byte not yet handed over, and what is known of it.

    `known`: the raw offset up to which windows are known to be plain. `doubtful`: that behind which each of those has
    an entry whose line ends in a line feed alone. `inside`: the first byte goes on with a line whose beginning was
    handed over. `judged`: the next window to take off is known to be wrapped by `carriers`.
    """

    def __init__(self, judge: Judge, window: int) -> None:
        self._judge = judge
        self._window = window
        self._data = b""
        self._raw = 0
        self._known = self._doubtful = 0
        self._inside = False
        self._judged = False
        self._carriers: Carriers | None = None
        self._peeler = _Peeler(judge)

    def feed(self, block: bytes, *, final: bool = False) -> Iterator[Unwrapped]:
        """Take more bytes and yield what can be decided; with `final` everything."""
        self._data = self._data + block if self._data else block
        while True:
            piece = self._wrapped(self._carriers, final=final) if self._carriers else self._plain(final=final)
            if piece is None:
                break
            if piece.data or piece.raw_length:
                yield piece
        if final:
            piece = self._peeler.rest(self._raw)
            if piece.data or piece.raw_length:
                yield piece

    def _boundary(self, raw: int) -> int:
        return (raw // self._window + 1) * self._window

    def _plain(self, *, final: bool) -> Unwrapped | None:
        """Hand over plain windows; None when there is nothing more to hand over now."""
        while self._known - self._raw < len(self._data):
            start = self._known - self._raw
            verdict = self._verdict(start, final=final)
            if isinstance(verdict, Carriers):
                cut = self._switch(start, start)
                self._carriers, self._judged = verdict, True
                return self._handed(cut)
            if not verdict:
                break
            self._known = self._boundary(self._known)
        stop = min(self._known - self._raw, len(self._data))
        if not final:
            stop = self._switch(stop, self._known - self._raw, held=True)
        return self._handed(stop) if stop else None

    def _handed(self, stop: int) -> Unwrapped:
        data = self._data if stop == len(self._data) else self._data[:stop]
        self._data = self._data[stop:]
        piece = Unwrapped(data, self._raw, stop, line_feeds=self._raw >= self._doubtful)
        self._raw += stop
        self._inside = not data.endswith(b"\n") if data else self._inside
        self._peeler.raw = self._raw
        return piece

    def _line_at(self, position: int) -> int:
        """Return where the first line at or after `position` starts; the end of the data when none does."""
        if (position == 0 and not self._inside) or (position and self._data[position - 1 : position] == b"\n"):
            return position
        return (self._data.find(b"\n", position) + 1) or len(self._data)

    def _end(self, stop: int, *, final: bool) -> int:
        """Return where the last line ends that starts before `stop`; -1 when that must be read first."""
        newline = self._data.find(b"\n", max(stop - 1, 0), stop + LONGEST_LINE)
        if newline >= 0:
            return newline + 1
        if len(self._data) >= stop + LONGEST_LINE:
            return stop + LONGEST_LINE
        return len(self._data) if final else -1

    def _verdict(self, at: int, *, final: bool) -> Carriers | bool:
        """Judge the window that starts at `at`: True for plain, its carriers, False when more must be read."""
        stop = self._boundary(self._known) - self._raw
        start = self._line_at(at)
        entry = self._judge.entry_soon(self._data, start, stop)
        if not entry or entry.endswith(b"\r"):
            self._doubtful = stop + self._raw
        if entry:
            return True
        end = self._end(stop, final=final)
        if end < 0:
            return False
        short = len(self._data) < stop and self._known > 0
        if start >= stop or short or not self._judge.suspects(self._data, start, end):
            return True
        return self._judge.look(_lines(self._data, start, end))[0] or True

    def _switch(self, stop: int, known: int, *, held: bool = False) -> int:
        """Return the first wrapped line behind the last plain entry of the window that ends at `known`, else `stop`.

        With `held` the last line may be incomplete: it counts when it could become a wrapped one.
        """
        low = self._line_at(max(known - self._window, 0))
        found = stop if held else self._line_at(stop)
        end = stop
        while end > low:
            start = max(self._data.rfind(b"\n", low, end - 1) + 1, low)
            newline = self._data.find(b"\n", start)
            line = self._data[start : newline if newline >= 0 else len(self._data)]
            if self._judge.kind(line) != NOTHING:
                break
            if self._judge.may_begin(line, whole=newline >= 0):
                found = start
            end = start
        return found

    def _wrapped(self, carriers: Carriers, *, final: bool) -> Unwrapped | None:
        """Take the wrapping off one window; None when more must be read first."""
        if not self._data:
            return None
        boundary = self._boundary(max(self._raw, self._known if self._judged else 0))
        end = self._end(boundary - self._raw, final=final)
        if end < 0:
            return None
        plain = -1 if self._judged else self._judge_again(end, carriers)
        self._judged = False
        if plain < 0:
            return self._peeled(end, self._carriers or carriers)
        self._carriers, self._known, self._doubtful, self._inside = None, boundary, boundary, False
        return self._peeled(plain, carriers, last=True)

    def _judge_again(self, end: int, known: Carriers) -> int:
        """Look at a window behind a wrapped one; where its first plain entry begins, -1 when it has none."""
        carriers, marks = self._judge.look(_lines(self._data, 0, end), known)
        if carriers is not None:
            self._carriers = carriers
        if carriers is not None or not marks:
            return -1
        position = 0
        for line in _lines(self._data, 0, end):
            if self._judge.kind(line) != NOTHING:
                return position
            position += len(line) + 1
        return -1

    def _peeled(self, end: int, carriers: Carriers, *, last: bool = False) -> Unwrapped:
        piece = self._peeler.peel(self._data[:end], self._raw, carriers, last=last)
        self._data = self._data[end:]
        self._raw += end
        return piece


def _lines(data: bytes, start: int, end: int) -> Iterable[bytes]:
    """List the lines of data[start:end], the last one even without its line feed."""
    return data[start:end].removesuffix(b"\n").split(b"\n") if end > start else []


class _Peeler:
    """Takes the wrapping off whole lines; keeps what goes on in the next line, whose it is, and its indentation.

    `raw`: the raw offset of the first byte not yet handed over.
    """

    def __init__(self, judge: Judge) -> None:
        self.raw = 0
        self._programs = Programs(judge)
        self._program = b""
        self._held: dict[int, bytes] = {}
        self._indent = b""

    def peel(self, data: bytes, raw: int, carriers: Carriers, *, last: bool = False) -> Unwrapped:
        """Take the wrapping off the lines of `data`, which begins at `raw`; `last`: plain text follows."""
        begun, lines, taken = self.raw, data.split(b"\n"), []
        for number, line in enumerate(lines, 1):
            begun = begun if self._held else raw
            whole = number < len(lines)
            text = self._text(line, carriers) if line or whole else None
            if text is not None:
                taken.append((self._program, begun, text + b"\n" if whole else text))
            raw += len(line) + 1
        return self._closed(self._programs.sorted_apart(taken), begun, raw - 1, last=last)

    def _text(self, line: bytes, carriers: Carriers) -> bytes | None:
        taken = carriers.peel(line, self._held)
        if taken is None:
            return line[len(self._indent) :] if self._indent and line.startswith(self._indent) else line
        self._indent, self._program = b" " * taken.width, taken.program or self._program
        return None if taken.partial else taken.text

    def _closed(self, lines: Iterable[Line], begun: int, end: int, *, last: bool) -> Unwrapped:
        builder = Builder(self.raw)
        builder.extend(chain(lines, self._programs.rest()) if last else lines)
        if last and self._held:
            builder.add(begun, b"".join(self._held.values()) + b"\n")
            self._held.clear()
        self.raw = begun if self._held else end
        return builder.built(self.raw)

    def rest(self, end: int) -> Unwrapped:
        """Hand over what was kept, at the end of the stream."""
        return self._closed((), self.raw, end, last=True)


__all__ = ["Carriers", "Unwrapped", "recognise", "unwrap"]
