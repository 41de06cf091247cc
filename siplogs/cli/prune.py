"""`siplogs prune`: deletes whole indices of events whose period is long over; says first what it would delete."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from siplogs import config
from siplogs.cli.options import Configuration
from siplogs.errors import ConfigError

if TYPE_CHECKING:
    from siplogs.shipping.retention import Old


def prune(
    *,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="AGE", help="90d, 12w, 2y since the period's end (default: retention_days)."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it, only say what would be deleted.")] = False,
    elasticsearch: Annotated[
        str | None, typer.Option("--elasticsearch", metavar="URL", help="Elasticsearch to delete from.")
    ] = None,
    configuration: Configuration = None,
) -> None:
    """Delete the indices of events whose day, week, month or year ended longer ago than AGE.

    Only indices with names that siplogs gives (siplogs-events-2026.11 and so on) are looked at, each is deleted whole.

    Exit codes: 0 done or nothing to do, 2 wrong usage or settings, 3 Elasticsearch unreachable or refusing.

    Example: siplogs prune --older-than 90d
    """
    from siplogs.outputs.elasticsearch import connect
    from siplogs.shipping import retention

    settings = config.load(configuration, {"elasticsearch": {"url": elasticsearch}})
    for warning in settings.warnings:
        typer.echo(warning, err=True)
    days = settings.elasticsearch.retention_days
    wanted = timedelta(days=days) if older_than is None else retention.age(older_than)
    if not wanted:
        raise ConfigError("say what is old: give --older-than 90d, or set elasticsearch.retention_days")
    server = connect(settings.elasticsearch)
    old = retention.expired(server, wanted, datetime.now(UTC))
    if not yes:
        for one in old:
            print(_line("would delete", one))
        print("nothing was deleted; --yes deletes" if old else f"no index is older than {wanted.days} days")
        return
    told = {one.name: _line("deleted", one) for one in old}
    for name in retention.delete(server, list(told)):
        print(told[name])


def _line(doing: str, one: "Old") -> str:
    count = "" if one.documents is None else f", {one.documents:,} events"
    size = "" if one.octets is None else f", {one.octets / 1e6:,.1f} MB"
    return f"{doing} {one.name}: ended {one.ended:%Y-%m-%d}{count}{size}"
