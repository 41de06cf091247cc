"""What is compared: siplogs and public tools, each with its exact command, its version and what it does not do."""

import importlib.metadata
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.loads import Load
from benchmarks.measure import ROOT, environment

FSLOG_VERSION = "0.17.1"
_APT = "apt-get install -y ripgrep lnav"
_TOOLS = "benchmarks/.tools"


@dataclass(frozen=True, slots=True)
class Tool:
    """One contender.

    `command` makes the command line for a load and its file; `version` returns None when the tool is missing, and
    `install` then tells how to get it. `unit` names what it counts, and `counted` finds that number in what it says
    (None: it prints too much to be kept, or does not count). `only` names the loads that it reads (empty: all),
    `good` the exit codes of success.
    """

    name: str
    command: Callable[[Load, str], list[str]]
    version: Callable[[], str | None]
    install: str
    does: str
    lacks: str
    unit: str = ""
    counted: re.Pattern[str] | None = None
    only: tuple[str, ...] = ()
    good: tuple[int, ...] = (0,)

    def fits(self, load: Load) -> bool:
        """Return whether the tool reads logs of this kind at all."""
        return not self.only or load.key in self.only


def siplogs(*arguments: str) -> list[str]:
    """Return the siplogs command of this Python's environment, or of the checkout when none is installed there."""
    script = Path(sys.executable).with_name("siplogs")
    start = [str(script)] if script.exists() else [sys.executable, "-c", "from siplogs.cli import main; main()"]
    return [*start, *arguments]


def shown(command: list[str]) -> str:
    """Return a command line as a reader would type it: names in place of this machine's paths."""
    words = [str(word).replace(f"{ROOT}/", "") for word in command]
    if "from siplogs.cli import main; main()" in words:
        words = ["siplogs", *words[3:]]
    return shlex.join([Path(words[0]).name, *words[1:]])


def _first_line(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), cwd=ROOT)
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines and done.returncode == 0 else None


def _pygrok_version() -> str | None:
    try:
        return f"pygrok {importlib.metadata.version('pygrok')}"
    except importlib.metadata.PackageNotFoundError:
        return None


def _fslog() -> str:
    return shutil.which("fslog") or str(ROOT / _TOOLS / "bin" / "fslog")


def _scan(*options: str) -> Callable[[Load, str], list[str]]:
    return lambda _, path: siplogs("scan", "--format", "ndjson", *options, path)


def _siplogs_version() -> str | None:
    return _first_line(*siplogs("--version"))


ONE_PROCESS = Tool(
    name="siplogs, one process",
    command=_scan("--jobs", "1"),
    version=_siplogs_version,
    install="pip install -e .",
    does="finds, assembles, parses and explains every SIP message and notice; prints them as JSON",
    lacks="nothing of the task: it is the task",
    unit="events",
)
ALL_CORES = Tool(
    name="siplogs, all cores",
    command=_scan("--jobs", "0"),
    version=_siplogs_version,
    install="pip install -e .",
    does="the same, the file split among one process a core",
    lacks="nothing of the task",
    unit="events",
)
RIPGREP = Tool(
    name="ripgrep",
    command=lambda load, path: ["rg", "--no-config", "--text", "--count", "--regexp", load.marker, path],
    version=lambda: _first_line("rg", "--version"),
    install=_APT,
    does="counts the marker lines",
    lacks="takes no field out, assembles no message, writes no record: the floor for reading the file",
    unit="lines",
    counted=re.compile(r"^(\d+)$", re.MULTILINE),
    good=(0, 1),
)
LNAV = Tool(
    name="lnav",
    command=lambda load, path: ["lnav", "-n", "-c", f":filter-in {load.marker}", path],
    version=lambda: _first_line("lnav", "-V"),
    install=_APT,
    does="reads and indexes the whole file, keeps the entries with a marker and prints them as they are",
    lacks="knows no PBX format: takes no SIP field out, tells no message from its neighbours in one entry",
)
LNAV_INDEX = Tool(
    name="lnav, index only",
    command=lambda _, path: ["lnav", "-n", "-c", ";SELECT count(*) FROM all_logs", path],
    version=lambda: _first_line("lnav", "-V"),
    install=_APT,
    does="reads and indexes the whole file and counts the log entries by SQL",
    lacks="looks for no SIP and writes no record: the floor of lnav",
    unit="entries",
    counted=re.compile(r"^\s*(\d+)\s*$", re.MULTILINE),
)
PYGROK = Tool(
    name="pygrok loop",
    command=lambda load, path: [sys.executable, "-W", "ignore", "benchmarks/pygrok_loop.py", load.dialect, path],
    version=_pygrok_version,
    install="pip install -e '.[benchmark]'",
    does="matches every line once with a grok pattern of the marker and of header lines",
    lacks="assembles no message, has no times, no bodies, no meanings, writes no record",
    unit="markers",
    counted=re.compile(r"^(\d+) markers", re.MULTILINE),
)
FSLOG = Tool(
    name="fslog",
    command=lambda _, path: [_fslog(), "read", "--stats", path],
    version=lambda: _first_line(_fslog(), "--version"),
    install=(f"cargo install --root {_TOOLS} --locked --version {FSLOG_VERSION} --features cli freeswitch-log-parser"),
    does="parses every line of a FreeSWITCH log into entries and fields, and counts them",
    lacks="does not read siptrace frames as SIP: no message, header or code; writes no record with --stats",
    unit="entries",
    counted=re.compile(r"^(\d+) entries", re.MULTILINE),
    only=("freeswitch",),
)

TOOLS = (ONE_PROCESS, ALL_CORES, RIPGREP, LNAV, LNAV_INDEX, PYGROK, FSLOG)
"""All contenders in the order in which each round runs them.

Another way to run siplogs (without enrichment, say, to learn what that costs) is one more `Tool` here.
"""
