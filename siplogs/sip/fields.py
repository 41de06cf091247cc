"""Headers that are small: CSeq, Reason, Warning, Retry-After, Session-Expires, Session-ID and credentials."""

import re
from base64 import b64decode
from functools import lru_cache
from typing import Final

from siplogs.model import Credentials, CSeq, Reason, WarningValue
from siplogs.sip.start_line import method_name
from siplogs.sip.text import comma_list, decode, number, parameters, unquote
from siplogs.sip.uri import parse_uri

_CACHED: Final = 1024
_SHORT_MAX: Final = 32767
_PAIR: Final = re.compile(rb'(?<![\w-])([\w-]++)[ \t]*+=[ \t]*+("[^"\\]*+(?:\\.[^"\\]*+)*+"|[^\s,"]*+)', re.DOTALL)


@lru_cache(maxsize=_CACHED)
def parse_cseq(value: bytes) -> CSeq:
    """Read a CSeq value; a part that is missing or no number is None (RFC 3261 20.16)."""
    words = value.split()
    code = decode(words[0]) if words and words[0].isdigit() else None
    method = words[-1] if len(words) > 1 or (words and not code) else None
    return CSeq(code=code, method=method_name(method) if method else None)


@lru_cache(maxsize=_CACHED)
def parse_reason(value: bytes) -> list[Reason]:
    """Read every value of a Reason header; shared between callers, so not to be changed (RFC 3326)."""
    return [_reason(element) for element in comma_list(value)]


def _reason(element: bytes) -> Reason:
    protocol, _, rest = element.partition(b";")
    fields = dict(parameters(rest))
    cause = number(fields.get("cause", b""))
    text = unquote(fields.get("text", b""))
    return Reason(
        protocol=decode(protocol.strip()) or None,
        code=cause if cause is not None and cause <= _SHORT_MAX else None,
        text=text or None,
    )


@lru_cache(maxsize=_CACHED)
def parse_warning(value: bytes) -> list[WarningValue]:
    """Read every value of a Warning header; shared between callers, so not to be changed (RFC 3261 20.43)."""
    return [_warning(element) for element in comma_list(value)]


def _warning(element: bytes) -> WarningValue:
    code, _, rest = element.partition(b" ")
    agent, _, text = rest.strip().partition(b" ")
    digits = number(code) if len(code) == 3 else None
    if digits is None:
        return WarningValue(text=unquote(element) or None)
    return WarningValue(code=digits, agent=decode(agent) or None, text=unquote(text) or None)


@lru_cache(maxsize=_CACHED)
def parse_retry_after(value: bytes) -> int | None:
    """Read the seconds of a Retry-After value; comment and parameters are passed over (RFC 3261 20.33)."""
    return number(value.partition(b";")[0].partition(b"(")[0])


@lru_cache(maxsize=_CACHED)
def parse_session_expires(value: bytes) -> tuple[int | None, str | None]:
    """Read a Session-Expires value into (seconds, refresher: uac or uas) (RFC 4028 4)."""
    seconds, _, rest = value.partition(b";")
    refresher = dict(parameters(rest)).get("refresher", b"")
    return number(seconds), decode(refresher).lower() or None


def parse_session_id(value: bytes) -> tuple[str | None, str | None]:
    """Read a Session-ID value into (local UUID, remote UUID), lower case (RFC 7989 5)."""
    local, _, rest = value.partition(b";")
    remote = dict(parameters(rest)).get("remote", b"")
    return decode(local.strip()).lower() or None, decode(remote).lower() or None


@lru_cache(maxsize=_CACHED)
def parse_credentials(value: bytes) -> Credentials:
    """Read Authorization, Proxy-Authorization, WWW-Authenticate or Proxy-Authenticate (RFC 3261 22, RFC 8898).

    What proves an identity never comes out: no digest response, no password, no token.
    """
    scheme, _, rest = value.strip().partition(b" ")
    name = decode(scheme)
    if name.lower() == "basic":
        return Credentials(scheme=name, realm=_pair(_pairs(rest), b"realm"), username=_basic_user(rest))
    pairs = _pairs(rest)
    stale = _pair(pairs, b"stale")
    uri = _pair(pairs, b"uri")
    return Credentials(
        scheme=name or None,
        realm=_pair(pairs, b"realm"),
        username=_pair(pairs, b"username"),
        algorithm=_pair(pairs, b"algorithm"),
        stale=stale.lower() == "true" if stale else None,
        uri=parse_uri(uri.encode()) if uri else None,
    )


def _pairs(rest: bytes) -> dict[bytes, bytes]:
    """Read `a="b", c=d` in any spacing; names in lower case, values as they stand; the first of a name counts."""
    return {key.lower(): content for key, content in reversed(_PAIR.findall(rest))}


def _pair(pairs: dict[bytes, bytes], name: bytes) -> str | None:
    """Give one value, unless broken quoting let other parameters, perhaps the response, run into it."""
    content = pairs.get(name)
    if not content or (b"=" in content and b"response" in content.lower()):
        return None
    return unquote(content) or None


def _basic_user(rest: bytes) -> str | None:
    try:
        user, colon, _ = b64decode(rest.strip(), validate=True).partition(b":")
    except ValueError:
        return None
    return decode(user) if colon and user else None
