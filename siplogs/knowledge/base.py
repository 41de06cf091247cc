"""The knowledge base: finds an entry, reads its file when first asked for, and puts the answer into context."""

import re
from functools import cache
from pathlib import Path
from typing import Final
from unicodedata import combining, normalize

import msgspec

from siplogs.errors import KnowledgeError
from siplogs.knowledge.entry import KINDS, Entry, Refinement, covers, read_entries, read_entry
from siplogs.knowledge.words import Words, read_words
from siplogs.model import Explanation

DATA: Final = Path(__file__).parent / "data"
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "6xx")
SHOWN: Final = 3
SIP: Final = "sip"
_CONTEXTS: Final = 4096
_PARTS: Final = ("meaning", "when", "cause", "check", "failure", "severity", "retry")
_LONGEST_NAME: Final = 80
_KNOWN_STACKS: Final = ("asterisk-pjsip", "asterisk-chan-sip", "asterisk", "freeswitch")


class KnowledgeBase:
    """All that is known of what a PBX prints as a reason, in one language; each file is read when first needed."""

    def __init__(self, directory: Path, language: str) -> None:
        """Look for `directory/language/`; KnowledgeError when the language or the entry of a class is missing."""
        self._folder = directory / language
        self._files = {path.stem: path for path in sorted((self._folder / "sip").glob("*.toml"))}
        if not self._files:
            known = ", ".join(sorted(path.parent.name for path in directory.glob("*/sip"))) or "none"
            raise KnowledgeError(f"no knowledge in language '{language}'; use one of: {known}")
        for name in CLASSES:
            if name not in self._files:
                raise KnowledgeError(f"{directory / language}: entry {name} is missing; add sip/{name}.toml")
        self.language = language
        self._entries: dict[str, Entry] = {}
        self._built: dict[tuple[str, tuple[int, ...], str], Explanation] = {}
        self._explanations: dict[tuple[int, str, str, str], Explanation | None] = {}
        self._kinds: dict[str, dict[str, Entry]] = {}
        self._names: dict[str, dict[str, Entry]] = {}
        self._terms: dict[tuple[str, str, str], Explanation | None] = {}

    @property
    def words(self) -> Words:
        """The words of the layout in this language; KnowledgeError when their file is wrong."""
        return read_words(self._folder / "words.toml")

    def kinds(self) -> list[str]:
        """Return the kinds of entries beside SIP codes, such as q850 and warning."""
        return [kind for kind in KINDS if kind != SIP and (self._folder / f"{kind}.toml").is_file()]

    def entries(self, kind: str) -> dict[str, Entry]:
        """Return the entries of a kind by key; of `sip` the codes and classes. KnowledgeError for an unknown kind."""
        if kind not in self._kinds:
            if kind == SIP:
                self._kinds[kind] = {code: self.entry(code) for code in self._files}
            elif kind in KINDS:
                self._kinds[kind] = read_entries(self._folder / f"{kind}.toml")
            else:
                raise KnowledgeError(f"'{kind}' is no kind of reason; use one of: {', '.join(KINDS)}")
        return self._kinds[kind]

    def names(self, kind: str) -> dict[str, Entry]:
        """Return the entries of a kind by all their names in lower case: keys first, then phrases and variants."""
        if kind not in self._names:
            entries = self.entries(kind).values()
            spellings = [(text.casefold(), entry) for entry in entries for text in (entry.phrase, *entry.variants)]
            keys = [(entry.code.casefold(), entry) for entry in entries]
            self._names[kind] = dict([*reversed(spellings), *keys])
        return self._names[kind]

    def find(self, kind: str, text: str) -> Entry | None:
        """Return the entry of a kind that `text` names: its key, its phrase or a variant, whatever the case.

        Else what stands behind the last colon, as OpenSSL puts names of functions before its words. Of scanners it is
        the one whose key stands in `text` as a word, as their user agents carry versions and more.
        """
        wanted, names = text.strip().casefold(), self.names(kind)
        if wanted in names or kind != "scanner":
            return names.get(wanted) or names.get(wanted.rpartition(":")[2].strip())
        words = ((rf"(?<![a-z0-9]){re.escape(key.casefold())}(?![a-z])", key) for key in self.entries(kind))
        return next((self.entries(kind)[key] for pattern, key in words if re.search(pattern, wanted)), None)

    def named(self, text: str) -> list[Entry]:
        """Return every entry of any kind that `text` names, those named by their key first.

        When none is, those whose name has the same letters and digits, whatever stands between them.
        """
        name, kinds = text.strip().casefold(), (SIP, *self.kinds())
        found = [entry for kind in kinds if (entry := self.names(kind).get(name)) is not None]
        if not found and (wanted := _letters(name)):
            alike = (entry for kind in kinds for one, entry in self.names(kind).items() if _letters(one) == wanted)
            found = list({entry.id: entry for entry in alike}.values())
        return sorted(found, key=lambda entry: entry.code.casefold() != name)

    def nearest(self, text: str, most: int = 4) -> list[Entry]:
        """Return the entries, of any kind, whose names look most like `text`, the nearest first."""
        from difflib import get_close_matches

        wanted = text.strip().casefold()[:_LONGEST_NAME]
        names = {name: entry for kind in (*self.kinds(), SIP) for name, entry in self.names(kind).items()}
        near = (names[name] for name in get_close_matches(wanted, names, most * 2, 0.65))
        return list({entry.id: entry for entry in near}.values())[:most]

    def search(self, text: str) -> list[Entry]:
        """Return the entries in which every word of `text` stands, those first that have them in name or brief.

        Case and accents do not matter.
        """
        words = _folded(text).split()
        ranked: list[tuple[int, int, Entry]] = []
        for kind in (SIP, *self.kinds()) if words else ():
            for entry in self.entries(kind).values():
                title = _folded(" ".join((entry.code, entry.phrase, entry.brief, *entry.variants)))
                whole = f"{title} {_folded(_all_text(entry))}"
                if all(word in whole for word in words):
                    ranked.append((-_rank(words, title, whole), len(ranked), entry))
        return [entry for _, _, entry in sorted(ranked, key=lambda item: item[:2])]

    def term(self, kind: str, text: str, stack: str = "") -> Explanation | None:
        """Return what a document carries of anything but a response code; None for what is not known."""
        key = (kind, text, stack)
        if key not in self._terms:
            if len(self._terms) >= _CONTEXTS:
                self._terms.clear()
            entry = self.find(kind, text) if kind in KINDS and text else None
            self._terms[key] = self._document(entry, "", "", stack) if entry is not None else None
        return self._terms[key]

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

    def lookup(self, code: int | str | Entry, method: str = "", direction: str = "", stack: str = "") -> Entry:
        """Return an entry as it reads in a context: refinements that match replace its parts, the most specific last.

        `direction` is sent, received or local, as the PBX sees the response; `stack` a stack or a pattern pack's name.
        Raises KnowledgeError for a code outside 100..699.
        """
        entry = code if isinstance(code, Entry) else self.entry(code)
        return _refined(entry, _matching(entry, method, direction, stack))

    def refinements(self, entry: Entry, method: str = "", direction: str = "", stack: str = "") -> list[Refinement]:
        """Return what makes an entry read differently in a context, the most general first."""
        return [entry.refinement[place] for place in _matching(entry, method, direction, stack)]

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
        return self._document(self.entry(code), method, direction, stack)

    def _document(self, entry: Entry, method: str, direction: str, stack: str) -> Explanation:
        family = next((name for name in _KNOWN_STACKS if covers(name, stack)), "")
        matching = _matching(entry, method, direction, stack)
        key = (entry.id, matching, family)
        if key not in self._built:
            self._built[key] = _document(_refined(entry, matching), family)
        return self._built[key]


def _letters(text: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return re.sub(r"[\W_]+", "", text.casefold())


def _folded(text: str) -> str:
    """Return a text in lower case and without accents."""
    if text.isascii():
        return text.lower()
    return "".join(letter for letter in normalize("NFKD", text.casefold()) if not combining(letter))


def _rank(words: list[str], title: str, whole: str) -> int:
    """Say how well an entry fits: words of its title count most, and whole words more than parts of words."""
    tokens, in_title = set(re.findall(r"\w+", whole)), set(re.findall(r"\w+", title))
    return sum(5 * (word in in_title) + 2 * (word in title) + (word in tokens) for word in words)


def _all_text(entry: Entry) -> str:
    parts = [entry.meaning, entry.when, entry.retry]
    for cause in (*entry.cause, *(cause for refinement in entry.refinement for cause in refinement.cause or ())):
        parts += [cause.text, cause.tell, cause.fix, *cause.on.values()]
    return " ".join(parts)


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
        check=entry.check or None,
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
