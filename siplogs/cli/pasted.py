"""Reads a pasted piece of a log: by the pattern packs, as a bare SIP message, else by what stands in its text."""

import re
from collections.abc import Iterable, Iterator
from tempfile import NamedTemporaryFile
from typing import Final

from msgspec.structs import replace

from siplogs.cli.pages import title
from siplogs.cli.question import SIP, Context, Question, key_of
from siplogs.cli.spotting import spotted
from siplogs.enrich.documents import stack_of
from siplogs.enrich.reasons import SPECIFIC
from siplogs.errors import KnowledgeError, SourceError
from siplogs.knowledge import STACK_NAMES, Entry, KnowledgeBase
from siplogs.model import Event, Reason, WarningValue
from siplogs.pipeline import Part, Reading, ReadOptions
from siplogs.sip import parse_message
from siplogs.sources import Source

MOST_OTHERS: Final = 5
_LINES: Final = 200
_SEVERITIES: Final = ("info", "warning", "error")

# A line pasted without what the logger puts before it is tried behind such a beginning.
_BEGINNINGS: Final = ("[Nov 21 00:00:00] NOTICE[1] siplogs.c: ", "2026-11-21 00:00:00.000000 [NOTICE] siplogs.c:1 ")
_MESSAGE: Final = re.compile(r"^[ \t]*(?=SIP/2\.0[ ]+\d{3}|[A-Z]{2,20}[ ]+[a-z]+:\S+[ ]+SIP/2\.0)", re.MULTILINE)


def read(knowledge: KnowledgeBase, text: str) -> Question | None:
    """Return the most telling thing in a text, what else it tells beside it; None when nothing is recognised.

    Raises KnowledgeError when a rule takes the text and it gives no reason for anything.
    """
    events = _events(knowledge, text)
    asked = [one for event in events for one in _of_event(knowledge, event)]
    asked = asked or list(_of_message(knowledge, text))
    for beginning in _BEGINNINGS if not asked and not events else ():
        events = events or _events(knowledge, _with(beginning, text))
        asked = asked or [one for event in events for one in _of_event(knowledge, event)]
    asked = asked or list(spotted(knowledge, text))
    if events and not asked:
        raise KnowledgeError(
            f"that is {_described(events[0])}, which gives no code, cause or state; paste what the PBX printed after it"
        )
    return _best(knowledge, asked)


def _described(event: Event) -> str:
    method = event.sip.method if event.sip is not None else None
    what = f"a request, {method}" if method and event.siplogs.kind == "message" else "a line of the log"
    return f"{what} (rule {event.siplogs.pack}/{event.siplogs.rule})"


def _best(knowledge: KnowledgeBase, asked: list[Question]) -> Question | None:
    """Choose the worst failure, the first of equals; the rest are its others."""
    once = list({(one.key, one.context): one for one in asked}.values())
    if not once:
        return None
    chosen = max(once, key=lambda one: _weight(knowledge, one))
    others = tuple(one for one in once if one is not chosen and one.key != chosen.key)
    return replace(chosen, others=others[:MOST_OTHERS])


def _weight(knowledge: KnowledgeBase, asked: Question) -> tuple[bool, int, int]:
    """Rank a failure before all else, then what a refusal says of itself before a code, a code before a state."""
    entry = knowledge.lookup(asked.entry, *asked.context)
    telling = 2 if f"{entry.kind}." in SPECIFIC else int(entry.kind == SIP)
    return entry.failure, telling, _SEVERITIES.index(entry.severity)


def _with(beginning: str, text: str) -> str:
    lines = [line.strip() for line in text.splitlines()[:_LINES] if line.strip()]
    return "".join(f"{beginning}{line}\n" for line in lines)


def _events(knowledge: KnowledgeBase, text: str) -> list[Event]:
    """Read a text as a log of its own."""
    with NamedTemporaryFile() as file:
        file.write(text.encode("utf-8", "surrogateescape").rstrip(b"\r\n") + b"\n")
        file.flush()
        try:
            return list(Reading(Part(Source.of(file.name)), ReadOptions(language=knowledge.language, original=False)))
        except SourceError:
            return []


def _of_event(knowledge: KnowledgeBase, event: Event) -> Iterator[Question]:
    """Yield what an event is about: its code or its reason, then its causes and warnings."""
    ours = event.siplogs
    context = Context(_method(event), ours.response or "", _stack(event))
    rule = f"{ours.pack}/{ours.rule}"
    kind, _, key = ours.reason.id.partition(".") if ours.reason is not None else ("", "", "")
    if kind not in ("", SIP) and (entry := knowledge.find(kind, key)) is not None:
        said = Question(key_of(entry), entry, Context(stack=context.stack))
        yield replace(said, told=told(knowledge, said), rule=rule)
    if ours.code is not None:
        coded = Question(str(ours.code), knowledge.entry(ours.code), context)
        yield replace(coded, told=told(knowledge, coded), rule=rule)
    for entry in _beside(knowledge, [*(ours.cause or ()), *(ours.warning or ())]):
        asked = Question(key_of(entry), entry, Context(stack=context.stack))
        yield replace(asked, told=told(knowledge, asked), rule=rule)


def told(knowledge: KnowledgeBase, asked: Question) -> str:
    """Say what was recognised and in which context: 486 to INVITE, received by the PBX, PJSIP."""
    words, context, entry = knowledge.words, asked.context, asked.entry
    if entry.kind == SIP and context.method:
        what = words.to_method.format(code=asked.key, method=context.method)
    else:
        what = asked.key if entry.kind == SIP else f"{words.kind[entry.kind]}: {title(entry, asked.key)}"
    where = context.described(words).removeprefix(context.method).removeprefix(", ")
    return f"{what}, {where}" if where else what


def _method(event: Event) -> str:
    sip = event.sip
    method = sip.method or (sip.cseq.method if sip.cseq is not None else None) if sip is not None else None
    return method or ""


def _stack(event: Event) -> str:
    """Name the SIP stack of an event: that of its pack, else of the file or the component that printed it."""
    ours, log = event.siplogs, event.log
    printed_by = f"{log.logger if log is not None else ''} {event.event.provider or ''}"
    stack = stack_of(ours.pack, ours.pbx, printed_by)
    return stack if stack in STACK_NAMES else ""


def _beside(knowledge: KnowledgeBase, values: Iterable[Reason | WarningValue]) -> Iterator[Entry]:
    """Yield the entries of causes and warnings."""
    for value in values:
        code, text = "" if value.code is None else str(value.code), value.text or ""
        kinds = ["warning"]
        if isinstance(value, Reason):
            kinds = [SIP] if (value.protocol or "").upper() == "SIP" else ["q850", "freeswitch"]
        for kind, name in ((kind, name) for name in (code, text) for kind in kinds if name):
            if (kind == SIP or kind in knowledge.kinds()) and (entry := knowledge.find(kind, name)):
                yield entry
                break


def _of_message(knowledge: KnowledgeBase, text: str) -> Iterator[Question]:
    """Take a text as a SIP message without any log around it."""
    found = _MESSAGE.search(text)
    if found is None or "\n" not in text[found.end() :].strip():
        return
    lines = [line.strip() for line in text[found.end() :].splitlines()]
    message = parse_message("\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n")
    cseq = message.parts.get("cseq")
    if 100 <= message.code <= 699:
        context = Context((cseq.method if cseq is not None else None) or "")
        asked = Question(str(message.code), knowledge.entry(message.code), context)
        yield replace(asked, told=told(knowledge, asked))
    for entry in _beside(knowledge, [*message.parts.get("cause", ()), *message.parts.get("warning", ())]):
        asked = Question(key_of(entry), entry)
        yield replace(asked, told=told(knowledge, asked))
