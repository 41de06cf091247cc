"""`siplogs tail`: the daemon that follows logs and ships what is new as it is written."""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from siplogs import config
from siplogs.errors import ConfigError, SiplogsError

if TYPE_CHECKING:
    from siplogs.config import Settings
    from siplogs.shipping.collect import Collector
    from siplogs.shipping.state import State
    from siplogs.shipping.tail import Tail
    from siplogs.shipping.watch import Journal, Supervisor


def tail(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH…", help="Logs, globs or folders (default: the configuration's, or usual places)."),
    ] = None,
    *,
    elasticsearch: Annotated[
        str | None,
        typer.Option("--elasticsearch", metavar="URL", help="Elasticsearch to send to; several with commas."),
    ] = None,
    configuration: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings (default: /etc/siplogs/siplogs.toml).")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="Zone of the log's times (default: the host's).")
    ] = None,
    pack: Annotated[
        str | None, typer.Option("--pack", metavar="NAME", help="Pattern pack to read with (default: recognised).")
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="FILE", help="Where it is kept how far each log was read.")
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="On the first run, send what the logs hold already, too.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="On the first run, send what the logs hold since then."),
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
    a wrong new configuration keeps the old one and says so.

    Exit codes: 0 ended by a signal, 2 wrong usage or settings, 3 Elasticsearch refuses at the start.

    Example: siplogs tail /var/log/asterisk/full
    """
    if from_beginning and since:
        raise ConfigError("--from-beginning and --since exclude each other: leave one of them out")
    overrides = {
        "elasticsearch": {"url": elasticsearch},
        "timezone": timezone,
        "delivery": {"state": str(state) if state else None},
        "tail": {"log_format": log_format, "log_level": log_level},
    }
    daemon = _Daemon(configuration, overrides, [str(path) for path in paths or []], pack or "", since)
    daemon.run(from_end=not (from_beginning or since))


class _Daemon:
    """Runs the loop, and once more with new settings whenever SIGHUP asks for it."""

    def __init__(
        self, configuration: Path | None, overrides: Mapping[str, Any], paths: list[str], pack: str, since: str | None
    ) -> None:
        from siplogs.shipping.tail import Orders

        self._configuration = configuration
        self._overrides = overrides
        self._paths = paths
        self._pack = pack
        self._since = since
        self._orders = Orders()

    def run(self, *, from_end: bool) -> None:
        from siplogs.shipping.state import State
        from siplogs.shipping.watch import Journal, Supervisor

        settings = config.load(self._configuration, self._overrides)
        journal, supervisor = Journal(settings.tail.log_format, settings.tail.log_level), Supervisor()
        for warning in settings.warnings:
            journal.write("warning", warning)
        with self._orders, State(Path(settings.delivery.state), purpose="siplogs tail") as state:
            loop, collector = self._prepared(settings, state, journal, supervisor, from_end=from_end)
            journal.write("info", "following", state=settings.delivery.state, server=settings.elasticsearch.url)

            def follow() -> None:
                nonlocal loop, collector
                if self._orders.reload():
                    supervisor.reloading()
                    loop, collector = self._reloaded(loop, collector, state, journal, supervisor)
                loop.run()

            while not self._orders.stop:
                self._orders.obey(follow)
            supervisor.stopping()
            collector.close()
            journal.write("info", "stopped; everything acknowledged is saved")

    def _reloaded(
        self, loop: "Tail", collector: "Collector", state: "State", journal: "Journal", supervisor: "Supervisor"
    ) -> "tuple[Tail, Collector]":
        """Take new settings and packs, or go on with the old ones and say what is wrong with the new."""
        from siplogs import pipeline
        from siplogs.outputs.elasticsearch import UnreachableError

        try:
            settings = config.load(self._configuration, self._overrides)
            pipeline.engine.cache_clear()
            new, reading = self._prepared(settings, state, journal, supervisor, from_end=False)
            with suppress(UnreachableError):  # an outage is no fault of the configuration
                new.connect()
        except SiplogsError as error:
            journal.write("error", f"the new configuration is wrong, the old one stays in force: {error}")
            return loop, collector
        reading.followed.take_over(collector.followed)
        journal.write("info", "configuration and packs were read again")
        return new, reading

    def _prepared(
        self, settings: "Settings", state: "State", journal: "Journal", supervisor: "Supervisor", *, from_end: bool
    ) -> "tuple[Tail, Collector]":
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
            since_until(self._since, None, settings.timezone or ""),
            settings.tail.idle_seconds,
            from_end,
        )
        for one in chosen.inputs:
            _require_files(one.paths)
            engine(one.options).packs  # noqa: B018 (what is wrong with the packs is said now)
        letters = DeadLetters(Path(settings.delivery.dead_letters))
        collector = Collector(state, chosen, journal.warn)
        loop = Tail(
            collector,
            partial(reached, settings),
            letters,
            limits(settings),
            journal=journal,
            supervisor=supervisor,
            monitor=Monitor(state, letters, settings.tail.metrics_file, journal.warn),
            pace=Pace(settings.tail.poll_seconds, settings.tail.search_seconds, settings.tail.idle_seconds),
        )
        return loop, collector


def _require_files(paths: tuple[str, ...]) -> None:
    for path in paths:
        if path == "-" or Path(path).is_fifo():
            raise ConfigError(f"{path}: tail follows files; send what comes through a pipe with siplogs ship {path}")
