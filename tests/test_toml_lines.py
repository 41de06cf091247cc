"""The line of each key of a TOML text, whatever stands between them."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siplogs.toml_lines import Key, NotTomlError, key_lines, parsed

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
            expected.setdefault((table,), expected[path])
            text += f"[[{table}]]\n" if many else f"[{table}] # x\n"
            for name, value in keys.items():
                text += next(gap)
                expected[*path, name] = text.count("\n") + 1
                text += f"{name} = {value}\n"
    tomllib.loads(text)
    assert key_lines(text) == expected


@given(
    st.dictionaries(names, values, max_size=4),
    st.lists(between, min_size=6, max_size=6),
    st.sampled_from(["z = [", "z = [ # b", 'z = """', "z = '''", "z =", "z", "[z", "z = {a = [1", "z = [\n[1],"]),
    st.sampled_from(["", "\n", "\n# a comment\n\n"]),
)
def test_what_the_end_of_the_text_cuts_off_is_told_where_it_begins(
    keys: dict[str, str], gaps: list[str], cut: str, end: str
) -> None:
    text, gap = "", iter(gaps)
    for name, value in keys.items():
        text += f"{next(gap)}{name} = {value}\n"
    text += next(gap)
    with pytest.raises(NotTomlError) as caught:
        parsed(f"{text}{cut}{end}".encode())
    assert caught.value.line == text.count("\n") + 1


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("a.b = 1\n\na.c = 2", ("a", "c"), 3),
        ("x = 1\ninput = [{paths = []}, {pack = 'a'}]", ("input", 1, "pack"), 2),
        ("\r\n[a]\r\nb = 1\r\n", ("a", "b"), 3),
        ('a = "\u2028"\nb = 1', ("b",), 2),
        ("[a.b]\nc = 1\n[a]\nd = 1", ("a", "d"), 4),
        ("\n[[a.b.c]]", ("a", "b"), 2),
        ("[[a]]\n[[a]]\n[a.b]\nc = 1", ("a", 1, "b", "c"), 4),
    ],
)
def test_other_ways_to_write_it(text: str, key: Key, line: int) -> None:
    assert key_lines(text)[key] == line
