"""What the knowledge texts name of a PBX: options, commands, applications, files, by the form in which they stand."""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from siplogs.knowledge import Cause, Entry, Refinement, load
from siplogs.knowledge.entry import KINDS

LANGUAGES: Final = ("en", "es")
# Names of the same form that are none of a PBX: by form, each with what it is.
ELSEWHERE: Final[dict[str, dict[str, str]]] = tomllib.loads(
    Path(__file__).with_name("names-elsewhere.toml").read_text(encoding="utf-8")
)


class Text(NamedTuple):
    """One text: where it stands, such as en sip.486 refinement 2 cause 1 fix, and the stack it is for ("" is any)."""

    where: str
    stack: str
    words: str


def texts(language: str) -> Iterator[Text]:
    """Every text of a language that may name something of a PBX, each once."""
    knowledge = load(language=language)
    for kind in KINDS:
        for entry in knowledge.entries(kind).values():
            where = f"{language} {entry.id}"
            yield from (Text(f"{where} related {key}", "", words) for key, words in entry.related.items())
            yield from _part(where, "", entry)
            for number, refinement in enumerate(entry.refinement, 1):
                yield from _part(f"{where} refinement {number}", refinement.match.stack, refinement)


def _part(where: str, stack: str, part: Entry | Refinement) -> Iterator[Text]:
    for name in ("meaning", "when", "retry"):
        if words := getattr(part, name):
            yield Text(f"{where} {name}", stack, words)
    causes: list[Cause] = part.cause or []
    for number, cause in enumerate(causes, 1):
        for name in ("text", "tell", "fix"):
            yield Text(f"{where} cause {number} {name}", stack, getattr(cause, name))
        for name, words in cause.on.items():
            yield Text(f"{where} cause {number} on {name}", name, words)


def strangers(
    language: str, stacks: Iterable[str], names: Callable[[str], list[str]], known: Callable[[str, str], bool]
) -> dict[str, str]:
    """Names in the texts of these stacks that are not `known(stack, name)`, each with the first text that has it."""
    form = names.__name__
    found: dict[str, str] = {}
    for text in texts(language):
        if text.stack in stacks:
            for name in names(text.words):
                if name not in ELSEWHERE.get(form, ()) and not known(text.stack, name):
                    found.setdefault(name, f"{text.where}: {text.words}")
    return found


def options(words: str) -> list[str]:
    """Names before an equals sign: rtptimeout of rtptimeout=60, FUNC of FUNC(a)=b; no lines of SDP, no URI's parts."""
    found = re.findall(r"(?<![\w=;?&/.$*-])([A-Za-z][\w-]*)(?:\([^()]*\))?=(?!=)", words)
    return [name for name in found if len(name) > 1]


def calls(words: str) -> list[str]:
    """Names with arguments in parentheses: Dial of Dial(PJSIP/100), CALLERID of CALLERID(num)."""
    return re.findall(r"(?<![\w-])([A-Za-z][A-Za-z_0-9]+)\(", words)


def underscored(words: str) -> list[str]:
    """Words in small letters with an underscore, which prose has not: media_encryption, uri_core."""
    return re.findall(r"(?<![\w${/.@*-])([a-z0-9]+(?:_[a-z0-9]+)+)(?![\w*@-]|\.(?:so|c|h|conf|xml)\b)", words)


def hyphenated(words: str) -> list[str]:
    """Words in small letters with a hyphen, such as ext-rtp-ip; prose has some as well."""
    return re.findall(r"(?<![\w${/.@*-])([a-z][a-z0-9]*(?:-[a-z0-9]+)+)(?![\w*@-]|\.\w)", words)


def capitals(words: str) -> list[str]:
    """Words in capitals with an underscore: USER_BUSY, CS_EXECUTE."""
    return re.findall(r"(?<![\w${%])([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?!\w)", words)


def files(words: str) -> list[str]:
    """Configuration files and modules: pjsip.conf, res_srtp.so, vars.xml."""
    return re.findall(r"(?<![\w-])([a-z0-9_]+\.(?:conf(?:\.xml)?|so|xml))\b", words)


def types(words: str) -> list[str]:
    """Values of type=."""
    return re.findall(r"(?<![\w-])type=([\w-]+)", words)


def commands(words: str, starts: str) -> list[list[str]]:
    """Commands as typed, with the words behind them: `starts` is a pattern of their first two words."""
    found = re.findall(rf"(?<![\w./=-])((?:{starts})\b(?: [\w.{{|}}-]+)*)", words)
    return [[word.rstrip(".,:;") for word in command.split()] for command in found]
