"""What several commands share."""

import os
import re
from typing import TYPE_CHECKING, Final, TextIO

from siplogs.errors import FilterError

if TYPE_CHECKING:
    from siplogs.config import Settings
    from siplogs.pipeline import ReadOptions

ENGLISH: Final = "en"


def use_color(when: str, stream: TextIO) -> bool:
    """Say whether to colour what goes to a stream: `--color` first, then NO_COLOR, then whether it is a terminal."""
    if when not in ("auto", "always", "never"):
        raise FilterError(f"--color {when}: use auto, always or never")
    if when != "auto":
        return when == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def language(wanted: str) -> str:
    """Return the language to answer a person in: `--lang`, else the setting, else the locale's, else English.

    The locale's counts only where the knowledge base speaks it. Raises ConfigError.
    """
    from siplogs import config

    return wanted or config.load(secrets=False).language or _of_locale()


def _of_locale() -> str:
    """The language of LC_ALL, LC_MESSAGES or LANG, the first that is set (POSIX.1-2017, XBD 8.2)."""
    from siplogs.knowledge.base import DATA

    names = (os.environ.get(variable) for variable in ("LC_ALL", "LC_MESSAGES", "LANG"))
    found = re.match(r"([a-z]{2,3})(?:[_.@]|$)", next(filter(None, names), ""))
    return found[1] if found and (DATA / found[1] / "sip").is_dir() else ENGLISH


def read_options(settings: "Settings", packs: tuple[str, ...], language: str = "") -> "ReadOptions":
    """Return how logs are to be read by the settings and the packs that were asked for; `language` outweighs theirs."""
    from siplogs.pipeline import ReadOptions
    from siplogs.sip import Limits

    caps = settings.caps
    return ReadOptions(
        packs=packs,
        timezone=settings.timezone or "",
        host=settings.host_name,
        original=settings.original,
        language=language or settings.language or ENGLISH,
        largest=caps.message_bytes,
        limits=Limits(caps.header_count, caps.header_bytes, caps.message_bytes),
    )
