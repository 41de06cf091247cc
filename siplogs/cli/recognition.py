"""What the words after `siplogs explain` mean: codes, classes, KIND:KEY, names, or a piece of a log."""

import re
import shlex
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from siplogs.cli.pages import title
from siplogs.cli.question import SIP, Context, Question, key_of
from siplogs.errors import KnowledgeError
from siplogs.knowledge import Entry, KnowledgeBase

# Other words for a kind, as people type them before a colon.
ALIASES: Final = {
    "agent": "scanner",
    "cause": "q850",
    "code": "sip",
    "dial": "dialstatus",
    "endpoint": "contact",
    "event": "security",
    "fs": "freeswitch",
    "gw": "gateway",
    "hangup": "q850",
    "hangupcause": "q850",
    "isdn": "q850",
    "peer": "contact",
    "pj": "pjsip",
    "pjproject": "pjsip",
    "q.850": "q850",
    "q.931": "q850",
    "q931": "q850",
    "qualify": "contact",
    "reason": "protocol",
    "reg": "registration",
    "response": "sip",
    "securityevent": "security",
    "ssl": "transport",
    "status": "sip",
    "tls": "transport",
    "user-agent": "scanner",
    "warn": "warning",
}

_CODE: Final = re.compile(r"[1-6](\d\d|xx)")
_NUMBERISH: Final = re.compile(r"-?\d[\dx]*")
_OPTION: Final = re.compile(r"--?[A-Za-z][\w-]*(=.*)?", re.DOTALL)
_LONGEST_SHOWN: Final = 60
_LONGEST_NAME: Final = 160

# Kinds whose numbers look like response codes: Q.850 causes end at 127, Warning codes begin with 3.
_TWINS: Final = (("q850", range(128)), ("warning", range(300, 400)))


def recognise(knowledge: KnowledgeBase, arguments: Sequence[str], context: Context) -> list[Question]:
    """Return what is asked, in its order and each once; KnowledgeError when nothing is known of it.

    Arguments are codes, classes, KIND:KEY and names; when one of them is none of these, all of them together are a name
    or a piece of a log. `context` wins over what such a piece tells.
    """
    for argument in arguments:
        if _OPTION.fullmatch(argument):
            raise KnowledgeError(f"{shown(argument)} is no option of siplogs explain; siplogs explain -h lists them")
    asked = _each(knowledge, arguments) or _whole(knowledge, " ".join(arguments))
    return list({one.key: replace(one, context=context.over(one.context)) for one in asked}.values())


def nothing_known(knowledge: KnowledgeBase, text: str) -> KnowledgeError:
    """Return the error that names what comes nearest."""
    what = "; response codes go from 100 to 699, a class is 4xx" if _NUMBERISH.fullmatch(text) else ""
    name = len(text) <= _LONGEST_NAME
    near = knowledge.nearest(text) if len(text) <= _LONGEST_SHOWN else []
    nearest = ", ".join(f"{title(one, one.code)} ({key_of(one)})" for one in near)
    like = f"; similar: {nearest}" if nearest else ""
    hits = len(knowledge.search(text)) if name else 0
    held = f"{hits} entries hold its words" if hits > 1 else "one entry holds its words" if hits else "look for words"
    search = shlex.quote(shown(text)) if hits else "WORDS"
    return KnowledgeError(f"nothing known of '{shown(text)}'{what}{like}; {held}: siplogs explain --search {search}")


def shown(text: str) -> str:
    """Return a text for an error: on one line, without control characters, its end cut off."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text)
    return clean if len(clean) <= _LONGEST_SHOWN else f"{clean[:_LONGEST_SHOWN]}…"


def _each(knowledge: KnowledgeBase, arguments: Sequence[str]) -> list[Question]:
    """Return a question an argument, or nothing when one of them is neither code nor KIND:KEY nor a name."""
    direct = [_direct(knowledge, argument) for argument in arguments]
    if all(direct):
        return [one for one in direct if one]
    whole = " ".join(arguments)
    if len(whole) <= _LONGEST_NAME and (entries := knowledge.named(whole)):
        return [_among(entries)]
    asked = [one or _by_name(knowledge, text) for one, text in zip(direct, arguments, strict=True)]
    return [one for one in asked if one] if all(asked) else []


def _direct(knowledge: KnowledgeBase, argument: str) -> Question | None:
    """Take an argument as a code, a class or KIND:KEY."""
    written = argument.strip().lower()
    if _CODE.fullmatch(written):
        twins = [
            knowledge.find(kind, written) for kind, codes in _TWINS if written[1:] != "xx" and int(written) in codes
        ]
        others = tuple(Question(key_of(entry), entry) for entry in twins if entry)
        return Question(written, knowledge.entry(written), others=others, same_name=True)
    named, colon, key = argument.strip().partition(":")
    kind = ALIASES.get(named.strip().lower(), named.strip().lower())
    if not colon or kind not in (SIP, *knowledge.kinds()):
        return None
    if kind == SIP and _CODE.fullmatch(key.strip().lower()):
        return _direct(knowledge, key)
    entry = knowledge.find(kind, key)
    return Question(key_of(entry), entry) if entry else None


def _by_name(knowledge: KnowledgeBase, text: str) -> Question | None:
    entries = knowledge.named(text) if len(text) <= _LONGEST_NAME else []
    return _among(entries) if entries else None


def _among(entries: Sequence[Entry]) -> Question:
    """Return the question for the first of the entries that a name fits; the rest are named beside it."""
    first, *rest = (Question(key_of(entry), entry) for entry in entries)
    return replace(first, others=tuple(rest), same_name=True)


def _whole(knowledge: KnowledgeBase, text: str) -> list[Question]:
    """Take a text as a piece of a log; the packs that this needs are loaded only here."""
    from siplogs.cli.pasted import read

    asked = read(knowledge, text) if text.strip() else None
    if asked is None:
        raise nothing_known(knowledge, text.strip())
    return [asked]


def from_text(knowledge: KnowledgeBase, text: str, context: Context) -> list[Question]:
    """Return what a text from standard input asks: words of the same forms, or a piece of a log."""
    plain = text.strip()
    arguments = plain.split() if "\n" not in plain and len(plain) <= _LONGEST_NAME else []
    if not plain:
        raise KnowledgeError("standard input is empty; pipe a code, a name or a piece of a log into siplogs explain -")
    asked = _each(knowledge, arguments) if arguments else []
    asked = asked or _whole(knowledge, text)
    return [replace(one, context=context.over(one.context)) for one in asked]
