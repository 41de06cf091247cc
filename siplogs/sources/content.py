"""What the beginning of a file tells: whether it is a log at all, whether a PBX wrote it, and when it starts."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from siplogs.errors import SourceError

HEAD: Final = 64 * 1024
"""Bytes of content that are looked at."""

_CAPTURE: Final = ("a packet capture", "give the log that the PBX wrote")
_ARCHIVE: Final = ("an archive of several files", "unpack it and give the logs in it")
_FOREIGN: Final[tuple[tuple[int, bytes, tuple[str, str]], ...]] = (
    (0, b"\xd4\xc3\xb2\xa1", _CAPTURE),
    (0, b"\xa1\xb2\xc3\xd4", _CAPTURE),
    (0, b"\x4d\x3c\xb2\xa1", _CAPTURE),
    (0, b"\xa1\xb2\x3c\x4d", _CAPTURE),
    (0, b"\x0a\x0d\x0d\x0a", _CAPTURE),
    (0, b"\x7fELF", ("a program or core dump", "give the log instead")),
    (0, b"SQLite format 3\0", ("a database", "give the log instead")),
    (0, b"LPKSHHRH", ("a systemd journal", "pipe it: journalctl -o cat -u asterisk | siplogs scan -")),
    (257, b"ustar", _ARCHIVE),
    (0, b"PK\x03\x04", _ARCHIVE),
    (0, b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (0, b"\x1f\x9d", ("packed by compress", "unpack it with: gzip -d")),
    (0, b"\x04\x22\x4d\x18", ("packed by lz4", "unpack it with: lz4 -d")),
    (0, b"\xff\xfe", ("UTF-16 text", "convert it with: iconv -f UTF-16 -t UTF-8")),
    (0, b"\xfe\xff", ("UTF-16 text", "convert it with: iconv -f UTF-16 -t UTF-8")),
)

_TEXT: Final = bytes({7, 8, 9, 10, 11, 12, 13, 27, *range(32, 127), *range(128, 256)})
_HOLE: Final = re.compile(rb"\0{64,}")  # left by truncating a file in place under a writer that keeps its position
_STRAY: Final = 8
_STRAY_SHARE: Final = 0.02

# Line shapes: Asterisk's main/logger.c (plain and json), FreeSWITCH's switch_log.c, sofia-sip's tport_logging.c.
_PBX: Final = re.compile(
    rb"""(?mx)
    \b(?:VERBOSE|NOTICE|WARNING|ERROR|DEBUG|SECURITY|DTMF|FAX)(?:\x1b\[[0-9;]*m)?\[\d+\]
    | \[(?:CONSOLE|ALERT|CRIT|ERR|WARNING|NOTICE|INFO|DEBUG)\]\ [\w./-]+\.c(?:pp)?:\d+[ ]
    | ^\[[^]\n]{6,40}\]\ Asterisk\ \S+\ built\ by[ ]
    | ^(?:\x1b\[m)?(?:recv|send)\ \d+\ bytes\ (?:from|to)[ ]
    | ^<---[ ]
    | ^\{"hostname":"[^\n]{0,200}"identifiers":\{"lwp":
    """
)

_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MOMENT: Final = re.compile(
    rb"""(?mx)
    ^ (?: [^\r\n]{0,80}\r )?
    (?: \x1b\[[0-9;]*[A-Za-z] | [\w.-]{1,64}\ *\|\ + | <\d{1,3}> | \[ | [0-9a-f]{8}-[0-9a-f-]{27}[ ] )*+
    (?: \{"[^\n]{0,300}?"timestamp":" )?
    (?: (?P<year>\d{4})-(?P<month>\d\d)-(?P<date>\d\d)[T\ ] | (?P<name>[A-Z][a-z]{2})\ +(?P<day>\d{1,2})[ ] )
    (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,6}))?
    """
)
_ANY_YEAR: Final = 2000  # has 29 February


class Moment(NamedTuple):
    """A log's time as written, without zone; in the year 2000 where the log does not tell the year."""

    time: datetime
    dated: bool


def looks_like_pbx(head: bytes) -> bool:
    """Tell whether lines of Asterisk or FreeSWITCH are in the beginning of a file."""
    return _PBX.search(head) is not None


def first_moment(head: bytes) -> Moment | None:
    """Read the first timestamp that stands at the beginning of a line; None when there is none."""
    return next((moment for moment in map(_moment, _MOMENT.finditer(head)) if moment), None)


def _moment(match: re.Match[bytes]) -> Moment | None:
    part = match.groupdict(b"")
    if part["name"] and part["name"] not in _MONTHS:
        return None
    month = _MONTHS.index(part["name"]) + 1 if part["name"] else int(part["month"])
    year, day = int(part["year"] or _ANY_YEAR), int(part["day"] or part["date"])
    clock = int(part["hour"]), int(part["minute"]), int(part["second"]), int(part["fraction"].ljust(6, b"0"))
    try:
        return Moment(datetime(year, month, day, *clock), bool(part["year"]))  # noqa: DTZ001
    except ValueError:
        return None


def refuse_binary(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Pass a file's content on, unless its beginning shows that it is not a log; empty pieces are passed on too.

    Stray NULs, holes and invalid UTF-8 are tolerated, and lines of a PBX outweigh any bytes that a caller put between.
    Raises SourceError, naming `name`, before anything is passed on.
    """
    head, trouble, pause = bytearray(), None, False
    try:
        for piece in pieces:
            head += piece
            pause = not piece
            if pause or len(head) >= HEAD:
                break
    except SourceError as error:
        trouble = error
    if reason := _not_a_log(bytes(head[:HEAD])):
        raise SourceError(f"{name}: {reason}")
    yield bytes(head)
    if trouble:
        raise trouble
    if pause:
        yield b""
    yield from pieces


def _not_a_log(head: bytes) -> str:
    for offset, magic, (what, remedy) in _FOREIGN:
        if head.startswith(magic, offset):
            return f"this is {what}, not a log; {remedy}"
    solid = _HOLE.sub(b"", head)
    if len(solid.translate(None, _TEXT)) <= max(_STRAY, _STRAY_SHARE * len(solid)) or looks_like_pbx(head):
        return ""
    return "binary content, not a log; give the text that the PBX wrote"
