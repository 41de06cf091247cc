"""How commands show their progress, and how they end when a disk is full, a reader leaves or a signal comes."""

import os
import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from siplogs.cli import progress
from tests.cli.command import COMMAND, environment, group_has_ended, log, siplogs, started, unpacked, with_eager_bar

SMALL = "asterisk/asterisk22-pjsip-default"
LARGE = "freeswitch/freeswitch-1.10-siptrace-load-large"

BAR = re.compile("━{10,}")
DRAWN = re.compile(r"\x1b\[\?25l[^\n]*\n\x1b\[\?25h\r\x1b\[1A\x1b\[2K")
"""From hiding the cursor to erasing the line again."""


@pytest.mark.parametrize(("name", "form"), [(LARGE, "table"), (SMALL, "table"), (SMALL, "json")])
def test_progress_on_the_terminal_that_the_table_goes_to_never_mixes_with_it(
    name: str, form: str, tmp_path: Path
) -> None:
    arguments = ["scan", "--color", "never", "--format", form, "--code", "486", "--jobs", "2", "--timezone", "UTC"]
    path = str(unpacked(name, tmp_path))
    shown, _ = with_eager_bar(*arguments, path, stdout="terminal", stderr="terminal")
    assert BAR.search(shown)
    left = DRAWN.sub("", shown)
    assert "\x1b" not in left
    created = re.compile(r'"created":"[^"]*"')
    expected = created.sub("", siplogs(*arguments, path).stdout.decode())
    assert len(expected) > 500
    assert created.sub("", left) == expected


@pytest.mark.parametrize(
    ("stdout", "stderr", "drawn"),
    [("file", "terminal", True), ("pipe", "terminal", False), ("terminal", "pipe", False)],
)
def test_progress_is_drawn_on_a_terminal_only(stdout: str, stderr: str, drawn: bool) -> None:
    shown, other = with_eager_bar("scan", "--code", "486", log(SMALL), stdout=stdout, stderr=stderr)
    assert bool(BAR.search(shown)) is drawn
    assert not BAR.search(other)
    assert "486" in (other if stdout != "terminal" else shown)
    if drawn:
        assert DRAWN.sub("", shown) == ""


def test_progress_waits_a_second(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.bar(2_000_000) as bar:
        now = 100.9
        bar.advance(500_000)
        assert capsys.readouterr().err == ""
        now = 101.1
        bar.advance(500_000)
        assert "1.0/2.0 MB" in capsys.readouterr().err
    assert capsys.readouterr().err.endswith("\r\x1b[1A\x1b[2K")


@pytest.mark.parametrize(
    "arguments", [["scan", log(SMALL)], ["scan", "--format", "table", log(SMALL)], ["explain", "488"]]
)
def test_output_that_cannot_be_written_is_told(arguments: list[str]) -> None:
    """A full disk must not look like a scan that found nothing."""
    with Path("/dev/full").open("wb") as full:
        process = started(*arguments, stdout=full)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert re.fullmatch(rb"siplogs: cannot write the output[^\n]*no space left on device[^\n]*\n", said)


def test_full_disk_met_by_several_processes(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        process = started("scan", "--jobs", "2", str(unpacked(LARGE, tmp_path)), stdout=full)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert re.fullmatch(rb"siplogs: cannot write the output [^\n]*\n", said)
    assert group_has_ended(process)


@pytest.mark.parametrize("arguments", [["scan", log(SMALL)], ["explain", "488"], ["patterns", "list"]])
def test_closed_standard_output_is_told(arguments: list[str]) -> None:
    command = " ".join(shlex.quote(word) for word in [*COMMAND, *arguments])
    done = subprocess.run(["bash", "-c", f"{command} >&-"], capture_output=True, env=environment(), check=False)
    assert done.returncode == 2
    assert re.fullmatch(rb"siplogs: standard output is closed[^\n]*\n", done.stderr)


def test_reader_of_explain_may_leave() -> None:
    """`explain 488 | true`: what the reader does not want is no failure."""
    reading, writing = os.pipe()
    os.close(reading)
    process = started("explain", "488", stdout=writing)
    os.close(writing)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, b"")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_sigterm_ends_all_processes_quietly(jobs: str, tmp_path: Path) -> None:
    process = started("scan", "--jobs", jobs, str(unpacked(LARGE, tmp_path)), stdin=None)
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (143, b"")
    assert group_has_ended(process)


def test_no_process_outlives_a_scan_that_was_killed(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = started("scan", "--jobs", "2", str(unpacked(LARGE, tmp_path)), stdin=None, stdout=file)
    while not output.stat().st_size and process.poll() is None:
        time.sleep(0.01)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(workers) == 2
    process.kill()
    process.communicate(timeout=60)
    for _ in range(600):
        if not any(map(is_running, workers)):
            break
        time.sleep(0.1)
    assert not any(map(is_running, workers))


def is_running(process: str) -> bool:
    """Whether a process is there and no zombie that nobody asks for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False
