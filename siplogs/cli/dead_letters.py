"""`siplogs dead-letters`: what Elasticsearch refused for good: listed, shown, and sent again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from siplogs import config
from siplogs.cli.options import Configuration, Servers
from siplogs.errors import ConfigError

if TYPE_CHECKING:
    from siplogs.shipping.dead_letters import DeadLetters

dead_letters = typer.Typer(
    no_args_is_help=True, help="List, show and send again what Elasticsearch refused.", rich_markup_mode=None
)


@dead_letters.command("list")
def list_letters(
    *,
    configuration: Configuration = None,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="text or json.")] = "text",
) -> None:
    """List the refused documents that wait: when, index, id and why.

    Exit codes: 0 listed, also when there is none, 2 the file or a line of it cannot be read, or wrong usage.

    Example: siplogs dead-letters list
    """
    from siplogs.outputs.text import clean

    if format_ not in ("text", "json"):
        raise ConfigError(f"--format {format_}: use text or json")
    letters = _letters(configuration)
    waiting = letters.letters()
    if format_ == "json":
        rows = [{"time": one.time, "index": one.index, "id": one.id, "error": one.error} for one in waiting]
        print(msgspec.json.format(msgspec.json.encode(rows)).decode())
    else:
        for one in waiting:
            told = f"{one.error.status} {one.error.type}: {one.error.reason}"
            print(clean(f"{one.time}  {one.index}  {one.id}  {told}"))
    if _damage_told(letters):
        raise typer.Exit(2)


@dead_letters.command("show")
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The document's id, or its beginning.")],
    *,
    configuration: Configuration = None,
) -> None:
    """Show refused documents whole, as JSON, with the reason.

    Exit codes: 0 shown, 1 none with this id waits, 2 the file or a line of it cannot be read, or wrong usage.

    Example: siplogs dead-letters show 4be0c1
    """
    letters = _letters(configuration)
    found = [one for one in letters.letters() if one.id.startswith(id_)]
    for one in found:
        print(msgspec.json.format(msgspec.json.encode(one)).decode())
    if not found:
        typer.echo(f"siplogs: no dead letter with the id {id_}; siplogs dead-letters list shows which wait", err=True)
        raise typer.Exit(2 if _damage_told(letters) else 1)


@dead_letters.command("send")
def send(
    *,
    elasticsearch: Servers = None,
    configuration: Configuration = None,
) -> None:
    """Send the refused documents again; those that are refused again are kept again.

    Exit codes: 0 all are there now, 1 some were refused again, 2 a line of their file is none and stays there, or wrong
    usage or settings, 3 Elasticsearch unreachable or refusing; then nothing is lost.

    Example: siplogs dead-letters send
    """
    from siplogs.cli.shipment import limits, reached
    from siplogs.shipping.delivery import resend

    settings = config.load(configuration, {"elasticsearch": {"url": elasticsearch}})
    for warning in settings.warnings:
        typer.echo(warning, err=True)
    letters = _kept(settings)
    report = resend(reached(settings), letters, limits(settings))
    damaged = _damage_told(letters)
    if report.dead:
        typer.echo(f"{report}, kept in {letters.path}: siplogs dead-letters list tells why", err=True)
        raise typer.Exit(1)
    print(report)
    if damaged:
        raise typer.Exit(2)


def _damage_told(letters: "DeadLetters") -> bool:
    """Name the lines that are no dead letters, and tell whether there are any."""
    damaged = list(letters.damaged())
    for text in damaged:
        typer.echo(f"siplogs: {text}", err=True)
    return bool(damaged)


def _letters(configuration: Path | None) -> "DeadLetters":
    settings = config.load(configuration, secrets=False)
    for warning in settings.warnings:
        typer.echo(warning, err=True)
    return _kept(settings)


def _kept(settings: config.Settings) -> "DeadLetters":
    from siplogs.shipping.dead_letters import DeadLetters

    file = Path(settings.delivery.dead_letters)
    if elsewhere := config.service_user(file):
        raise ConfigError(elsewhere)
    return DeadLetters(file)
