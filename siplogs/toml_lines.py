"""On which line of a TOML text each key stands, which the standard library's parser does not tell."""

import tomllib
from collections.abc import Iterator
from typing import Any

Key = tuple[str | int, ...]


def key_lines(text: str) -> dict[Key, int]:
    r"""Return the line, counted from 1, of every table and key of a valid TOML text; places in arrays count from 0.

    >>> key_lines('[a]\nb = 1\n[[c]]\nd = [\n2]')
    {('a',): 1, ('a', 'b'): 2, ('c', 0): 3, ('c', 0, 'd'): 4}
    """
    lines: dict[Key, int] = {}
    table: Key = ()
    counted: dict[Key, int] = {}
    for number, statement in _statements(text):
        values = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _table(values, counted)
            lines.setdefault(table, number)
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
