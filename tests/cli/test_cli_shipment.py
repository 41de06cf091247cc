"""How a log is read that the command line names: as the [[input]] says that covers it; and the limits of a request."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from siplogs.cli.shipment import inputs, limits
from siplogs.config import Settings, load
from siplogs.errors import ConfigError
from siplogs.shipping.delivery import Limits
from tests.cli.command import siplogs
from tests.packs.writers import message, pjsip

Way = tuple[str, str, tuple[str, ...]]
OWN: Way = ("Europe/Madrid", "pbx1", ("asterisk-pjsip",))
GENERAL: Way = ("UTC", "general", ())
NOBODY = 65534
LINE = b"[2026-11-20 10:00:00] NOTICE[1] main.c: text\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("full", "full.1", "messages", "pbx1/full", "pbx2/full", "notes.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(LINE)
    (tmp_path / "elsewhere").symlink_to(tmp_path / "pbx1")
    return tmp_path


def settings(folder: Path, *paths: str, environment: dict[str, str] | None = None, zone: str | None = None) -> Settings:
    covered = json.dumps([str(folder / path) for path in paths])
    own = 'timezone = "Europe/Madrid"\nhost_name = "pbx1"\npack = "asterisk-pjsip"'
    text = f'timezone = "UTC"\nhost_name = "general"\n[[input]]\npaths = {covered}\n{own}\n'
    file = folder / "siplogs.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, {"timezone": zone}, environment or {})


def ways(chosen: Settings, *paths: str | Path, pack: str = "") -> dict[tuple[str, ...], Way]:
    """The way in which paths of the command line are read."""
    found = inputs(chosen, [str(path) for path in paths], pack)
    return {one.paths: (one.options.timezone, one.options.host, one.options.packs) for one in found}


@pytest.mark.parametrize(
    ("covered", "path", "way"),
    [
        ("full", "full", OWN),
        ("full", "full.1", OWN),
        ("full", "full.2.gz", OWN),  # not there any more, or not yet
        ("full", "full*", OWN),
        ("full", "messages", GENERAL),
        ("full", "pbx1/full", GENERAL),
        ("full", "../{}/full", OWN),
        ("full", "pbx1/../full", OWN),
        ("full*", "full", OWN),
        ("full*", "full-20261120", OWN),
        ("full*", "messages", GENERAL),
        ("*/full", "pbx2/full", OWN),
        ("*/full", "full", GENERAL),
        ("*/full", "pbx2/more/full", GENERAL),
        ("*/full", "pbx2/full.3", OWN),
        ("**/full", "pbx2/full", OWN),
        ("**/full", "full", OWN),
        ("pbx1", "pbx1/full", OWN),
        ("pbx1", "pbx1", OWN),
        ("pbx1/", "pbx1", OWN),
        ("pbx1", "pbx1/full*", OWN),
        ("pbx1", "pbx2", GENERAL),
        ("pbx*", "pbx2/full", OWN),
        ("pbx1", "elsewhere/full", OWN),
        ("elsewhere", "pbx1/full", OWN),
        ("elsewhere/full", "pbx1", OWN),
        ("full", "nothing*", GENERAL),
        ("none*", "none*", OWN),
    ],
)
def test_a_path_is_read_as_the_input_says_that_covers_it(folder: Path, covered: str, path: str, way: Way) -> None:
    named = str(folder / path.format(folder.name))
    assert ways(settings(folder, covered), named) == {(named,): way}


def test_paths_may_be_relative_and_standard_input_is_nobodys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "pbx1")
    chosen = settings(folder, "*/*")
    named = (str(folder / "pbx1" / "full"), str(folder / "pbx1" / "../pbx2/full"))
    assert ways(chosen, "full", "../pbx2/full", "-") == {named: OWN, ("-",): GENERAL}


def test_paths_of_one_way_stay_one_set(folder: Path) -> None:
    """Rotations are put into their order only where they are looked for together."""
    names = [str(folder / name) for name in ("full", "messages", "full.1")]
    assert ways(settings(folder, "full"), *names) == {(names[0], names[2]): OWN, (names[1],): GENERAL}


def test_the_first_input_that_covers_a_log_counts(folder: Path) -> None:
    chosen = settings(folder, "pbx1")
    file = folder / "siplogs.toml"
    text = file.read_text(encoding="utf-8") + f'[[input]]\npaths = ["{folder}/*/full"]\ntimezone = "Asia/Tokyo"\n'
    file.write_text(text, encoding="utf-8")
    chosen = load(file, environment={})
    one, other = folder / "pbx1/full", folder / "pbx2/full"
    assert ways(chosen, one, other) == {(str(one),): OWN, (str(other),): ("Asia/Tokyo", "general", ())}


def test_a_folder_that_must_not_be_looked_at_is_left_to_the_reading(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0)
    names = (str(closed / "full"), str(closed))
    chosen, other = settings(folder, "full"), settings(folder, "closed/*")
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        assert ways(chosen, *names) == {names: GENERAL}
        assert ways(other, names[0]) == {names[:1]: OWN}
    finally:
        if root:
            os.seteuid(0)


def test_a_folder_with_logs_of_several_ways_is_refused(folder: Path) -> None:
    (folder / "security").write_bytes(LINE)
    with pytest.raises(ConfigError, match="several ways; name them one by one") as caught:
        ways(settings(folder, "full"), folder)
    assert str(caught.value).startswith(f"{folder}: ")
    (folder / "security").unlink()
    assert ways(settings(folder, "full"), folder) == {(str(folder),): OWN}


def test_command_line_and_environment_beat_the_input(folder: Path) -> None:
    named = (str(folder / "full"),)
    for paths in (named, ()):
        assert ways(settings(folder, "full", zone="Asia/Tokyo"), *paths) == {named: ("Asia/Tokyo", *OWN[1:])}
        variables = {"SIPLOGS_HOST_NAME": "variable", "SIPLOGS_TIMEZONE": "America/Lima"}
        chosen = settings(folder, "full", environment=variables)
        assert ways(chosen, *paths, pack="freeswitch") == {named: ("America/Lima", "variable", ("freeswitch",))}


def test_without_paths_the_configuration_says_which_logs(folder: Path) -> None:
    assert ways(settings(folder, "full", "pbx1")) == {(f"{folder}/full", f"{folder}/pbx1"): OWN}
    assert ways(Settings()) == {(): ("", "", ())}


def test_doctor_reads_a_named_log_as_the_configuration_does(tmp_path: Path) -> None:
    log, configuration = tmp_path / "full", tmp_path / "siplogs.toml"
    tokyo = datetime.now(UTC) + timedelta(hours=9)
    log.write_bytes(pjsip(message()) + f"[{tokyo:%Y-%m-%d %H:%M:%S}] NOTICE[1] main.c: text\n".encode())
    text = f'timezone = "UTC"\n[[input]]\npaths = ["{log}"]\ntimezone = "Asia/Tokyo"\n'
    configuration.write_text(text, encoding="utf-8")

    def clocks(*paths: str, **more: str) -> list[str]:
        environment = {"SIPLOGS_CONFIG": str(configuration), "STATE_DIRECTORY": str(tmp_path), **more}
        found = json.loads(siplogs("doctor", "--format", "json", *paths, **environment).stdout)
        return [one["verdict"] for one in found if one["link"] == "clock"]

    assert clocks() == clocks(str(log)) == clocks(os.path.relpath(log)) == ["ok"]
    assert clocks(SIPLOGS_TIMEZONE="UTC") == clocks(str(log), SIPLOGS_TIMEZONE="UTC") == ["broken"]


LIMITS = {
    "batch_documents = 3": Limits(documents=3),
    "batch_bytes = 4000": Limits(octets=4000),
    "batch_seconds = 0.25": Limits(seconds=0.25),
    "batch_documents = 7\nbatch_bytes = 90000\nbatch_seconds = 60": Limits(7, 90_000, 60.0),
}


@pytest.mark.parametrize("text", LIMITS)
def test_the_limits_of_a_request_are_those_of_the_configuration(tmp_path: Path, text: str) -> None:
    file = tmp_path / "siplogs.toml"
    file.write_text(f"[delivery]\n{text}\n", encoding="utf-8")
    assert limits(load(file, environment={})) == LIMITS[text]
