"""`siplogs ship`: sends what is new in logs to Elasticsearch, each event exactly once however often it runs."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from siplogs import config
from siplogs.cli.options import Configuration, Pack, Servers, StateFile, Timezone
from siplogs.errors import ConfigError

IDLE_SECONDS = 60.0


def ship(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH…", help="Logs, globs, folders or - (default: the usual places)."),
    ] = None,
    *,
    elasticsearch: Servers = None,
    configuration: Configuration = None,
    period: Annotated[
        str | None, typer.Option("--period", metavar="PERIOD", help="An index a day, week, month (default) or year.")
    ] = None,
    timezone: Timezone = None,
    pack: Pack = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Of logs that are new here, only events from then on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Only events up to this time; the rest stays unsent.")
    ] = None,
    state: StateFile = None,
    from_beginning: Annotated[
        bool,
        typer.Option(
            "--from-beginning", help="Read everything again; what is there is not doubled (same period and zone)."
        ),
    ] = False,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Send the documents again that Elasticsearch refused earlier.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No report on a terminal either.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="A report also when nobody watches.")] = False,
) -> None:
    """Send what is new in logs to Elasticsearch, and end; made for cron, silent there when all went well.

    Exit codes: 0 everything is there, 1 some documents were refused and kept as dead letters, 2 wrong usage or
    settings, or a log or a line of the dead letters that could not be read, 3 Elasticsearch unreachable or refusing;
    then nothing is lost and the next run continues.

    Example: siplogs ship /var/log/asterisk/full
    """
    from siplogs.cli.shipment import inputs, limits, reached, since_until
    from siplogs.shipping.collect import Collector, Settings
    from siplogs.shipping.dead_letters import DeadLetters
    from siplogs.shipping.delivery import resend
    from siplogs.shipping.monitor import Monitor
    from siplogs.shipping.state import State
    from siplogs.shipping.tail import ship as deliver_new

    if dead_letters and paths:
        raise ConfigError("--dead-letters sends what was refused earlier and takes no PATH: leave one of them out")
    overrides = {
        "elasticsearch": {"url": elasticsearch, "period": period},
        "timezone": timezone,
        "delivery": {"state": str(state) if state else None},
    }
    settings = config.load(configuration, overrides)
    for warning in settings.warnings:
        typer.echo(warning, err=True)
    warnings: list[str] = []

    def warn(*texts: str) -> None:
        for text in texts:
            if text not in warnings:
                warnings.append(text)
                typer.echo(f"siplogs: {text}", err=True)

    chosen = Settings(
        inputs(settings, [str(path) for path in paths or []], pack or ""),
        settings.elasticsearch.period,
        *since_until(since, until, settings.timezone or ""),
        IDLE_SECONDS,
        anew=from_beginning,
        once=True,
    )
    letters = DeadLetters(Path(settings.delivery.dead_letters))
    if dead_letters:
        report = resend(reached(settings), letters, limits(settings))
        warn(*letters.damaged())
    else:
        with State(Path(settings.delivery.state), purpose="siplogs ship") as place:
            began, monitor = time.time(), Monitor(place, letters, "", warn)
            collector = Collector(place, chosen, warn)
            with monitor.noting_failure():
                collector.note()
                report = deliver_new(collector, reached(settings), letters, limits(settings))
                collector.close()
            seen = collector.places.values() if until is None else ()
            monitor.passed(began, collector.trouble, seen, partly=bool(paths))
    if report.dead:
        typer.echo(f"{report}, kept in {letters.path}: mend the cause, then siplogs ship --dead-letters", err=True)
        raise typer.Exit(1)
    if verbose or (sys.stderr.isatty() and not quiet):
        typer.echo(str(report), err=True)
    if warnings:
        raise typer.Exit(2)
