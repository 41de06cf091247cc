"""The knowledge base: finds an entry's file, reads it when first asked for, and puts the answer into context."""

from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from siplogs.errors import KnowledgeError
from siplogs.knowledge.entry import Entry, covers, read_entry
from siplogs.model import Explanation

DATA: Final = Path(__file__).parent / "data"
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "6xx")
SHOWN: Final = 3
_CONTEXTS: Final = 4096
_PARTS: Final = ("meaning", "when", "cause", "check", "failure", "severity", "retry")
_KNOWN_STACKS: Final = ("asterisk-pjsip", "asterisk-chan-sip", "asterisk", "freeswitch")


class KnowledgeBase:
    """What every response code means, in one language; each entry is read from its file when first needed."""

    def __init__(self, directory: Path, language: str) -> None:
        """Look for `directory/language/sip/*.toml`; KnowledgeError when the language or a class entry is missing."""
        self._files = {path.stem: path for path in sorted((directory / language / "sip").glob("*.toml"))}
        if not self._files:
            known = ", ".join(sorted(path.parent.name for path in directory.glob("*/sip"))) or "none"
            raise KnowledgeError(f"{directory}: no knowledge in language '{language}'; use one of: {known}")
        for name in CLASSES:
            if name not in self._files:
                raise KnowledgeError(f"{directory / language}: entry {name} is missing; add sip/{name}.toml")
        self.language = language
        self._entries: dict[str, Entry] = {}
        self._built: dict[tuple[str, tuple[int, ...], str], Explanation] = {}
        self._explanations: dict[tuple[int, str, str, str], Explanation | None] = {}

    def codes(self) -> list[str]:
        """Return the codes that have an entry of their own, ascending; classes are not among them."""
        return [code for code in self._files if code not in CLASSES]

    def entry(self, code: int | str) -> Entry:
        """Return the whole entry of a code or of a class such as 4xx.

        A code without an entry gets its class's (RFC 3261 8.1.3.2); KnowledgeError outside 100..699.
        """
        name = str(code)
        if name not in self._files:
            name = f"{name[:1]}xx"
            if name not in CLASSES or not 100 <= int(code) <= 699:
                raise KnowledgeError(
                    f"{code} is no SIP response code; give one from 100 to 699, or a class such as 4xx"
                )
        if name not in self._entries:
            self._entries[name] = read_entry(self._files[name])
        return self._entries[name]

    def lookup(self, code: int | str, method: str = "", direction: str = "", stack: str = "") -> Entry:
        """Return the entry as it reads in a context: refinements that match replace its parts, the most specific last.

        `direction` is sent, received or local, as the PBX sees the response; `stack` a stack or a pattern pack's name.
        Raises KnowledgeError outside 100..699.
        """
        entry = self.entry(code)
        return _refined(entry, _matching(entry, method, direction, stack))

    def explanation(self, code: int, method: str = "", direction: str = "", stack: str = "") -> Explanation | None:
        """Return what a document carries of a code in a context, always the same object for the same question.

        Causes and fixes are the first three. None outside 100..699, for the log may hold anything.
        """
        key = (code, method, direction, stack)
        try:
            return self._explanations[key]
        except KeyError:
            return self._explain(key)

    def is_failure(self, code: int, method: str = "") -> bool:
        """Tell whether a code counts as a failure: challenges, 487, 1xx, 2xx and 3xx do not."""
        explanation = self.explanation(code, method)
        return explanation is not None and explanation.failure

    def _explain(self, key: tuple[int, str, str, str]) -> Explanation | None:
        """Answer a question asked for the first time; the log chooses the methods, so what is kept has a bound."""
        code, method, direction, stack = key
        if len(self._explanations) >= _CONTEXTS:
            self._explanations.clear()
        answer = self._build(code, method, direction, stack) if 100 <= code <= 699 else None
        self._explanations[key] = answer
        return answer

    def _build(self, code: int, method: str, direction: str, stack: str) -> Explanation:
        entry = self.entry(code)
        family = next((name for name in _KNOWN_STACKS if covers(name, stack)), "")
        matching = _matching(entry, method, direction, stack)
        key = (entry.code, matching, family)
        if key not in self._built:
            self._built[key] = _document(_refined(entry, matching), family)
        return self._built[key]


def _matching(entry: Entry, method: str, direction: str, stack: str) -> tuple[int, ...]:
    """Return the places of the refinements that match, the most general first, a later one after its equals."""
    met = [place for place, refinement in enumerate(entry.refinement) if refinement.match.met(method, direction, stack)]
    return tuple(sorted(met, key=lambda place: entry.refinement[place].match.weight))


def _refined(entry: Entry, places: tuple[int, ...]) -> Entry:
    changes = {}
    for place in places:
        for part in _PARTS:
            value = getattr(entry.refinement[place], part)
            if value is not None:
                changes[part] = value
    return msgspec.structs.replace(entry, **changes) if changes else entry


def _document(entry: Entry, stack: str) -> Explanation:
    causes = entry.cause[:SHOWN]
    return Explanation(
        id=entry.id,
        phrase=entry.phrase,
        meaning=entry.meaning,
        causes=[cause.text for cause in causes],
        fixes=[cause.fix_for(stack) for cause in causes],
        rfc=entry.rfc,
        failure=entry.failure,
        when=entry.when,
        check=entry.check,
        severity=entry.severity,
        fallback=True if entry.code in CLASSES else None,
    )


@cache
def load(directory: Path | None = None, language: str = "en") -> KnowledgeBase:
    """Return the knowledge base in a language, from the shipped data or from `directory` laid out like it.

    The same arguments give the same object. Entries are validated as they are read, so that starting costs next to
    nothing. Raises KnowledgeError, naming file, entry and remedy.
    """
    return KnowledgeBase(directory or DATA, language)
