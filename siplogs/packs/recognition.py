"""Which carriers wrap a piece of a log, told from the lines by which entries and markers begin.

A log's content is written by strangers: the body of a SIP message may hold lines that look wrapped. What cannot be
forged is the beginning of a line that the PBX wrote itself. In a wrapped piece every line is wrapped, so one entry that
begins at the start of a line, unwrapped, decides that the piece is plain. The same rule holds again for what is found
inside a wrapping.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import regex
from msgspec import Struct

from siplogs.packs.wrapping import Carrier, Escapes, Taken, load_carriers, without_octal

LARGEST_ENTRY: Final = 32_768
FIRST_LINES: Final = 64
SAMPLES: Final = 32
DEEPEST: Final = 4
LARGEST_HELD: Final = 1_048_576

_BUILT: Final = re.compile(rb"\[[^\]\n]{6,40}\] Asterisk \S+ built by ")
_OWN: Final = re.compile(
    rb"""(?x)
    (?P<untimed> [A-Z]{3,16} \[\d+\] (?:\[C-[0-9a-f]{8}\])? :?\ (?:Ext\.\ [^\s:]{1,80}|[\w./-]+) : )
    | (?:\[(?!pod/)[^\]\n]{6,40}\]\ )? (?:
        <---\ (?:SIP\ read\ from|Received\ SIP\ |(?:Reliably\ )?(?:Transmitting|Retransmitting)\ )
        | (?:Reliably\ )?(?:Transmitting|Retransmitting)\ (?:\#\d+\ )?\([^)\n]{1,40}\)\ to\ )
    | (?:recv|send)\ \d+\ bytes\ (?:from|to)\ [a-z]+/\[
    """
)
_WITHIN: Final = re.compile(rb"[^\n]{0,400}?(?:#012<---|--->(?:#015)?#012|:#012-{9}|:\d+:#012)")
_MARKER: Final = re.compile(rb"[^#\n]*(?:<--- [^#\n]* --->|ransmitting [^#\n]*:)(?:#015)?\r?\Z")
_RETURN: Final = re.compile(rb"(?:[^#\n]* SIP/2\.0|SIP/2\.0 \d{3}[^#\n]*|[^#\n]{0,40}v=0)#015\r?\Z")

NOTHING, MARK, ENTRY = 0, 1, 2


class Layer(Struct, frozen=True):
    """A carrier in use: whether its time stands in for a missing one, its escapes, and what is wrapped inside."""

    carrier: Carrier
    stamp: bool = False
    escapes: Escapes = ""
    inner: "Carriers | None" = None

    @property
    def deep(self) -> bool:
        """Something remains to be done with a text once the carrier is off."""
        return self.stamp or bool(self.escapes) or self.inner is not None


class Carriers(Struct, frozen=True):
    """The carriers of a piece of a log; a line is wrapped by at most one of them, which may hold others."""

    layers: tuple[Layer, ...]

    def peel(self, line: bytes, held: dict[int, bytes], depth: int = 0) -> Taken | None:
        """Take all wrapping off a line (without its line feed); None when none of the carriers wrapped it.

        What goes on in the next line is kept in `held`, by depth, until its end is there: then the text is whole.
        """
        for layer in self.layers:
            taken = layer.carrier.take(line)
            if taken is None:
                continue
            if taken.partial and len(held.get(depth, b"")) < LARGEST_HELD:
                held[depth] = held.get(depth, b"") + taken.text
                return taken
            if depth in held:
                taken = taken._replace(text=held.pop(depth) + taken.text, partial=False)
            return _within(layer, line, taken, held, depth) if layer.deep else taken
        return None

    def layer(self, carrier: Carrier) -> Layer | None:
        """Return how a carrier is used here."""
        return next((layer for layer in self.layers if layer.carrier is carrier), None)


def _within(layer: Layer, line: bytes, taken: Taken, held: dict[int, bytes], depth: int) -> Taken:
    text, partial, program = taken.text, False, taken.program
    if layer.escapes:
        text = without_octal(text.removesuffix(b"\r"), layer.escapes)
    if layer.inner is not None:
        peeled = [(layer.inner.peel(part, held, depth + 1), part) for part in text.split(b"\n")]
        text = b"\n".join(inner.text if inner else part for inner, part in peeled if not inner or not inner.partial)
        last = peeled[-1][0]
        if last is not None:
            partial, program = last.partial, b" ".join(filter(None, (program, last.program)))
    if layer.stamp:
        match = _OWN.match(text)
        time = layer.carrier.time_of(line) if match is not None and match["untimed"] else b""
        text = b"[%s] %s" % (time, text) if time else text
    return Taken(text, partial, taken.width, program)


class Judge:
    """Tells wrapped lines from plain ones, given the patterns by which entries of the dialects start."""

    def __init__(self, starts: Sequence[re.Pattern[bytes]]) -> None:
        self._starts = tuple(starts)
        self._carriers = load_carriers()
        union = b"|".join(b"(?:%s)" % carrier.pattern.pattern for carrier in self._carriers)
        self._begins = re.compile(re.sub(rb"\(\?P<\w+>", b"(?:", union))
        self._could_begin = regex.compile(union)

    def kind(self, line: bytes) -> int:
        """Say whether a line begins as an ENTRY, as a message's bare MARK, or as NOTHING that only a PBX writes."""
        for start in self._starts:
            if start.match(line):
                return NOTHING if _BUILT.match(line) else ENTRY
        own = _OWN.match(line)
        if own is None:
            return NOTHING
        return ENTRY if own["untimed"] else MARK

    def may_begin(self, line: bytes, *, whole: bool) -> bool:
        """Say whether a line begins as a carrier writes lines, or could when it goes on."""
        return (self._begins.match(line) if whole else self._could_begin.match(line, partial=True)) is not None

    def suspects(self, data: bytes, start: int, stop: int) -> bool:
        """Look at a few lines of data[start:stop]: False when surely no carrier wraps the whole of it."""
        if data.find(b"\x1b", start, stop) >= 0:
            return True
        step = max(1, (stop - start) // SAMPLES)
        for place in range(start, stop, step):
            line = start if place == start else data.find(b"\n", place, stop) + 1 or stop
            if line < stop and self._begins.match(data[line : line + LARGEST_ENTRY].partition(b"\n")[0]):
                return True
        return False

    def entry_soon(self, data: bytes, start: int, stop: int) -> bytes:
        """Return the first plain entry's line among the first whole lines that start in data[start:stop], or b""."""
        lines = islice(whole_lines(data, start, stop), FIRST_LINES)
        return next((line for line in lines if self.kind(line) == ENTRY), b"")

    def look(
        self, lines: Iterable[bytes], known: Carriers | None = None, depth: int = 0
    ) -> tuple[Carriers | None, int]:
        """Find the carriers of all of some lines; (None, n) when they are plain, with n lines that say so.

        `known` are the carriers of what stood before: a carrier of few lines is used as it was there.
        """
        groups: dict[Carrier, list[bytes]] = {}
        last, marks = None, 0
        for line in lines:
            if last is None or not last.wraps(line):
                kind = self.kind(line)
                if kind == ENTRY:
                    return None, 1
                marks += kind
                last = self._wrapping(line)
            if last is not None:
                groups.setdefault(last, []).append(line)
                last = None if last.terminal else last
        return self._judged(groups, marks, known, depth)

    def _wrapping(self, line: bytes) -> Carrier | None:
        if not self._begins.match(line) and b"\x1b" not in line:
            return None
        return next((carrier for carrier in self._carriers if carrier.wraps(line)), None)

    def _judged(
        self, groups: dict[Carrier, list[bytes]], marks: int, known: Carriers | None, depth: int
    ) -> tuple[Carriers | None, int]:
        layers, seen = [], marks
        for carrier, group in groups.items():
            before = known.layer(carrier) if known is not None else None
            layer, entries = self._layer(carrier, group, before, depth)
            if marks and not (carrier.terminal and (entries >= marks or before is not None)):
                continue
            layers.append(layer)
            seen += entries
        layers.sort(key=lambda layer: (layer.carrier.terminal, -len(groups[layer.carrier])))
        wrapped = layers and seen > marks
        return (Carriers(tuple(layers)), seen) if wrapped else (None, marks)

    def _layer(self, carrier: Carrier, group: list[bytes], before: Layer | None, depth: int) -> tuple[Layer, int]:
        escapes = _escapes(_texts(carrier, group), before) if carrier.data.escapes else ""
        known = before.inner if before is not None else None
        firsts = _firsts(carrier, group, escapes)
        inner, entries = self.look(firsts, known, depth + 1) if depth < DEEPEST else (None, 0)
        if carrier.terminal and any(self.kind(text) != NOTHING for text in _texts(carrier, group)):
            entries = max(entries, sum(map(carrier.begins, group)))
        if before is not None and sum(map(len, group)) < LARGEST_ENTRY:
            return before, entries
        stamp = carrier.data.stamp and self._without_times(carrier, group, escapes)
        return Layer(carrier, stamp, escapes, inner), entries

    def _without_times(self, carrier: Carrier, group: list[bytes], escapes: Escapes) -> bool:
        """Say whether the entries have no time of their own."""
        first = next((text for text in _firsts(carrier, group, escapes) if self.kind(text) == ENTRY), None)
        return first is not None and not any(map(self._timed, [first, *_firsts(carrier, group, escapes)]))

    def _timed(self, text: bytes) -> bool:
        return any(start.match(text) for start in self._starts)


def _texts(carrier: Carrier, lines: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for line in lines:
        taken = carrier.take(line) or Taken(line)
        held += taken.text
        if not taken.partial:
            yield held
            held = b""


def _firsts(carrier: Carrier, lines: Iterable[bytes], escapes: Escapes) -> Iterator[bytes]:
    """Yield the first line of every text."""
    for text in _texts(carrier, lines):
        yield (without_octal(text, escapes) if escapes else text).partition(b"\n")[0]


def _escapes(texts: Iterable[bytes], before: Layer | None) -> Escapes:
    """Tell how a syslog daemon wrote control characters, from markers: alone on their line, or with what follows."""
    alone, returns, within = False, False, False
    for text in texts:
        alone = alone or _MARKER.match(text) is not None
        returns = returns or (text.endswith((b"#015", b"#015\r")) and _RETURN.match(text) is not None)
        within = within or (b"#012" in text and _WITHIN.match(text) is not None)
    if within and not alone:
        return "record"
    return "line" if returns else before.escapes if before is not None and not alone else ""


def whole_lines(data: bytes, start: int, stop: int) -> Iterator[bytes]:
    """Yield the lines, without line feeds, that begin in data[start:stop] and have their line feed in `data`."""
    while start < stop:
        end = data.find(b"\n", start)
        if end < 0:
            return
        yield data[start:end]
        start = end + 1
