"""Pattern packs: TOML files that say how a log dialect writes SIP, loaded, checked and compiled.

A pack names a line prefix (`patterns/prefixes/NAME.toml`), and holds rules. A rule has a `literal` that must occur, a
`pattern` that matches at the start of an entry's text, a frame that says where the record ends, and samples with the
fields expected of them.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import regex
from msgspec import Meta, Struct, field

from siplogs.errors import PackError
from siplogs.model import PLACED_FIELDS

USER_FOLDER: Final = Path("/etc/siplogs/patterns.d")
PATTERN_SECONDS: Final = 1.0
SHORTEST_LITERAL: Final = 3

FIELDS: Final = PLACED_FIELDS | {"host", "bytes", "branch", "header", "column", "truncated"}
_QUESTION: Final = r"[a-z0-9]+:([^{}|]+|\{[a-z_]+\})"
EXPLAIN: Final = rf"^{_QUESTION}( \| {_QUESTION})*$"
KINDS: Final = ("message", "notice", "security", "registration", "ignore")


class Sample(Struct, forbid_unknown_fields=True):
    """A piece of a log and the fields that the rule must take out of it; `payload` is how the message must begin."""

    log: str
    fields: dict[str, str] = {}
    payload: str | None = None
    payload_end: str | None = None
    damage: str = ""


class FrameRule(Struct, forbid_unknown_fields=True):
    """How a record ends.

    `line`: with its line. `bytes`: after as many bytes as the group `bytes` says, counted as on the wire, or with
    `newlines = "stripped"` when the log lost the CRs. `terminator`: before the line `terminator`; Content-Length
    protects a body that holds that line; `confirm` is a pattern of the line after it that tells the body's `lines`,
    believed where Content-Length lies. `indented`: lines that begin with `indent`, up to a second rule line.
    """

    by: Literal["line", "bytes", "terminator", "indented"] = "line"
    newlines: Literal["wire", "stripped"] = "wire"
    terminator: str = ""
    cut: int = 0
    confirm: str = ""


class RuleData(Struct, forbid_unknown_fields=True):
    """A rule as its TOML says it.

    `explain` names what the knowledge base is asked about a line without a response code: KIND:KEY, or KIND:{group}
    for the text of a group; of several with | between them the first that is known.
    """

    name: str
    literal: str
    pattern: str
    kind: Literal["message", "notice", "security", "registration", "ignore"]
    sample: list[Sample]
    at: Literal["entry", "line"] = "entry"
    lines_before: int = 0
    bare: bool = False
    pairs: bool = False
    frame: FrameRule = field(default_factory=FrameRule)
    set: dict[str, str] = {}
    provider: str = ""
    about: str = ""
    explain: Annotated[str, Meta(pattern=EXPLAIN)] = ""


class PackData(Struct, forbid_unknown_fields=True):
    """A pack as its TOML says it."""

    name: str
    title: str
    product: Literal["asterisk", "freeswitch"]
    versions: str
    prefix: str
    sources: list[str]
    rule: list[RuleData]
    provider: str = ""
    details: list[str] = []
    off: str = ""


class PrefixData(Struct, forbid_unknown_fields=True):
    """What stands before an entry's text.

    `patterns` are tried in order. `start` is a short pattern by which the beginning of any entry is known; `cut` the
    length at which the PBX cuts an entry and glues the next one to it (0: never). `date` finds the date of an entry,
    for dialects whose traced messages have only a time of day.
    """

    name: str
    patterns: list[str]
    start: str
    sample: list[Sample]
    cut: int = 0
    date: str = ""


class Prefix:
    """A compiled prefix."""

    def __init__(self, data: PrefixData, origin: str) -> None:
        self.name = data.name
        self.cut = data.cut
        self.samples = data.sample
        self.patterns = [compile_pattern(text, f"{origin}: prefix {data.name}") for text in data.patterns]
        self.date = compile_pattern(data.date, f"{origin}: prefix {data.name}: date") if data.date else None
        self.start = compile_pattern(data.start, f"{origin}: prefix {data.name}: start")

    def match(self, data: bytes, position: int) -> Any:
        """Match the first of the patterns that fits at `position`, or None."""
        for pattern in self.patterns:
            found = pattern.match(data, position)
            if found is not None:
                return found
        return None


class Rule:
    """A rule, compiled where it is used; what the scanner works with."""

    def __init__(self, data: RuleData, pack: PackData, prefix: Prefix, origin: str, *, trusted: bool) -> None:
        self.where = f"{origin}: rule {data.name}"
        self.data = data
        self.name = data.name
        self.pack = pack.name
        self.key = f"{pack.name}/{data.name}"
        self.product = pack.product
        self.kind = data.kind
        self.is_message = data.kind == "message"
        self.lines_before = data.lines_before
        self.prefix = prefix
        self.literal = data.literal.encode()
        self.terminator = data.frame.terminator.encode()
        self.counts_wire_bytes = data.frame.by == "bytes" and data.frame.newlines == "wire"
        self.constants = {name: value.encode() for name, value in data.set.items()}
        if pack.provider or data.provider:
            self.constants.setdefault("provider", (data.provider or pack.provider).encode())
        self._known = FIELDS | set(pack.details)
        self._trusted = trusted

    @cached_property
    def pattern(self) -> Any:
        """The rule's pattern."""
        return compile_pattern(self.data.pattern, self.where, trusted=self._trusted)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The groups that messages of one kind share: all but the time and the byte count."""
        return tuple(name for name in self.pattern.groupindex if name not in ("time", "bytes"))

    @cached_property
    def tells_time(self) -> bool:
        """Whether the rule's own pattern has the time."""
        return "time" in self.pattern.groupindex

    @cached_property
    def confirm(self) -> Any:
        """The pattern of the line that confirms a terminator, or None."""
        text = self.data.frame.confirm
        return compile_pattern(text, self.where, trusted=self._trusted) if text else None

    def check(self) -> None:
        """Compile everything and raise PackError for what is wrong."""
        if not self.data.sample:
            raise PackError(f"{self.where}: it has no sample; add a [[rule.sample]] with a real line and its fields")
        if len(self.literal) < SHORTEST_LITERAL:
            raise PackError(
                f"{self.where}: the literal {self.data.literal!r} is too short to search for; make it longer"
            )
        for name in [*self.pattern.groupindex, *self.data.set]:
            if name not in self._known:
                near = difflib.get_close_matches(name, sorted(self._known), 1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise PackError(f"{self.where}: unknown field {name!r}; {hint}otherwise list it under details")
        for group in re.findall(r"\{([a-z_]+)\}", self.data.explain):
            if group not in self.pattern.groupindex and group not in self.data.set:
                raise PackError(
                    f"{self.where}: explain asks for the group {group!r}, which the pattern has not; add it"
                )
        if self.data.frame.by == "bytes" and "bytes" not in self.pattern.groupindex:
            raise PackError(f"{self.where}: a frame by bytes needs a group (?P<bytes>…) in the pattern")
        if self.data.frame.by == "terminator" and not self.terminator:
            raise PackError(f"{self.where}: a frame by terminator needs frame.terminator")
        self.confirm  # noqa: B018


class Pack:
    """A compiled pack: its data, its prefix and its rules."""

    def __init__(self, data: PackData, prefix: Prefix, origin: str, *, trusted: bool) -> None:
        self.data = data
        self.name = data.name
        self.product = data.product
        self.origin = origin
        self.trusted = trusted
        self.prefix = prefix
        self.rules = [Rule(rule, data, prefix, origin, trusted=trusted) for rule in data.rule]
        if not trusted:
            self.check()

    def check(self) -> None:
        """Raise PackError for the first rule that is wrong; packs that are shipped are checked by the tests."""
        for rule in self.rules:
            rule.check()
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise PackError(f"{self.origin}: rule {twice}: the name stands twice; give each rule its own")


class _Bounded:
    """A user's pattern: the `regex` module with a time limit, so that no line can stop the scan."""

    def __init__(self, pattern: "regex.Pattern[bytes]") -> None:
        self._pattern = pattern
        self.groupindex = pattern.groupindex

    def _bounded(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments, timeout=PATTERN_SECONDS)
        except TimeoutError:
            return None

    def match(self, data: bytes, position: int = 0, end: int | None = None) -> Any:
        """Match at `position`; None also when the time limit is hit."""
        return self._bounded(self._pattern.match, data, position, end)

    def search(self, data: bytes, position: int = 0, end: int | None = None) -> Any:
        """Search from `position`; None also when the time limit is hit."""
        return self._bounded(self._pattern.search, data, position, end)


def compile_pattern(text: str, where: str, *, trusted: bool = True) -> Any:
    """Compile a pattern over bytes; raises PackError naming `where`. Users' patterns get a time limit."""
    try:
        if trusted:
            return re.compile(text.encode())
        return _Bounded(regex.compile(text.encode()))
    except (re.error, regex.error) as error:
        raise PackError(f"{where}: the pattern is no valid regular expression ({error}); mend it") from error


def _decode(path: Path, kind: Any) -> Any:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise PackError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except msgspec.ValidationError as error:
        raise PackError(f"{path}: {_entry_of(path, str(error))}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PackError(f"{path}: no valid TOML ({error}); mend that line") from error


def _entry_of(path: Path, text: str) -> str:
    """Name the rule that a validation error's path `$.rule[3].…` points to."""
    index = re.search(r"\$\.rule\[(\d+)\]", text)
    if index is None:
        return f"{text}; compare with docs/packs.md"
    names = re.findall(rb'^name\s*=\s*"([^"]*)"', path.read_bytes(), re.MULTILINE)[1:]
    number = int(index[1])
    name = names[number].decode() if number < len(names) else f"number {number + 1}"
    return f"rule {name}: {text}; compare with docs/packs.md"


def _load(path: Path, prefixes: dict[str, Prefix], *, trusted: bool) -> Pack:
    data: PackData = _decode(path, PackData)
    if data.prefix not in prefixes:
        known = ", ".join(sorted(prefixes))
        raise PackError(f"{path}: unknown prefix {data.prefix!r}; use one of {known}")
    return Pack(data, prefixes[data.prefix], str(path), trusted=trusted)


def load_prefixes(folder: Path) -> dict[str, Prefix]:
    """Load every line prefix below `folder`/prefixes, by name."""
    prefixes = {}
    for path in sorted(folder.glob("prefixes/*.toml")):
        data: PrefixData = _decode(path, PrefixData)
        prefixes[data.name] = Prefix(data, str(path))
    return prefixes


def load_pack_file(path: Path, folder: Path) -> Pack:
    """Load one pack from a file of the user's; `folder` is where the shipped prefixes are."""
    return _load(path, load_prefixes(folder), trusted=False)


def load_packs(folder: Path, users: Path | None = None) -> dict[str, Pack]:
    """Load the shipped packs and the user's, by name; a user's pack replaces the shipped one of the same name.

    `users` defaults to SIPLOGS_PATTERNS or /etc/siplogs/patterns.d. Raises PackError with file, entry and remedy, also
    when two of the user's files have one name.
    """
    users = users or Path(os.environ.get("SIPLOGS_PATTERNS") or USER_FOLDER)
    prefixes = load_prefixes(folder)
    packs = {pack.name: pack for pack in _load_all(sorted(folder.glob("*.toml")), prefixes, trusted=True)}
    for pack in _load_all(sorted(users.glob("*.toml")) if users.is_dir() else [], prefixes, trusted=False):
        if pack.name in packs and not packs[pack.name].trusted:
            raise PackError(
                f"{pack.origin}: {packs[pack.name].origin} is a pack named {pack.name!r} too; give one another name"
            )
        packs[pack.name] = pack
    return packs


def _load_all(paths: Iterable[Path], prefixes: dict[str, Prefix], *, trusted: bool) -> Iterable[Pack]:
    return (_load(path, prefixes, trusted=trusted) for path in paths)
