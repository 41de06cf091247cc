"""SIP, SIPS, TEL and other URIs (RFC 3261 19.1, RFC 3966, RFC 5031)."""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from siplogs.model import Uri
from siplogs.sip.text import decode, parameters, unescape

_CACHED: Final = 2048
_WITH_HOST: Final = frozenset({"sip", "sips", "im", "pres"})
_WITH_NUMBER: Final = _WITH_HOST | {"tel"}
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:(?!\d{0,5}(?:[;?]|\Z))", re.ASCII | re.IGNORECASE)
_END_OF_HOST: Final = re.compile("[;?]")


@lru_cache(maxsize=_CACHED)
def parse_uri(value: bytes) -> Uri:
    """Take a URI apart; whatever has no scheme gives `original` only. Angle brackets around it are passed over.

    A password in the user part goes into no part but `original`.
    """
    original = decode(value)
    scheme, rest = _scheme(original)
    if scheme in _WITH_HOST:
        user, address, _ = _split(rest)
        host, port = host_port(address)
        if "%" in user:
            user = unquote(user)
        return Uri(original, scheme, user or None, host or None, port or None)
    if scheme == "tel":
        return Uri(original, scheme, unquote(rest.partition(";")[0].strip()) or None)
    return Uri(original or None, scheme or None)


@lru_cache(maxsize=_CACHED)
def uri_parameters(value: bytes) -> dict[str, str]:
    """Give a URI's own parameters, names in lower case, escapes resolved, "" for flags (RFC 3261 19.1.1).

    The dictionary is shared between callers, so not to be changed.
    """
    scheme, rest = _scheme(decode(value))
    listed = rest.partition("?")[0].partition(";")[2] if scheme == "tel" else _split(rest)[2]
    return {unquote(name).lower(): unescape(content) for name, content in parameters(listed.encode())}


def _scheme(text: str) -> tuple[str, str]:
    """Split scheme from rest; `host:5060` and the like have none."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme in _WITH_HOST:
        return scheme, rest
    text = text.strip()
    if text.startswith("<"):
        text = text[1:].partition(">")[0].strip()
    scheme, colon, rest = text.partition(":")
    if (colon and scheme.lower() in _WITH_NUMBER) or _SCHEME.match(text):
        return scheme.lower(), rest
    return "", text


def _split(rest: str) -> tuple[str, str, str]:
    """Split into user, host with port, and parameters.

    The user part may hold `;` and `?` (RFC 3261 25.1), and careless senders leave an `@` in it.
    """
    user, at, host = rest.partition("@")
    if not at:
        user, host = "", rest
    end = _END_OF_HOST.search(host)
    listed = ""
    if end:
        listed = host[end.start() :].partition("?")[0][1:]
        host = host[: end.start()]
    if "@" in host:
        more, _, host = host.rpartition("@")
        user = f"{user}@{more}"
    return user.partition(":")[0], host, listed


def host_port(text: str) -> tuple[str, str]:
    """Split `host:port`, "" for what is missing; takes the brackets off an IPv6 reference."""
    text = text.strip()
    if text.startswith("["):
        host, _, after = text[1:].partition("]")
        return host.strip(), after.strip().removeprefix(":").strip()
    host, _, port = text.partition(":")
    if ":" in port:
        return text, ""
    return host.rstrip(), port.lstrip()
