"""A page of figures of which one section is measured anew."""

import re


def replaced(page: str, text: str, before: str) -> str:
    """Return a page with the section that begins as `text` does replaced; a new one comes before the line `before`."""
    title = re.escape(text.partition("\n")[0])
    old = re.search(rf"^{title}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    start, end = old.span() if old else (page.index(f"{before}\n"),) * 2
    return f"{page[:start]}{text.rstrip()}\n\n{page[end:]}"
