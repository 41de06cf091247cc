"""The line of each key of a TOML text, whatever stands between them."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siplogs.toml_lines import Key, key_lines

names = st.text("abcdefgh_", min_size=1, max_size=6)
values = st.sampled_from(
    [
        "1",
        "true",
        '"x"',
        "[1,\n 2]",
        '["a",  # b\n\n "c"]',
        '"""\n[no]\ntable = 1\n"""',
        "'''\na = 2'''",
        '"#"',
        "[[1],\n[2]]",
    ]
)
between = st.sampled_from(["", "\n", "# a comment\n", "  # = [[\n\n", "\t\n"])


@given(
    st.lists(
        st.tuples(names, st.booleans(), st.dictionaries(names, values, max_size=4)),
        max_size=5,
        unique_by=lambda t: t[0],
    ),
    st.lists(between, min_size=30, max_size=30),
)
def test_every_key_is_where_it_was_written(tables: list[Any], gaps: list[str]) -> None:
    text, expected, gap = "", {}, iter(gaps * 2)
    for table, many, keys in tables:
        for place in range(1 + many):
            text += next(gap)
            path: Key = (table, place) if many else (table,)
            expected[path] = text.count("\n") + 1
            text += f"[[{table}]]\n" if many else f"[{table}] # x\n"
            for name, value in keys.items():
                text += next(gap)
                expected[*path, name] = text.count("\n") + 1
                text += f"{name} = {value}\n"
    tomllib.loads(text)
    assert key_lines(text) == expected


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("a.b = 1\n\na.c = 2", ("a", "c"), 3),
        ("x = 1\ninput = [{paths = []}, {pack = 'a'}]", ("input", 1, "pack"), 2),
        ("\r\n[a]\r\nb = 1\r\n", ("a", "b"), 3),
        ('a = "\u2028"\nb = 1', ("b",), 2),
        ("[a.b]\nc = 1\n[a]\nd = 1", ("a", "d"), 4),
        ("[[a]]\n[[a]]\n[a.b]\nc = 1", ("a", 1, "b", "c"), 4),
    ],
)
def test_other_ways_to_write_it(text: str, key: Key, line: int) -> None:
    assert key_lines(text)[key] == line
