"""No shipped pattern, and no line, makes the scan take time that grows faster than the log."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 60


@pytest.mark.parametrize("product", ["asterisk", "freeswitch"])
@pytest.mark.parametrize("what", ["patterns", "scan"])
def test_long_near_misses_end(what: str, product: str) -> None:
    """Takes seconds where time grows linearly and hours where it grows with the square: any patience tells."""
    program = [sys.executable, "-m", "tests.packs.near_misses", what, product]
    try:
        done = subprocess.run(
            program,
            capture_output=True,
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        last = (expired.stdout or b"").splitlines()[-1:]
        pytest.fail(f"still at it after {PATIENCE} s: {last}")
    assert done.stderr == b""
    assert done.stdout.splitlines()[-1] == b"done"
