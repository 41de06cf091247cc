"""`siplogs explain`: what a response code means, why it comes and what to change; codes side by side; whole classes."""

import io
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from itertools import permutations, zip_longest
from typing import Annotated, Final

import msgspec
import typer

from siplogs.cli.shared import use_color
from siplogs.errors import KnowledgeError
from siplogs.knowledge import CLASSES, STACK_NAMES, Cause, Entry, KnowledgeBase, Match, covers, load

PLAIN_WIDTH: Final = 80
WIDEST: Final = 100
COLUMNS: Final = 3

# What a code without an entry is read as: RFC 3261 8.1.3.2 says x00 of its class, and 183 for provisional ones.
READ_AS: Final = {"1": "183"}

Segment = tuple[str, str]
Line = list[Segment]

_SEVERITY_STYLES: Final = {"info": "green", "warning": "yellow", "error": "red"}
_SGR: Final = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
    "bold cyan": "1;36",
}
_DIRECTIONS: Final = {"sent": "sent by the PBX", "received": "received by the PBX", "local": "made by the PBX's timer"}


def explain(
    codes: Annotated[
        list[str], typer.Argument(metavar="CODE...", help="Response codes such as 488, or classes such as 4xx.")
    ],
    *,
    method: Annotated[str, typer.Option("--method", help="Method of the request, such as REGISTER.")] = "",
    sent: Annotated[bool, typer.Option("--sent", help="The PBX sent the response.")] = False,
    received: Annotated[bool, typer.Option("--received", help="The PBX received the response.")] = False,
    local: Annotated[bool, typer.Option("--local", help="The PBX made the response up when a timer ran out.")] = False,
    stack: Annotated[
        str, typer.Option("--stack", help="asterisk-pjsip, asterisk-chan-sip or freeswitch: its fixes only.")
    ] = "",
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    color: Annotated[str, typer.Option("--color", help="auto, always or never.")] = "auto",
) -> None:
    """Say what response codes mean, why they come and what to change.

    One code is explained in full, two or three stand side by side, a class lists its codes.

    Example: siplogs explain 403 --method REGISTER --received --stack asterisk-pjsip
    """
    knowledge = load()
    context = _context(method, sent=sent, received=received, local=local, stack=stack)
    if format_ == "json":
        _write_json(knowledge, codes, context)
    elif format_ == "text":
        colored = use_color(color, sys.stdout)
        _write(_text(knowledge, [_code(code) for code in codes], context, _width()), colored=colored)
    else:
        raise KnowledgeError(f"--format {format_}: use text or json")


def _context(method: str, *, sent: bool, received: bool, local: bool, stack: str) -> tuple[str, str, str]:
    """Check the options that put a code into context; returns method, direction, stack."""
    directions = [name for name, chosen in (("sent", sent), ("received", received), ("local", local)) if chosen]
    if len(directions) > 1:
        raise KnowledgeError("--sent, --received and --local exclude each other; give one of them")
    if stack and not any(covers(name, stack) for name in STACK_NAMES):
        raise KnowledgeError(f"--stack {stack}: use one of {', '.join(STACK_NAMES)}")
    return method.upper(), "".join(directions), stack


def _code(written: str) -> str:
    code = written.lower()
    if not re.fullmatch(r"[1-6](\d\d|xx)", code):
        raise KnowledgeError(f"'{written}' is no SIP response code; give one from 100 to 699, or a class such as 4xx")
    return code


def _width() -> int:
    return min(shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns, WIDEST) if sys.stdout.isatty() else PLAIN_WIDTH


def _write_json(knowledge: KnowledgeBase, codes: list[str], context: tuple[str, str, str]) -> None:
    """Write an array of entries as they read in the context; a class is followed by the entries of its codes."""
    names = [name for code in codes for name in _expanded(knowledge, _code(code))]
    entries = []
    for name in names:
        entry = knowledge.lookup(name, *context)
        known = {"asked": name, "id": entry.id, "fallback": entry.code != name}
        entries.append(known | msgspec.to_builtins(entry))
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(entries)) + b"\n")


def _expanded(knowledge: KnowledgeBase, code: str) -> list[str]:
    members = [member for member in knowledge.codes() if member[0] == code[0]] if code in CLASSES else []
    return [code, *members]


def _write(lines: Iterable[Line], *, colored: bool) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.stdout.writelines("".join(_styled(line, colored=colored)).rstrip() + "\n" for line in lines)


def _styled(line: Line, *, colored: bool) -> Iterator[str]:
    """Give a line's parts, in colour by SGR sequences: importing rich would cost more than all the rest here."""
    for text, style in line:
        yield f"\x1b[{_SGR[style]}m{text}\x1b[0m" if colored and style and not text.isspace() else text


def _text(knowledge: KnowledgeBase, codes: list[str], context: tuple[str, str, str], width: int) -> Iterator[Line]:
    asked = list(dict.fromkeys(codes))
    if len(asked) > COLUMNS or any(code in CLASSES for code in asked):
        yield from _list(knowledge, asked, width)
    elif len(asked) == 1:
        yield from _page(knowledge, asked[0], context, width)
    else:
        yield from _side_by_side(knowledge, asked, context, width)


def _page(knowledge: KnowledgeBase, code: str, context: tuple[str, str, str], width: int) -> Iterator[Line]:
    """Lay out one code in full."""
    entry = knowledge.lookup(code, *context)
    yield from _heading(entry, code, width)
    yield []
    yield from _paragraph(entry.meaning, width, indent=2)
    yield []
    for label, text in (("When", entry.when), ("Retry", entry.retry), ("Look at", ", ".join(entry.check))):
        yield from _labelled(label, text, width, column=9)
    yield []
    yield [("Likely causes, most likely first", "bold")]
    for number, cause in enumerate(entry.cause, 1):
        yield []
        yield from _cause(number, cause, context[2], width)
    yield []
    yield [("Not the same as", "bold")]
    for other, difference in entry.related.items():
        yield from _labelled(other, difference, width, column=7, indent=2)
    yield from _contexts(entry, code, context, width)


def _heading(entry: Entry, code: str, width: int) -> Iterator[Line]:
    if entry.code != code:
        yield from _paragraph(_unknown(code), width, style="yellow")
        yield []
    facts = f"{code[0]}xx · {'failure' if entry.failure else 'no failure'} · {entry.severity}"
    title = f"{code} {entry.phrase}"
    gap = max(width - len(title) - len(facts), 1)
    yield [(title, "bold"), (" " * gap, ""), (facts, _SEVERITY_STYLES[entry.severity])]
    source = entry.rfc if entry.registered or entry.code in CLASSES else f"{entry.rfc} · not registered with IANA"
    seen = f" · also seen: {', '.join(entry.variants)}" if entry.variants else ""
    yield from _paragraph(source + seen, width, style="dim")


def _unknown(code: str) -> str:
    read_as = READ_AS.get(code[0], f"{code[0]}00")
    return (
        f"{code} is neither registered with IANA nor known to siplogs. RFC 3261 8.1.3.2 has it treated as {read_as}, "
        f"so this is what holds for every {code[0]}xx."
    )


def _cause(number: int, cause: Cause, stack: str, width: int) -> Iterator[Line]:
    yield from _labelled(f"{number}.", cause.text, width, column=3, style="bold cyan")
    yield from _labelled("Tell", cause.tell, width, column=6, indent=3)
    yield from _labelled("Fix", cause.fix_for(stack), width, column=6, indent=3, style="green")
    if stack:
        return
    for name, fix in cause.on.items():
        yield from _labelled(STACK_NAMES[name], fix, width, column=12, indent=9)


def _contexts(entry: Entry, code: str, context: tuple[str, str, str], width: int) -> Iterator[Line]:
    """Name the contexts in which the entry reads differently, with the command that shows each."""
    if any(context) or not entry.refinement:
        return
    yield []
    yield [("Reads differently", "bold")]
    for refinement in entry.refinement:
        yield from _paragraph(_described(refinement.match), width, indent=2, style="cyan")
        yield from _paragraph(_command(code, refinement.match), width, indent=4, style="dim")


def _described(match: Match) -> str:
    stack = STACK_NAMES[match.stack] if match.stack else ""
    direction = _DIRECTIONS[match.direction] if match.direction else ""
    return ", ".join(part for part in ("/".join(match.method), direction, stack) if part)


def _command(code: str, match: Match) -> str:
    method = f" --method {match.method[0]}" if match.method else ""
    direction = f" --{match.direction}" if match.direction else ""
    stack = f" --stack {match.stack}" if match.stack else ""
    return f"siplogs explain {code}{method}{direction}{stack}"


def _side_by_side(
    knowledge: KnowledgeBase, codes: list[str], context: tuple[str, str, str], width: int
) -> Iterator[Line]:
    """Lay out two or three codes in columns, after a summary of how they differ."""
    entries = [knowledge.lookup(code, *context) for code in codes]
    column = (width - 10) // len(codes) - 2
    for code, entry in zip(codes, entries, strict=True):
        if entry.code != code:
            yield from _paragraph(_unknown(code), width, style="yellow")
    yield [("Key differences", "bold")]
    for text in _differences(knowledge, codes, entries):
        yield from _labelled("-", text, width, column=2, indent=2)
    for label, cells in _rows(codes, entries, context[2]):
        yield []
        wrapped = [textwrap.wrap(cell, column, break_on_hyphens=False) for cell in cells]
        for place, parts in enumerate(zip_longest(*wrapped, fillvalue="")):
            padded = "  ".join(part.ljust(column) for part in parts)
            yield [((label if place == 0 else "").ljust(10), "dim"), (padded, "bold" if label == "Code" else "")]


def _rows(codes: list[str], entries: list[Entry], stack: str) -> Iterator[tuple[str, list[str]]]:
    yield "Code", [f"{code} {entry.phrase}" for code, entry in zip(codes, entries, strict=True)]
    yield "RFC", [entry.rfc for entry in entries]
    yield "Failure", [f"{'yes' if entry.failure else 'no'}, {entry.severity}" for entry in entries]
    yield "In short", [entry.brief for entry in entries]
    yield "Meaning", [entry.meaning for entry in entries]
    yield "When", [entry.when for entry in entries]
    yield "Retry", [entry.retry for entry in entries]
    yield "First", [entry.cause[0].text for entry in entries]
    yield "  tell", [entry.cause[0].tell for entry in entries]
    yield "  fix", [entry.cause[0].fix_for(stack) for entry in entries]
    yield "Look at", [", ".join(entry.check) for entry in entries]


def _differences(knowledge: KnowledgeBase, codes: list[str], entries: list[Entry]) -> Iterator[str]:
    """Say how codes differ: what their entries say of each other, their classes, and which of them fail."""
    for (code, entry), (other, _) in permutations(zip(codes, entries, strict=True), 2):
        if other in entry.related:
            yield f"{other}, seen from {code}: {entry.related[other]}"
    if len({code[0] for code in codes}) > 1:
        yield (
            "Class: " + "; ".join(f"{code} is {knowledge.entry(f'{code[0]}xx').phrase.lower()}" for code in codes) + "."
        )
    failing = [code for code, entry in zip(codes, entries, strict=True) if entry.failure]
    if 0 < len(failing) < len(codes):
        yield f"Counted as a failure: {', '.join(failing)} only."
    elif len({entry.severity for entry in entries}) > 1:
        yield (
            "Weight: " + "; ".join(f"{code} {entry.severity}" for code, entry in zip(codes, entries, strict=True)) + "."
        )


def _list(knowledge: KnowledgeBase, codes: list[str], width: int) -> Iterator[Line]:
    """Lay out classes and longer lists of codes, a line a code."""
    for place, code in enumerate(codes):
        if code in CLASSES:
            if place:
                yield []
            entry = knowledge.entry(code)
            yield from _heading(entry, code, width)
            yield from _paragraph(entry.meaning, width, indent=2)
            yield from _labelled("Retry", entry.retry, width, column=7, indent=2)
            yield []
        for member in _expanded(knowledge, code):
            if member not in CLASSES:
                yield _summary(knowledge.entry(member), member, width)


def _summary(entry: Entry, code: str, width: int) -> Line:
    phrase = entry.phrase if entry.code == code else f"(unknown, as {READ_AS.get(code[0], code[0] + '00')})"
    name = textwrap.shorten(f"{code} {phrase}", 29, placeholder=" …").ljust(31)
    return [(name, _SEVERITY_STYLES[entry.severity]), (textwrap.shorten(entry.brief, width - 31, placeholder=" …"), "")]


def _paragraph(text: str, width: int, indent: int = 0, style: str = "") -> Iterator[Line]:
    for part in textwrap.wrap(text, width - indent, break_on_hyphens=False):
        yield [(" " * indent + part, style)]


def _labelled(label: str, text: str, width: int, column: int, indent: int = 0, style: str = "") -> Iterator[Line]:
    """Lay out a label and a text that hangs in its own column."""
    parts = textwrap.wrap(text, width - column - indent, break_on_hyphens=False)
    for place, part in enumerate(parts):
        yield [(" " * indent, ""), ((label if place == 0 else "").ljust(column), "dim"), (part, style)]
