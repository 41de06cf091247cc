"""`siplogs explain`: what a code, a cause, a state or a line of a log means, why it comes and what to change."""

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import msgspec
import typer

from siplogs.cli.layout import Line, page_width, write
from siplogs.cli.pages import is_fallback, page
from siplogs.cli.question import Context, Question, key_of
from siplogs.cli.recognition import from_text, recognise, shown
from siplogs.cli.shared import language, use_color
from siplogs.errors import KnowledgeError
from siplogs.knowledge import CLASSES, STACK_NAMES, Entry, KnowledgeBase, covers, load

STANDARD_INPUT: Final = "-"
# A line of a verbose log begins with --, which must not be taken for an option.
CONTEXT_SETTINGS: Final = {"ignore_unknown_options": True}
LARGEST_TEXT: Final = 1_048_576


def explain(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WHAT…", help="Codes, classes such as 4xx, KIND:KEY, names, or a line of a log; - reads a text."
        ),
    ] = None,
    *,
    search: Annotated[
        str, typer.Option("--search", metavar="TEXT", help="List every entry that holds all these words.")
    ] = "",
    method: Annotated[str, typer.Option("--method", help="Method of the request, such as REGISTER.")] = "",
    sent: Annotated[bool, typer.Option("--sent", help="The PBX sent the response.")] = False,
    received: Annotated[bool, typer.Option("--received", help="The PBX received the response.")] = False,
    local: Annotated[bool, typer.Option("--local", help="The PBX made the response up when a timer ran out.")] = False,
    stack: Annotated[
        str, typer.Option("--stack", help="asterisk-pjsip, asterisk-chan-sip or freeswitch: its fixes only.")
    ] = "",
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    color: Annotated[str, typer.Option("--color", help="auto, always or never.")] = "auto",
    lang: Annotated[str, typer.Option("--lang", metavar="LANG", help="Language, such as en or es.")] = "",
) -> None:
    """Say what codes, causes, states and log lines mean, why they come and what to change.

    One thing is explained in full, two or three stand side by side, a class lists its codes.

    Example: siplogs explain 403 --method REGISTER --received --stack asterisk-pjsip
    """
    context = _context(method, sent=sent, received=received, local=local, stack=stack)
    if format_ not in ("text", "json"):
        raise KnowledgeError(f"--format {format_}: use text or json")
    colored = use_color(color, sys.stdout)
    knowledge = load(language=language(lang))
    if search:
        wanted = " ".join((search, *(what or ())))
        asked, lines = _found(knowledge, wanted), _found_lines(knowledge, wanted)
    else:
        asked = _asked(knowledge, what or [], context)
        lines = _lines(knowledge, asked, page_width())
    if format_ == "json":
        _write_json(knowledge, asked)
    else:
        write(lines, colored=colored)


def _context(method: str, *, sent: bool, received: bool, local: bool, stack: str) -> Context:
    """Check the options that put a reason into context."""
    directions = [name for name, chosen in (("sent", sent), ("received", received), ("local", local)) if chosen]
    if len(directions) > 1:
        raise KnowledgeError("--sent, --received and --local exclude each other; give one of them")
    if stack and not any(covers(name, stack) for name in STACK_NAMES):
        raise KnowledgeError(f"--stack {stack}: use one of {', '.join(STACK_NAMES)}")
    return Context(method.upper(), "".join(directions), stack)


def _asked(knowledge: KnowledgeBase, what: Sequence[str], context: Context) -> list[Question]:
    if not any(word.strip() for word in what):
        raise KnowledgeError("say what to explain: a code, a name, a line of a log, or --search WORDS")
    if list(what) == [STANDARD_INPUT]:
        return from_text(knowledge, _standard_input(), context)
    return recognise(knowledge, what, context)


def _standard_input() -> str:
    text = sys.stdin.buffer.read(LARGEST_TEXT + 1)
    if len(text) > LARGEST_TEXT:
        raise KnowledgeError(
            "standard input is a whole log; siplogs explain takes a piece, siplogs scan - reads it all"
        )
    return text.decode("utf-8", "replace")


def _found(knowledge: KnowledgeBase, text: str) -> list[Question]:
    asked = [Question(key_of(entry), entry) for entry in knowledge.search(text)]
    if not asked:
        raise KnowledgeError(f"no entry holds all of: {shown(text)}; give fewer words, or other ones")
    return asked


def _found_lines(knowledge: KnowledgeBase, text: str) -> Iterator[Line]:
    from siplogs.cli.lists import found

    return found(knowledge, text, page_width())


def _lines(knowledge: KnowledgeBase, asked: list[Question], width: int) -> Iterator[Line]:
    from siplogs.cli.lists import COLUMNS, listed, side_by_side

    if len(asked) > COLUMNS or any(one.key in CLASSES for one in asked):
        return listed(knowledge, asked, width)
    if len(asked) > 1:
        return side_by_side(knowledge, asked, width)
    return page(knowledge, asked[0], width)


def _write_json(knowledge: KnowledgeBase, asked: list[Question]) -> None:
    """Write an array of entries as they read in the context; a class is followed by the entries of its codes."""
    whole = [part for one in asked for part in _with_members(knowledge, one)]
    entries = [_plain(knowledge, one.key, one.entry, one.context) for one in whole]
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(entries)) + b"\n")


def _plain(knowledge: KnowledgeBase, key: str, general: Entry, context: Context) -> dict[str, object]:
    entry = knowledge.lookup(general, *context)
    known = {"asked": key, "id": entry.id, "fallback": is_fallback(entry, key)}
    return {**known, **msgspec.to_builtins(entry)}


def _with_members(knowledge: KnowledgeBase, asked: Question) -> Iterator[Question]:
    yield asked
    for code in knowledge.codes() if asked.key in CLASSES else ():
        if code[0] == asked.key[0]:
            yield Question(code, knowledge.entry(code), asked.context)
