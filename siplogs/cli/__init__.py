"""The command line: one module a command. Only this room prints.

A command's module is imported only when it is the one that runs, so that `siplogs explain 486` feels instant.
"""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from siplogs import __version__
from siplogs.errors import SiplogsError

TROUBLE: Final = 2
INTERRUPTED: Final = 130
TERMINATED: Final = 143
COMMANDS: Final = (
    "scan",
    "explain",
    "ship",
    "tail",
    "status",
    "doctor",
    "dead-letters",
    "prune",
    "setup",
    "config",
    "patterns",
)
SHOWING: Final = ("scan", "explain", "patterns", "status", "doctor", "config")
"""Commands whose work is what they write to standard output."""


class _Commands(TyperGroup):
    """Ends a command quietly when whoever reads its output has seen enough."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command and flush what it wrote while somebody still answers for it."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
        except BrokenPipeError:
            _let_go()
            raise typer.Exit(0 if ctx.invoked_subcommand in SHOWING else TROUBLE) from None


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"siplogs {__version__}")
        raise typer.Exit


def make_app(only: str = "") -> typer.Typer:
    """Return the command line, with the one command `only` or with all."""
    app = typer.Typer(
        name="siplogs",
        cls=_Commands,
        no_args_is_help=True,
        add_completion=not only,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def _global(
        *,
        version: bool = typer.Option(
            False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ) -> None:
        """Reads Asterisk and FreeSWITCH logs, explains every SIP failure, and indexes it all into Elasticsearch."""

    for name in [only] if only else COMMANDS:
        module_name = name.replace("-", "_")
        module = import_module(f"siplogs.cli.{module_name}")
        command = getattr(module, module_name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, context_settings=getattr(module, "CONTEXT_SETTINGS", None))(command)
    return app


def main() -> None:
    """Run the command line; every SiplogsError becomes one line on stderr and its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (open to the end)
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        _require_values(sys.argv[1:])
        if sys.stdout is None and wanted in SHOWING:
            _fail("standard output is closed, so that nothing can be shown; send it to a file or a pipe", TROUBLE)
        make_app(wanted if wanted in COMMANDS else "")(prog_name="siplogs")
    except (SiplogsError, OSError) as error:
        _fail(*last_words(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _require_values(arguments: Sequence[str]) -> None:
    """Refuse what is empty: behind it stands a variable without a value, and an empty path would be this folder."""
    for before, one in pairwise(("", *arguments)):
        option = one[:-1] if one.startswith("--") and one.find("=") == len(one) - 1 else "" if one else before
        if option.startswith("--"):
            _fail(f"{option} is given without a value; write one behind it, or leave {option} out", TROUBLE)
        if not one:
            text = "an argument is empty; see whether a variable in it has no value, and leave it out or write one"
            _fail(text, TROUBLE)


def last_words(error: SiplogsError | OSError) -> tuple[str, int]:
    """Return what to say of an error that ends a command, and the exit code."""
    if isinstance(error, SiplogsError):
        return str(error), error.exit_code
    place = error.filename or "cannot write the output"
    return f"{place}: {(error.strerror or str(error)).lower()}", TROUBLE


def _terminated(_number: int, _frame: object) -> NoReturn:
    """End as on Ctrl-C: with all processes, and with the terminal as it was."""
    sys.exit(TERMINATED)


def _fail(text: str, code: int) -> NoReturn:
    _let_go()
    with suppress(OSError):
        sys.stderr.write(f"siplogs: {text}\n")
    sys.exit(code)


def _let_go() -> None:
    """Give up what cannot be written: Python would try once more at its end, and complain."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
