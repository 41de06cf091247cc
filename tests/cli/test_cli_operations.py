"""`siplogs status`, `doctor`, `dead-letters` and `prune` without a server."""

import grp
import json
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from siplogs.outputs.elasticsearch import Document
from siplogs.pipeline import ReadOptions
from siplogs.shipping.collect import Collector, Input, Settings
from siplogs.shipping.dead_letters import DeadLetters, Refusal
from siplogs.shipping.state import State
from tests.cli.command import environment, siplogs, started
from tests.packs.writers import message, pjsip

NOBODY = 65534


class Host:
    """A folder with a log, a configuration and a state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "full"
        self.configuration = folder / "siplogs.toml"
        self.configure()
        self.letters = DeadLetters(folder / "dead-letters.ndjson")

    def configure(self, more: str = "") -> None:
        text = f'timezone = "UTC"\n{more}\n[[input]]\npaths = ["{self.log}"]\n'
        self.configuration.write_text(text, encoding="utf-8")

    def run(self, *arguments: str, **more: str) -> tuple[int, str, str]:
        more = {"SIPLOGS_CONFIG": str(self.configuration), "STATE_DIRECTORY": str(self.folder), **more}
        done = siplogs(*arguments, **more)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def write(self, ago: timedelta = timedelta(0), *, sip: bool = True) -> None:
        moment = datetime.now(UTC) - ago
        time = f"[{moment:%Y-%m-%d %H:%M:%S}]".encode()
        with self.log.open("ab") as file:
            file.write(pjsip(message()).replace(b"[Nov 21 02:17:08]", time) if sip else b"")
            file.write(time + b" NOTICE[1] main.c: text\n")

    def age(self, seconds: float) -> None:
        """Let everything that the state knows have happened so long ago."""
        with State(self.folder / "state.db") as state:
            places = state.places()
            for place in places:
                place.last_seen -= seconds
                place.acknowledged -= seconds
            state.save(places)

    def ship(self) -> int:
        """Read what is new as `siplogs ship` does, and take it for delivered."""
        with State(self.folder / "state.db") as state:
            options = ReadOptions(timezone="UTC", host="pbx")
            collector = Collector(state, Settings((Input((str(self.log),), options),)), print)
            number = len(list(collector.documents()))
            collector.finish({"created": number})
            collector.close()
        return number

    def refuse(self, *names: str) -> None:
        refusal = Refusal(400, "mapper_parsing_exception", "no \x1b[31mway")
        self.letters.keep([(Document("siplogs-events-2026.11", name, b'{"a":1}'), refusal) for name in names])


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_status_without_a_state(host: Host) -> None:
    code, said, wrong = host.run("status")
    assert (code, said) == (2, "")
    assert wrong == f"siplogs: {host.folder / 'state.db'}: no state there yet; siplogs ship or siplogs tail makes it\n"
    assert not list(host.folder.glob("state*"))


def test_status_of_a_foreign_file(host: Host) -> None:
    (host.folder / "state.db").write_bytes(b"something else, and long enough to be looked at" * 9)
    code, _, wrong = host.run("status")
    assert (code, wrong.count("\n")) == (2, 1)
    assert "--state" in wrong


def test_status_in_every_format(host: Host) -> None:
    host.write()
    assert host.ship() == 1
    size = host.log.stat().st_size
    code, said, wrong = host.run("status")
    assert (code, wrong) == (0, "")
    assert f"{host.folder / 'state.db'}, no process works on it\n" in said
    assert "1 created, 0 already there, 0 refused\n" in said
    assert re.search(rf"^ +{size:,} +{size:,} +0 +20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ  {host.log}$", said, re.MULTILINE)
    code, said, _ = host.run("status", "--format", "json", "--state", str(host.folder / "state.db"))
    told = json.loads(said)
    assert (code, told["created"], told["holder"], told["tail"]) == (0, 1, "", None)
    (log,) = told["logs"]
    assert (log["path"], log["position"], log["lag_bytes"]) == (str(host.log), size, 0)
    code, said, _ = host.run("status", "--format", "prometheus", "--config", str(host.configuration))
    assert code == 0
    assert f'\nsiplogs_log_size_bytes{{path="{host.log}",family="{host.log}"}} {size}\n' in said
    host.refuse("one")
    assert host.run("status")[0] == 1
    with State(host.folder / "state.db", purpose="siplogs ship"):
        assert f"process {os.getpid()} (siplogs ship) works on it" in host.run("status")[1]


def test_dead_letters_are_listed_and_shown(host: Host) -> None:
    assert host.run("dead-letters", "list") == (0, "", "")
    assert host.run("dead-letters", "list", "--format", "json") == (0, "[]\n", "")
    host.refuse("abc1", "abd2")
    code, said, wrong = host.run("dead-letters", "list")
    assert (code, wrong) == (0, "")
    first, second = said.splitlines()
    assert re.fullmatch(r"20\S+Z  siplogs-events-2026\.11  abc1  400 mapper_parsing_exception: no way", first)
    assert "  abd2  " in second
    told = json.loads(host.run("dead-letters", "list", "--format", "json")[1])
    assert [one["id"] for one in told] == ["abc1", "abd2"]
    assert told[0]["error"]["status"] == 400
    code, said, _ = host.run("dead-letters", "show", "abd")
    assert (code, json.loads(said)["document"]) == (0, {"a": 1})
    code, said, wrong = host.run("dead-letters", "show", "x", "--config", str(host.configuration))
    assert (code, said) == (1, "")
    assert "no dead letter with the id x" in wrong


def doctor(host: Host, *arguments: str, **more: str) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    code, said, wrong = host.run("doctor", "--format", "json", *arguments, **more)
    assert wrong == ""
    found: dict[str, list[tuple[str, str]]] = {}
    for one in json.loads(said):
        assert "\n" not in one["text"]
        found.setdefault(one["link"], []).append((one["verdict"], one["text"]))
    return code, found


def only(found: dict[str, list[tuple[str, str]]], link: str) -> tuple[str, str]:
    (one,) = found[link]
    return one


def test_doctor_on_a_host_that_is_well_but_for_the_server(host: Host) -> None:
    host.write()
    host.ship()
    code, found = doctor(host)
    assert code == 2
    text = "no address, so that nothing can be shipped; set elasticsearch.url, or give --elasticsearch URL"
    assert only(found, "elasticsearch") == ("broken", text)
    assert only(found, "kibana") == ("ok", "none is set (kibana.url), its views were not looked for")
    assert {one[0] for link, ones in found.items() if link != "elasticsearch" for one in ones} == {"ok"}
    assert only(found, "sip")[1] == f"{host.log}: 1 SIP message in the last MB"
    assert only(found, "shipping")[1] == "1 event delivered, 0 bytes behind"
    code, said, _ = host.run("doctor", str(host.log))
    assert code == 2
    assert all(re.match(r"(ok|warning|broken) +(\S+ ?)+", line) for line in said.splitlines())


def test_doctor_without_any_log(host: Host) -> None:
    code, found = doctor(host)
    assert (code, only(found, "logs")[0]) == (2, "broken")
    assert "no such file" in only(found, "logs")[1]
    assert only(found, "state")[1].endswith("none yet; the first siplogs ship or siplogs tail makes it")


def test_doctor_says_how_to_switch_sip_logging_on(host: Host) -> None:
    host.write(sip=False)
    _, found = doctor(host)
    verdict, text = only(found, "sip")
    assert verdict == "warning"
    assert "pjsip set logger on" in text


def test_doctor_sees_that_sip_logging_was_switched_off(host: Host) -> None:
    host.write(timedelta(days=5))
    host.write(timedelta(minutes=30))
    host.write(sip=False)
    assert only(doctor(host)[1], "sip")[0] == "ok"
    host.log.unlink()
    host.write(timedelta(days=5))
    host.write(sip=False)
    verdict, text = only(doctor(host)[1], "sip")
    assert verdict == "warning"
    assert "the last SIP message is 5 d older than the last line: was SIP logging switched off?" in text
    assert "switch it on again with asterisk -rx 'pjsip set logger on'" in text


def test_doctor_on_a_log_that_is_empty(host: Host) -> None:
    host.log.touch()
    assert only(doctor(host)[1], "logs") == (
        "warning",
        f"{host.log}: the file is empty; see whether the PBX logs to it",
    )
    (host.folder / "full.1").write_bytes(b"text\n")
    assert only(doctor(host)[1], "logs") == ("ok", f"{host.log}: empty since a rotation, nothing to look into yet")
    before = datetime.now(UTC).timestamp() - 86_500
    os.utime(host.log, (before, before))
    assert only(doctor(host)[1], "logs")[0] == "warning"


def test_nobody_ships_and_the_log_grows(host: Host) -> None:
    host.write()
    host.ship()
    host.write()
    assert host.run("status")[0] == 0
    assert only(doctor(host)[1], "shipping")[0] == "ok"
    host.age(20 * 3600)
    code, said, _ = host.run("status")
    assert code == 1
    assert "TROUBLE       nobody ships, and logs are behind for 20 h, by " in said
    assert json.loads(host.run("status", "--format", "json")[1])["trouble"] in said
    verdict, text = only(doctor(host)[1], "shipping")
    assert verdict == "warning"
    assert "systemctl start siplogs-tail" in text


def test_names_that_are_no_utf_8_as_json(host: Host) -> None:
    host.log = host.log.with_name(os.fsdecode(b"caf\xe9"))
    host.write()
    host.ship()
    path = str(host.folder / "caf\\xe9")
    assert [log["path"] for log in json.loads(host.run("status", "--format", "json")[1])["logs"]] == [path]
    assert only(doctor(host, os.fsdecode(host.log))[1], "logs")[1].startswith(path)
    assert f'path="{path}"'.replace("\\", "\\\\") in host.run("status", "--format", "prometheus")[1]


@pytest.fixture
def foreign() -> Iterator[Host]:
    """A host whose state belongs to another user than root, where the tests run as root."""
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield Host(folder)
    shutil.rmtree(folder)


def test_doctor_sees_with_the_eyes_of_the_user_who_ships(foreign: Host) -> None:
    name = pwd.getpwuid(foreign.folder.stat().st_uid).pw_name
    foreign.write()
    assert only(doctor(foreign)[1], "logs") == ("ok", f"{foreign.log}: 1 file, readable for the user {name}")
    if os.geteuid() == 0:
        os.chown(foreign.log, 0, 4)
    foreign.log.chmod(0o040)
    group = grp.getgrgid(foreign.log.stat().st_gid).gr_name
    code, found = doctor(foreign)
    assert code == 2
    remedy = f"usermod -aG {group} {name}, and restart what ships (or log in again)"
    assert only(found, "logs") == ("broken", f"{foreign.log}: permission denied for the user {name}; {remedy}")
    foreign.log.chmod(0)
    verdict, text = only(doctor(foreign)[1], "logs")
    assert verdict == "broken"
    assert "let its group (adm, asterisk or freeswitch) read the log and its folders" in text
    assert "as root" not in text


def test_doctor_sees_what_the_user_who_ships_cannot_write(foreign: Host) -> None:
    name = pwd.getpwuid(foreign.folder.stat().st_uid).pw_name
    foreign.write()
    foreign.ship()
    foreign.refuse("one")
    files = [foreign.folder / "state.db", foreign.folder / "state.db.lock", foreign.letters.path]
    for file in files:
        file.chmod(0o444)
    metrics = foreign.folder / "none/siplogs.prom"
    code, found = doctor(foreign, SIPLOGS_TAIL_METRICS_FILE=str(metrics))
    assert code == 2
    assert only(found, "state")[0] == "broken"
    assert only(found, "state")[1].endswith(f"chown {name}: {files[0]} {files[1]}")
    verdict, text = found["dead letters"][1]
    assert (verdict, text.endswith(f"chown {name}: {files[2]} (delivery.dead_letters)")) == ("broken", True)
    assert only(found, "metrics")[0] == "warning"
    assert f"there is no folder {metrics.parent}; make it" in only(found, "metrics")[1]
    more = {"SIPLOGS_TAIL_METRICS_FILE": str(foreign.folder / "siplogs.prom")}
    assert only(doctor(foreign, **more)[1], "metrics")[0] == "ok"
    foreign.configure('[delivery]\ndead_letters = "/proc/none/dead.ndjson"')
    assert "must not write in /proc" in doctor(foreign)[1]["dead letters"][-1][1]


def test_doctor_knows_no_pack_for_the_log(host: Host) -> None:
    host.log.write_text("Nov 21 10:00:00 mail postfix/smtpd[12]: connect from unknown\n" * 20, encoding="utf-8")
    code, found = doctor(host)
    assert (code, only(found, "pack")[0]) == (2, "broken")
    assert "no pattern pack fits" in only(found, "pack")[1]


@pytest.mark.parametrize(
    ("ago", "verdict", "said"),
    [
        (
            timedelta(hours=2),
            "broken",
            "its times are 2 h behind the clock, read in the zone UTC; set the timezone",
        ),
        (timedelta(hours=-5.5), "broken", "its times are 5.5 h ahead of the clock"),
        (timedelta(hours=2, seconds=20), "broken", "its times are 2 h behind the clock"),
        (timedelta(hours=2, seconds=50), "warning", "its last line tells a time 2 h "),
        (timedelta(hours=2, minutes=7), "warning", "its last line tells a time 2 h "),
        (timedelta(minutes=5), "warning", "its last line tells a time "),
        (timedelta(0), "ok", "its last line tells the time at which it was written"),
    ],
)
def test_doctor_on_the_clock(host: Host, ago: timedelta, verdict: str, said: str) -> None:
    host.write(ago)
    _, found = doctor(host)
    assert only(found, "clock")[0] == verdict
    assert said in only(found, "clock")[1]


def test_doctor_on_a_log_that_nobody_writes(host: Host) -> None:
    host.write()
    before = datetime.now(UTC).timestamp() - 3 * 86_400 - 60
    os.utime(host.log, (before, before))
    _, found = doctor(host)
    assert "nothing was written for 3 days" in only(found, "clock")[1]


def test_doctor_on_a_wrong_configuration(host: Host) -> None:
    host.configure("[tail]\npoll = 1")
    code, found = doctor(host)
    assert code == 2
    assert list(found) == ["configuration"]
    assert (
        f"{host.configuration}:3: unknown setting tail.poll; did you mean tail.poll_seconds?"
        in only(found, "configuration")[1]
    )


def test_doctor_on_dead_letters_and_a_damaged_state(host: Host) -> None:
    host.write()
    host.ship()
    host.refuse("one", "two")
    assert doctor(host)[1]["dead letters"][0][1].startswith("2 wait; siplogs dead-letters list")
    (host.folder / "state.db").write_bytes(b"no database" * 99)
    code, found = doctor(host)
    assert (code, only(found, "state")[0]) == (2, "broken")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1", "no connection to 127.0.0.1 port 1 (connection refused)"),
        ("http://siplogs.invalid:9200", "the name siplogs.invalid is not found"),
    ],
)
def test_doctor_names_the_step_at_which_a_server_is_lost(host: Host, url: str, said: str) -> None:
    code, found = doctor(host, "--elasticsearch", url, SIPLOGS_KIBANA_URL=url)
    assert code == 2
    for link in ("elasticsearch", "kibana"):
        assert only(found, link)[0] == "broken"
        assert said in only(found, link)[1]
        assert "firewall" in only(found, link)[1] or f"{link}.url" in only(found, link)[1]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("status", "--format", "xml"), 2, "--format xml: use one of text, json, prometheus"),
        (("doctor", "--format", "xml"), 2, "--format xml: use text or json"),
        (("dead-letters", "list", "--format", "xml"), 2, "--format xml: use text or json"),
        (("dead-letters", "send"), 2, "no Elasticsearch address"),
        (("dead-letters", "send", "--elasticsearch", "http://127.0.0.1:1"), 3, "cannot be reached"),
        (("prune",), 2, "give --older-than 90d, or set elasticsearch.retention_days"),
        (("prune", "--older-than", "soon"), 2, "--older-than soon: write a number of days"),
        (("prune", "--older-than", ""), 2, "--older-than is given without a value"),
        (("prune", "--older-than", "9d"), 2, "no Elasticsearch address"),
        (("prune", "--older-than", "9d", "--elasticsearch", "http://127.0.0.1:1"), 3, "cannot be reached"),
    ],
)
def test_trouble_has_its_exit_code(host: Host, arguments: tuple[str, ...], code: int, said: str) -> None:
    found, _, wrong = host.run(*arguments)
    assert (found, wrong.count("\n")) == (code, 1)
    assert said in wrong


def test_what_is_shown_can_be_cut_off(host: Host) -> None:
    settings: dict[str, Any] = {"SIPLOGS_CONFIG": str(host.configuration), "STATE_DIRECTORY": str(host.folder)}
    process = started("config", "show", env=environment(**settings))
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 0
