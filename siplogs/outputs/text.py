"""Text that is safe on a terminal: what a log says must not move the cursor, colour lines or reverse their order."""

import re
import unicodedata
from typing import Final

# Control characters, line separators, and all that Unicode calls format characters: directions, zero widths, tags.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_ESCAPES: Final = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)|[@-Z\\\\-_])")

RESET: Final = "\x1b[0m"
STYLES: Final = {"1": "\x1b[2m", "2": "\x1b[32m", "3": "\x1b[36m", "4": "\x1b[33m", "5": "\x1b[31m", "6": "\x1b[31m"}


def clean(text: str) -> str:
    """Take escape sequences out, and put a blank for every control, direction and zero-width character."""
    if text.isprintable() and text.isascii():
        return text
    return _UNSAFE.sub(" ", _ESCAPES.sub("", text))


def counted(number: int, noun: str) -> str:
    """Say how many there are: "1 event", "2,000 events"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def width_of(text: str) -> int:
    """Return how many columns a text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fitted(text: str, width: int) -> str:
    """Cut or pad a text to exactly `width` columns; a cut one ends in an ellipsis."""
    if text.isascii():
        return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
    if width_of(text) > width:
        kept, taken = [], 0
        for character in text:
            taken += _columns(character)
            if taken >= width:
                break
            kept.append(character)
        text = "".join(kept) + "…"
    return text + " " * (width - width_of(text))
