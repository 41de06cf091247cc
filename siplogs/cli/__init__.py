"""The command line: one module a command. Only this room prints.

A command's module is imported only when it is the one that runs, so that `siplogs explain 486` feels instant.
"""

import os
import sys
from importlib import import_module
from typing import Final

import typer

from siplogs import __version__
from siplogs.errors import SiplogsError

INTERRUPTED: Final = 130
COMMANDS: Final = ("scan", "explain", "ship", "setup", "patterns")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"siplogs {__version__}")
        raise typer.Exit


def make_app(only: str = "") -> typer.Typer:
    """Return the command line, with the one command `only` or with all."""
    app = typer.Typer(
        name="siplogs",
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
        command = getattr(import_module(f"siplogs.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def main() -> None:
    """Run the command line; every SiplogsError becomes one line on stderr and its exit code."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        make_app(wanted if wanted in COMMANDS else "")(prog_name="siplogs")
    except SiplogsError as error:
        sys.stderr.write(f"siplogs: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
