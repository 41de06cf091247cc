"""The page of one entry: heading, meaning, causes with their proof and their remedy, and where it reads differently."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from siplogs.cli.layout import Line, labelled, paragraph, shortened, wrapped
from siplogs.cli.question import SIP, Context, Question, context_of
from siplogs.knowledge import CLASSES, STACK_NAMES, Cause, Entry, KnowledgeBase, Match
from siplogs.knowledge.words import Words

# What a code without an entry is read as: RFC 3261 8.1.3.2 says x00 of its class, and 183 for provisional ones.
READ_AS: Final = {"1": "183"}
SEVERITY_STYLES: Final = {"info": "green", "warning": "yellow", "error": "red"}

_REGISTERED_KINDS: Final = ("sip", "warning", "protocol")
_SHORT_KINDS: Final = {"sip": "SIP ", "q850": "Q.850 ", "warning": "Warning ", "freeswitch": "FreeSWITCH "}
_LONGEST_SEEN: Final = 170
_WIDEST_RELATED: Final = 20


def page(knowledge: KnowledgeBase, asked: Question, width: int) -> Iterator[Line]:
    """Lay out one entry in full, as it reads in the question's context."""
    words, context = knowledge.words, asked.context
    entry = knowledge.lookup(asked.entry, *context)
    if asked.told:
        rule = f" ({words.by_rule.format(rule=asked.rule)})" if asked.rule else ""
        yield from paragraph(words.recognised.format(what=asked.told + rule), width, style="cyan")
        yield []
    yield from heading(words, entry, asked.key, width)
    yield []
    yield from paragraph(entry.meaning, width, indent=2)
    yield from _in_context(knowledge, asked, width)
    yield []
    yield from _facts(words, entry, width)
    yield []
    yield [(words.causes, "bold")]
    for number, cause in enumerate(entry.cause, 1):
        yield []
        yield from _cause(words, number, cause, context.stack, width)
    yield from _related(words, entry, width)
    yield from _contexts(words, asked, width)
    yield from _others(words, asked, width)


def heading(words: Words, entry: Entry, key: str, width: int) -> Iterator[Line]:
    """Lay out an entry's name, what it counts as, its source and its other spellings."""
    if is_fallback(entry, key):
        yield from paragraph(unknown(words, key), width, style="yellow")
        yield []
    kind = f"{key[0]}xx" if entry.kind == SIP else words.kind[entry.kind]
    failure = words.failure if entry.failure else words.no_failure
    facts = f"{kind} · {failure} · {words.severity[entry.severity]}"
    lines = wrapped(title(entry, key), width)
    gap = width - len(lines[-1]) - len(facts)
    style = SEVERITY_STYLES[entry.severity]
    yield from ([(line, "bold")] for line in lines[:-1])
    if gap > 1:
        yield [(lines[-1], "bold"), (" " * gap, ""), (facts, style)]
    else:
        yield [(lines[-1], "bold")]
        yield [(facts, style)]
    yield from paragraph(_source(words, entry), width, style="dim")


def title(entry: Entry, key: str) -> str:
    """Return key and phrase, without saying the same twice; keys that are mere words of ours stay away."""
    if entry.kind == SIP:
        return f"{key} {entry.phrase}"
    ours = re.fullmatch(r"[^A-Z]*[a-z][^A-Z]*", entry.code)
    same = entry.code.casefold() == entry.phrase.casefold()
    return entry.phrase if same or ours else f"{entry.code} {entry.phrase}"


def is_fallback(entry: Entry, key: str) -> bool:
    """Tell whether an entry stands in for a code that has none."""
    return entry.kind == SIP and entry.code != key


def unknown(words: Words, key: str) -> str:
    """Say that a code is not known and how it is read."""
    return words.unknown_code.format(code=key, read_as=read_as(key), family=f"{key[0]}xx")


def read_as(code: str) -> str:
    """Return the code that an unknown one is read as."""
    return READ_AS.get(code[0], f"{code[0]}00")


def label(key: str, kind: str) -> str:
    """Write a key of `related`, or of a `kind`, as a reader would say it: Q.850 17, FreeSWITCH USER_BUSY, 486."""
    named, colon, rest = key.partition(":")
    if not colon:
        named, rest = kind, key
    same = named == kind
    return rest if same else f"{_SHORT_KINDS.get(named, '')}{rest}"


def _source(words: Words, entry: Entry) -> str:
    parts = [entry.rfc]
    if entry.kind in _REGISTERED_KINDS and not entry.registered and entry.code not in CLASSES:
        parts.append(words.unregistered)
    names = [name for name in dict.fromkeys(entry.variants) if name != entry.phrase]
    shown: list[str] = []
    for name in names:
        if sum(len(one) + 2 for one in shown) + len(name) > _LONGEST_SEEN:
            shown.append("…")
            break
        shown.append(name)
    if shown:
        parts.append(words.also_seen.format(names=", ".join(shown)))
    return " · ".join(parts)


def _facts(words: Words, entry: Entry, width: int) -> Iterator[Line]:
    """Lay out when it is seen, whether to retry, where to look and what it is in the other numbering."""
    mapped = words.q850_cause if entry.kind == SIP else words.sip_code
    rows = [
        (words.when, entry.when),
        (words.retry, entry.retry),
        (words.check, ", ".join(entry.check)),
        (mapped, entry.mapped),
    ]
    rows = [row for row in rows if row[1]]
    column = max(len(name) for name, _ in rows) + 2
    for name, text in rows:
        yield from labelled(name, text, width, column)


def _cause(words: Words, number: int, cause: Cause, stack: str, width: int) -> Iterator[Line]:
    yield from labelled(f"{number}.", cause.text, width, column=3, style="bold", label_style="bold")
    column = max(len(words.tell), len(words.fix)) + 2
    yield from labelled(words.tell, cause.tell, width, column, indent=3)
    yield from labelled(words.fix, cause.fix_for(stack), width, column, indent=3, style="green")
    if stack:
        return
    for name, fix in cause.on.items():
        yield from labelled(STACK_NAMES[name], fix, width, column=12, indent=3 + column, label_style="cyan")


def _related(words: Words, entry: Entry, width: int) -> Iterator[Line]:
    if not entry.related:
        return
    yield []
    yield [(words.related, "bold")]
    names = {key: label(key, entry.kind) for key in entry.related}
    column = min(max(len(name) for name in names.values()), _WIDEST_RELATED) + 2
    for key, difference in entry.related.items():
        yield from labelled(names[key], difference, width, column, indent=2, label_style="cyan")


def _in_context(knowledge: KnowledgeBase, asked: Question, width: int) -> Iterator[Line]:
    """Say for which context the page is, and which refinements speak in it."""
    if not any(asked.context):
        return
    words = knowledge.words
    spoken = knowledge.refinements(asked.entry, *asked.context)
    yield []
    yield from paragraph(words.read_for.format(context=asked.context.described(words)), width, 2, "dim")
    if spoken:
        contexts = "; ".join(_described(words, refinement.match) for refinement in spoken)
        yield from paragraph(words.told_by.format(contexts=contexts), width, 2, "dim")
    else:
        yield from paragraph(words.general, width, 2, "dim")


def _described(words: Words, match: Match) -> str:
    described = Context("/".join(match.method), match.direction, match.stack)
    return described.described(words)


def _contexts(words: Words, asked: Question, width: int) -> Iterator[Line]:
    """Name the commands that show the entry in the contexts in which it reads differently."""
    if any(asked.context) or not asked.entry.refinement:
        return
    yield []
    yield [(words.in_context, "bold")]
    contexts = sorted(context_of(refinement.match) for refinement in asked.entry.refinement)
    for (method, direction), group in groupby(contexts, key=lambda one: one[:2]):
        stacks = sorted({one.stack for one in group})
        first = Question(asked.key, asked.entry, Context(method, direction, stacks[0]))
        yield from paragraph(first.command(), width, 2, "cyan")
        if stacks[1:]:
            yield from paragraph(words.with_stack.format(stacks=", ".join(stacks[1:])), width, 6, "dim")


def _others(words: Words, asked: Question, width: int) -> Iterator[Line]:
    """Name what else was recognised, with the command for each."""
    if not asked.others:
        return
    yield []
    yield [(words.also_fits if asked.same_name else words.also_there, "bold")]
    for other in asked.others:
        told = other.told or f"{title(other.entry, other.key)} ({words.kind[other.entry.kind]})"
        yield [("  ", ""), (shortened(told, width - 2), "")]
        yield from paragraph(other.command(), width, 6, "cyan")
