"""What pages of figures are made of: tables, and sections that are measured anew."""

import re
from collections.abc import Sequence

Table = Sequence[Sequence[str]]
"""Rows of cells; the first row is the head."""


def table(rows: Table) -> str:
    """Return a table in Markdown."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    head, *body = (
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    )
    return "\n".join([head, "|" + "|".join("-" * (width + 2) for width in widths) + "|", *body])


def replaced(page: str, text: str, before: str) -> str:
    """Return a page with the section that begins as `text` does replaced; a new one comes before the line `before`."""
    title = re.escape(text.partition("\n")[0])
    old = re.search(rf"^{title}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    start, end = old.span() if old else (page.index(f"{before}\n"),) * 2
    return f"{page[:start]}{text.rstrip()}\n\n{page[end:]}"
