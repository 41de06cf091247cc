"""Runs the `siplogs` command the way a shell does, without anything of this machine's settings."""

import json
import lzma
import os
import pty
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
CORPUS = REPOSITORY / "tests/corpus"
COMMAND = [sys.executable, "-c", "from siplogs.cli import main; main()"]
PATIENCE = 120


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIPLOGS_")}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "CREDENTIALS_DIRECTORY"):
        kept.pop(name, None)
    nowhere = {"SIPLOGS_PATTERNS": "/nonexistent", "PYTHONPATH": str(REPOSITORY), "TZ": "UTC", "TERM": "xterm"}
    nowhere["LC_ALL"] = "C.UTF-8"
    return kept | nowhere | more


def siplogs(*arguments: str, data: bytes = b"", **more: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a command to its end; `data` is its standard input, `more` are environment variables."""
    return subprocess.run(
        [*COMMAND, *arguments], input=data, capture_output=True, env=environment(**more), timeout=PATIENCE, check=False
    )


def started(*arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
    """Start a command in a process group of its own."""
    pipe = subprocess.PIPE
    defaults: dict[str, Any] = {
        "stdin": pipe,
        "stdout": pipe,
        "stderr": pipe,
        "env": environment(),
        "start_new_session": True,
    }
    process: subprocess.Popen[bytes] = subprocess.Popen([*COMMAND, *arguments], **(defaults | options))
    return process


def group_has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Whether no process of the group is left, workers included."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def with_eager_bar(*arguments: str, stdout: str, stderr: str) -> tuple[str, str]:
    """Run a command whose progress bar has no patience; what a terminal shows, and what the other stream got.

    `stdout` and `stderr` are where they go: to the same terminal, a file or a pipe.
    """
    terminal, end = pty.openpty()
    eager = "from siplogs.cli import progress, main; progress.PATIENCE = progress.PAUSE = 0; main()"
    with tempfile.TemporaryFile() as file:
        places = {"terminal": end, "file": file.fileno(), "pipe": subprocess.PIPE}
        process = subprocess.Popen(
            [sys.executable, "-c", eager, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=places[stdout],
            stderr=places[stderr],
            env=environment(),
        )
        os.close(end)
        reader = threading.Thread(target=lambda: shown.append(drained(terminal)))
        shown: list[bytes] = []
        reader.start()
        out, err = process.communicate(timeout=PATIENCE)
        reader.join(PATIENCE)
        file.seek(0)
        other = (out or b"") + (err or b"") + file.read()
    os.close(terminal)
    return shown[0].decode().replace("\r\n", "\n"), other.decode()


def drained(terminal: int) -> bytes:
    """All that comes out of a terminal until its other end is closed."""
    shown = b""
    with suppress(OSError):
        while piece := os.read(terminal, 65536):
            shown += piece
    return shown


def on_a_terminal(*arguments: str, **more: str) -> str:
    """Run a command whose standard output is a terminal; what it shows there."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=end, stderr=subprocess.PIPE, env=environment(**more)
    )
    os.close(end)
    shown = drained(terminal)
    os.close(terminal)
    process.communicate(timeout=PATIENCE)
    return shown.decode().replace("\r\n", "\n")


def documents(done: "subprocess.CompletedProcess[bytes]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def log(name: str) -> str:
    return str(CORPUS / f"{name}.log.xz")


def truth(name: str) -> list[dict[str, Any]]:
    """What the capture of the same run has, beside the log."""
    with lzma.open(CORPUS / f"{name}.truth.ndjson.xz", "rt", encoding="utf-8") as lines:
        return [row for row in map(json.loads, lines) if row.get("logged", True)]


def unpacked(name: str, folder: Path) -> Path:
    path = folder / f"{Path(name).name}.log"
    path.write_bytes(lzma.decompress((CORPUS / f"{name}.log.xz").read_bytes()))
    return path


def without(document: dict[str, Any]) -> dict[str, Any]:
    """A document without the moment of reading."""
    return document | {"event": {name: value for name, value in document["event"].items() if name != "created"}}


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    return [without(document) for document in one] == [without(document) for document in other]
