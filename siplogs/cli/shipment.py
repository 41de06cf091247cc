"""What `ship`, `tail` and `doctor` share: the logs that they read, the server, and the state."""

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from siplogs.cli.shared import read_options
from siplogs.config import InputSettings, Settings
from siplogs.errors import ConfigError

if TYPE_CHECKING:
    from siplogs.outputs.elasticsearch import Server
    from siplogs.pipeline import ReadOptions
    from siplogs.shipping import collect
    from siplogs.shipping.delivery import Limits


def inputs(settings: Settings, paths: list[str], pack: str) -> "tuple[collect.Input, ...]":
    """Return the logs to read: those of the command line, else of the configuration, else in the usual places.

    Whoever names a log, it is read as the first [[input]] that covers it says, for read otherwise its events would get
    other ids. Raises ConfigError for a PATH whose files are to be read in several ways.
    """
    from siplogs.shipping.collect import Input
    from siplogs.shipping.paths import covers
    from siplogs.sources.source import shown

    general = read_options(settings, (pack,) if pack else ())
    ways = [(tuple(map(_whole, one.paths)), _way(one, general)) for one in settings.input]
    paths = [_whole(path) for path in paths]
    if not paths:
        return tuple(Input(covered, way) for covered, way in ways) or (Input((), general),)
    chosen: dict[ReadOptions, list[str]] = {}
    for path in paths:
        names = _files(path) if ways else [path]
        found = {next((way for covered, way in ways if covers(covered, name)), general) for name in names}
        if len(found) > 1:
            text = "the [[input]] of the configuration read the logs in it in several ways; name them one by one"
            raise ConfigError(f"{shown(path)}: {text}")
        chosen.setdefault(found.pop(), []).append(path)
    return tuple(Input(tuple(named), way) for way, named in chosen.items())


def _whole(path: str) -> str:
    """Return a path from the root, by which a log is found from any folder."""
    return path if path == "-" or not path else str(Path(path).absolute())


def _way(one: InputSettings, general: "ReadOptions") -> "ReadOptions":
    """Return how the logs of an input are read, but for what the command line says."""
    from msgspec.structs import replace

    packs = general.packs or ((one.pack,) if one.pack else ())
    zone, host = one.timezone or general.timezone, one.host_name or general.host
    return replace(general, packs=packs, timezone=zone, host=host)


def _files(path: str) -> list[str]:
    """Return the files that a path stands for, as far as they are there; at least the path itself."""
    from siplogs.sources import find

    literal = os.path.lexists(path) or not glob.has_magic(path)
    matches = [path] if literal else sorted(glob.glob(path, recursive=True))  # noqa: PTH207 (paths stay as given)
    names: list[str] = []
    for match in matches:
        folder = os.path.isdir(match)  # noqa: PTH112 (False where the folder must not be looked at)
        names += [source.path for source in find([match], warn=lambda _: None)] if folder else [match]
    return names or [path]


def since_until(since: str | None, until: str | None, timezone: str) -> tuple[str, str]:
    """Return the moments of --since and --until as in @timestamp, "" for none. Raises FilterError."""
    from siplogs.filters import Filter

    return Filter(since=since, until=until, timezone=timezone).check().window


def reached(settings: Settings) -> "Server":
    """Return the server, checked to have the templates. Raises DeliveryError."""
    from siplogs.outputs.elasticsearch import connect
    from siplogs.shipping import templates

    server = connect(settings.elasticsearch)
    templates.check(server)
    return server


def limits(settings: Settings) -> "Limits":
    """Return the limits of a request."""
    from siplogs.shipping.delivery import Limits

    delivery = settings.delivery
    return Limits(delivery.batch_documents, delivery.batch_bytes, delivery.batch_seconds)
