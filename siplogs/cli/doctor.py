"""`siplogs doctor`: goes along the whole chain, from configuration to Kibana, and says what to do where it breaks."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siplogs.cli.options import Configuration, StateFile
from siplogs.errors import ConfigError

if TYPE_CHECKING:
    from siplogs.pipeline import Reading
    from siplogs.shipping.checks import Finding

RANK = {"ok": 0, "warning": 1, "broken": 2}


def doctor(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH…", help="Logs, globs or folders (default: the configuration's, or usual places)."),
    ] = None,
    *,
    elasticsearch: Annotated[
        str | None, typer.Option("--elasticsearch", metavar="URL", help="Elasticsearch to look at.")
    ] = None,
    configuration: Configuration = None,
    state: StateFile = None,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="text or json.")] = "text",
) -> None:
    """Prove every link of the chain: configuration, logs, SIP logging, packs, clock, state, Elasticsearch, Kibana.

    One line a link; a warning or a broken link says what to do. Nothing is changed. Root looks as the user who ships:
    the owner of the state's folder.

    Exit codes: 0 all is well, 1 warnings, 2 a link is broken, or wrong usage.

    Example: siplogs doctor /var/log/asterisk/full
    """
    from siplogs.shipping.status import as_json

    if format_ not in ("text", "json"):
        raise ConfigError(f"--format {format_}: use text or json")
    overrides = {"elasticsearch": {"url": elasticsearch}, "delivery": {"state": str(state) if state else None}}
    findings = []
    for one in _findings(configuration, overrides, [str(path) for path in paths or []]):
        findings.append(one)
        if format_ == "text":
            print(_line(one), flush=True)
    if format_ == "json":
        print(as_json(findings))
    raise typer.Exit(max(RANK[one.verdict] for one in findings))


def _line(one: "Finding") -> str:
    from siplogs.outputs.text import clean

    return f"{one.verdict:8} {one.link:14} {clean(one.text)}"


def _findings(configuration: Path | None, overrides: dict[str, Any], paths: list[str]) -> "Iterator[Finding]":
    from siplogs.cli.config import proven
    from siplogs.cli.shipment import inputs
    from siplogs.config import service_user
    from siplogs.errors import SiplogsError
    from siplogs.outputs.text import counted
    from siplogs.shipping import checks
    from siplogs.shipping.access import shipper
    from siplogs.shipping.checks import BROKEN, OK, WARNING, Finding
    from siplogs.shipping.log_checks import check_logs, last_written

    try:
        settings, origins = proven(configuration, overrides)
        logs = inputs(settings, paths, "")
    except SiplogsError as error:
        yield Finding("configuration", BROKEN, f"{error}; what follows from it was not looked at")
        return
    for warning in settings.warnings:
        yield Finding("configuration", WARNING, warning)
    if not settings.warnings:
        yield Finding("configuration", OK, counted(len(origins), "setting"))
    now = time.time()
    user = shipper(Path(settings.delivery.state))
    yield from check_logs(logs, user, now, _why_silent)
    if elsewhere := service_user(Path(settings.delivery.state)):
        yield Finding("state", WARNING, elsewhere)
    yield from checks.check_state(settings, user, now)
    names = tuple(sorted({one.options.host for one in logs}))
    here = checks.Here(names, last_written(logs), checks.acknowledged(settings))
    yield from checks.check_elasticsearch(settings, here, now)
    yield from checks.check_kibana(settings)


def _why_silent(reading: "Reading") -> Iterable[str]:
    """Say why there may be no message, in the words of `siplogs scan`."""
    from collections import Counter

    from siplogs.cli.summary import nothing_lines
    from siplogs.filters import Filter
    from siplogs.parallel import Job, Tally

    tally = Tally(products=Counter(reading.products), accounting=reading.accounting, head=reading.head)
    return nothing_lines(tally, Job(reading.options, Filter(), "table"))
