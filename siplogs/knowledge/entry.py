"""The shape of a knowledge entry, and the reading of one data file into it."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from siplogs.errors import KnowledgeError

Shape = TypeVar("Shape")
Severity = Literal["info", "warning", "error"]
Direction = Literal["sent", "received", "local"]
Stack = Literal["asterisk", "asterisk-chan-sip", "asterisk-pjsip", "freeswitch"]
STACK_NAMES: Final = {
    "asterisk": "Asterisk",
    "asterisk-pjsip": "PJSIP",
    "asterisk-chan-sip": "chan_sip",
    "freeswitch": "FreeSWITCH",
}

# Who says what an entry is in the other numbering.
_MAP_NAMES: Final = {"rfc3398": "RFC 3398", "asterisk": "Asterisk", "freeswitch": "FreeSWITCH"}

# The files beside `sip/` that hold entries of another kind, and what their keys are.
KINDS: Final = {
    "sip": "SIP response codes and classes",
    "q850": "Q.850 causes, by number",
    "warning": "codes of Warning headers",
    "protocol": "protocols of Reason headers",
    "freeswitch": "FreeSWITCH's own hangup and originate causes",
    "internal": "codes that a PBX's SIP stack makes up and never sends",
    "dialstatus": "Asterisk's DIALSTATUS",
    "security": "Asterisk's security events",
    "refusal": "reasons that a PBX prints when it refuses or gives up",
    "pjsip": "errors of pjproject",
    "transport": "errors of TLS and of the transport",
    "contact": "states of a qualified contact or peer",
    "registration": "states of Asterisk's outbound registration",
    "gateway": "states of a FreeSWITCH gateway",
    "scanner": "user agents of scanners, by the word that tells them",
}

Paragraph = Annotated[str, Meta(min_length=10, max_length=360)]
Line = Annotated[str, Meta(min_length=10, max_length=200)]
Advice = Annotated[str, Meta(min_length=10, max_length=270)]
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
    """All that is known of one thing that a PBX prints as a reason: a response code, a cause, a state.

    `code` is the key (486, 4xx, 17, UNREACHABLE), `phrase` the name as printed, `variants` other spellings of it;
    `rfc` the RFC and section, or whatever defines it. `cause` is ordered by likelihood. `related` maps a key of this
    kind, or kind:key, to how it differs. `maps`: the SIP code of a cause, or the cause of a SIP code, by who says so.
    """

    kind: Annotated[str, Meta(pattern="^[a-z0-9]+$")]
    code: Annotated[str, Meta(min_length=1, max_length=60)]
    phrase: Annotated[str, Meta(min_length=2, max_length=80)]
    rfc: Annotated[str, Meta(min_length=3, max_length=80)]
    brief: Annotated[str, Meta(min_length=10, max_length=48)]
    meaning: Paragraph
    when: Paragraph
    cause: Annotated[list[Cause], Meta(min_length=1)]
    failure: bool
    severity: Severity
    retry: Paragraph
    check: list[Header] = []
    related: dict[Annotated[str, Meta(min_length=1, max_length=60)], Line] = {}
    variants: list[Annotated[str, Meta(min_length=2, max_length=90)]] = []
    maps: dict[Literal["rfc3398", "asterisk", "freeswitch"], Annotated[str, Meta(min_length=1, max_length=40)]] = {}
    registered: bool = True
    refinement: list[Refinement] = []

    @property
    def id(self) -> str:
        """The id that documents carry, such as sip.486."""
        return f"{self.kind}.{self.code}"

    @property
    def mapped(self) -> str:
        """What it is in the other numbering, and who says so: 17 (RFC 3398, Asterisk), 31 (FreeSWITCH)."""
        spoken: dict[str, list[str]] = {}
        for who, code in self.maps.items():
            spoken.setdefault(code, []).append(_MAP_NAMES[who])
        return ", ".join(f"{code} ({', '.join(names)})" for code, names in spoken.items())


def covers(stack: str, name: str) -> bool:
    """Tell whether `name` (a stack, or a pattern pack such as freeswitch-log) is `stack` or a kind of it."""
    return name == stack or name.startswith(stack + "-")


def read_entry(path: Path) -> Entry:
    """Read the file of one SIP response code; KnowledgeError names file, entry, place and remedy."""
    data = read_table(path)
    entry = converted(path, {"kind": "sip", **data}, Entry, f"entry {data.get('code', '?')}")
    if entry.code != path.stem:
        raise KnowledgeError(f"{path}: entry {entry.code}: the file is named otherwise; rename it {entry.code}.toml")
    return entry


def read_entries(path: Path) -> dict[str, Entry]:
    """Read the file of a kind, a table a key; KnowledgeError names file, entry, place and remedy."""
    entries = {}
    for key, data in read_table(path).items():
        if not isinstance(data, dict):
            raise KnowledgeError(f"{path}: {key} stands outside of any entry; put it under a table such as [17]")
        entries[key] = converted(path, {"kind": path.stem, "code": key, **data}, Entry, f"entry {key}")
    return entries


def read_table(path: Path) -> dict[str, Any]:
    """Read a TOML file; KnowledgeError names it and the place."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise KnowledgeError(f"{path}: cannot be read as TOML: {error}; mend the file there") from error


def converted(path: Path, data: dict[str, Any], kind: type[Shape], name: str) -> Shape:
    """Check data of a file against its shape; KnowledgeError names file, `name`, place and remedy."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise KnowledgeError(f"{path}: {name}: {error}; {_remedy(str(error))}") from error


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
