"""What a header line says: its canonical name, its value, and the field of a document that the value fills.

Most header lines stand in every message of a dialog or in all of a device, so each is read once and remembered.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from siplogs.model import Header, TopVia, UserAgent, ViaDocument
from siplogs.sip.fields import parse_credentials, parse_cseq, parse_reason, parse_warning
from siplogs.sip.memo import Memo
from siplogs.sip.names import spellings
from siplogs.sip.parties import parse_contact, parse_party, parse_via
from siplogs.sip.text import comma_list, decode

_LINES_CACHED: Final = 8192
_CACHED: Final = 4096
_LONGEST_NUMBER: Final = 18
_CSEQ_END: Final = 2**31
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
NO_CONTROL: Final = b"\t" + _PRINTABLE + bytes(range(0x80, 0x100))


def read_header(name: str, value: bytes) -> Header:
    """Take the value of a header apart as far as documents have a field for it."""
    slot, parse = _SLOTS.get(name, ("", _text))
    return Header(name, value, slot, parse(value))


def _read_line(line: bytes) -> Header:
    """Read a header line of usual shape; KeyError or ValueError for one that needs the careful reading."""
    name, value = line.split(b":", 1)
    if line.removesuffix(b"\r").translate(None, NO_CONTROL):
        raise ValueError(line)
    line.decode()
    header = read_header(spellings[name], value.strip())
    if (header.name == "cseq" and not is_plain_cseq(header)) or (header.name == "contact" and is_list(header)):
        raise ValueError(line)
    return header


header_lines: Final = Memo(_read_line, _LINES_CACHED)
"""Header line (with or without its CR) -> Header; KeyError or ValueError for a line that needs the careful reading."""


def is_plain_cseq(header: Header) -> bool:
    """Tell whether a CSeq is a number below 2**31, one method and nothing else (RFC 3261 20.16)."""
    cseq = header.parsed
    if cseq.code is None or cseq.method is None or len(header.value.split()) != 2:
        return False
    return len(cseq.code) <= 10 and int(cseq.code) < _CSEQ_END


def is_list(header: Header) -> bool:
    """Tell whether a header's value has several elements."""
    return b"," in header.value and len(comma_list(header.value)) > 1


def _top_via(value: bytes) -> TopVia:
    sent_by, _, parameters = value.partition(b";")
    position = parameters.find(b"branch=")
    if position < 0:
        branch = parse_via(value).branch
    else:
        branch = decode(parameters[position + 7 :].partition(b";")[0].partition(b",")[0].strip()) or None
    sent = _sent(sent_by)
    return TopVia(
        ViaDocument([decode(one) for one in comma_list(value)] or [""]), branch, sent.transport, sent.host, sent.port
    )


_sent = lru_cache(maxsize=_CACHED)(parse_via)
_text = lru_cache(maxsize=_CACHED)(decode)


@lru_cache(maxsize=_CACHED)
def _words(value: bytes) -> list[str] | None:
    return [word for part in decode(value).split(",") if (word := part.strip())] or None


def _lower_words(value: bytes) -> list[str] | None:
    return _words(value.lower())


def _lower(value: bytes) -> str:
    return _text(value.lower())


def _number(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) <= _LONGEST_NUMBER else None


@lru_cache(maxsize=_CACHED)
def _user_agent(value: bytes) -> UserAgent:
    return UserAgent(original=decode(value))


_SLOTS: Final[dict[str, tuple[str, Callable[[bytes], Any]]]] = {
    "via": ("via", _top_via),
    "from": ("from_", parse_party),
    "to": ("to", parse_party),
    "call-id": ("call_id", decode),
    "cseq": ("cseq", parse_cseq),
    "contact": ("contact", parse_contact),
    "user-agent": ("user_agent", _user_agent),
    "server": ("user_agent", _user_agent),
    "allow": ("allow", _words),
    "supported": ("supported", _words),
    "accept": ("accept", _lower_words),
    "content-type": ("content_type", _lower),
    "content-length": ("content_length", _number),
    "max-forwards": ("max_forwards", _number),
    "authorization": ("auth", parse_credentials),
    "proxy-authorization": ("auth", parse_credentials),
    "www-authenticate": ("auth", parse_credentials),
    "proxy-authenticate": ("auth", parse_credentials),
    "reason": ("cause", parse_reason),
    "warning": ("warning", parse_warning),
}
