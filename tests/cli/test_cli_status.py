"""`siplogs status` after runs of `siplogs ship` that failed, and what is told of a dead letter that is damaged."""

import json
import sqlite3
from pathlib import Path

from siplogs.outputs.elasticsearch import Document
from siplogs.shipping.dead_letters import DeadLetters, Refusal
from siplogs.shipping.state import State
from tests.cli.command import siplogs
from tests.packs.writers import message, pjsip

NOWHERE = "http://127.0.0.1:1"


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    settings = {"SIPLOGS_CONFIG": str(folder / "siplogs.toml"), "STATE_DIRECTORY": str(folder)}
    done = siplogs(*arguments, **settings)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_run_of_ship_that_failed_is_told_with_its_reason(tmp_path: Path) -> None:
    log = tmp_path / "full"
    log.write_bytes(pjsip(message()))
    text = f'timezone = "UTC"\n[elasticsearch]\nurl = "{NOWHERE}"\n[[input]]\npaths = ["{log}"]\n'
    (tmp_path / "siplogs.toml").write_text(text, encoding="utf-8")
    code, _, wrong = run(tmp_path, "ship")
    assert (code, wrong.count("\n")) == (3, 1)
    code, said, _ = run(tmp_path, "status")
    assert code == 1
    (trouble,) = [line for line in said.splitlines() if line.startswith("TROUBLE")]
    reason = wrong.removeprefix("siplogs: ").partition(";")[0].strip()
    assert "shipping fails; the last run, " in trouble
    assert reason in trouble
    assert "tail" not in {line.partition(" ")[0] for line in said.splitlines()}
    told = json.loads(run(tmp_path, "status", "--format", "json")[1])
    assert (told["failing"], told["tail"]) == (True, None)
    with sqlite3.connect(tmp_path / "state.db") as database:
        (pulse,) = database.execute("SELECT said FROM pulse").fetchone()
    assert json.loads(pulse)["passed"] == 0.0
    assert run(tmp_path, "ship")[0] == 3


def test_a_damaged_dead_letter_is_named_by_every_command_that_reads_them(tmp_path: Path) -> None:
    (tmp_path / "siplogs.toml").write_text('timezone = "UTC"\n', encoding="utf-8")
    letters = DeadLetters(tmp_path / "dead-letters.ndjson")
    letters.keep([(Document("siplogs-events-2026.11", "abc1", b"{}"), Refusal(400, "mapping", "no"))])
    with letters.path.open("ab") as file:
        file.write(b'{"index": "siplogs-ev\n')
    wrong = f"siplogs: {letters.path}:2: is no dead letter: mend or delete the line\n"
    code, said, told = run(tmp_path, "dead-letters", "list")
    assert (code, said.count("\n"), told) == (2, 1, wrong)
    code, said, told = run(tmp_path, "dead-letters", "list", "--format", "json")
    assert (code, [one["id"] for one in json.loads(said)], told) == (2, ["abc1"], wrong)
    assert run(tmp_path, "dead-letters", "show", "abc")[0] == 0
    code, _, told = run(tmp_path, "dead-letters", "show", "abd")
    assert (code, told.endswith(wrong)) == (2, True)
    State(tmp_path / "state.db").close()
    next(letters.batches())
    code, said, _ = run(tmp_path, "status")
    assert (code, f"2 waiting in {letters.path}.sending: " in said) == (1, True)
