"""Finds codes, causes, warnings and names that stand somewhere in a text of any kind."""

import re
from collections.abc import Iterator
from typing import Final

from siplogs.cli.pages import title
from siplogs.cli.question import SIP, Context, Question, key_of
from siplogs.errors import KnowledgeError
from siplogs.knowledge import Entry, KnowledgeBase

LONGEST: Final = 65_536
MOST_NAMES: Final = 4
SHORTEST_NAME: Final = 4

# What tells a code, a cause or a state apart from any other number or word, the surest first; the kinds to look in.
_MARKS: Final = (
    (re.compile(r"SIP/2\.0[ /]+([1-6]\d\d)\b"), (SIP,)),
    (re.compile(r"\bSIP response (?:code )?'?([1-6]\d\d)\b", re.IGNORECASE), (SIP,)),
    (re.compile(r"\[terminated\]\[([1-6]\d\d)\]"), (SIP,)),
    (re.compile(r"\bSIP\s*;\s*cause\s*=\s*\"?([1-6]\d\d)\b", re.IGNORECASE), (SIP,)),
    (re.compile(r"\bQ\.?850\s*;\s*cause\s*=\s*\"?(\d{1,3})\b", re.IGNORECASE), ("q850",)),
    (re.compile(r"\bWarning\s*:\s*(3\d\d)\b", re.IGNORECASE), ("warning",)),
    (re.compile(r"^\s*(3\d\d) [\w.:\[\]-]+ \"", re.MULTILINE), ("warning",)),
    (re.compile(r"\bSecurityEvent=\"?(\w+)", re.IGNORECASE), ("security",)),
    (re.compile(r"\bDIALSTATUS\W{1,4}(\w+)", re.IGNORECASE), ("dialstatus",)),
    (re.compile(r"\bhangup_?cause(?:_q850)?\W{1,4}(\w+)", re.IGNORECASE), ("q850", "freeswitch")),
    (re.compile(r"\bcause(?:[ -]code)?\s*[:= ]\s*(\d{1,3})\b", re.IGNORECASE), ("q850",)),
    (re.compile(r"\b(PJ[A-Z]*_[A-Z0-9_]+)\b"), ("pjsip", "internal")),
    (re.compile(r"\b(1[27]\d{4})\b"), ("pjsip",)),
    (re.compile(r"\bstate\W{1,4}(REGISTER)\b", re.IGNORECASE), ("gateway",)),
    (re.compile(r"\b(?:User-Agent|UserAgent)\s*[:=]\s*([^\r\n]{1,120})", re.IGNORECASE), ("scanner",)),
)
_METHODS: Final = "INVITE|REGISTER|OPTIONS|BYE|CANCEL|ACK|SUBSCRIBE|NOTIFY|REFER|MESSAGE|INFO|PRACK|UPDATE|PUBLISH"
_CSEQ: Final = re.compile(r"\bCSeq\s*:\s*\d+\s+([A-Z]+)\b", re.IGNORECASE)
# A word in brackets is the level of a log line, such as [INFO].
_METHOD: Final = re.compile(rf"(?<!\[)\b({_METHODS})\b(?!\])")
_REQUEST: Final = re.compile(
    rf"(?:\A\s*(?:CSeq\s*:\s*\d+\s+)?|\bMethod:\s*)({_METHODS})(?=\s+[a-z]+:\S+\s+SIP/2\.0\b|[ \t\r]*$)", re.MULTILINE
)
_COUNT: Final = re.compile(
    r"\b(?:CSeq|Content-Length|Max-Forwards|(?:Min-|Session-)?Expires|Min-SE|RSeq|RAck|Timestamp)\s*:\s*\d+",
    re.IGNORECASE,
)
_BARE: Final = re.compile(
    r"(?<![\w.:/@+<>-])([1-6]\d\d)(?![\w:/@-]|\.\d|\s*(?:bytes?|m?s|msecs?|sec\w*|headers?|lines?|calls?)\b)",
    re.IGNORECASE,
)
_TALK: Final = re.compile(
    rf"\b(?:SIP|code|status|error|response|respon\w+|repl\w+|answer\w*|got|return\w*|reject\w*|refus\w+|fail\w*"
    rf"|código|respuesta|estado|rechaz\w+|fall\w+)\b|(?<!\[)\b(?:{_METHODS})\b(?!\])",
    re.IGNORECASE,
)
# app_dial counts what it dialled: all, and of these busy, congested and unavailable; the first that is there decides.
_DIALLED: Final = re.compile(r"\bbusy/congested at this time \(\d+:(\d+)/(\d+)/(\d+)\)", re.IGNORECASE)
_DIALLED_STATUS: Final = ("BUSY", "CONGESTION", "CHANUNAVAIL")


def spotted(knowledge: KnowledgeBase, text: str) -> Iterator[Question]:
    """Yield what stands in a text: by marks such as `SIP/2.0 486`, else known names, else a lone response code.

    Raises KnowledgeError when none of these is there and the text is a request or its method, which has no reason.
    """
    text = text[:LONGEST]
    found = {entry.id: entry for entry in _marked(knowledge, text)}
    found = found or {entry.id: entry for entry in _names(knowledge, text)}
    if not found and (scanner := _scanner(knowledge, text)):
        found = {scanner.id: scanner}
    for entry in found.values():
        yield _asked(knowledge, text, key_of(entry), entry)
    codes = [] if found else _bare(knowledge, text)
    for code in codes:
        yield _asked(knowledge, text, code, knowledge.entry(code))
    if not found and not codes and (request := _REQUEST.search(text)):
        raise KnowledgeError(
            f"that is a request, {request[1]}, which gives no code, cause or state; paste the response to it"
        )


def _bare(knowledge: KnowledgeBase, text: str) -> list[str]:
    """Return the numbers that can only be response codes, where a text speaks of responses or requests at all."""
    if not _TALK.search(text):
        return []
    known = knowledge.codes()
    return [code for code in dict.fromkeys(_BARE.findall(_COUNT.sub("", text))) if code in known]


def _asked(knowledge: KnowledgeBase, text: str, key: str, entry: Entry) -> Question:
    words = knowledge.words
    method = _CSEQ.search(text) or _METHOD.search(text)
    if entry.kind == SIP and method:
        context = Context(method[1].upper())
        return Question(key, entry, context, words.to_method.format(code=key, method=context.method))
    what = title(entry, key)
    return Question(key, entry, told=what if entry.kind == SIP else f"{words.kind[entry.kind]}: {what}")


def _marked(knowledge: KnowledgeBase, text: str) -> Iterator[Entry]:
    known = (SIP, *knowledge.kinds())
    for mark, kinds in _MARKS:
        for name in dict.fromkeys(mark.findall(text)):
            entries = (knowledge.find(kind, name) for kind in kinds if kind in known)
            if entry := next((entry for entry in entries if entry), None):
                yield entry
    for counts in _DIALLED.findall(text) if "dialstatus" in known else ():
        status = next((name for name, count in zip(_DIALLED_STATUS, counts, strict=True) if int(count)), "")
        if entry := knowledge.find("dialstatus", status):
            yield entry


def _scanner(knowledge: KnowledgeBase, text: str) -> Entry | None:
    return knowledge.find("scanner", text) if "scanner" in knowledge.kinds() else None


def _names(knowledge: KnowledgeBase, text: str) -> Iterator[Entry]:
    """Yield the entries whose names stand in a text, the longest name first; no two from the same place."""
    lower = text.casefold()
    hits: list[tuple[int, int, Entry]] = []
    for kind in (SIP, *knowledge.kinds()):
        for entry in knowledge.entries(kind).values():
            for name in {entry.code, entry.phrase, *entry.variants}.difference(_METHODS.split("|")):
                place = _place(name, text, lower)
                if place >= 0:
                    hits.append((place, place + len(name), entry))
    taken: list[tuple[int, int]] = []
    for start, end, entry in sorted(hits, key=lambda hit: hit[0] - hit[1]):
        if len(taken) < MOST_NAMES and all(end <= one[0] or start >= one[1] for one in taken):
            taken.append((start, end))
            yield entry


def _place(name: str, text: str, lower: str) -> int:
    """Return where a name stands in a text as whole words, -1 when it does not.

    A name of several words counts in any case; a single one only as it is printed, and only when no common word is
    written so: all in capitals, or with one inside.
    """
    several = re.search(r"[ _]", name) is not None
    if len(name) < SHORTEST_NAME or not (several or re.search(r"[A-Z]", name[1:])):
        return -1
    where, wanted = (lower, name.casefold()) if several else (text, name)
    if wanted not in where:
        return -1
    found = re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", where)
    return found.start() if found else -1
