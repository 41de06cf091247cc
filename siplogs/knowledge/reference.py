"""Writes the reference of all that the knowledge base knows, for readers without the program at hand.

The data files are the only source. `python -m siplogs.knowledge.reference docs` writes `docs/codes.md` anew; a test
keeps it equal to them.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from siplogs.knowledge.base import CLASSES, SIP, KnowledgeBase, load
from siplogs.knowledge.entry import KINDS, Entry

_INTRODUCTION: Final = """# What a PBX prints as a reason

Generated from `siplogs/knowledge/data/en` by `python -m siplogs.knowledge.reference docs`; do not edit.

Each entry: what it means, when it is seen, and its likely causes, the most likely first, each with what to change.
`siplogs explain` shows more of every one: how to tell which cause it is, what to change on each stack, whether to
retry, and how the answer changes with the method, with who sent the response, and with the PBX
(`siplogs explain 403 --method REGISTER --received`). It also takes the names below, and lines of a log.
"""

# Signs that Markdown, or GitHub's formulas, would take for their own.
_SIGNS: Final = re.compile(r"[\\`*<$]|(?<!\w)_|_(?!\w)")


def reference(knowledge: KnowledgeBase) -> str:
    """Return the reference as Markdown: SIP codes by class, then each other kind."""
    families = [(family, _family(knowledge, family)) for family in CLASSES]
    kinds = [
        (f"{KINDS[kind][0].upper()}{KINDS[kind][1:]}", list(knowledge.entries(kind).values()))
        for kind in knowledge.kinds()
    ]
    named = [(f"{family} {knowledge.entry(family).phrase}", entries) for family, entries in families]
    contents = [f"- [{heading}](#{anchor(heading)}): {len(entries)}" for heading, entries in (*named, *kinds)]
    parts = [_INTRODUCTION, "\n".join(contents), ""]
    for heading, entries in (*named, *kinds):
        parts.append(f"## {heading}\n")
        parts += ["\n".join(_entry(entry)) for entry in entries]
    return "\n".join(parts).rstrip() + "\n"


def anchor(heading: str) -> str:
    """Return the anchor that a heading gets: lower case, blanks as hyphens, other signs left out."""
    kept = "".join(letter for letter in heading.lower() if letter.isalnum() or letter in "-_ ")
    return kept.replace(" ", "-")


def _family(knowledge: KnowledgeBase, family: str) -> list[Entry]:
    return [knowledge.entry(family), *(knowledge.entry(code) for code in knowledge.codes() if code[0] == family[0])]


def _entry(entry: Entry) -> Iterator[str]:
    same = entry.phrase.casefold() == entry.code.casefold()
    yield f"### {entry.code}" if same else f"### {entry.code} {_text(entry.phrase)}"
    yield ""
    yield f"*{_text(entry.brief)}* · {_text(' · '.join(_facts(entry)))}"
    yield ""
    yield f"{_text(entry.meaning)} **When:** {_text(entry.when)}"
    yield ""
    for number, cause in enumerate(entry.cause, 1):
        yield f"{number}. {_text(cause.text)} → {_text(cause.fix)}"
    yield ""


def _facts(entry: Entry) -> Iterator[str]:
    yield "failure" if entry.failure else "no failure"
    yield entry.rfc
    if entry.kind == SIP and not entry.registered and entry.code not in CLASSES:
        yield "not registered with IANA"
    if entry.maps:
        yield f"{'Q.850' if entry.kind == SIP else 'SIP'} {entry.mapped}"


def _text(text: str) -> str:
    """Write a text so that Markdown leaves it as it is."""
    return _SIGNS.sub(r"\\\g<0>", text)


def main(folder: str = "docs") -> None:
    """Write the reference into a folder."""
    Path(folder, "codes.md").write_text(reference(load()), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
