"""Writes the manual pages from the command line's own help: `man_pages.py FOLDER`.

siplogs.1 is the overview, siplogs-COMMAND.1 one command with its subcommands. Nothing is written by hand but the files
and the order of sections, so that a page cannot differ from `siplogs COMMAND --help`.
"""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import typer

from siplogs import __version__
from siplogs.cli import make_app

_HEADINGS: Final = {"Exit codes:": "EXIT STATUS", "Example:": "EXAMPLE"}
_FILES: Final = (
    ("/etc/siplogs/siplogs.toml", "Settings; every one is explained there."),
    ("/etc/siplogs/patterns.d/", "Pattern packs of your own."),
    ("/etc/credstore/siplogs-api-key", "API key of Elasticsearch, handed to the services by systemd."),
    ("/var/lib/siplogs/", "How far each log was read, and documents that Elasticsearch refused."),
)


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name of each page, such as siplogs-scan, and its text for man(1)."""
    overview: Any = typer.main.get_command(make_app())
    context = overview.context_class(overview, info_name="siplogs", **overview.context_settings)
    commands = dict(overview.commands)
    yield "siplogs", "".join(_overview(overview, context, commands))
    for name, command in commands.items():
        yield f"siplogs-{name}", "".join(_command_page(name, command, context))


def _overview(overview: Any, context: Any, commands: dict[str, Any]) -> Iterator[str]:
    yield _head("siplogs", overview.help)
    yield f".SH SYNOPSIS\n{_bold('siplogs')} {_text('COMMAND [OPTIONS] [ARGUMENTS]')}\n"
    yield f".SH DESCRIPTION\n{_text(overview.help)}\n"
    yield ".SH COMMANDS\n"
    for name, command in commands.items():
        yield _item(f"siplogs-{name}(1)", command.get_short_help_str(limit=1000))
    yield from _options(overview, context, ".SH")
    yield ".SH ENVIRONMENT\n"
    yield _item("SIPLOGS_CONFIG", "File of the settings in place of /etc/siplogs/siplogs.toml.")
    yield _item(
        "SIPLOGS_…", "Every setting: SIPLOGS_ELASTICSEARCH_CA_FILE is ca_file under [elasticsearch] in the file."
    )
    yield ".SH FILES\n"
    for path, meaning in _FILES:
        yield _item(path, meaning)
    yield ".SH SEE ALSO\n" + ",\n".join(_bold(f"siplogs-{name}") + "(1)" for name in commands) + "\n"


def _command_page(name: str, command: Any, parent: Any) -> Iterator[str]:
    yield _head(f"siplogs-{name}", command.help)
    context = command.context_class(command, info_name=name, parent=parent)
    subcommands: dict[str, Any] = getattr(command, "commands", {})
    yield ".SH SYNOPSIS\n" + _synopsis(f"siplogs {name}", command, context)
    for subname, subcommand in subcommands.items():
        inner = subcommand.context_class(subcommand, info_name=subname, parent=context)
        yield ".br\n" + _synopsis(f"siplogs {name} {subname}", subcommand, inner)
    yield ".SH DESCRIPTION\n" + _described(command.help, ".SH")
    yield from _options(command, context, ".SH")
    if subcommands:
        yield ".SH COMMANDS\n"
    for subname, subcommand in subcommands.items():
        inner = subcommand.context_class(subcommand, info_name=subname, parent=context)
        yield f".SS {_text(subname)}\n" + _described(subcommand.help, ".PP\n.B")
        yield from _options(subcommand, inner, "")
    yield f".SH SEE ALSO\n{_bold('siplogs')}(1)\n"


def _head(name: str, summary: str) -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    date = datetime.fromtimestamp(int(epoch), UTC).date().isoformat() if epoch else ""
    first = summary.strip().partition("\n\n")[0].replace("\n", " ").rstrip(".")
    title = f'.TH {name.upper()} 1 "{date}" "siplogs {__version__}" "siplogs"\n'
    return f"{title}.SH NAME\n{_text(name)} \\- {_text(first)}\n"


def _synopsis(called: str, command: Any, context: Any) -> str:
    return f"{_bold(called)} {_text(' '.join(command.collect_usage_pieces(context)))}\n"


def _described(text: str, heading: str) -> str:
    """Return paragraphs, those that begin with a known word under a heading of their own."""
    written = []
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        lead = next((lead for lead in _HEADINGS if paragraph.startswith(lead)), "")
        rest = " ".join(paragraph.removeprefix(lead).split())
        if lead:
            written.append(f"{heading} {_HEADINGS[lead]}\n.PP\n{_bold(rest) if lead == 'Example:' else _text(rest)}\n")
        else:
            written.append((".PP\n" if number else "") + _text(rest) + "\n")
    return "".join(written)


def _options(command: Any, context: Any, heading: str) -> Iterator[str]:
    """Yield arguments, then options, as their help shows them."""
    for title, kinds in (("ARGUMENTS", {"argument"}), ("OPTIONS", {"option"})):
        records = [
            record
            for parameter in command.get_params(context)
            if parameter.param_type_name in kinds and (record := parameter.get_help_record(context))
        ]
        if records and heading:
            yield f"{heading} {title}\n"
        for name, meaning in records:
            yield _item(name, meaning)


def _item(name: str, meaning: str) -> str:
    return f".TP\n{_bold(name)}\n{_text(meaning)}\n"


def _bold(text: str) -> str:
    return f"\\fB{_text(text)}\\fR"


def _text(text: str) -> str:
    """Return text on one line as roff wants it, with hyphens that stay what was typed."""
    line = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{line}" if line.startswith((".", "'")) else line


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for page, content in pages():
        (folder / f"{page}.1").write_text(content, encoding="utf-8")
