"""Lines of several programs in one log: `docker compose logs`, the journal, a syslog of the whole machine.

A carrier says whose line each is. Lines of programs that never wrote an entry of a PBX are left out. Where several
programs did, each one's lines of a window are brought together, from the beginning of an entry up to the beginning of
its last one, which is kept for the next window; so no program's line gets into another one's message.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from siplogs.packs.recognition import ENTRY, MARK, NOTHING, Judge
from siplogs.packs.unwrapped import Line

LARGEST_ENTRY: Final = 1_048_576


class Programs:
    """Which programs are PBXs, and the entry of each that may go on in the next window.

    `flowing`: the only PBX so far, whose last entry was not kept.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._heard: set[bytes] = set()
        self._flowing: bytes | None = None
        self._open: dict[bytes, list[Line]] = {}

    def sorted_apart(self, lines: list[Line]) -> Iterable[Line]:
        """Return what of a window's lines goes on, in the order in which it does."""
        programs = {program for program, _, _ in lines}
        if programs - self._heard:
            self._heard.update(self._heard_in(lines))
        if not self._heard:
            return lines
        heard = lines if programs <= self._heard else [line for line in lines if line[0] in self._heard]
        if len(self._heard) > 1:
            return list(self._apart(heard))
        self._flowing = next(iter(self._heard))
        return heard

    def rest(self) -> Iterator[Line]:
        """Yield the entries that were kept, where another kind of log follows or none; a line without its end last."""
        for lines in sorted(self._open.values(), key=lambda lines: not lines[-1][2].endswith(b"\n")):
            yield from lines
        self._open = {}

    def _heard_in(self, lines: Iterable[Line]) -> Iterator[bytes]:
        for program, _, text in lines:
            if program not in self._heard and self._judge.kind(text) != NOTHING:
                yield program

    def _apart(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Yield each program's lines in one up to its last entry; first what one goes on with that was not kept."""
        before, groups = self._open, {name: [*kept] for name, kept in self._open.items()}
        for line in lines:
            groups.setdefault(line[0], []).append(line)
        self._open = {}
        flowing, self._flowing = self._flowing, None
        if flowing is not None and flowing in groups:
            group = groups.pop(flowing)
            stop = self._last_entry(group)
            if stop < 0:
                self._flowing, self._open = flowing, groups
                yield from group
                return
            yield from self._kept_back(flowing, group, stop)
        for program in sorted(groups, key=lambda name: groups[name][0][1]):
            group = groups[program]
            over = len(group) == len(before.get(program, ()))
            yield from self._kept_back(program, group, len(group) if over else max(self._last_entry(group), 0))

    def _kept_back(self, program: bytes, group: list[Line], stop: int) -> list[Line]:
        """Keep the lines from `stop` on for the next window, unless they are too many, and return those before."""
        if stop < len(group) and sum(len(text) for _, _, text in group[stop:]) < LARGEST_ENTRY:
            self._open[program] = group[stop:]
            return group[:stop]
        return group

    def _last_entry(self, group: list[Line]) -> int:
        """Return where the last entry begins, -1 without one. chan_sip writes a marker on the line after the prefix."""
        at = next((at for at in reversed(range(len(group))) if self._judge.kind(group[at][2]) != NOTHING), -1)
        if at > 0 and self._judge.kind(group[at][2]) == MARK:
            at -= self._judge.kind(group[at - 1][2]) == ENTRY
        return at
