"""What several commands share."""

import os
from typing import TextIO

from siplogs.errors import FilterError


def use_color(when: str, stream: TextIO) -> bool:
    """Say whether to colour what goes to a stream: `--color` first, then NO_COLOR, then whether it is a terminal."""
    if when not in ("auto", "always", "never"):
        raise FilterError(f"--color {when}: use auto, always or never")
    if when != "auto":
        return when == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
