"""Lines for a terminal: styled pieces, paragraphs and labelled columns, written with or without colours."""

import io
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

PLAIN_WIDTH: Final = 80
WIDEST: Final = 100

Segment = tuple[str, str]
Line = list[Segment]

_SGR: Final = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
    "bold cyan": "1;36",
}


def page_width() -> int:
    """Return how wide a page may be: the terminal up to 100 columns, 80 in a pipe."""
    return min(shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns, WIDEST) if sys.stdout.isatty() else PLAIN_WIDTH


def write(lines: Iterable[Line], *, colored: bool) -> None:
    """Write lines to standard output; letters that it has not are replaced."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.stdout.writelines("".join(_styled(line, colored=colored)).rstrip() + "\n" for line in lines)


def _styled(line: Line, *, colored: bool) -> Iterator[str]:
    """Give a line's parts, in colour by SGR sequences: importing rich would cost more than all the rest here."""
    for text, style in line:
        yield f"\x1b[{_SGR[style]}m{text}\x1b[0m" if colored and style and not text.isspace() else text


def wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines; only a word longer than a line is broken."""
    return textwrap.wrap(text, max(width, 10), break_on_hyphens=False)


def paragraph(text: str, width: int, indent: int = 0, style: str = "") -> Iterator[Line]:
    """Lay out a text at an indent."""
    for part in wrapped(text, width - indent):
        yield [(" " * indent, ""), (part, style)]


def labelled(
    label: str, text: str, width: int, column: int, indent: int = 0, style: str = "", label_style: str = "dim"
) -> Iterator[Line]:
    """Lay out a label and a text that hangs in its own column.

    A label that is too long, or stands before a word that the column would break, gets a line of its own.
    """
    narrow = any(len(word) > width - column - indent for word in text.split())
    if len(label) > max(column - 2, 2) or narrow:
        yield [(" " * indent, ""), (label, label_style)]
        label, column = "", 2 if narrow else column
    for place, part in enumerate(wrapped(text, width - column - indent)):
        yield [(" " * indent, ""), ((label if place == 0 else "").ljust(column), label_style), (part, style)]


def shortened(text: str, width: int) -> str:
    """Cut a text at a word's end so that it fits into a width."""
    return textwrap.shorten(text, max(width, 5), placeholder=" …")
