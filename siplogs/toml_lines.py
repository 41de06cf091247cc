"""On which line of a TOML text each key stands, and where it is wrong: the standard library does not tell."""

import codecs
import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final

Key = tuple[str | int, ...]

_PLACE: Final = re.compile(r" \(at line (\d+), column \d+\)$")


class NotTomlError(ValueError):
    """What is no TOML, and on which line of the text, counted from 1."""

    def __init__(self, line: int, reason: str) -> None:
        """Keep the line beside the reason."""
        super().__init__(reason)
        self.line = line


def parsed(data: bytes) -> tuple[str, dict[str, Any]]:
    """Return the text and the values of a TOML file; the mark that some editors put before UTF-8 is passed over.

    Raises NotTomlError; of a text that ends too early it names the line on which the unfinished statement begins.
    """
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("utf-8")
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise NotTomlError(line, f"byte 0x{data[error.start]:02x} is no UTF-8, which TOML has to be") from None
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        raise NotTomlError(int(place[1]) if place else _unfinished(text), str(error)) from None
    except (ValueError, RecursionError):  # digits or brackets past what Python takes
        raise NotTomlError(_excessive(text), "a number is too long, or a value is nested too deeply") from None


def key_lines(text: str) -> dict[Key, int]:
    r"""Return the line, counted from 1, of every table and key of a valid TOML text; places in arrays count from 0.

    >>> key_lines('[a]\nb = 1\n[[c]]\nd = [\n2]')
    {('a',): 1, ('a', 'b'): 2, ('c',): 3, ('c', 0): 3, ('c', 0, 'd'): 4}
    """
    lines: dict[Key, int] = {}
    table: Key = ()
    counted: dict[Key, int] = {}
    for number, statement in _statements(text):
        values = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _table(values, counted)
            for length in range(1, len(table) + 1):
                lines.setdefault(table[:length], number)
        else:
            for key in _keys(values):
                lines.setdefault(table + key, number)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement with its first line: a value that goes on in the next line is none before its end."""
    pending, first = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        pending, first = f"{pending}{line}\n", first if pending else number
        try:
            values = tomllib.loads(pending)
        except tomllib.TOMLDecodeError:
            continue
        if values:
            yield first, pending
        pending = ""


def _unfinished(text: str) -> int:
    """Return the line on which the statement begins that the end of a text cuts off."""
    behind = 1
    for number, statement in _statements(text):
        behind = number + statement.count("\n")
    lines = enumerate(text.split("\n"), 1)
    return next((number for number, line in lines if number >= behind and line.partition("#")[0].strip()), behind)


def _excessive(text: str) -> int:
    """Return the line with what is more than Python takes: the first with which no text can be read any more."""
    lines = text.split("\n")

    def excessive(number: int) -> bool:
        try:
            tomllib.loads("\n".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            return False
        except (ValueError, RecursionError):
            return True
        return False

    return bisect_left(range(len(lines)), True, key=excessive)


def _table(values: dict[str, Any], counted: dict[Key, int]) -> Key:
    """Return the path of a table's header; a table of an array is the next one of those with its name."""
    path: Key = ()
    inner: Any = values
    while inner:
        if isinstance(inner, list):
            counted[path] = counted.get(path, -1) + 1
            path, inner = (*path, counted[path]), inner[0]
        else:
            ((name, inner),) = inner.items()
            path = (*path, name)
            if path in counted and isinstance(inner, dict):
                path = (*path, counted[path])
    return path


def _keys(value: Any, path: Key = ()) -> Iterator[Key]:
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _keys(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            if isinstance(inner, dict):
                yield from _keys(inner, (*path, place))
