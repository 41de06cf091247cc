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
from siplogs.shipping.state import Place, only_file, signature
from siplogs.sources import Source

Key = tuple[str, str]
Found = tuple[Source, ReadOptions]

_COMPARED: Final = 65_536
_TAIL: Final = 256
_BEGINNING: Final = 4096
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
    for fits in (*_EVIDENCE, lambda _, place: is_unread(place)):
        for one in (one for one in logs if one not in keyed.values()):
            free = [its for its in known if its not in keyed and fits(one[0], known[its])]
            if free:
                keyed[max(free, key=lambda its: known[its].settled)] = one
    used = known.keys() | keyed.keys()
    for one in (one for one in logs if one not in keyed.values()):
        own = _unused(key, used) if key in used else key
        keyed[own] = one
        used = used | {own}
    return keyed, waiting


def recognised(source: Source, places: Iterable[Place]) -> bool:
    """Tell whether a file is the log of one of some places."""
    return any(fits(source, place) for place in places for fits in _EVIDENCE)


def signature_of(source: Source) -> str:
    """Return the signature of a file as it was found."""
    return signature(source.inode, source.size, source.modified)


def continues(source: Source, place: Place) -> bool:
    """Tell whether a file still has what was seen of it: no other log under the same first line, nothing cut off."""
    if not source.seekable or (source.size or 0) < place.settled:
        return False
    return goes_on(source, place) if place.settled or place.tail else True


def goes_on(source: Source, place: Place) -> bool:
    """Tell whether a file or an archive holds the log of a place, by what stood there before it was left."""
    if place.settled:
        return bool(place.tail) and _checksum(source, max(place.settled - _TAIL, 1), place.settled) == place.tail
    length, _, seen = place.tail.partition(":")
    return bool(seen) and _checksum(source, 0, int(length)) == seen


def tail_of(source: Source, settled: int) -> str:
    """Return a checksum of what stands before an offset, "" where that cannot be looked at cheaply."""
    return _checksum(source, max(settled - _TAIL, 1), settled) if source.seekable and settled else ""


def beginning_of(source: Source) -> str:
    """Return length and checksum of what a log begins with, to know it by as long as nothing of it was read."""
    length = min(source.size or 0, _BEGINNING)
    checksum = _checksum(source, 0, length) if source.seekable else ""
    return f"{length}:{checksum}" if checksum else ""


def _checksum(source: Source, start: int, stop: int) -> str:
    try:
        found = b"".join(source.blocks(start, stop, stop - start))
    except SourceError:
        return ""
    return blake2b(found, digest_size=8).hexdigest()


def _is_unchanged(source: Source, place: Place) -> bool:
    return place.seen == signature_of(source)


def _is_noted(source: Source, place: Place) -> bool:
    return source.inode == place.inode and is_unread(place)


def is_packed(source: Source, place: Place) -> bool:
    """Tell whether an archive holds as much as was read of a log to its end, so that nothing in it is new."""
    return place.whole and place.size > 0 and source.is_packed(place.size)


def is_unread(place: Place) -> bool:
    """Tell whether nothing is known of what was read of a log, so that its place fits any file that begins like it."""
    return not (place.settled or place.tail)


def _is_cut_archive(source: Source, place: Place) -> bool:
    """An archive of which a part was read may have got another name, but not another content."""
    return not source.seekable and source.inode == place.inode and place.seen == only_file(place.seen)


def _unused(key: Key, used: Collection[Key]) -> Key:
    return next(one for one in ((key[0], f"{key[1]}{_MARK}{number}") for number in count(1)) if one not in used)


_EVIDENCE: Final = (_is_unchanged, goes_on, _is_noted, _is_cut_archive)


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


def _worth(source: Source, beginning: bytes) -> tuple[bool, int, bool, int]:
    """Of two files that begin alike the one of which more can be read is better, and plain text.

    One that is being rotated away at this moment comes first: its archive may not have been whole when it was found.
    """
    return source.seekable and not beginning, len(beginning), source.seekable, source.size or 0


def _agree(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


def _beginning(source: Source) -> bytes:
    taken: list[bytes] = []
    with suppress(SourceError):
        taken.extend(source.blocks(0, _COMPARED, _COMPARED))
    return b"".join(taken)
