"""What several commands share."""

import os
from typing import TYPE_CHECKING, TextIO

from siplogs.errors import FilterError

if TYPE_CHECKING:
    from siplogs.config import Settings
    from siplogs.pipeline import ReadOptions


def use_color(when: str, stream: TextIO) -> bool:
    """Say whether to colour what goes to a stream: `--color` first, then NO_COLOR, then whether it is a terminal."""
    if when not in ("auto", "always", "never"):
        raise FilterError(f"--color {when}: use auto, always or never")
    if when != "auto":
        return when == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def read_options(settings: "Settings", packs: tuple[str, ...], language: str = "en") -> "ReadOptions":
    """Return how logs are to be read by the settings and the packs that were asked for."""
    from siplogs.pipeline import ReadOptions
    from siplogs.sip import Limits

    caps = settings.caps
    return ReadOptions(
        packs=packs,
        timezone=settings.timezone or "",
        host=settings.host_name,
        original=settings.original,
        language=language,
        largest=caps.message_bytes,
        limits=Limits(caps.header_count, caps.header_bytes, caps.message_bytes),
    )
