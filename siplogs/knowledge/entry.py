"""The shape of a knowledge entry, and the reading of one data file into it."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from siplogs.errors import KnowledgeError

Severity = Literal["info", "warning", "error"]
Direction = Literal["sent", "received", "local"]
Stack = Literal["asterisk", "asterisk-chan-sip", "asterisk-pjsip", "freeswitch"]
STACK_NAMES: Final = {
    "asterisk": "Asterisk",
    "asterisk-pjsip": "PJSIP",
    "asterisk-chan-sip": "chan_sip",
    "freeswitch": "FreeSWITCH",
}

Paragraph = Annotated[str, Meta(min_length=10, max_length=300)]
Line = Annotated[str, Meta(min_length=10, max_length=160)]
Advice = Annotated[str, Meta(min_length=10, max_length=220)]
Header = Annotated[str, Meta(min_length=2, max_length=40)]


class Cause(Struct, frozen=True, forbid_unknown_fields=True):
    """One likely cause: what it is, which line proves it, what to change, and the same on one stack in its own words.

    `on` maps a stack to the fix that stands in for `fix` there.
    """

    text: Line
    tell: Advice
    fix: Advice
    on: dict[Stack, Advice] = {}

    def fix_for(self, stack: str) -> str:
        """Return what to change on `stack` (a stack or a pattern pack's name), in general when it says nothing."""
        best = max((name for name in self.on if covers(name, stack)), key=len, default=None)
        return self.on[best] if best else self.fix


class Match(Struct, frozen=True, forbid_unknown_fields=True):
    """The conditions of a refinement; an empty one is always met.

    `direction` is the PBX's view of the response: sent by it, received by it, or made up locally (a timer ran out).
    """

    method: list[Annotated[str, Meta(pattern="^[A-Z]+$")]] = []
    direction: Direction | Literal[""] = ""
    stack: Stack | Literal[""] = ""

    def met(self, method: str, direction: str, stack: str) -> bool:
        """Tell whether every condition holds for a response in this context."""
        return (
            (not self.method or method in self.method)
            and (not self.direction or direction == self.direction)
            and (not self.stack or covers(self.stack, stack))
        )

    @property
    def weight(self) -> tuple[int, int, int, int]:
        """Order refinements from general to specific: by the number of conditions, then method, direction, stack."""
        method, direction = int(bool(self.method)), int(bool(self.direction))
        return (method + direction + bool(self.stack), method, direction, len(self.stack))


class Refinement(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an entry says instead when `match` is met; a part that is absent stays as the entry has it."""

    match: Match
    meaning: Paragraph | None = None
    when: Paragraph | None = None
    cause: Annotated[list[Cause], Meta(min_length=1)] | None = None
    check: Annotated[list[Header], Meta(min_length=1)] | None = None
    failure: bool | None = None
    severity: Severity | None = None
    retry: Paragraph | None = None


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """All that is known of one response code, or of a class of codes (`code` is then such as 4xx).

    `cause` is ordered by likelihood; `variants` are phrases seen in the wild; `related` maps a code to how it differs.
    """

    code: Annotated[str, Meta(pattern="^[1-6]([0-9]{2}|xx)$")]
    phrase: Annotated[str, Meta(min_length=2, max_length=60)]
    rfc: Annotated[str, Meta(min_length=3, max_length=80)]
    brief: Annotated[str, Meta(min_length=10, max_length=48)]
    meaning: Paragraph
    when: Paragraph
    cause: Annotated[list[Cause], Meta(min_length=2)]
    check: Annotated[list[Header], Meta(min_length=1)]
    failure: bool
    severity: Severity
    retry: Paragraph
    related: dict[Annotated[str, Meta(pattern="^[1-6]([0-9]{2}|xx)$")], Line]
    variants: list[str] = field(default_factory=list)
    registered: bool = True
    refinement: list[Refinement] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The id that documents carry, such as sip.486."""
        return f"sip.{self.code}"


def covers(stack: str, name: str) -> bool:
    """Tell whether `name` (a stack, or a pattern pack such as freeswitch-log) is `stack` or a kind of it."""
    return name == stack or name.startswith(stack + "-")


def read_entry(path: Path) -> Entry:
    """Read and validate one data file; KnowledgeError names file, entry, place and remedy."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise KnowledgeError(f"{path}: cannot be read as TOML: {error}; mend the file there") from error
    try:
        entry = msgspec.convert(data, Entry)
    except msgspec.ValidationError as error:
        raise KnowledgeError(f"{path}: entry {data.get('code', '?')}: {error}; {_remedy(str(error))}") from error
    if entry.code != path.stem:
        raise KnowledgeError(f"{path}: entry {entry.code}: the file is named otherwise; rename it {entry.code}.toml")
    return entry


_REMEDIES: Final = (
    (r"missing required field `(\w+)`", r"add the part '\1'"),
    (r"unknown field `(\w+)`", r"remove '\1', or mend its spelling"),
    (r"of length <=", "shorten it"),
    (r"of length >=", "write more, or add what is missing"),
    (r"matching regex", "write it in that form"),
    (r"Invalid enum value", "use one of the values that the schema allows"),
    (r"Expected", "write a value of the expected type"),
)


def _remedy(message: str) -> str:
    for pattern, remedy in _REMEDIES:
        if found := re.search(pattern, message):
            return found.expand(remedy)
    return "mend it there"
