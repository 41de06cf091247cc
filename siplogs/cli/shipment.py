"""What `ship` and `tail` share: the logs that they read, the server, and the state."""

from pathlib import Path
from typing import TYPE_CHECKING

from siplogs.cli.shared import read_options
from siplogs.config import InputSettings, Settings
from siplogs.errors import ConfigError

if TYPE_CHECKING:
    from siplogs.filters import Filter
    from siplogs.outputs.elasticsearch import Server
    from siplogs.shipping import collect
    from siplogs.shipping.dead_letters import DeadLetters
    from siplogs.shipping.delivery import Limits


def inputs(settings: Settings, paths: list[str], pack: str) -> "tuple[collect.Input, ...]":
    """Return the logs to read: those of the command line, else of the configuration, else in the usual places."""
    from msgspec.structs import replace

    from siplogs.shipping.collect import Input

    if paths or not settings.input:
        return (Input(tuple(paths), read_options(settings, (pack,) if pack else ())),)
    if pack:
        raise ConfigError("--pack belongs to PATHs of the command line; set pack of [[input]] in the configuration")

    def one(chosen: InputSettings) -> Input:
        options = read_options(settings, (chosen.pack,) if chosen.pack else ())
        zone, host = chosen.timezone or options.timezone, chosen.host_name or options.host
        return Input(tuple(chosen.paths), replace(options, timezone=zone, host=host))

    return tuple(one(chosen) for chosen in settings.input)


def since_until(since: str | None, until: str | None, timezone: str) -> "Filter | None":
    """Return the filter of --since and --until, None without them. Raises FilterError."""
    from siplogs.filters import Filter

    return (
        Filter(since=since, until=until, timezone=timezone).check() if since is not None or until is not None else None
    )


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

    return Limits(settings.delivery.batch_documents, settings.delivery.batch_bytes)


def destination(settings: Settings) -> "tuple[Server, DeadLetters, Limits]":
    """Return the server, the file of dead letters and the limits of a request. Raises DeliveryError."""
    from siplogs.shipping.dead_letters import DeadLetters

    return reached(settings), DeadLetters(Path(settings.delivery.dead_letters)), limits(settings)
