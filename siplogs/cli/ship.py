"""`siplogs ship`: sends the SIP events of logs to Elasticsearch, each exactly once however often it runs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siplogs import config
from siplogs.cli.shared import read_options
from siplogs.errors import ConfigError

if TYPE_CHECKING:
    from siplogs.model import Event


def ship(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH…", help="Logs, globs, folders or - (default: the usual places)."),
    ] = None,
    *,
    elasticsearch: Annotated[
        str | None,
        typer.Option("--elasticsearch", metavar="URL", help="Elasticsearch to send to; several with commas."),
    ] = None,
    configuration: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings (default: /etc/siplogs/siplogs.toml).")
    ] = None,
    period: Annotated[
        str | None, typer.Option("--period", metavar="PERIOD", help="An index a day, week, month (default) or year.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="Zone of the log's times (default: the host's).")
    ] = None,
    pack: Annotated[
        str | None, typer.Option("--pack", metavar="NAME", help="Pattern pack to read with (default: recognised).")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="Only events from this time on.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only events up to this time.")] = None,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Send the documents again that Elasticsearch refused earlier.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No report when everything was delivered.")] = False,
) -> None:
    """Send the SIP events of logs to Elasticsearch; sending them again changes nothing.

    Exit codes: 0 everything is there, 1 some documents were refused and kept as dead letters, 2 wrong usage or
    settings, 3 Elasticsearch unreachable or refusing; then nothing is lost and the next run continues.

    Example: siplogs ship --quiet /var/log/asterisk/full
    """
    from siplogs.outputs.elasticsearch import connect, document
    from siplogs.shipping import templates
    from siplogs.shipping.dead_letters import DeadLetters
    from siplogs.shipping.delivery import Limits, deliver, resend

    if dead_letters and paths:
        raise ConfigError("--dead-letters sends what was refused earlier and takes no PATH: leave one of them out")
    overrides = {"elasticsearch": {"url": elasticsearch, "period": period}, "timezone": timezone}
    settings = config.load(configuration, overrides)
    warnings: list[str] = []
    for warning in settings.warnings:
        typer.echo(warning, err=True)
    server = connect(settings.elasticsearch)
    templates.check(server)
    letters = DeadLetters(Path(settings.delivery.dead_letters))
    limits = Limits(settings.delivery.batch_documents, settings.delivery.batch_bytes)
    if dead_letters:
        report = resend(server, letters, limits)
    else:
        events = _events([str(path) for path in paths or []], settings, pack, since, until, _warn(warnings))
        indexed = (document(event, settings.elasticsearch.period) for event in events)
        report = deliver(indexed, server, letters, limits)
    if report.dead:
        typer.echo(f"{report}, kept in {letters.path}: mend the cause, then siplogs ship --dead-letters", err=True)
        raise typer.Exit(1)
    if not quiet:
        typer.echo(str(report), err=True)
    if warnings:
        raise typer.Exit(2)


def _warn(seen: list[str]) -> "Callable[[str], None]":
    def warn(text: str) -> None:
        seen.append(text)
        typer.echo(f"siplogs: {text}", err=True)

    return warn


def _events(
    paths: list[str],
    settings: config.Settings,
    pack: str | None,
    since: str | None,
    until: str | None,
    warn: "Callable[[str], None]",
) -> "Iterator[Event]":
    from siplogs.filters import Filter
    from siplogs.pipeline import read_events
    from siplogs.sources import find

    options = read_options(settings, (pack,) if pack else ())
    wanted = Filter(since=since or "", until=until or "", timezone=options.timezone).check()
    return (event for event in read_events(find(paths, warn=warn), options, warn) if wanted.accepts(event))
