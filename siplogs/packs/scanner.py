"""Finds records in a stream of blocks: one multi-literal pass, a rule's pattern only where its literal stands.

Every byte is accounted for: it belongs to a record or it was skipped, and a skipped place that looks like SIP is
counted under a reason.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from siplogs.model import ALL_MARKS, Record
from siplogs.packs.accounting import Accounting
from siplogs.packs.frames import LOOKAHEAD, Frame, Window, frame_record, whole_frame
from siplogs.packs.literals import LOOKS_LIKE_SIP, Literals, count_looks
from siplogs.packs.pack import Prefix, Rule

LARGEST_MESSAGE: Final = 262_144
LONGEST_LINE: Final = 1_048_576
LONGEST_LOOK_BACK: Final = 20_000
LONGEST_MARKER: Final = 600
SHORTEST_ENTRY: Final = 20
KEEP_ALIVE: Final = 16
SHARED_FIELDS: Final = 8192
AT_ONCE: Final = 256

NO_RECORD: Final = Record("", "", "", 0, 0, b"", {})

Match = tuple[int, Any, Any]


class Scanner:
    """Turns blocks of one log, or of the part of it from `offset` to `stop`, into records; or piece by piece by `feed`.

    A part is read on past `stop` until its last record is whole; `end` then says how far that record reached. `dated`
    is the text of the last date before `offset`. Where a log is still written to (`live`), its end is no record's end:
    what is unfinished there is left for the next reading, which begins at `settled`. Where a log may grow some day
    (`grows`), a last line without its end is no record yet.
    """

    def __init__(
        self,
        literals: Literals,
        *,
        offset: int = 0,
        stop: int | None = None,
        largest: int = LARGEST_MESSAGE,
        remember_missed: int = 0,
        doubtful: int = 0,
        dated: bytes = b"",
        live: bool = False,
        grows: bool = False,
    ) -> None:
        self._remember = remember_missed
        self.missed: list[bytes] = []
        self._literals = literals
        self._stop = stop
        self._largest = largest
        self._data = b""
        self._base = offset
        self._floor = 0
        self._scanned = 0
        self._doubtful = max(doubtful - offset, 0)
        self._dated = dated
        self.live = live
        self._grows = grows
        self._settling = False
        self._last = 0
        self._cut: int | None = None
        self._unfinished: int | None = None
        self._dated_at = 0
        self._marks: list[tuple[int, int]] = []
        self._next_mark = 0
        self._line = self._line_end = 0
        self._failed: set[str] = set()
        self._glued: list[int] | None = None
        self._prefix: Any = None
        self._prefix_at = -1
        self._prefix_of: Prefix | None = None
        self._shared: dict[tuple[Any, ...], dict[str, bytes]] = {}
        self._waiting: list[tuple[int, list[Rule]]] = []
        self._holes: list[tuple[int, int]] = []
        self.accounting = Accounting()

    def scan(self, blocks: Iterable[bytes]) -> Iterator[Record]:
        """Yield every record of the blocks, in the log's order.

        Records are found some hundred at a time: code that stays in the processor's caches runs a tenth faster.
        """
        for block in blocks:
            records = self.feed(block)
            while some := list(islice(records, AT_ONCE)):
                yield from some
            if self._stop is not None and not self._waiting and self._base + len(self._data) >= self._stop + LOOKAHEAD:
                break
        if self.live:
            yield from self._settle()
        else:
            yield from self.feed(b"", final=True)

    def _settle(self) -> Iterator[Record]:
        """Take the records that are whole at the end of what there is, although nothing follows them yet."""
        self._settling = True
        yield from self._records(final=False)
        self._settling = False
        self._forget(final=False)

    @property
    def end(self) -> int:
        """Return the offset up to which the log is dealt with."""
        return self._base + self._floor

    @property
    def settled(self) -> int:
        """Return the offset before which nothing is needed any more: behind the last record or what was skipped.

        What was unfinished at the end of a log is needed once more, whether it was taken for a record or not.
        """
        if self._unfinished is not None:
            return self._unfinished
        return self._base + max(self._floor, self._keep_from(), 0)

    @property
    def doubtful(self) -> int:
        """Return the offset before which a record could be text of a damaged message's body."""
        return self._base + self._doubtful if self._doubtful else 0

    def feed(self, block: bytes, *, final: bool = False) -> Iterator[Record]:
        """Take more bytes and yield the records that are complete; with `final` also an unfinished last one."""
        self._cut = None
        self.accounting.read += len(block)
        self.accounting.lines += block.count(b"\n")
        self._data = self._data + block if self._data else block
        while (limit := self._line_limit(final=final)) > self._scanned:
            hits, marks = self._literals.find(self._data, self._scanned, limit)
            self._waiting += hits
            self._marks += marks
            self._scanned = limit
            yield from self._records(final=final)
        yield from self._records(final=final)
        if final:
            self._unfinished = self._base + self._whole_until()
        self._forget(final=final)

    def _whole_until(self) -> int:
        """Return where to read on should a log that seemed to be at its end grow: nothing unfinished is left behind."""
        if self._cut is not None:
            return self._cut
        begun = self._floor == len(self._data) and not self._data.endswith(b"\n")
        return self._last if begun else max(self._floor, self._keep_from())

    def _line_limit(self, *, final: bool) -> int:
        if self._stop is not None and self._base + len(self._data) >= self._stop:
            return max(self._stop - self._base, self._scanned, self._holes[-1][1] if self._holes else 0)
        if final and not self._grows:
            return len(self._data)
        newline = self._data.rfind(b"\n") + 1
        return newline or (len(self._data) if len(self._data) > LONGEST_LINE else 0)

    def _records(self, *, final: bool) -> Iterator[Record]:
        waiting, self._waiting = self._waiting, []
        for number, (position, rules) in enumerate(waiting):
            if position < self._floor and not self._in_hole(position):
                continue
            outcome = self._try(position, rules, final=final)
            if outcome is None:
                self._waiting = waiting[number:]
                return
            if outcome is not NO_RECORD:
                yield outcome

    def _in_hole(self, position: int) -> bool:
        return any(start <= position < end for start, end in self._holes)

    def _try(self, position: int, rules: list[Rule], *, final: bool) -> Record | None:
        """Frame the record at a literal; NO_RECORD when no rule fits, None when more must be read first."""
        data, floor = self._data, self._floor_for(position) if self._holes else self._floor
        start = self._line_start(position, floor)
        failed = self._failed
        for rule in rules:
            if rule.key in failed and not self._glued:
                continue
            found = self._match(rule, position, start, floor)
            if found is None:
                if rule.data.frame.by != "indented":
                    failed.add(rule.key)
                continue
            entry, prefix, match = found
            frame = whole_frame(rule, data, entry, match, self._largest) if rule.counts_wire_bytes else None
            frame = frame or frame_record(rule, Window(data, entry, final or self._settling, self._largest), match)
            if frame is None or (self._settling and (frame.damage or frame.doubtful)):
                return None
            return self._take(rule, entry, prefix, match, frame)
        if not final and len(data) - position < LONGEST_MARKER:
            failed.clear()
            return None
        return NO_RECORD

    def _line_start(self, position: int, floor: int) -> int:
        """Where the line of `position` begins; remembered, as one line may hold very many literals."""
        begin = self._line
        if not floor <= begin <= position or self._line_end <= position:
            data = self._data
            begin = self._line = max(data.rfind(b"\n", floor, position) + 1, floor)
            self._line_end = data.find(b"\n", position) + 1 or len(data)
            self._failed, self._glued = set(), None
        return begin

    def _floor_for(self, position: int) -> int:
        for start, end in self._holes:
            if start <= position < end:
                return start
        return self._floor

    def _match(self, rule: Rule, position: int, start: int, floor: int) -> Match | None:
        """Match prefix and pattern around a literal."""
        if rule.data.at == "line":
            match = rule.pattern.match(self._data, start) or self._glued_line(rule, start, position)
            return (match.start(), None, match) if match else None
        begin = start
        for _ in range(rule.lines_before):
            begin = max(self._data.rfind(b"\n", floor, max(begin - 1, floor)) + 1, floor)
        found = self._entry(rule, begin, position)
        if found is None and begin != start:
            found = self._entry(rule, start, position)
        return found or self._glued_entry(rule, start, position) or self._bare(rule, start, position)

    def _entry(self, rule: Rule, begin: int, position: int) -> Match | None:
        """Match an entry that begins at `begin`; its prefix is remembered, as several rules may try the same line."""
        if begin != self._prefix_at or rule.prefix is not self._prefix_of:
            self._prefix = rule.prefix.match(self._data, begin)
            self._prefix_at, self._prefix_of = begin, rule.prefix
        prefix = self._prefix
        if prefix is None:
            return None
        match = rule.pattern.match(self._data, prefix.end())
        return (begin, prefix, match) if match is not None and match.end() > position else None

    def _glued_line(self, rule: Rule, start: int, position: int) -> Any:
        if rule.data.frame.by != "indented":
            return None
        match = rule.pattern.search(self._data, max(start, position - SHORTEST_ENTRY), position + LONGEST_MARKER)
        return match if match is not None and match.start() <= position < match.end() else None

    def _glued_entry(self, rule: Rule, start: int, position: int) -> Match | None:
        """An entry in the middle of a line is believed only where the PBX cuts entries: `cut` bytes after another."""
        if not rule.prefix.cut or self._line_end - start < SHORTEST_ENTRY:
            return None
        if self._glued is None:
            self._glued = self._glued_entries(rule, start)
        found = (self._entry(rule, begin, position) for begin in reversed(self._glued) if begin < position)
        return next((match for match in found if match is not None), None)

    def _glued_entries(self, rule: Rule, start: int) -> list[int]:
        begins = rule.prefix.start
        found = (entry.start() for entry in begins.finditer(self._data, start + 1, self._line_end))
        return [at for at in found if at >= rule.prefix.cut and begins.match(self._data, at - rule.prefix.cut)]

    def _bare(self, rule: Rule, start: int, position: int) -> Match | None:
        """A console copy has no prefix: the pattern must match where the line begins."""
        if not rule.data.bare:
            return None
        begin = start - 1 if rule.lines_before and start > 0 and self._data[start - 1 : start] == b"\n" else start
        match = rule.pattern.match(self._data, begin) or rule.pattern.match(self._data, start)
        return (start, None, match) if match is not None and match.end() > position else None

    def _take(self, rule: Rule, start: int, prefix: Any, match: Any, frame: Frame) -> Record:
        accounting, end = self.accounting, frame.end
        self._last = start
        if frame.damage and end == len(self._data):
            self._cut = start
        accounting.rules[rule.key] += 1
        if frame.damage:
            accounting.reasons["too-large" if frame.damage == "too-large" else "truncated"] += 1
        if start >= self._floor and not frame.holes:
            if start > self._floor:
                self._note_gap(start)
            own = end - start
            accounting.in_records += own
            self._floor = end
            if self._holes:
                self._holes = []
        else:
            own = self._take_around_holes(start, frame)
        if rule.kind == "ignore":
            return NO_RECORD
        damage = frame.damage or ("doubtful" if start < self._doubtful else "")
        self._doubtful = max(self._doubtful, frame.doubtful)
        return self._record(rule, start, prefix, match, frame, own, damage)

    def _take_around_holes(self, start: int, frame: Frame) -> int:
        holes = sum(end - begin for begin, end in frame.holes)
        own = frame.end - start - holes
        inside = start < self._floor
        self._note_gap(start)
        self.accounting.in_records += own
        self.accounting.skipped += -own if inside else holes
        self._floor = max(self._floor, frame.end)
        left = []
        for begin, end in self._holes:
            if end > start:
                left += [(frame.end, end)] if begin <= start < end else [(begin, end)]
        self._holes = sorted([*left, *frame.holes])
        return own

    def _record(self, rule: Rule, start: int, prefix: Any, match: Any, frame: Frame, own: int, damage: str) -> Record:
        data, is_message = self._data, rule.is_message
        text = frame.text
        if text is None and (is_message or rule.data.frame.by != "line"):
            text = data[frame.payload_start : frame.payload_end]
        if is_message and len(text or b"") < KEEP_ALIVE and not (text or b"").strip(b"\r\n\0 \t"):
            self.accounting.rules[f"{rule.pack}/keep-alive"] += 1
            return NO_RECORD
        fields, time = self._fields(rule, prefix, match)
        return Record(
            rule.pack,
            rule.name,
            rule.kind,
            self._base + start,
            own,
            data[start : match.end()] if is_message else data[start : frame.end],
            fields,
            text,
            damage,
            time,
            self._date_before(rule.prefix.date, start) if rule.prefix.date is not None and prefix is None else b"",
            self._marked(start, frame.end),
            prefix.end() - start if prefix is not None else 0,
        )

    def _fields(self, rule: Rule, prefix: Any, match: Any) -> tuple[dict[str, bytes], bytes | None]:
        """Return the rule's fields and the time; messages of equal fields share one dict."""
        time = match["time"] if rule.tells_time else None
        if time is None and prefix is not None:
            time = prefix["time"] if "time" in prefix.re.groupindex else None
        if not rule.is_message:
            return _taken(rule, prefix, match), time
        key = (rule.key, prefix and prefix.group(*_names(prefix.re)), match.group(*rule.names))
        fields = self._shared.get(key)
        if fields is None:
            if len(self._shared) >= SHARED_FIELDS:
                self._shared.clear()
            fields = self._shared[key] = _taken(rule, prefix, match)
        return fields, time

    def _marked(self, start: int, end: int) -> int:
        """Return the bits of marks that end in [start, end); records come in order, so those before are done with."""
        marks, position, found = self._marks, self._next_mark, 0
        if end > self._scanned or not self._literals.notes_marks:
            return ALL_MARKS
        while position < len(marks) and marks[position][0] < start:
            position += 1
        self._next_mark = position if not self._holes else self._next_mark
        while position < len(marks) and marks[position][0] <= end:
            found |= marks[position][1]
            position += 1
        return found

    def _date_before(self, date: Any, start: int) -> bytes:
        """Return the text of the last date before `start` that stands after the last place looked at."""
        if start == self._dated_at:
            return self._dated
        data, stop, lowest = self._data, start, max(self._dated_at, start - LONGEST_LOOK_BACK)
        while stop > lowest:
            line = data.rfind(b"\n", lowest, stop - 1) + 1 or lowest
            found = date.match(data, line)
            if found is not None:
                self._dated = found[1]
                break
            stop = line if line < stop else lowest
        self._dated_at = start
        return self._dated

    def _note_gap(self, start: int) -> None:
        """Count SIP-looking text that no record took, between the last record and this one."""
        floor = self._floor
        if start > floor:
            self.accounting.skipped += start - floor
            missed = count_looks(self._data, floor, start)
            if missed:
                self.accounting.reasons["unknown-shape"] += missed
                if len(self.missed) < self._remember:
                    lines = self._data[floor:start].split(b"\n")
                    self.missed += [line for line in lines if LOOKS_LIKE_SIP in line]

    def _forget(self, *, final: bool) -> None:
        """Drop what is done with; keep an unfinished record, the last whole line and what one entry's cut needs."""
        if final:
            end = len(self._data) if self._stop is None else min(self._stop - self._base, len(self._data))
            self._note_gap(end)
            self._floor = max(self._floor, end)
            self.accounting.read -= len(self._data) - self._floor
            self.accounting.lines -= self._data.count(b"\n", self._floor)
            return
        keep = self._keep_from()
        if keep <= 0:
            return
        self._note_gap(keep)
        self._data = self._data[keep:]
        self._base += keep
        self._floor = max(self._floor - keep, 0)
        self._scanned -= keep
        self._doubtful = max(self._doubtful - keep, 0)
        self._dated_at = max(self._dated_at - keep, 0)
        self._line = self._line_end = 0
        self._failed, self._glued = set(), None
        self._prefix_at = -1
        self._marks = [(end - keep, bit) for end, bit in self._marks if end > keep]
        self._next_mark = 0
        self._waiting = [(position - keep, rules) for position, rules in self._waiting]
        self._holes = [(max(begin - keep, 0), end - keep) for begin, end in self._holes if end > keep]

    def _keep_from(self) -> int:
        first = self._waiting[0][0] if self._waiting else self._scanned
        return self._data.rfind(b"\n", 0, max(0, first - LONGEST_LOOK_BACK)) + 1


@lru_cache(maxsize=64)
def _names(pattern: Any) -> tuple[str, ...]:
    return tuple(name for name in pattern.groupindex if name != "time")


def _taken(rule: Rule, prefix: Any, match: Any) -> dict[str, bytes]:
    """Gather what constants, prefix and pattern say, the pattern before the prefix; time and byte count apart."""
    found = prefix.groupdict() if prefix is not None else {}
    found |= {name: value for name, value in match.groupdict().items() if value or not found.get(name)}
    found.pop("time", None)
    if rule.is_message:
        found.pop("bytes", None)
    return {**rule.constants, **{name: value for name, value in found.items() if value is not None}}
