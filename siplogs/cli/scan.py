"""`siplogs scan`: which SIP requests failed, with which code, what that means and what to change."""

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from siplogs import config
from siplogs.cli.shared import language, read_options, use_color
from siplogs.errors import FilterError
from siplogs.outputs import FORMATS

if TYPE_CHECKING:
    from siplogs.cli.progress import Bar
    from siplogs.parallel import Chunk, Job, Output, Tally

FOUND, NOTHING, TROUBLE = 0, 1, 2


def _list(text: str | None) -> tuple[str, ...] | None:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text is not None else None


def scan(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH…", help="Logs, globs, folders or - (default: the usual places)."),
    ] = None,
    *,
    call_id: Annotated[
        str | None, typer.Option("--call-id", metavar="ID", help="Only this Call-ID, or its beginning.")
    ] = None,
    code: Annotated[str | None, typer.Option("--code", metavar="CODES", help="Only these codes: 486,4xx,5xx.")] = None,
    method: Annotated[
        str | None, typer.Option("--method", metavar="METHODS", help="Only these methods: INVITE,BYE.")
    ] = None,
    sender: Annotated[
        str | None, typer.Option("--from", metavar="WHO", help="Only events from this user, host or URI.")
    ] = None,
    receiver: Annotated[
        str | None, typer.Option("--to", metavar="WHO", help="Only events to this user, host or URI.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="Only events that name this user anywhere.")
    ] = None,
    ip: Annotated[
        str | None, typer.Option("--ip", metavar="NET", help="Only events from or to an address or network.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="'2026-11-21 02:00', '02:00' or '2h ago'.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Up to this time.")] = None,
    failures: Annotated[bool, typer.Option("--failures", help="Only events that tell of a failure.")] = False,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KINDS", help="Only these: message,notice,registration,security.")
    ] = None,
    match: Annotated[
        str | None, typer.Option("--match", metavar="REGEX", help="Only events whose text matches.")
    ] = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option("--format", metavar="FORMAT", help="table (on a terminal), ndjson (in a pipe), json, csv."),
    ] = None,
    stats: Annotated[bool, typer.Option("--stats", help="Show on stderr where every byte of the log went.")] = False,
    pack: Annotated[
        str, typer.Option("--pack", metavar="NAMES", help="Read with these pattern packs (default: recognised).")
    ] = "",
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="Zone of the log's times (default: the host's).")
    ] = "",
    color: Annotated[
        str, typer.Option("--color", metavar="WHEN", help="auto, always or never; NO_COLOR is honoured.")
    ] = "auto",
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Processes to read large logs with (0: all cores).")] = 0,
    lang: Annotated[
        str,
        typer.Option("--lang", metavar="LANG", help="Language of meanings and fixes (default: the locale's, or en)."),
    ] = "",
) -> None:
    """Show the SIP events of logs, and what their response codes mean and how to fix them.

    Exit codes: 0 events were found, 1 none matched, 2 trouble: a log could not be read whole, or wrong usage.

    Example: siplogs scan --failures --since "2h ago" /var/log/asterisk/full
    """
    from siplogs.cli.summary import unknown_lines
    from siplogs.filters import Filter
    from siplogs.parallel import Job, read_all
    from siplogs.pipeline import engine
    from siplogs.sources import find

    chosen = format or ("table" if sys.stdout.isatty() else "ndjson")
    if chosen not in FORMATS:
        raise FilterError(f"--format {chosen}: no such format; use one of {', '.join(FORMATS)}")
    settings = config.load(overrides={"timezone": timezone or None}, secrets=False)
    warn = _warner([])
    for warning in settings.warnings:
        warn(warning)
    wanted = Filter(
        call_id=call_id,
        codes=_list(code),
        methods=_list(method),
        sender=sender,
        receiver=receiver,
        user=user,
        ip=ip,
        since=since,
        until=until,
        failures=failures,
        kinds=_list(kind),
        match=match,
        timezone=settings.timezone or "",
    ).check()
    options = read_options(settings, _list(pack) or (), language(lang))
    if chosen in ("table", "csv") and not match:
        options = replace(options, original=False)
    engine(options)
    warnings: list[str] = []
    sources = find(paths or [], warn=_warner(warnings))
    paint = use_color(color, sys.stdout)
    width = shutil.get_terminal_size((120, 24)).columns
    job = Job(options, wanted, chosen, paint, width)
    with _progress(sum(source.size or 0 for source in sources)) as bar:
        out = _output(chosen, paint, width)
        shared = bar is not None and sys.stdout.isatty()
        chunks = read_all(sources, job, jobs, bar.advance if bar else None, None if shared else out)
        tally = _write(chunks, out, chosen, bar if shared else None)
    for trouble in [*tally.troubles, *(unknown_lines(tally) if len(sources) > 1 else ())]:
        _warner(warnings)(trouble)
    _report(tally, job, stats=stats, readable=bool(sources))
    raise typer.Exit(TROUBLE if warnings else FOUND if tally.matched else NOTHING)


def _warner(seen: list[str]) -> Callable[[str], None]:
    def warn(text: str) -> None:
        seen.append(text)
        sys.stderr.write(f"siplogs: {text}\n")

    return warn


def _output(chosen: str, paint: bool, width: int) -> "Output":
    from siplogs.outputs import make_renderer
    from siplogs.outputs.json import SEPARATOR
    from siplogs.parallel import Output

    head = getattr(make_renderer(chosen, paint, width), "head", None)
    sys.stdout.flush()
    return Output(sys.stdout.fileno(), head() if head else b"", SEPARATOR if chosen == "json" else b"")


def _write(chunks: Iterable["Chunk"], out: "Output", chosen: str, bar: "Bar | None") -> "Tally":
    """Write the chunks; `bar` stands on the same terminal, and only where a line begins."""
    from siplogs.outputs.json import ARRAY_HEAD, ARRAY_TAIL
    from siplogs.parallel import Tally

    tally = Tally()
    out.put(ARRAY_HEAD if chosen == "json" else b"")
    for chunk in chunks:
        if bar is not None and chunk.data:
            bar.clear()
            out.write(chunk.data)
            bar.silent = not chunk.data.endswith(b"\n")
            bar.advance(0)
        else:
            out.write(chunk.data)
        if chunk.tally is not None:
            tally.add(chunk.tally)
    if bar is not None:
        bar.clear()
    out.put(ARRAY_TAIL if chosen == "json" else b"")
    return tally


@contextmanager
def _progress(total: int) -> Iterator["Bar | None"]:
    """Show a bar on a terminal for anything that takes longer than a second; nothing when the output is piped on."""
    if not total or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb" or _is_piped():
        yield None
        return
    from siplogs.cli.progress import bar

    with bar(total) as drawn:
        yield drawn


def _is_piped() -> bool:
    mode = os.fstat(sys.stdout.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _report(tally: "Tally", job: "Job", *, stats: bool, readable: bool) -> None:
    from siplogs.cli.summary import accounting_lines, nothing_lines, summary_lines

    if job.format == "table" and tally.matched:
        sys.stdout.write("\n" + "".join(f"{line}\n" for line in summary_lines(tally, job)))
        sys.stdout.flush()
    if readable and not tally.messages:
        sys.stderr.write("".join(f"siplogs: {line}\n" for line in nothing_lines(tally, job)))
    if stats:
        sys.stderr.write("".join(f"{line}\n" for line in accounting_lines(tally)))
