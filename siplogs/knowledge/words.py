"""The words of the layout in a language: labels, and sentences with places for what they speak of."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from siplogs.errors import KnowledgeError
from siplogs.knowledge.entry import KINDS, Severity, converted, read_table

_PLACE: Final = re.compile(r"\{(\w*)\}")
_LONGEST_ROW: Final = 9

Label = Annotated[str, Meta(min_length=1, max_length=60)]
Row = Annotated[str, Meta(min_length=1, max_length=_LONGEST_ROW)]
Sentence = Annotated[str, Meta(min_length=3, max_length=240)]

# The places that a sentence must have; everything else must have none.
PLACES: Final = {
    "also_seen": ("names",),
    "with_stack": ("stacks",),
    "recognised": ("what",),
    "to_method": ("code", "method"),
    "by_rule": ("rule",),
    "read_for": ("context",),
    "told_by": ("contexts",),
    "unknown_code": ("code", "read_as", "family"),
    "unknown_row": ("read_as",),
    "seen_from": ("code", "other", "difference"),
    "classes": ("codes",),
    "class_of": ("code", "phrase"),
    "failing": ("codes",),
    "weights": ("codes",),
    "found": ("count", "words"),
    "one_found": ("words",),
    "more": ("count",),
}


class Rows(Struct, frozen=True, forbid_unknown_fields=True):
    """The labels at the left of a comparison."""

    code: Row
    source: Row
    failure: Row
    brief: Row
    meaning: Row
    when: Row
    retry: Row
    first: Row
    tell: Row
    fix: Row
    check: Row


class Words(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that `siplogs explain` says beside the entries; `kind` names one entry of each kind."""

    kind: dict[str, Label]
    severity: dict[Severity, Label]
    rows: Rows
    failure: Label
    no_failure: Label
    yes: Label
    no: Label
    unregistered: Label
    also_seen: Sentence
    when: Label
    retry: Label
    check: Label
    sip_code: Label
    q850_cause: Label
    causes: Label
    tell: Label
    fix: Label
    related: Label
    in_context: Label
    with_stack: Sentence
    sent: Label
    received: Label
    local: Label
    recognised: Sentence
    to_method: Sentence
    by_rule: Sentence
    read_for: Sentence
    told_by: Sentence
    general: Sentence
    also_fits: Label
    also_there: Label
    unknown_code: Sentence
    unknown_row: Label
    differences: Label
    seen_from: Sentence
    classes: Sentence
    class_of: Sentence
    failing: Sentence
    weights: Sentence
    found: Sentence
    one_found: Sentence
    more: Sentence


@cache
def read_words(path: Path) -> Words:
    """Read and check the words of a language; KnowledgeError names file, word and remedy."""
    words = converted(path, read_table(path), Words, "words")
    for name in words.__struct_fields__:
        text = getattr(words, name)
        wanted = PLACES.get(name, ())
        if isinstance(text, str) and sorted(_PLACE.findall(text)) != sorted(wanted):
            places = ", ".join(f"{{{place}}}" for place in wanted) or "none"
            raise KnowledgeError(f"{path}: words: {name} has other places than it is given; write {places} into it")
        if isinstance(text, str) and re.search(r"[{}]", _PLACE.sub("", text)):
            raise KnowledgeError(f"{path}: words: {name} has a brace that belongs to no place; remove it")
    if missing := [kind for kind in KINDS if kind not in words.kind]:
        raise KnowledgeError(f"{path}: words: kind {missing[0]} has no name; add it below [kind]")
    return words
