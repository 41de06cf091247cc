"""`siplogs tail`: the daemon that follows logs and ships what is new as it is written."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siplogs import config
from siplogs.cli.options import Configuration, Pack, Servers, StateFile, Timezone
from siplogs.errors import ConfigError, SiplogsError

if TYPE_CHECKING:
    from siplogs.config import Settings
    from siplogs.shipping.state import State
    from siplogs.shipping.tail import Tail
    from siplogs.shipping.watch import Journal


def tail(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH…", help="Logs, globs or folders (default: the configuration's, or usual places)."),
    ] = None,
    *,
    elasticsearch: Servers = None,
    configuration: Configuration = None,
    timezone: Timezone = None,
    pack: Pack = None,
    state: StateFile = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="On the first run, send what the logs hold already, too.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Of logs never followed, send what they hold since then."),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option("--log-format", metavar="FORMAT", help="The daemon's own log: text or json.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
    ] = None,
) -> None:
    """Follow logs and send every SIP event to Elasticsearch as it is written, until told to stop.

    The first run begins at the end of the logs. SIGTERM and SIGINT end it, SIGHUP reads configuration and packs again;
    a wrong new configuration keeps the old one and says so, and another delivery.state wants a restart.

    Exit codes: 0 ended by a signal, 2 wrong usage or settings, 3 Elasticsearch refuses at the start.

    Example: siplogs tail /var/log/asterisk/full
    """
    overrides = {
        "elasticsearch": {"url": elasticsearch},
        "timezone": timezone,
        "delivery": {"state": str(state) if state else None},
        "tail": {"log_format": log_format, "log_level": log_level},
    }
    daemon = _Daemon(configuration, overrides, [str(path) for path in paths or []], pack or "", since)
    daemon.run(from_beginning=from_beginning)


class _Daemon:
    """Runs the loop, and once more with new settings whenever SIGHUP asks for it.

    The journal is that of the settings in force; before there are any, the form of its lines is what was asked for
    beside the file.
    """

    def __init__(
        self, configuration: Path | None, overrides: Mapping[str, Any], paths: list[str], pack: str, since: str | None
    ) -> None:
        from siplogs.shipping.tail import Orders
        from siplogs.shipping.watch import Journal, Supervisor

        self._configuration = configuration
        self._overrides = overrides
        self._paths = paths
        self._pack = pack
        self._since = since
        self._from_end = True
        self._orders = Orders()
        self._supervisor = Supervisor()
        asked = overrides["tail"]["log_format"] or os.environ.get("SIPLOGS_TAIL_LOG_FORMAT")
        self._journal = Journal("json" if asked == "json" else "text")

    def run(self, *, from_beginning: bool) -> None:
        """Follow until told to stop; what else ends it is the last line of the journal."""
        from siplogs.cli import last_words
        from siplogs.shipping.followed import allow_many_files

        allow_many_files()
        try:
            if from_beginning and self._since:
                raise ConfigError("--from-beginning and --since exclude each other: leave one of them out")
            self._from_end = not (from_beginning or self._since)
            self._follow()
        except (SiplogsError, OSError) as error:
            text, code = last_words(error)
            self._journal.write("error", text)
            raise typer.Exit(code) from error

    def _follow(self) -> None:
        from siplogs.shipping.state import State

        settings = config.load(self._configuration, self._overrides)
        self._journal = _journal(settings)
        for warning in settings.warnings:
            self._journal.write("warning", warning)
        with self._orders, State(Path(settings.delivery.state), purpose="siplogs tail") as state:
            loop = self._prepared(settings, state, self._journal)
            self._journal.write("info", "following", state=settings.delivery.state, server=settings.elasticsearch.url)

            def follow() -> None:
                nonlocal loop
                if self._orders.reload():
                    self._supervisor.reloading()
                    loop = self._reloaded(loop, state)
                    self._supervisor.ready()
                loop.run()

            try:
                while not self._orders.stop:
                    self._orders.obey(follow)
            finally:
                self._supervisor.stopping()
                loop.close()
            self._journal.write("info", "stopped; everything acknowledged is saved")

    def _reloaded(self, loop: "Tail", state: "State") -> "Tail":
        """Take new settings and packs, or go on with the old ones and say what is wrong with the new."""
        from siplogs.outputs.elasticsearch import UnreachableError
        from siplogs.pipeline import fresh_engines

        try:
            with fresh_engines():
                settings = config.load(self._configuration, self._overrides)
                journal = _journal(settings)
                new = self._prepared(settings, state, journal)
                with suppress(UnreachableError):  # an outage is no fault of the configuration
                    new.connect(loop.meanwhile)
        except Exception as error:  # noqa: BLE001 (whatever is wrong with the new, the old one ships on)
            text = _reason(error)
            self._journal.write("error", f"the new configuration is wrong, the old one stays in force: {text}")
            return loop
        self._journal = journal
        journal.write("info", "configuration and packs were read again")
        for warning in (*settings.warnings, *_waits_for_restart(settings, state)):
            journal.write("warning", warning)
        new.take_over(loop)  # last: a signal before leaves the old one whole
        return new

    def _prepared(self, settings: "Settings", state: "State", journal: "Journal") -> "Tail":
        from siplogs.cli.shipment import inputs, limits, reached, since_until
        from siplogs.pipeline import engine
        from siplogs.shipping.collect import Collector
        from siplogs.shipping.collect import Settings as Collecting
        from siplogs.shipping.dead_letters import DeadLetters
        from siplogs.shipping.monitor import Monitor
        from siplogs.shipping.tail import Pace, Tail

        chosen = Collecting(
            inputs(settings, self._paths, self._pack),
            settings.elasticsearch.period,
            *since_until(self._since, None, settings.timezone or ""),
            settings.tail.idle_seconds,
            self._from_end,
        )
        for one in chosen.inputs:
            _require_files(one.paths)
            engine(one.options).packs  # noqa: B018 (what is wrong with zone or packs is said now)
        letters = DeadLetters(Path(settings.delivery.dead_letters))
        return Tail(
            Collector(state, chosen, journal.warn),
            partial(reached, settings),
            letters,
            limits(settings),
            journal=journal,
            supervisor=self._supervisor,
            monitor=Monitor(state, letters, settings.tail.metrics_file, journal.warn),
            pace=Pace(settings.tail.poll_seconds, settings.tail.search_seconds, settings.tail.idle_seconds),
        )


def _reason(error: Exception) -> str:
    """Return on one line why a configuration could not be taken; what nobody foresaw, with its type."""
    from siplogs.cli import last_words

    if isinstance(error, (SiplogsError, OSError)):
        return last_words(error)[0]
    return " ".join(f"{type(error).__name__}: {error}".split())


def _journal(settings: "Settings") -> "Journal":
    from siplogs.shipping.watch import Journal

    return Journal(settings.tail.log_format, settings.tail.log_level)


def _waits_for_restart(settings: "Settings", state: "State") -> Iterator[str]:
    """Yield what a reload cannot change."""
    if Path(settings.delivery.state) != state.path:
        new = settings.delivery.state
        yield f"delivery.state: {new} is taken by a restart alone, {state.path} stays in use; restart siplogs tail"


def _require_files(paths: tuple[str, ...]) -> None:
    for path in paths:
        if path == "-" or _is_fifo(path):
            raise ConfigError(f"{path}: tail follows files; send what comes through a pipe with siplogs ship {path}")


def _is_fifo(path: str) -> bool:
    with suppress(OSError, ValueError):  # what must not be looked at is warned of with all other logs
        return Path(path).is_fifo()
    return False
