"""Formats: how an event is written for a person or another program. Each is one module; all are made here."""

from collections.abc import Callable
from typing import Final, Protocol

from siplogs.model import Event


class Renderer(Protocol):
    """Writes one event after another; what it returns for an event does not depend on those before."""

    def event(self, event: Event) -> bytes:
        """Return the event in this format, with what separates it from the one before or after."""


FORMATS: Final = ("table", "ndjson", "json", "csv")


def make_renderer(name: str, color: bool = False, width: int = 120) -> Renderer:
    """Return a renderer of one of FORMATS; modules are imported only when used."""
    return _MAKERS[name](color, width)


def _table(color: bool, width: int) -> Renderer:
    from siplogs.outputs.table import TableRenderer

    return TableRenderer(color=color, width=width)


def _ndjson(_color: bool, _width: int) -> Renderer:
    from siplogs.outputs.json import NdjsonRenderer

    return NdjsonRenderer()


def _json(_color: bool, _width: int) -> Renderer:
    from siplogs.outputs.json import JsonRenderer

    return JsonRenderer()


def _csv(_color: bool, _width: int) -> Renderer:
    from siplogs.outputs.csv import CsvRenderer

    return CsvRenderer()


_MAKERS: Final[dict[str, Callable[[bool, int], Renderer]]] = {
    "table": _table,
    "ndjson": _ndjson,
    "json": _json,
    "csv": _csv,
}
