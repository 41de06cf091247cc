"""The documentation says what the program does: commands, options, settings, examples, links and names of tests."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from siplogs import config
from siplogs.cli import make_app
from siplogs.config import Settings
from siplogs.enrich import documents
from siplogs.filters import MATCH_SECONDS
from siplogs.packs import check_packs, load_packs
from siplogs.packs.pack import (
    FIELDS,
    KINDS,
    PATTERN_SECONDS,
    FrameRule,
    PackData,
    PrefixData,
    RuleData,
    Sample,
)
from siplogs.packs.scanner import LARGEST_MESSAGE
from siplogs.parallel import PART, WORTH_SPLITTING
from siplogs.resources import data_folder
from siplogs.sip.message import DEFAULT_LIMITS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PACKS = ROOT / "docs/packs.md"
FAULTS = ROOT / "docs/fault-model.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
WIDTH = "100"

OTHER_VARIABLES = {"SIPLOGS_CONFIG", "SIPLOGS_PATTERNS", "SIPLOGS_TEST_ELASTICSEARCH"}
NOT_KEPT = ("benchmarks/data", "benchmarks/.tools")
SECTIONS = ("elasticsearch", "kibana", "delivery", "tail", "caps")

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CHECKED = re.compile(r"^<!-- checked -->\n```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


class Command(NamedTuple):
    """A command as typed, its options, and its help."""

    name: str
    options: frozenset[str]
    help: str


def commands(group: Any, before: str = "siplogs") -> Iterator[Command]:
    for name, command in group.commands.items():
        typed = f"{before} {name}"
        if hasattr(command, "commands"):
            yield from commands(command, typed)
        else:
            given = (opt for one in command.params for opt in (*one.opts, *one.secondary_opts))
            yield Command(typed, frozenset(opt for opt in given if opt.startswith("-")), command.help or "")


APP: Any = typer.main.get_command(make_app())
COMMANDS = sorted(commands(APP))
GLOBAL = {opt for one in APP.params for opt in one.opts} | {"--help"}


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def sections(page: Path) -> Iterator[tuple[str, str]]:
    """Each heading of the third level and what stands below it."""
    for part in re.split(r"^(?=##+ )", text(page), flags=re.MULTILINE):
        heading, _, body = part.partition("\n")
        if heading.startswith("### "):
            yield heading, body


def named(text: str) -> set[str]:
    """The commands that a text names; `siplogs patterns` names all below it."""
    return {one.name for one in COMMANDS if in_words(one.name, text) or in_words(one.name.rpartition(" ")[0], text)}


def in_words(name: str, text: str) -> bool:
    return name != "siplogs" and re.search(rf"\b{name}\b", text) is not None


def section_of(command: Command) -> str:
    return "".join(body for heading, body in sections(README) if command.name in named(heading))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_command_has_help_with_an_example(command: Command) -> None:
    assert len(command.help.split()) > 4
    example = re.search(r"Example: (siplogs .+)", " ".join(command.help.split()))
    assert example is not None, f"{command.name} --help shows no example"
    assert example[1].startswith(command.name)
    assert set(_OPTION.findall(example[1])) <= command.options


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_command_is_in_the_readme_with_an_example_and_all_options(command: Command) -> None:
    body = section_of(command)
    assert body, f"no section of the README is headed {command.name}"
    assert re.search(rf"^(?:\$|   ) {command.name}\b", body, re.MULTILINE), f"no example of {command.name}"
    documented = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", body))
    assert command.options - GLOBAL - {"-h"} <= documented


def test_global_options_are_in_the_readme() -> None:
    assert GLOBAL - {"--help"} <= set(_OPTION.findall(text(README))) | {"-h"}


@pytest.mark.parametrize("heading", [heading for heading, _ in sections(README) if "siplogs" in heading])
def test_options_of_a_section_exist(heading: str) -> None:
    body = dict(sections(README))[heading]
    known = {option for one in COMMANDS if one.name in named(heading) for option in one.options} | GLOBAL
    assert set(_OPTION.findall(body)) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_that_are_shown_exist(page: Path) -> None:
    for shown in re.findall(r"\bsiplogs (?!siplogs)[a-z]+[^\n`|]*", text(page)):
        first = shown.split()[1]
        known = [one for one in COMMANDS if one.name.split()[1] == first]
        if not known:
            assert not _OPTION.search(shown), f"{page.name}: {shown}"
            continue
        options = {option for one in known if in_words(one.name, shown) for option in one.options} | GLOBAL
        assert set(_OPTION.findall(shown)) <= options, f"{page.name}: {shown}"


def test_commands_in_backticks_exist() -> None:
    later = {"siplogs tail"}
    for page in PAGES:
        for shown in re.findall(r"`(siplogs [a-z][a-z-]*)", text(page)):
            assert named(shown) or shown in later, f"{page.name}: {shown}"


def keys(kind: Any = Settings, prefix: str = "") -> Iterator[str]:
    for name, field in kind.__annotations__.items():
        if name in SECTIONS:
            yield from keys(field, f"{name}.")
        elif name != "warnings":
            yield prefix + name


def test_every_setting_is_documented() -> None:
    table = set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)?)`", text(README).partition("## Configuration")[2]))
    assert set(keys()) <= table


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_settings_and_variables_exist(page: Path) -> None:
    mentioned = re.findall(rf"`((?:{'|'.join(SECTIONS)})\.[a-z_]+)`", text(page))
    assert set(mentioned) <= set(keys())
    variables = {f"SIPLOGS_{name.replace('.', '_').upper()}" for name in keys()} | OTHER_VARIABLES
    assert set(re.findall(r"\bSIPLOGS_[A-Z_]+[A-Z]\b", text(page))) <= variables


def test_configuration_of_the_readme_loads(tmp_path: Path) -> None:
    (shown,) = [body for language, body in _FENCE.findall(text(README)) if language == "toml"]
    secret = tmp_path / "secret"
    secret.write_text("secret", encoding="utf-8")
    file = tmp_path / "siplogs.toml"
    file.write_text(re.sub(r'(_key_file = )"[^"]*"', rf'\1"{secret}"', shown), encoding="utf-8")
    settings = config.load(file, environment={})
    values = tomllib.loads(shown)
    assert settings.timezone == values["timezone"]
    assert settings.elasticsearch.url == values["elasticsearch"]["url"]
    assert settings.elasticsearch.api_key == "secret"
    assert settings.warnings == ()


def test_defaults_in_the_readme_are_those_of_the_code() -> None:
    settings = Settings()
    for key, value in (
        ("delivery.batch_bytes", f"{settings.delivery.batch_documents}, {settings.delivery.batch_bytes}"),
        ("elasticsearch.replicas", f"{settings.elasticsearch.shards}, {settings.elasticsearch.replicas}"),
        ("elasticsearch.period", f"`{settings.elasticsearch.period}`"),
        ("elasticsearch.verify", f"`{str(settings.elasticsearch.verify).lower()}`"),
        ("elasticsearch.compress", f"`{str(settings.elasticsearch.compress).lower()}`"),
        ("original", f"`{str(settings.original).lower()}`"),
    ):
        (row,) = re.findall(rf"^\| (?:`[\w.]+`, )*`{re.escape(key)}` .*\| ([^|]*) \|$", text(README), re.MULTILINE)
        assert row == value, key


def test_caps_in_the_design_are_those_of_the_code() -> None:
    table = text(ROOT / "docs/design.md")
    limits = f"{DEFAULT_LIMITS.header_count}; {DEFAULT_LIMITS.header_length:,}"
    assert f"| one SIP message | {LARGEST_MESSAGE // 1024} KiB |" in table
    assert f"| header lines of a message; bytes of one | {limits} |" in table
    assert f"| {PATTERN_SECONDS:g} s |" in table
    assert PATTERN_SECONDS == MATCH_SECONDS
    assert f'| key="value" pairs of a line | {documents._MOST_PAIRS} |' in table
    assert f"more than {WORTH_SPLITTING // 2**20} MiB is cut into parts of {PART // 2**20} MiB" in table
    delivery = Settings().delivery
    assert f"| {delivery.batch_documents:,} documents, {delivery.batch_bytes // 10**6} MB |" in table


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(text(page)):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", text(linked), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_project_that_are_named_exist(page: Path) -> None:
    below = "|".join(("siplogs", "patterns", "kibana", "tests", "docs", "examples", "benchmarks", "tools"))
    for name in re.findall(rf"(?<![\w/.@*-])(?:{below})/[\w./-]*\w/?", text(page)):
        assert name.startswith(NOT_KEPT) or (ROOT / name).exists(), f"{page.name}: {name}"


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    for page in PAGES:
        named_targets = re.findall(r"(?:^    |`|\$ )make ([a-z-]+)", text(page), re.MULTILINE)
        assert set(named_targets) <= targets, page.name


def rows(page: Path) -> Iterator[str]:
    for row in re.findall(r"^\|.*\|$", text(page), re.MULTILINE):
        if not re.match(r"\| what happens|\|[-|]+$", row):
            yield row


def test_every_fault_names_tests_that_exist() -> None:
    written = "\n".join(text(file) for file in (ROOT / "tests").rglob("test_*.py"))
    existing = set(re.findall(r"^ *(?:async )?def (test_\w+)", written, re.MULTILINE))
    for row in rows(FAULTS):
        proof = re.findall(r"`(test_\w+)`", row)
        assert proof, row
        assert set(proof) <= existing, set(proof) - existing


def test_the_reference_of_packs_is_whole() -> None:
    page = text(PACKS)
    for kind in (PackData, RuleData, FrameRule, Sample, PrefixData):
        for key in kind.__annotations__:
            assert re.search(rf"`{key}\b", page), f"{kind.__name__}.{key}"
    for name in (*FIELDS, *KINDS):
        assert f"`{name}`" in page, name
    for prefix in (data_folder("patterns") / "prefixes").glob("*.toml"):
        assert f"| `{prefix.stem}` |" in page


def test_the_pack_of_the_example_keeps_its_samples(tmp_path: Path) -> None:
    (name, pack) = re.findall(r"^<!-- pack: (\S+) -->\n```toml\n(.*?)^```$", text(PACKS), re.MULTILINE | re.DOTALL)[0]
    (tmp_path / name).write_text(pack, encoding="utf-8")
    packs = load_packs(data_folder("patterns"), tmp_path)
    mine = packs[name.removesuffix(".toml")]
    assert list(check_packs([mine])) == []
    assert len(packs) == len(load_packs(data_folder("patterns"), tmp_path / "none")) + 1


def examples(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Each command of the blocks that are marked as checked, and the lines shown below it."""
    for block in _CHECKED.findall(text(page)):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.rstrip("\n").split("\n")
            yield command, shown


def on_a_terminal(command: str) -> str:
    """What a terminal would show: `siplogs scan` prints a table there."""
    return re.sub(r"^siplogs scan (?!.*--format)", "siplogs scan --format table ", command)


def plain(line: str) -> str:
    """A line without what depends on the day of the checkout: a log without years gets them from the file's date."""
    return re.sub(r"\b20\d\d-(?=\d\d-\d\d )", "20NN-", line).rstrip()


@pytest.mark.parametrize(("command", "shown"), [pytest.param(*one, id=one[0][:60]) for one in examples(README)])
def test_example_prints_what_it_shows(command: str, shown: list[str], tmp_path: Path) -> None:
    settings = tmp_path / "siplogs.toml"
    settings.touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIPLOGS_")}
    environment = kept | {
        "SIPLOGS_CONFIG": str(settings),
        "SIPLOGS_PATTERNS": str(tmp_path / "none"),
        "COLUMNS": WIDTH,
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "NO_COLOR": "1",
        "PYTHONPATH": str(ROOT),
    }
    script = f'siplogs() {{ "{sys.executable}" -m siplogs "$@"; }}\n{on_a_terminal(command)}'
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    printed = iter([plain(line) for line in done.stdout.splitlines()])
    following = True
    for line in map(plain, shown):
        if line == "…":
            following = False
        elif following:
            assert next(printed, None) == line
        else:
            assert line in printed, f"{line!r} is not printed after that"
            following = True
