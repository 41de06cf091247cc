"""Several files of one family that begin with the same line: copies of one log, or logs of their own.

A log is known by its family and the fingerprint of its first line. Where that is a ruler, a blank line or a time
without a date, a rotated log and its successor share it; then they are told apart by what follows, and numbered.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import count
from typing import Final

from siplogs.errors import SourceError
from siplogs.pipeline import ReadOptions
from siplogs.shipping.state import Place
from siplogs.sources import Source

Key = tuple[str, str]
Found = tuple[Source, ReadOptions]

_COMPARED: Final = 65_536
_TAIL: Final = 256
_MARK: Final = "+"


def fingerprint(identity: str) -> str:
    """Return the fingerprint of the first line out of a key's identity."""
    return identity.partition(_MARK)[0]


def told_apart(
    key: Key, found: Sequence[Found], known: Mapping[Key, Place]
) -> tuple[dict[Key, Found], Iterable[Source]]:
    """Return the logs among files that begin with the same line, by key, and those files that wait.

    One that holds no more than another one's beginning is a copy of it, perhaps not yet whole, or a new log that has
    not said yet which it is: it waits. `found` is oldest first, `known` are the places of logs that began like them.
    """
    if len(found) == 1 and known.keys() <= {key}:
        return {key: found[0]}, ()
    logs, waiting = _without_copies(found)
    keyed: dict[Key, Found] = {}
    for fits in (_goes_on, _is_at):
        for one in (one for one in logs if one not in keyed.values()):
            free = [its for its in known if its not in keyed and fits(one[0], known[its])]
            if free:
                keyed[max(free, key=lambda its: known[its].settled)] = one
    for one in (one for one in logs if one not in keyed.values()):
        keyed[_unused(key, known.keys() | keyed.keys()) if key in keyed else key] = one
    return keyed, waiting


def continues(source: Source, place: Place) -> bool:
    """Tell whether a file still has what was read of it: no other log under the same first line, nothing cut off."""
    if not source.seekable or (source.size or 0) < place.settled:
        return False
    return not place.tail or tail_of(source, place.settled) == place.tail


def tail_of(source: Source, settled: int) -> str:
    """Return a checksum of what stands before an offset, "" where that cannot be looked at cheaply."""
    if not source.seekable or not settled:
        return ""
    try:
        before = next(source.blocks(max(settled - _TAIL, 1), settled, _TAIL), b"")
    except SourceError:
        return ""
    return blake2b(before, digest_size=8).hexdigest()


def _unused(key: Key, used: Collection[Key]) -> Key:
    return next(one for one in ((key[0], f"{key[1]}{_MARK}{number}") for number in count(1)) if one not in used)


def _goes_on(source: Source, place: Place) -> bool:
    return bool(place.tail) and continues(source, place)


def _is_at(source: Source, place: Place) -> bool:
    return source.inode == place.inode


def _without_copies(found: Sequence[Found]) -> tuple[Sequence[Found], Sequence[Source]]:
    beginnings = {number: _beginning(source) for number, (source, _) in enumerate(found)}
    best: list[int] = []
    waiting: list[Source] = []
    for number in sorted(beginnings, key=lambda one: _worth(found[one][0], beginnings[one]), reverse=True):
        if any(_agree(beginnings[number], beginnings[other]) for other in best):
            waiting.append(found[number][0])
        else:
            best.append(number)
    return [found[number] for number in sorted(best)], waiting


def _worth(source: Source, beginning: bytes) -> tuple[int, bool, int]:
    """Of two files that begin alike the one of which more can be read is better, and plain text."""
    return len(beginning), source.seekable, source.size or 0


def _agree(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


def _beginning(source: Source) -> bytes:
    taken: list[bytes] = []
    with suppress(SourceError):
        taken.extend(source.blocks(0, _COMPARED, _COMPARED))
    return b"".join(taken)
