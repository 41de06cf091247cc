"""`siplogs status`: how far each log was shipped, how shipping does, and what waits."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siplogs import config
from siplogs.cli.options import Configuration, StateFile
from siplogs.errors import ConfigError

if TYPE_CHECKING:
    from siplogs.shipping.state import Pulse
    from siplogs.shipping.status import LogStatus, Status

FORMATS = ("text", "json", "prometheus")


def status(
    *,
    state: StateFile = None,
    configuration: Configuration = None,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="text, json or prometheus.")] = "text",
) -> None:
    """Show how far each log was shipped, who ships, the running counts, and what is wrong; locks nothing.

    Exit codes: 0 all is well, 1 delivery fails at the moment, a log cannot be read, who ships hangs, logs are behind
    for more than 15 minutes (nobody ships, or not fast enough), or dead letters wait, 2 there is no state, it is
    damaged, or wrong usage.

    Example: siplogs status --format json
    """
    from siplogs.shipping.dead_letters import DeadLetters
    from siplogs.shipping.state import State
    from siplogs.shipping.status import as_json, prometheus, survey

    if format_ not in FORMATS:
        raise ConfigError(f"--format {format_}: use one of {', '.join(FORMATS)}")
    settings = config.load(configuration, {"delivery": {"state": str(state) if state else None}}, secrets=False)
    if elsewhere := config.service_user(Path(settings.delivery.state)):
        raise ConfigError(elsewhere)
    letters = DeadLetters(Path(settings.delivery.dead_letters))
    now = time.time()
    with State(Path(settings.delivery.state), readonly=True) as opened:
        found = survey(opened, letters, now)
    if format_ == "prometheus":
        print(prometheus(found), end="")
    elif format_ == "json":
        print(as_json(found))
    else:
        print("\n".join(_lines(found, now)))
    if found.waiting or found.trouble:
        raise typer.Exit(1)


def _lines(found: "Status", now: float) -> Iterator[str]:
    from siplogs.outputs.text import clean, counted

    yield f"state         {clean(found.state)}, {found.holder or 'no process'} works on it"
    yield f"events        {found.created:,} created, {found.present:,} already there, {found.dead:,} refused"
    waiting = "unknown, their file must not be read" if found.waiting is None else f"{found.waiting:,} waiting"
    yield f"dead letters  {waiting} in {clean(found.dead_letters)}" + (
        ": siplogs dead-letters list" if found.waiting else ""
    )
    if found.lost:
        last = f", the last were missed {_moment(found.lost_at)}" if found.lost_at else ""
        yield f"lost          {found.lost:,} bytes were deleted before they were read{last}"
    if found.trouble:
        yield f"TROUBLE       {clean(found.trouble)}"
    if found.tail is not None:
        yield from _tail_lines(found.tail, now, failing=found.failing)
    logs = [log for log in found.logs if log.state != "gone" or log.lag_bytes]
    gone = len(found.logs) - len(logs)
    if logs:
        yield ""
        yield f"{'POSITION':>16} {'SIZE':>16} {'BEHIND':>16} {'FOR':>7}  {'ACKNOWLEDGED':20}  LOG"
    yield from (_log_line(log) for log in logs)
    if gone:
        yield f"and {counted(gone, 'log')} gone, read to the end"


def _tail_lines(tail: "Pulse", now: float, *, failing: bool) -> Iterator[str]:
    from siplogs.shipping.status import age

    yield f"tail          since {_moment(tail.started)}, last heard of {age(now - tail.beat)} ago"
    yield f"delivery      {tail.events:,} events, {tail.rate:.1f} a second lately, {tail.pauses:,} pauses"
    if tail.error:
        failures = f", {tail.failures} passes in a row given up" if tail.failures else ""
        when = "now failing" if failing else "last trouble, over now"
        yield f"              {when} ({_moment(tail.failed)}{failures}): {tail.error}"


def _log_line(log: "LogStatus") -> str:
    from siplogs.outputs.text import clean
    from siplogs.shipping.status import age

    behind = "unknown" if log.lag_bytes is None else f"{log.lag_bytes:,}"
    late = age(log.lag_seconds) if log.lag_seconds else ""
    told = {"unread": " (new, not read yet)", "unreadable": " (cannot be read)", "gone": " (gone)"}.get(log.state, "")
    told += f" ({log.lost:,} bytes lost)" if log.lost else ""
    acknowledged = _moment(log.acknowledged) if log.acknowledged else "never"
    return f"{log.position:>16,} {log.size:>16,} {behind:>16} {late:>7}  {acknowledged:20}  {clean(log.path)}{told}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
