"""How a daemon is watched: its journal on stderr, and what systemd wants to know."""

import os
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import msgspec

Level = Literal["debug", "info", "warning", "error"]

_LEVELS: Final[tuple[Level, ...]] = ("debug", "info", "warning", "error")
_PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_AGAIN_SECONDS: Final = 3600.0
_REMEMBERED: Final = 1000


class Journal:
    """Writes one line an occurrence to stderr: as text or as JSON, and for journald with its priority in front."""

    def __init__(self, form: Literal["text", "json"] = "text", level: Level = "info") -> None:
        self._json = form == "json"
        self._wanted = _LEVELS.index(level)
        self._priorities = _is_journal(sys.stderr)
        self._said: dict[str, float] = {}

    def write(self, level: Level, text: str, **facts: Any) -> None:
        """Write an occurrence with its facts."""
        if _LEVELS.index(level) < self._wanted:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self._json:
            line = msgspec.json.encode({"@timestamp": now, "log.level": level, "message": text, **facts}).decode()
        else:
            told = "".join(f" {name}={value}" for name, value in facts.items())
            line = f"{text}{told}" if self._priorities else f"{now} {level} {text}{told}"
        if self._priorities:
            line = f"<{_PRIORITIES[level]}>{line}"
        with suppress(OSError):
            sys.stderr.write(line.replace("\n", " ") + "\n")
            sys.stderr.flush()

    def warn(self, text: str) -> None:
        """Write a warning; the same one again only after an hour, as a daemon meets it in every pass."""
        now = time.monotonic()
        if now - self._said.get(text, -_AGAIN_SECONDS) >= _AGAIN_SECONDS:
            if len(self._said) >= _REMEMBERED:
                self._said.clear()
            self._said[text] = now
            self.write("warning", text)


def _is_journal(stream: TextIO) -> bool:
    """Tell whether a stream ends at journald, which takes "<3>" in front of a line as its priority (sd-daemon(3)).

    JOURNAL_STREAM names its device and inode, and is inherited by processes that write elsewhere (systemd.exec(5)).
    """
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class Supervisor:
    """Tells systemd that the daemon is ready, what it does, and that it lives, by sd_notify(3)."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        watchdog = environment.get("WATCHDOG_USEC", "")
        self._beat = int(watchdog) / 3e6 if watchdog.isdigit() else 0.0
        self._last = 0.0
        self._told = ""
        self._ready = False

    def ready(self) -> None:
        """The daemon follows its logs; said once, and once more after each `reloading`."""
        if not self._ready:
            self._ready = True
            self._send("READY=1")

    def reloading(self) -> None:
        """The daemon reads its configuration again; `ready` ends that."""
        self._ready = False
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon ends."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Say in one line what the daemon does."""
        if text != self._told:
            self._told = text
            self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Feed the watchdog, three times as often as it wants."""
        now = time.monotonic()
        if self._beat and now - self._last >= self._beat:
            self._last = now
            self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(text.encode(), self._address)
