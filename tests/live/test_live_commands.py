"""`siplogs setup` and `siplogs ship` as commands: a log goes in, a real Elasticsearch has it, exit codes hold."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 120
MESSAGE = """OPTIONS sip:1001@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-{number}
From: <sip:1001@example.com>;tag=a
To: <sip:1001@example.com>
Call-ID: call-{number}@192.0.2.10
CSeq: 1 OPTIONS
Content-Length: 0

"""
HEAD = "[2026-11-20 10:00:{number:02}.123] VERBOSE[1234] res_pjsip_logger.c: <--- Received SIP request ({size} bytes) "

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A PJSIP log of five requests."""
    text = ""
    for number in range(5):
        message = MESSAGE.format(number=number).replace("\n", "\r\n")
        text += HEAD.format(number=number, size=len(message)) + f"from UDP:192.0.2.10:5060 --->\n{message}\n"
    file = tmp_path / "full"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def siplogs(tmp_path: Path) -> Command:
    """Run the command with an empty configuration and its state in a folder of its own."""
    configuration = tmp_path / "siplogs.toml"
    configuration.touch(mode=0o600)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIPLOGS_")}
    environment |= {"SIPLOGS_CONFIG": str(configuration), "STATE_DIRECTORY": str(tmp_path / "state")}

    def run(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from siplogs.cli import main; main()", *map(str, arguments)]
        return subprocess.run(
            command, env=environment | more, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    return run


def test_a_log_of_an_input_that_is_named_again_is_not_doubled(
    siplogs: Command, blank: Any, log: Path, tmp_path: Path
) -> None:
    log.write_text(log.read_text(encoding="utf-8").replace("2026-11-20 10:", "2026-11-01 00:"), encoding="utf-8")
    text = f'[elasticsearch]\nurl = "{blank.url}"\n[[input]]\npaths = ["{log}"]\ntimezone = "Europe/Madrid"\n'
    (tmp_path / "siplogs.toml").write_text(text, encoding="utf-8")
    assert siplogs("setup").returncode == 0
    assert siplogs("ship", "--verbose").stderr == "5 created, 0 already there, 0 dead letters\n"
    log.rename(log.with_name("full.1"))
    again = siplogs("ship", "--verbose", "--from-beginning", tmp_path / "full.1")
    assert again.stderr == "0 created, 5 already there, 0 dead letters\n"
    blank.call("POST", "/siplogs-events-*/_refresh")
    assert blank.call("GET", "/siplogs-events-2026.10/_count")["count"] == 5
    assert blank.call("GET", "/siplogs-events-*/_count")["count"] == 5


def test_setup_then_ship_then_ship_again(siplogs: Command, blank: Any, log: Path) -> None:
    server = ("--elasticsearch", blank.url)
    refused = siplogs("ship", *server, log)
    assert refused.returncode == 3
    assert "is missing: run siplogs setup" in refused.stderr
    assert refused.stderr.count("\n") == 1

    for said in ("created", "already current"):
        done = siplogs("setup", *server)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(f": {said}\n") == 3

    for more, report in (
        ((), "5 created, 0 already there, 0 dead letters\n"),
        ((), "0 created, 0 already there, 0 dead letters\n"),
        (("--from-beginning",), "0 created, 5 already there, 0 dead letters\n"),
    ):
        done = siplogs("ship", *server, "--timezone", "UTC", "--verbose", *more, log)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", report)
    assert siplogs("ship", *server, "--timezone", "UTC", log).stderr == ""

    blank.call("POST", "/siplogs-events-2026.11/_refresh")
    query = {"query": {"term": {"sip.call_id": "call-3@192.0.2.10"}}}
    (hit,) = blank.call("POST", "/siplogs-events-2026.11/_search", query)["hits"]["hits"]
    assert hit["_source"]["@timestamp"] == "2026-11-20T10:00:03.123Z"
    assert hit["_source"]["sip"]["method"] == "OPTIONS"
    assert hit["_id"] == hit["_source"]["event"]["id"]


def test_a_renamed_or_compressed_copy_adds_nothing(siplogs: Command, blank: Any, log: Path) -> None:
    server = {"SIPLOGS_ELASTICSEARCH_URL": blank.url}
    siplogs("setup", **server)
    again = ("ship", "--verbose", "--from-beginning")
    assert "5 created" in siplogs("ship", "--verbose", log, **server).stderr
    rotated = log.rename(log.with_name("full.1"))
    assert "0 created, 0 already there" in siplogs("ship", "--verbose", rotated, **server).stderr
    assert "5 already there" in siplogs(*again, rotated, **server).stderr
    subprocess.run(["gzip", rotated], check=True)
    assert "0 created, 5 already there" in siplogs(*again, log.with_name("full.1.gz"), **server).stderr


def test_the_period_and_a_time_window(siplogs: Command, blank: Any, log: Path) -> None:
    server = {"SIPLOGS_ELASTICSEARCH_URL": blank.url, "SIPLOGS_ELASTICSEARCH_PERIOD": "year"}
    siplogs("setup", **server)
    window = ("--timezone", "UTC", "--since", "2026-11-20 10:00:01", "--until", "2026-11-20 10:00:03")
    anew = ("ship", "--verbose", "--from-beginning")
    assert "2 created" in siplogs(*anew, "--period", "day", *window, log, **server).stderr
    assert "2 created" in siplogs(*anew, *window, log, **server).stderr
    assert set(blank.call("GET", "/siplogs-events-*")) == {"siplogs-events-2026", "siplogs-events-2026.11.20"}


def test_refused_documents_end_in_exit_code_1_and_are_sent_again(
    siplogs: Command, blank: Any, log: Path, tmp_path: Path
) -> None:
    server = {"SIPLOGS_ELASTICSEARCH_URL": blank.url}
    siplogs("setup", **server)
    siplogs("ship", log, **server)
    blank.call("POST", "/siplogs-events-2026.11/_refresh")
    blank.call("POST", "/siplogs-events-2026.11/_delete_by_query?refresh", {"query": {"match_all": {}}})
    blank.call("POST", "/siplogs-events-2026.11/_close")
    done = siplogs("ship", "--from-beginning", log, **server)
    letters = tmp_path / "state" / "dead-letters.ndjson"
    assert done.returncode == 1
    assert f"5 dead letters, kept in {letters}: mend the cause, then siplogs ship --dead-letters" in done.stderr
    assert {json.loads(line)["error"]["type"] for line in letters.read_text().splitlines()} == {
        "index_closed_exception"
    }
    blank.call("POST", "/siplogs-events-2026.11/_open?wait_for_active_shards=1")
    done = siplogs("ship", "--verbose", "--dead-letters", **server)
    assert (done.returncode, done.stderr) == (0, "5 created, 0 already there, 0 dead letters\n")
    assert not letters.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("ship", "--elasticsearch", "http://127.0.0.1:1", "LOG"), 3, "cannot be reached"),
        (("ship", "LOG"), 2, "no Elasticsearch address"),
        (("ship", "--elasticsearch", "http://u:p@127.0.0.1:1", "LOG"), 2, "holds a user or password"),
        (("ship", "--period", "hour", "LOG"), 2, "none of day, week, month, year"),
        (("ship", "--dead-letters", "LOG"), 2, "takes no PATH"),
        (("ship", "--config", "/nowhere.toml", "LOG"), 2, "no such file"),
        (("ship", "--password", "x", "LOG"), 2, "No such option"),
        (("setup",), 2, "nothing to set up"),
        (("setup", "--elasticsearch", "http://127.0.0.1:1"), 3, "cannot be reached"),
        (("setup", "--kibana", "http://127.0.0.1:1"), 3, "cannot be reached"),
    ],
)
def test_trouble_has_its_exit_code(
    siplogs: Command, log: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = siplogs(*(str(log) if one == "LOG" else one for one in arguments))
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unsafe_setting_is_said_loudly(siplogs: Command, secure: Any, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(secure.password, encoding="utf-8")
    credentials = {
        "SIPLOGS_ELASTICSEARCH_USERNAME": "elastic",
        "SIPLOGS_ELASTICSEARCH_PASSWORD_FILE": str(password),
        "SIPLOGS_ELASTICSEARCH_URL": secure.url,
    }
    blind = siplogs("setup", **credentials, SIPLOGS_ELASTICSEARCH_VERIFY="false")
    assert blind.returncode == 0
    assert blind.stderr.startswith("WARNING: elasticsearch.verify is off")
    safe = siplogs("setup", **credentials, SIPLOGS_ELASTICSEARCH_CA_FILE=secure.ca_file)
    assert (safe.returncode, safe.stderr) == (0, "")
