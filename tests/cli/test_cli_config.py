"""`siplogs config`: what is wrong is told with file and line, what is in force with its origin, and no secret ever."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import siplogs

TEXT = """# a comment
timezone = "Europe/Madrid"

[elasticsearch]
url = [
  "https://es1.example.com:9200",
]
username = "shipper"
password = "geheim"

[[input]]
paths = ["/var/log/asterisk/full"]

[[input]]
paths = ["/mnt/other/full"]
timezone = "+02:00"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "siplogs.toml"
    path.write_text(TEXT, encoding="utf-8")
    path.chmod(0o600)
    return path


def run(file: Path, *arguments: str, **more: str) -> tuple[int, str, str]:
    more = {"SIPLOGS_CONFIG": str(file), "STATE_DIRECTORY": str(file.parent), **more}
    done = siplogs("config", *arguments, **more)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_good_configuration(file: Path) -> None:
    code, said, wrong = run(file, "check")
    assert (code, wrong) == (0, "")
    assert said == "the configuration is well: 7 settings, 2 inputs, Elasticsearch at https://es1.example.com:9200\n"
    assert run(file, "check", "--config", str(file))[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'url = [\n  "h',
            'urll = [\n  "h',
            "{}:5: unknown setting elasticsearch.urll; did you mean elasticsearch.url[?]",
        ),
        ("[elasticsearch]", "[elasticsaerch]", "{}:4: unknown setting elasticsaerch; did you mean elasticsearch[?]"),
        (
            "https://es1.example.com:9200",
            "geheim",
            "{}:5: elasticsearch.url holds what is no address; it looks like .*",
        ),
        ('"shipper"', "7", "{}:8: elasticsearch.username: write a text in quotes"),
        ('username = "shipper"', 'period = "hour"', "{}:8: elasticsearch.period: 'hour' is none of day, week, .*"),
        ('"geheim"', '"geh\\neim"', "{}:9: elasticsearch.password holds no password: .*"),
        (
            'password = "geheim"',
            'password_file = "/nowhere"',
            "{}:9: elasticsearch.password_file: cannot read /nowhere.*",
        ),
        ('paths = ["/mnt/other/full"]', "", "{}:14: input 2: paths is missing; .*"),
        ("+02:00", "Mars/Olympus", "{}:16: no time zone 'Mars/Olympus'; give a name such as .*"),
        ("Europe/Madrid", "Madrid", "{}:2: no time zone 'Madrid'; .*"),
        ('timezone = "Europe/Madrid"', 'language = "xx"', "{}:2: language: 'xx' is none of en, es"),
        ("[[input]]\npaths", "[[inputs]]\npaths", "{}:11: unknown setting inputs; did you mean input[?]"),
        ('password = "geheim"', "", "{}:8: elasticsearch.username needs elasticsearch.password_file: .*"),
        ('username = "shipper"', "", "{}:9: elasticsearch.password needs elasticsearch.username: .*"),
        ('timezone = "+02:00"', 'pack = [\n"x"', "{}:16: is not TOML: Unclosed array .*; mend that place"),
        (
            'username = "s',
            'retention_days = 9999999999999\nusername = "s',
            "{}:8: elasticsearch.retention_days: .* to 36500",
        ),
        ('username = "s', 'shards = 100000\nusername = "s', "{}:8: elasticsearch.shards: write a whole .* to 1024"),
        (
            "[elasticsearch]",
            "[kibana]\nspace = 'A B'\n[elasticsearch]",
            "{}:5: kibana.space: 'A B' is not the id of a .*",
        ),
        ('timezone = "+02:00"', 'pack = "asterisk-pjsib"', "{}:16: no pattern pack 'asterisk-pjsib'; there are .*"),
        (
            'timezone = "+02:00"',
            'packs = "x"',
            r"{}:16: unknown setting input 2: packs; did you mean input 2: (pack|paths)\?",
        ),
        ('password = "geheim"', "password = ", "{}:9: is not TOML: .*; mend that place"),
        ("[[input]]\npaths", "[input]\npaths", "{}:(11|14): .*"),
        (
            "[elasticsearch]",
            '[kibana]\nca_file = "/nowhere"\n[elasticsearch]',
            "{}:5: kibana.ca_file: /nowhere: no such file",
        ),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(file: Path, old: str, new: str, said: str) -> None:
    assert old in TEXT
    file.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    code, shown, wrong = run(file, "check")
    assert (code, shown) == (2, "")
    assert re.fullmatch(f"siplogs: {said.format(re.escape(str(file)))}\n", wrong), wrong
    assert "geheim" not in wrong


def test_a_variable_that_is_wrong_is_named(file: Path) -> None:
    code, _, wrong = run(file, "check", SIPLOGS_TAIL_POLL_SECONDS="often")
    assert code == 2
    assert wrong.startswith(
        "siplogs: environment: SIPLOGS_TAIL_POLL_SECONDS: tail.poll_seconds: write a number from 0.05 to 60"
    )


def test_a_path_that_is_no_utf_8_is_shown(file: Path) -> None:
    code, said, wrong = run(file, "show", STATE_DIRECTORY=os.fsdecode(b"/srv/caf\xe9"))
    assert (code, wrong) == (0, "")
    assert shown(said)[0]["delivery"]["state"] == "/srv/caf\\udce9/state.db"


def test_a_name_of_the_host_that_is_no_utf_8_is_refused(file: Path) -> None:
    code, said, wrong = run(file, "show", SIPLOGS_HOST_NAME=os.fsdecode(b"pbx\xff"))
    assert (code, said, wrong.count("\n")) == (2, "", 1)
    assert wrong.startswith("siplogs: environment: SIPLOGS_HOST_NAME: host_name: ")


@pytest.mark.parametrize(
    "command",
    [
        ("config", "check"),
        ("config", "show"),
        ("scan", "/nonexistent"),
        ("ship", "/nonexistent"),
        ("tail", "/nonexistent"),
        ("status",),
        ("doctor",),
        ("dead-letters", "list"),
        ("prune", "--older-than", "90d"),
        ("setup",),
    ],
    ids=" ".join,
)
def test_every_command_tells_a_section_with_two_brackets(file: Path, command: tuple[str, ...]) -> None:
    file.write_text(TEXT.replace("[elasticsearch]", "[[elasticsearch]]"), encoding="utf-8")
    done = siplogs(*command, SIPLOGS_CONFIG=str(file), STATE_DIRECTORY=str(file.parent))
    told = (done.stdout + done.stderr).decode()  # what doctor finds is what it is there to show
    assert (done.returncode, told.count("\n")) == (2, 1)
    assert f"{file}:4: elasticsearch is a section: write [elasticsearch] and" in told


def test_a_users_pack_that_is_wrong_is_told(file: Path, tmp_path: Path) -> None:
    (tmp_path / "patterns").mkdir()
    (tmp_path / "patterns" / "mine.toml").write_text("name = 3", encoding="utf-8")
    code, _, wrong = run(file, "check", SIPLOGS_PATTERNS=str(tmp_path / "patterns"))
    assert code == 2
    assert "mine.toml" in wrong
    assert wrong.count("\n") == 1


def shown(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The values, read as the TOML that they are, and the origin by the line's beginning."""
    origins = {}
    for line in text.splitlines():
        start, mark, origin = line.rpartition("  # ")
        if mark:
            origins[start.strip()] = origin
    return tomllib.loads(text), origins


def test_every_setting_is_shown_with_its_origin_and_no_secret(file: Path) -> None:
    code, said, wrong = run(
        file, "show", "--timezone", "UTC", SIPLOGS_ELASTICSEARCH_SHARDS="4", SIPLOGS_KIBANA_URL="http://127.0.0.1:5601"
    )
    assert (code, wrong) == (0, "")
    assert "geheim" not in said
    values, origins = shown(said)
    assert values["timezone"] == "UTC"
    assert origins['timezone = "UTC"'] == "command line"
    assert [one["timezone"] for one in values["input"]] == ["", ""]
    assert values["elasticsearch"]["shards"] == 4
    assert origins["shards = 4"] == "environment: SIPLOGS_ELASTICSEARCH_SHARDS"
    assert origins['url = ["https://es1.example.com:9200"]'] == f"{file}:5"
    assert origins['password = "********"'] == f"{file}:9"
    assert origins["verify = true"] == "default"
    assert origins["# api_key is not set"] == "default"
    assert shown(run(file, "show")[1])[1]['timezone = "+02:00"'] == f"{file}:16"
    assert values["delivery"]["state"] == str(file.parent / "state.db")
    assert [one["paths"] for one in values["input"]] == [["/var/log/asterisk/full"], ["/mnt/other/full"]]


def test_a_secret_from_a_file_is_masked(file: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("geheim==", encoding="utf-8")
    code, said, _ = run(file, "show", SIPLOGS_ELASTICSEARCH_API_KEY_FILE=str(key))
    assert code == 0
    assert "geheim" not in said
    assert re.search(r'^api_key = "\*+" +# from elasticsearch.api_key_file$', said, re.MULTILINE)
    assert re.search(r"^# password is not set +# default$", said, re.MULTILINE)
