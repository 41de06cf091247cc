"""Runs one command and says what it cost: wall and CPU seconds, and the memory of its largest process."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
"""The repository: every command runs there, so that relative paths in commands and in the document hold."""

DATA = ROOT / "benchmarks" / "data"
"""Where the logs to measure are made (not under version control)."""

_LAUNCHER = Path(__file__).with_name("launcher.py")


class CommandError(Exception):
    """A measured command failed; the text is one line that names it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run cost: seconds, and peak resident bytes of the largest single process."""

    wall: float
    cpu: float
    peak: int


def run(command: Sequence[str], *, keep: bool = False, good: Sequence[int] = (0,)) -> tuple[Cost, str]:
    """Run a command, its standard output thrown away unless `keep`; return its cost and what it said.

    A small launcher starts it, because Linux counts the memory that a process had before exec as the new
    program's own.

    Raises CommandError when the command ends with an exit code that is not `good`.
    """
    with tempfile.NamedTemporaryFile() as kept:
        target = kept.name if keep else os.devnull
        launched = subprocess.run(
            [sys.executable, "-I", "-S", str(_LAUNCHER), target, *command],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            check=False,
        )
        said = (kept.read() + launched.stderr).decode("utf-8", "replace")
    answer = json.loads(launched.stdout or b'{"code": "no answer"}')
    if answer["code"] not in good:
        raise CommandError(f"{Path(command[0]).name} ended with {answer['code']}: {_last_line(said)}")
    return Cost(answer["wall"], answer["cpu"], answer["peak"]), said


def count_lines(command: Sequence[str]) -> int:
    """Run a command unmeasured and return how many lines it prints.

    Raises CommandError like `run`.
    """
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        stream = process.stdout
        lines = sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b"")) if stream else 0
    if process.returncode:
        raise CommandError(f"{Path(command[0]).name} ended with {process.returncode}")
    return lines


def environment() -> dict[str, str]:
    """Return the environment of measured commands: this one, UTF-8, and no settings of the user's for lnav."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "XDG_CONFIG_HOME": str(DATA / "config")}


def typical(costs: Sequence[Cost]) -> Cost:
    """Return the median seconds of several runs, and the largest peak of them."""
    return Cost(median(c.wall for c in costs), median(c.cpu for c in costs), max(c.peak for c in costs))


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
