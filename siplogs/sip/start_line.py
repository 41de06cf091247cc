"""The first line of a message: request line or status line (RFC 3261 7.1 and 7.2)."""

from functools import lru_cache
from typing import Final, NamedTuple

from siplogs.model import Finding
from siplogs.sip.findings import finding
from siplogs.sip.names import is_token, spellings
from siplogs.sip.text import decode

_METHODS_TEXT: Final = "ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE"
METHODS: Final = frozenset(_METHODS_TEXT.split())
"""The methods that IANA has registered."""


class StartLine(NamedTuple):
    """A start line taken apart; `sip` is False when what follows need not be judged as a SIP message.

    `clean` says that it holds neither control characters nor anything beyond ASCII.
    """

    method: str
    uri: str
    code: int
    phrase: str
    version: str
    findings: tuple[Finding, ...]
    sip: bool = True
    clean: bool = True


@lru_cache(maxsize=1024)
def parse_start_line(line: bytes) -> StartLine:
    """Take a start line apart, with or without its line end; what is odd about it stands in its findings."""
    started = _started(line)
    text = line.rstrip(b"\r\n")
    return started if text.isascii() and text.decode().isprintable() else started._replace(clean=False)


def _started(line: bytes) -> StartLine:
    stripped = line.strip()
    if stripped[:4].upper() == b"SIP/":
        return _status_line(line.rstrip(b"\r\n"))
    words = stripped.split()
    if len(words) > 1 and words[-1][:4].upper() == b"SIP/" and is_token(words[0]):
        return _request_line(line.rstrip(b"\r\n"), words)
    return _neither(stripped, words)


def method_name(name: bytes) -> str:
    """Decode a method; a registered one in the wrong case becomes upper case."""
    text = decode(name)
    upper = text.upper()
    return upper if upper in METHODS else text


def _request_line(line: bytes, words: list[bytes]) -> StartLine:
    found = []
    method, uri = method_name(words[0]), decode(b" ".join(words[1:-1]))
    if line != b" ".join(words):
        found.append(finding("start-line-blanks", line))
    if len(words) == 2:
        found.append(finding("start-line-malformed", line))
    if len(words) > 3 or uri.startswith("<"):
        found.append(finding("request-uri-malformed", uri))
    if method != decode(words[0]):
        found.append(finding("method-lower-case", words[0]))
    return StartLine(method, uri, 0, "", _version(words[-1], found), tuple(found))


def _status_line(line: bytes) -> StartLine:
    found: list[Finding] = []
    version, _, rest = line.strip().partition(b" ")
    digits, _, phrase = rest.strip().partition(b" ")
    if line[:1].isspace() or rest[:1].isspace():
        found.append(finding("start-line-blanks", line))
    code = int(digits) if digits.isdigit() and len(digits) == 3 else 0
    if not 100 <= code <= 699:
        found.append(finding("status-code-invalid", digits))
    return StartLine("", "", code, decode(phrase.strip()), _version(version, found), tuple(found))


def _version(spelled: bytes, found: list[Finding]) -> str:
    version = decode(spelled[4:])
    if spelled.upper() != b"SIP/2.0":
        found.append(finding("version-unknown", spelled))
    return version


def _neither(line: bytes, words: list[bytes]) -> StartLine:
    name, colon, _ = line.partition(b":")
    if colon and name.rstrip() in spellings:
        return StartLine("", "", 0, "", "", (finding("start-line-missing", line),))
    if words and method_name(words[0]) in METHODS and b"HTTP/" not in words[-1]:
        found = finding("start-line-malformed", line)
        return StartLine(method_name(words[0]), decode(b" ".join(words[1:])), 0, "", "", (found,))
    return StartLine("", "", 0, "", "", (finding("not-sip", line),), sip=False)
