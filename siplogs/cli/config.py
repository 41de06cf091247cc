"""`siplogs config`: proves the configuration, and shows which settings are in force and where each comes from."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import msgspec
import typer

from siplogs import config as settings_
from siplogs.cli.options import Configuration
from siplogs.config import Settings
from siplogs.errors import ConfigError, PackError, SiplogsError
from siplogs.outputs.elasticsearch import ca_file
from siplogs.outputs.text import counted
from siplogs.settings_check import name_of
from siplogs.toml_lines import Key

config = typer.Typer(no_args_is_help=True, help="Check and show the configuration.", rich_markup_mode=None)

SECRETS: Final = ("api_key", "password")
MASK: Final = "********"
_LEADING_NAME: Final = re.compile(r"[a-z_]+\.[a-z_]+")


@config.command("check")
def check(*, configuration: Configuration = None) -> None:
    """Prove the configuration: every setting, the secrets that it names, the packs and the time zones.

    What is wrong is one line with file, line and remedy. Exit codes: 0 all is well, 2 something is wrong.

    Example: siplogs config check
    """
    settings, origins = proven(configuration, {})
    for warning in settings.warnings:
        typer.echo(warning, err=True)
    logs = counted(len(settings.input), "input") if settings.input else "the logs in the usual places"
    print(f"the configuration is well: {counted(len(origins), 'setting')}, {logs}, {_servers(settings)}")


@config.command("show")
def show(
    *,
    configuration: Configuration = None,
    elasticsearch: Annotated[
        str | None, typer.Option("--elasticsearch", metavar="URL", help="As if given to the command that ships.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="As if given to the command that ships.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="FILE", help="As if given to the command that ships.")
    ] = None,
) -> None:
    """Show every setting that is in force and where it comes from, secrets masked.

    Exit codes: 0 shown, 2 the configuration is wrong.

    Example: siplogs config show
    """
    overrides = {
        "elasticsearch": {"url": elasticsearch},
        "timezone": timezone,
        "delivery": {"state": str(state) if state else None},
    }
    settings, origins = _loaded(configuration, overrides)
    rows = list(_rows(settings, origins))
    width = min(max(len(text) for text, _ in rows), 60)
    for text, origin in rows:
        print(f"{text:{width}}  # {origin}" if origin else text)


def proven(configuration: Path | None, overrides: dict[str, Any]) -> tuple[Settings, dict[Key, str]]:
    """Return the settings once packs, time zones and certificates are proven, and where each comes from.

    Raises ConfigError that names file, line and remedy.
    """
    settings, origins = _loaded(configuration, overrides)
    _check_inputs(settings, origins)
    for section in ("elasticsearch", "kibana"):
        file = getattr(settings, section).ca_file
        try:
            if file:
                ca_file(file, section)
        except ConfigError as error:
            _fail(error, _place(str(error), origins))
    return settings, origins


def _loaded(configuration: Path | None, overrides: dict[str, Any]) -> tuple[Settings, dict[Key, str]]:
    origins = settings_.origins(configuration, overrides)
    try:
        return settings_.load(configuration, overrides), origins
    except ConfigError as error:
        _fail(error, _place(str(error), origins))


def _place(text: str, origins: dict[Key, str]) -> str:
    """Return where the setting stands that a message begins with."""
    named = _LEADING_NAME.match(text)
    key = tuple(named[0].split(".")) if named else ()
    return origins.get(key, "") or origins.get((*key[:-1], f"{key[-1]}_file"), "") if key else ""


def _fail(error: SiplogsError, place: str) -> NoReturn:
    raise ConfigError(f"{place}: {error}" if place else str(error)) from error


def _check_inputs(settings: Settings, origins: dict[Key, str]) -> None:
    """Load the packs and find the time zones with which each input is to be read."""
    from siplogs.cli.shipment import inputs
    from siplogs.pipeline import engine

    for number, one in enumerate(inputs(settings, [], "")):
        name = "timezone"
        try:
            compiled = engine(one.options)
            name = "pack"
            compiled.packs  # noqa: B018 (what is wrong with the packs is said now)
        except (ConfigError, PackError) as error:
            _fail(error, origins.get(("input", number, name)) or origins.get((name,), ""))


def _servers(settings: Settings) -> str:
    return f"Elasticsearch at {', '.join(settings.elasticsearch.url)}" if settings.elasticsearch.url else "no server"


def _rows(settings: Settings, origins: dict[Key, str]) -> Iterator[tuple[str, str]]:
    """Yield lines of TOML, each with where its value comes from; what is not set is a comment."""
    plain = {field.name: getattr(settings, field.name) for field in msgspec.structs.fields(Settings)}
    sections = {name: value for name, value in plain.items() if isinstance(value, msgspec.Struct)}
    for name, value in plain.items():
        if name not in (*sections, "input", "warnings"):
            yield _row((name,), value, origins)
    for name, section in sections.items():
        yield f"\n[{name}]", ""
        for key, value in msgspec.structs.asdict(section).items():
            yield _row((name, key), value, origins)
    for place, one in enumerate(settings.input):
        yield "\n[[input]]", ""
        for key, value in msgspec.structs.asdict(one).items():
            yield _row(("input", place, key), value, origins)


def _row(key: Key, value: Any, origins: dict[Key, str]) -> tuple[str, str]:
    name, origin = str(key[-1]), origins.get(key, "")
    if name in SECRETS:
        by_file = origins.get((*key[:-1], f"{name}_file"))
        origin = origin or (f"from {key[0]}.{name}_file" if by_file else "")
        value = MASK if value else None
    if value is None:
        return f"# {name} is not set", origin or "default"
    if isinstance(value, str):
        value = _encodable(value)
    return f"{name} = {msgspec.json.encode(value).decode()}", _encodable(origin) or _default(key)


def _encodable(text: str) -> str:
    """Write bytes that are no UTF-8, which paths may hold, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _default(key: Key) -> str:
    computed = {"host_name": "this host's name", "delivery.state": "by user and systemd"}
    computed["delivery.dead_letters"] = computed["delivery.state"]
    told = computed.get(name_of(key))
    return f"default, {told}" if told else "default"
