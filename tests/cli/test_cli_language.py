"""In which language meanings and fixes come: option, setting, locale, else English."""

from pathlib import Path

import pytest

from siplogs.cli.shared import language, read_options
from siplogs.config import Settings
from siplogs.knowledge import base
from tests.cli.command import siplogs

VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG", "SIPLOGS_LANGUAGE")


@pytest.fixture
def speaks_spanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A knowledge base in English and Spanish, and no setting of this machine."""
    for name in ("en", "es"):
        (tmp_path / "data" / name / "sip").mkdir(parents=True)
    monkeypatch.setattr(base, "DATA", tmp_path / "data")
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    file = tmp_path / "siplogs.toml"
    file.touch()
    monkeypatch.setenv("SIPLOGS_CONFIG", str(file))
    return file


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "es_ES.UTF-8"}, "es"),
        ({"LANG": "es"}, "es"),
        ({"LANG": "es@euro"}, "es"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "../es"}, "en"),
        ({"LANG": "español"}, "en"),
        ({"LC_MESSAGES": "es_MX", "LANG": "en_US.UTF-8"}, "es"),
        ({"LC_ALL": "C", "LC_MESSAGES": "es_MX", "LANG": "es_MX"}, "en"),
        ({"LC_ALL": "", "LANG": "es_MX"}, "es"),
        ({"SIPLOGS_LANGUAGE": "en", "LANG": "es_MX"}, "en"),
        ({"SIPLOGS_LANGUAGE": "es", "LC_ALL": "C"}, "es"),
    ],
)
@pytest.mark.usefixtures("speaks_spanish")
def test_language_of_the_environment(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert language("") == expected


def test_option_beats_environment_beats_file_beats_locale(
    speaks_spanish: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    speaks_spanish.write_text('language = "es"')
    assert language("") == "es"
    monkeypatch.setenv("SIPLOGS_LANGUAGE", "en")
    assert language("") == "en"
    assert language("es") == "es"


def test_documents_come_in_the_language_of_the_settings_and_not_in_the_locales(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An index must not change its language with who started siplogs."""
    monkeypatch.setenv("LC_ALL", "es_ES.UTF-8")
    assert read_options(Settings(), ()).language == "en"
    assert read_options(Settings(language="es"), ()).language == "es"
    assert read_options(Settings(language="es"), (), "en").language == "en"


@pytest.mark.parametrize(
    ("arguments", "more", "said"),
    [
        (("--lang", "xx"), {}, b"no knowledge in language 'xx'; use one of: en"),
        ((), {"SIPLOGS_LANGUAGE": "xx"}, b"environment: SIPLOGS_LANGUAGE: language: 'xx' is none of en, es"),
    ],
)
def test_language_that_nobody_speaks(arguments: tuple[str, ...], more: dict[str, str], said: bytes) -> None:
    done = siplogs("scan", *arguments, "-", data=b"x\n", **more)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr
    assert done.stderr.count(b"\n") == 1
