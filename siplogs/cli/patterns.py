"""`siplogs patterns`: the pattern packs, and how they do on a log of yours."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from siplogs.errors import PackError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siplogs.sources import Source

patterns = typer.Typer(no_args_is_help=True, help="List, show, try and prove pattern packs.", rich_markup_mode=None)

MISSED_SHOWN = 10


@patterns.command("list")
def list_packs() -> None:
    """List all packs, shipped and the user's.

    Example: siplogs patterns list
    """
    from siplogs.packs import load_packs
    from siplogs.resources import data_folder

    for pack in load_packs(data_folder("patterns")).values():
        print(f"{pack.name:22} {pack.product:11} {len(pack.rules):4} rules  {pack.data.versions:14} {pack.data.title}")


@patterns.command("show")
def show(name: Annotated[str, typer.Argument(metavar="NAME", help="A pack's name.")]) -> None:
    """Show a pack: where it lies, what it reads, each rule with its literal and its first sample.

    Example: siplogs patterns show asterisk-pjsip
    """
    from siplogs.outputs.text import clean
    from siplogs.packs import load_packs
    from siplogs.resources import data_folder

    packs = load_packs(data_folder("patterns"))
    if name not in packs:
        raise PackError(f"no pattern pack {name!r}; there are {', '.join(sorted(packs))}")
    pack = packs[name]
    print(f"{pack.name}: {pack.data.title}\n{pack.origin}\n{pack.product} {pack.data.versions}")
    print(f"printed by {'; '.join(pack.data.sources)}")
    for rule in pack.rules:
        print(f"\n{rule.name} ({rule.kind}, frame by {rule.data.frame.by})\n  literal {rule.data.literal!r}")
        if rule.data.about:
            print(f"  {rule.data.about}")
        print(f"  sample  {clean(rule.data.sample[0].log.strip().splitlines()[0])[:160]}")


@patterns.command("check")
def check() -> None:
    """Prove every sample of every pack, shipped and the user's; exit code 2 when one fails.

    Example: siplogs patterns check
    """
    from siplogs.packs import check_packs, load_packs
    from siplogs.resources import data_folder

    packs = load_packs(data_folder("patterns"))
    troubles = list(check_packs(packs.values()))
    for trouble in troubles:
        sys.stderr.write(f"siplogs: {trouble}\n")
    samples = sum(len(rule.data.sample) for pack in packs.values() for rule in pack.rules)
    rules = sum(len(pack.rules) for pack in packs.values())
    print(f"{len(packs)} packs, {rules} rules, {samples} samples, {len(troubles)} wrong")
    if troubles:
        raise typer.Exit(2)


@patterns.command("test")
def test(
    pack: Annotated[str, typer.Argument(metavar="PACK", help="A pack's name, or the path of a TOML file.")],
    log: Annotated[str, typer.Argument(metavar="LOG", help="The log to try it on.")],
) -> None:
    """Try a pack on a log: hits of each rule, and lines that look like SIP but that no rule took.

    Exit codes: 0 a rule hit, 1 none did, 2 trouble: the log could not be read whole, wrong pack or usage.

    Example: siplogs patterns test asterisk-pjsip /var/log/asterisk/full
    """
    from siplogs.enrich.redaction import redact
    from siplogs.outputs.text import clean
    from siplogs.packs import trial
    from siplogs.resources import data_folder
    from siplogs.sources import find

    problems: list[str] = []
    sources = find([log], warn=problems.append)
    if problems or not sources:
        raise PackError(problems[0] if problems else f"{log}: nothing to read")
    result = trial(pack, data_folder("patterns"), _readable(sources, problems))
    for name, count in result.hits.items():
        print(f"{count:10,}  {name}")
    print(f"{result.accounting.in_records:,} of {result.accounting.read:,} bytes in records")
    print(f"{result.missed_count:,} SIP-looking lines missed" + (":" if result.missed else ""))
    for line in result.missed[:MISSED_SHOWN]:
        print(f"  {clean(redact(line).decode('utf-8', 'replace'))[:160]}")
    for problem in problems:
        sys.stderr.write(f"siplogs: {problem}\n")
    if problems or not any(result.hits.values()):
        raise typer.Exit(2 if problems else 1)


def _readable(sources: "Iterable[Source]", problems: list[str]) -> "Iterator[bytes]":
    """Yield what can be read, and note what cannot."""
    for source in sources:
        try:
            yield from source.blocks()
        except SourceError as error:
            problems.append(str(error))
