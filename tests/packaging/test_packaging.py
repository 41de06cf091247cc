"""What stands in packaging/: settings, units, manual pages. Installing it: tests/live/test_live_package.py."""

import configparser
import re
import runpy
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from siplogs import config
from siplogs.cli import COMMANDS, make_app
from tests.conftest import missing

REPOSITORY = Path(__file__).parents[2]
PACKAGING = REPOSITORY / "packaging"
EXAMPLE_LOG = REPOSITORY / "examples/demo-asterisk-full.xz"
EXAMPLE = PACKAGING / "siplogs.toml"
SERVICES = [PACKAGING / f"systemd/siplogs-{name}.service" for name in ("tail", "ship")]
LIFE = {"Type", "ExecStart", "ExecReload", "Restart", "RestartSec", "SuccessExitStatus", "WatchdogSec"}
LIFE |= {"TimeoutStartSec", "TimeoutStopSec"}
CHECKED = tuple(path for path in (PACKAGING / "debian").iterdir() if path.stat().st_mode & 0o100)


def settings(kind: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting's name, dotted, and its default."""
    for one in msgspec.structs.fields(kind):
        if isinstance(one.type, type) and issubclass(one.type, msgspec.Struct):
            yield from settings(one.type, f"{one.name}.")
        elif one.name == "input":
            yield from settings(config.InputSettings, "input.")
        elif one.name != "warnings":
            yield prefix + one.name, one.default


def switched_on() -> dict[str, Any]:
    """Return the example's settings, all of them taken out of their comments."""
    text = re.sub(r"^#(?=\w+ = |\[)", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return tomllib.loads(text)


def flat(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        below = value[0] if name == "input" else value
        if isinstance(below, dict):
            yield from ((f"{name}.{key}", inner) for key, inner in below.items())
        else:
            yield name, value


def test_the_example_holds_every_setting_and_its_default() -> None:
    shown, known = dict(flat(switched_on())), dict(settings(config.Settings))
    assert set(shown) == set(known)
    wrong = {
        name: shown[name]
        for name, default in known.items()
        if isinstance(default, bool | int | float) and shown[name] != default
    }
    assert wrong == {}


def test_the_example_loads_as_it_is_and_with_everything_switched_on(tmp_path: Path) -> None:
    file = tmp_path / "siplogs.toml"
    file.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    assert config.load(file, environment={}) == config.load(None, environment={"SIPLOGS_CONFIG": str(file)})
    assert config.load(file, environment={}).elasticsearch == config.ElasticsearchSettings()
    text = re.sub(r"^#(?=\w+ = |\[)", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file.write_text(text, encoding="utf-8")
    loaded = config.load(file, environment={}, secrets=False)
    assert loaded.host_name == "pbx1"
    assert loaded.input[0].paths == ["/var/log/asterisk/full"]


def unit(path: Path) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values.setdefault(name, []).append(value)
    return values


def test_both_services_are_equally_confined() -> None:
    tail, ship = ({k: v for k, v in unit(path).items() if k not in LIFE} for path in SERVICES)
    for one in (tail, ship):
        for name in ("Description", "Documentation", "Conflicts", "StartLimitIntervalSec", "WantedBy"):
            one.pop(name, None)
    assert tail == ship
    assert tail["ProtectSystem"] == ["strict"]
    assert tail["CapabilityBoundingSet"] == [""]
    assert tail["LimitNOFILE"] == ["65536"]
    assert "SupplementaryGroups" not in tail, "a group that a host has not got keeps the service from starting"


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_systemd_rates_the_service_at_2_or_better(path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        missing("no systemd-analyze: apt-get install systemd")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_credentials_have_the_names_that_the_settings_look_for(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    for line in unit(SERVICES[0])["LoadCredential"]:
        (tmp_path / "credentials" / line.partition(":")[0]).write_text("bm90OmEta2V5", encoding="utf-8")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"), "SIPLOGS_CONFIG": str(EXAMPLE)}
    assert config.load(None, environment=environment).elasticsearch.api_key == "bm90OmEta2V5"


def test_timer_and_drop_ins_are_well_formed() -> None:
    for path in (PACKAGING / "systemd").rglob("*.*"):
        parsed = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
        parsed.optionxform = str  # type: ignore[assignment,method-assign]
        parsed.read(path, encoding="utf-8")
        assert set(parsed.sections()) <= {"Unit", "Service", "Timer", "Install"}


def test_the_links_between_the_documents_hold_where_the_package_has_them(tmp_path: Path) -> None:
    program = tmp_path / "packages/siplogs"  # as the wheel puts it together
    (program / "data").mkdir(parents=True)
    (program / "knowledge").symlink_to(REPOSITORY / "siplogs/knowledge")
    (program / "data/patterns").symlink_to(REPOSITORY / "patterns")
    folder = tmp_path / "usr/share/doc/siplogs"
    subprocess.run([PACKAGING / "documents", folder, program.parent], check=True)
    pages = [path for path in folder.rglob("*.md") if path.is_file()]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())]
    assert {"CHANGELOG.md", "../patterns/carriers", "../siplogs/knowledge/data/en"} <= {link for _, link in links}
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []
    named = {name for page in pages for name in re.findall(r"\b(?:examples|packaging)/[\w./-]+\w", page.read_text())}
    assert "examples/demo-asterisk-full.xz" in named
    assert (folder / "examples/demo-asterisk-full.xz").read_bytes() == EXAMPLE_LOG.read_bytes()


def test_cron_waits_to_be_switched_on_and_ends_with_the_package() -> None:
    lines = (PACKAGING / "cron.d/siplogs").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["STATE_DIRECTORY=/var/lib/siplogs", "MAILTO=root"]
    fields = lines[-1].removeprefix("#").split(maxsplit=6)
    assert fields[5:] == ["siplogs", "[ ! -x /usr/bin/siplogs ] || /usr/bin/siplogs ship --quiet"]


def test_a_manual_page_for_every_command_with_every_option() -> None:
    pages = dict(runpy.run_path(str(PACKAGING / "man_pages.py"))["pages"]())
    assert set(pages) == {"siplogs", *(f"siplogs-{name}" for name in COMMANDS)}
    overview: Any = typer.main.get_command(make_app())
    for name, command in overview.commands.items():
        page = pages[f"siplogs-{name}"].replace("\\-", "-")
        for one in (command, *getattr(command, "commands", {}).values()):
            for parameter in one.params:
                assert all(f"{option}" in page for option in parameter.opts if option.startswith("-"))
        assert f"siplogs-{name}(1)" in pages["siplogs"].replace("\\-", "-")


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: path.name)
def test_the_packages_scripts_are_sh(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", path], check=True)
