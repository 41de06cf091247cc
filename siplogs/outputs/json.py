"""The documents themselves, exactly as they are indexed: one a line, or as one JSON array."""

from typing import Final

import msgspec

from siplogs.model import Event

ARRAY_HEAD: Final = b"[\n"
ARRAY_TAIL: Final = b"\n]\n"
SEPARATOR: Final = b",\n"


class NdjsonRenderer:
    """One document a line."""

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder().encode

    def event(self, event: Event) -> bytes:
        """Return the document and a line feed."""
        return self._encode(event) + b"\n"


class JsonRenderer:
    """Elements of an array; each is preceded by SEPARATOR, which the writer takes off the first one."""

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder().encode

    def event(self, event: Event) -> bytes:
        """Return SEPARATOR and the document."""
        return SEPARATOR + self._encode(event)
