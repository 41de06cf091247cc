"""Cuts secrets out of log bytes before any field is taken from them, so that no output can show them.

Cut: digest responses and client nonces, Basic and Bearer credentials, passwords in URIs, SDES and other media keys,
ICE passwords, and the hashes of Asterisk's security events. A nonce becomes a short hash of itself, so that a reader
still sees whether two messages used the same one.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from siplogs.model import ALL_MARKS

REDACTED: Final = b"[redacted]"

_NAMES: Final = (b"response", b"nonce", b"rspauth", b"hash", b"challenge")
_VALUE: Final = re.compile(
    rb"""(\s{0,256}+=\s{0,256}+)("(?:[^"\\\r\n]++|\\[^\r\n]|\r?\n[ \t])*+"?|'[^'\r\n]*+'?|[^\s,;"'<>]++)""",
)
_BLANK: Final = rb"(?:[ \t]|\r?\n[ \t])"
_AUTHORIZATION: Final = re.compile(
    rb"(uthorization"
    + _BLANK
    + rb"{0,256}+:"
    + _BLANK
    + rb"{0,256}+(?!digest\b)(?:[\w-]{1,40}"
    + _BLANK
    + rb"{1,256}+)?)"
    rb"((?:[^\r\n]++|\r?\n[ \t])++)",
    re.IGNORECASE,
)
_ESCAPED: Final = re.compile(rb"(uthorization=)([^&>\s]++)", re.IGNORECASE)
_TOKEN: Final = re.compile(
    rb"""(\b(?:bearer|basic)(?:["']?[ \t]{0,8}[:=][ \t]{0,8}["']?|[ \t]{1,8}["']?)"""
    rb"""|access_token["']?[ \t]{0,8}[:=][ \t]{0,8}["']?)([\w+/.~-]{8,}+=*)""",
    re.IGNORECASE,
)
_HEADER: Final = re.compile(
    rb"(\b(?:cookie|x-api-key|x-auth-token|x-password)[ \t]{0,8}:[ \t]{0,8})([^\r\n]++)", re.IGNORECASE
)
_SDP: Final = re.compile(
    rb"(inline[ \t]{0,8}:[ \t|]{0,8}|\ba=crypto[ \t]{0,8}:[ \t]{0,8}\d{1,9}[ \t]{1,8}\S{1,80}[ \t]{1,8}(?!\s*inline)"
    rb"|\ba=ice-pwd[ \t]{0,8}:[ \t]{0,8}|(?:^|\n)[ \t]{0,8}k=(?:clear|base64|uri|prompt)[ \t]{0,8}:[ \t]{0,8}"
    rb"|\ba=key-mgmt[ \t]{0,8}:[ \t]{0,8}\w{1,20}[ \t]{1,8})([^\s|]++)",
    re.IGNORECASE,
)
_LOGGED_DIGEST: Final = re.compile(rb"(digest:[^:'\s]{1,256}:[^:'\s]{1,256}:)([^'\s]{1,256})", re.IGNORECASE)
_KEYS: Final = re.compile(
    rb"""((?<![\w-])(?:ik|ck|auts)[ \t]{0,8}=[ \t]{0,8})("[^"\r\n]*+"?|[^\s,;"]++)""", re.IGNORECASE
)
_URI_PASSWORD: Final = re.compile(
    rb"(sips?:[^\s@:<>]{1,256}:)(?!\d{1,5}(?:[;?/]|,[^\s@]{0,256}sips?:))((?:(?!sips?:)[^\s<>]){1,256})(?=@)",
    re.IGNORECASE,
)
_ESCAPED_PASSWORD: Final = re.compile(rb"(sips?:[^\s@:<>]{1,256}?%3a)([^\s@<>]{1,256})(?=@)", re.IGNORECASE)
_URL_PASSWORD: Final = re.compile(rb"(://[^\s@:/<>]{1,256}:)([^\s/<>]{1,256})(?=@)")
_SECRETS: Final = (
    (_AUTHORIZATION, rb"uthoriz"),
    (_ESCAPED, rb"uthorization="),
    (_TOKEN, rb"""bearer|basic[\s"':=]|access_token"""),
    (_HEADER, rb"(?:cookie|x-api-key|x-auth-token|x-password)\s*:"),
    (_SDP, rb"inline|a=crypto|ice-pwd|k=(?:clear|base64|uri|prompt)|key-mgmt"),
    (_LOGGED_DIGEST, rb"digest:"),
    (_KEYS, rb"(?:ik|ck|auts)\s*="),
    (_URI_PASSWORD, rb"sips?:[^\s@:<>]{1,256}:[^\s<>]{1,256}@"),
    (_ESCAPED_PASSWORD, rb"%3a[^\s<>@]{1,256}@"),
    (_URL_PASSWORD, rb"://[^\s@:/<>]{1,256}:[^\s/<>]{1,256}@"),
)
"""Patterns of (what stays)(secret), each with the mark that stands wherever it matches."""

MARKS: Final = (*(mark for _, mark in _SECRETS), rb"nonce|rspauth|(?:response|hash|challenge)\s*=")
"""Where none of these is found there is no secret; Hyperscan looks for them, whatever the case."""

# Lower-case text needs no pattern that ignores case, and one that does not is several times as fast.
_CUTS: Final = tuple(
    (1 << number, pattern, re.compile(pattern.pattern, pattern.flags & ~re.IGNORECASE).search)
    for number, (pattern, _) in enumerate(_SECRETS)
)
_PARAMETERS: Final = 1 << len(_SECRETS)


def redact(data: bytes, marked: int = ALL_MARKS) -> bytes:
    """Return `data` without its secrets; the very same object when it holds none.

    Bit n of `marked` says that number n of `MARKS` was found in it.
    """
    lowered = data.lower()
    for mark, pattern, search in _CUTS:
        if marked & mark and search(lowered):
            data = pattern.sub(rb"\1" + REDACTED, data)
            lowered = data.lower()
    if not marked & _PARAMETERS:
        return data
    found = [cut for name in _NAMES if name in lowered for cut in _parameters(data, lowered, name)]
    if not found:
        return data
    pieces, position = [], 0
    for start, end, text in sorted(found):
        if start >= position:
            pieces += [data[position:start], text]
            position = end
    return b"".join([*pieces, data[position:]])


def redact_value(name: str, value: bytes, marked: int = ALL_MARKS) -> bytes:
    """Return a field's value without its secrets: what its name says is one, and what stands in it."""
    bare = name.lower().replace("_", "")
    if any(bare.endswith(secret.decode()) for secret in _NAMES) and value:
        return REDACTED
    return redact(value, marked)


def _parameters(data: bytes, lowered: bytes, name: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (start, end, replacement) of the values of a parameter, whatever stands before its name."""
    position = lowered.find(name)
    while position >= 0:
        value = _VALUE.match(data, position + len(name))
        position = lowered.find(name, value.end() if value is not None else position + len(name))
        bare = value[2].strip(b"\"'") if value is not None else b""
        if value is None or not bare or bare.startswith(REDACTED[:-1]):
            continue
        quote = value[2][:1] if value[2][:1] in (b'"', b"'") else b""
        is_nonce = name == b"nonce" and lowered[value.start() - 6 : value.start() - 5] != b"c"
        yield value.start(2), value.end(2), quote + (_fingerprint(bare) if is_nonce else REDACTED) + quote


def _fingerprint(nonce: bytes) -> bytes:
    return b"[redacted:" + blake2b(nonce, digest_size=4).hexdigest().encode() + b"]"
