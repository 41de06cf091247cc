"""Several entries at a time: two or three side by side, longer lists and classes, and what a search found."""

from collections.abc import Iterator, Sequence
from itertools import permutations, zip_longest
from typing import Final

from siplogs.cli.layout import Line, labelled, paragraph, shortened, wrapped
from siplogs.cli.pages import SEVERITY_STYLES, heading, is_fallback, read_as, title, unknown
from siplogs.cli.question import SIP, Question, key_of
from siplogs.knowledge import CLASSES, Entry, KnowledgeBase
from siplogs.knowledge.words import Words

COLUMNS: Final = 3
MOST_FOUND: Final = 20
_LABELS: Final = 10
_NAMES: Final = 31


def side_by_side(knowledge: KnowledgeBase, asked: Sequence[Question], width: int) -> Iterator[Line]:
    """Lay out two or three entries in columns, after a summary of how they differ."""
    words = knowledge.words
    entries = [knowledge.lookup(one.entry, *one.context) for one in asked]
    column = (width - _LABELS) // len(asked) - 2
    for one in asked:
        if is_fallback(one.entry, one.key):
            yield from paragraph(unknown(words, one.key), width, style="yellow")
    yield [(words.differences, "bold")]
    for text in _differences(knowledge, asked, entries):
        yield from labelled("-", text, width, column=2, indent=2)
    for name, cells in _rows(words, asked, entries):
        yield []
        style = "bold" if name == words.rows.code else ""
        for place, parts in enumerate(zip_longest(*(wrapped(cell, column) for cell in cells), fillvalue="")):
            padded = "  ".join(part.ljust(column) for part in parts)
            yield [((name if place == 0 else "").ljust(_LABELS), "dim"), (padded, style)]


def _rows(words: Words, asked: Sequence[Question], entries: list[Entry]) -> Iterator[tuple[str, list[str]]]:
    rows = words.rows
    yield rows.code, [title(entry, one.key) for one, entry in zip(asked, entries, strict=True)]
    yield rows.source, [entry.rfc for entry in entries]
    yield rows.failure, [f"{words.yes if e.failure else words.no}, {words.severity[e.severity]}" for e in entries]
    yield rows.brief, [entry.brief for entry in entries]
    yield rows.meaning, [entry.meaning for entry in entries]
    yield rows.when, [entry.when for entry in entries]
    yield rows.retry, [entry.retry for entry in entries]
    yield rows.first, [entry.cause[0].text for entry in entries]
    yield rows.tell, [entry.cause[0].tell for entry in entries]
    yield rows.fix, [e.cause[0].fix_for(one.context.stack) for one, e in zip(asked, entries, strict=True)]
    yield rows.check, [", ".join(entry.check) for entry in entries]


def _differences(knowledge: KnowledgeBase, asked: Sequence[Question], entries: list[Entry]) -> Iterator[str]:
    """Say how entries differ: what they say of each other, classes of codes, and which of them fail."""
    words, pairs = knowledge.words, list(zip(asked, entries, strict=True))
    for (one, entry), (other, there) in permutations(pairs, 2):
        key = there.code if there.kind == entry.kind else f"{there.kind}:{there.code}"
        if key in entry.related and not is_fallback(there, other.key):
            yield words.seen_from.format(code=one.key, other=other.key, difference=entry.related[key])
    if all(entry.kind == SIP for entry in entries) and len({one.key[0] for one in asked}) > 1:
        phrases = {one.key: knowledge.entry(f"{one.key[0]}xx").phrase.lower() for one in asked}
        codes = "; ".join(words.class_of.format(code=code, phrase=phrase) for code, phrase in phrases.items())
        yield words.classes.format(codes=codes)
    failing = [one.key for one, entry in pairs if entry.failure]
    if 0 < len(failing) < len(pairs):
        yield words.failing.format(codes=", ".join(failing))
    elif len({entry.severity for entry in entries}) > 1:
        weights = "; ".join(f"{one.key} {words.severity[entry.severity]}" for one, entry in pairs)
        yield words.weights.format(codes=weights)


def listed(knowledge: KnowledgeBase, asked: Sequence[Question], width: int) -> Iterator[Line]:
    """Lay out classes and longer lists, a line an entry."""
    words = knowledge.words
    for place, one in enumerate(asked):
        if one.key not in CLASSES:
            yield _summary(words, one.entry, one.key, width)
            continue
        if place:
            yield []
        entry = knowledge.lookup(one.entry, *one.context)
        yield from heading(words, entry, one.key, width)
        yield []
        yield from paragraph(entry.meaning, width, indent=2)
        yield from labelled(words.retry, entry.retry, width, column=len(words.retry) + 2, indent=2)
        yield []
        for code in members(knowledge, one.key):
            yield _summary(words, knowledge.entry(code), code, width)


def members(knowledge: KnowledgeBase, family: str) -> list[str]:
    """Return the codes of a class that have an entry."""
    return [code for code in knowledge.codes() if code[0] == family[0]]


def _summary(words: Words, entry: Entry, key: str, width: int) -> Line:
    shown = (
        title(entry, key) if not is_fallback(entry, key) else f"{key} {words.unknown_row}".format(read_as=read_as(key))
    )
    name = shortened(shown, _NAMES - 2).ljust(_NAMES)
    return [(name, SEVERITY_STYLES[entry.severity]), (shortened(entry.brief, width - _NAMES), "")]


def found(knowledge: KnowledgeBase, text: str, width: int) -> Iterator[Line]:
    """Lay out what a search found: the best first, each with the command that shows it; nothing when it found none."""
    words, entries = knowledge.words, knowledge.search(text)
    if not entries:
        return
    told = words.found if len(entries) > 1 else words.one_found
    yield from paragraph(told.format(count=len(entries), words=text), width, style="bold")
    yield []
    for entry in entries[:MOST_FOUND]:
        name = title(entry, entry.code)
        style = SEVERITY_STYLES[entry.severity]
        yield [(shortened(name, _NAMES - 2).ljust(_NAMES), style), (shortened(entry.brief, width - _NAMES), "")]
        yield from paragraph(Question(key_of(entry), entry).command(), width, 4, "cyan")
    if len(entries) > MOST_FOUND:
        yield []
        yield from paragraph(words.more.format(count=len(entries) - MOST_FOUND), width, style="dim")
