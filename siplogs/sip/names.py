"""Header names: compact forms, canonical spelling, and which headers hold lists (RFC 3261 7.3, IANA's registry)."""

from typing import Final

COMPACT: Final = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
"""The compact forms that IANA has registered."""

MANDATORY: Final = ("via", "from", "to", "call-id", "cseq")
"""What every message must have, whatever its kind (RFC 3261 8.1.1 and 8.2.6.2)."""

_SINGLE_TEXT: Final = (
    "from to call-id cseq max-forwards content-length content-type content-disposition expires min-expires event "
    "subject date user-agent server session-expires min-se refer-to referred-by replaces session-id"
)
SINGLE: Final = frozenset(_SINGLE_TEXT.split())
"""Headers that may stand only once in a message."""

_LISTS_TEXT: Final = (
    "via route record-route path service-route contact allow supported require proxy-require unsupported warning "
    "reason accept accept-encoding accept-language accept-contact reject-contact request-disposition alert-info "
    "allow-events call-info error-info content-encoding content-language in-reply-to diversion history-info "
    "p-asserted-identity p-preferred-identity p-associated-uri p-visited-network-id p-access-network-info "
    "p-early-media remote-party-id security-client security-server security-verify resource-priority "
    "accept-resource-priority geolocation feature-caps recv-info"
)
LISTS: Final = frozenset(_LISTS_TEXT.split())
"""Headers whose value is a comma-separated list (RFC 3261 7.3.1)."""

_KNOWN_TEXT: Final = (
    "Accept Accept-Contact Accept-Encoding Accept-Language Accept-Resource-Priority Alert-Info Allow Allow-Events "
    "Authentication-Info Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding "
    "Content-Language Content-Length Content-Type CSeq Date Diversion Error-Info Event Expires Feature-Caps From "
    "Geolocation History-Info Identity Identity-Info In-Reply-To Max-Forwards MIME-Version Min-Expires Min-SE "
    "Organization P-Access-Network-Info P-Asserted-Identity P-Associated-URI P-Charging-Vector P-Early-Media "
    "P-Key-Flags P-Preferred-Identity P-Visited-Network-ID Path Priority Privacy Proxy-Authenticate "
    "Proxy-Authorization Proxy-Require RAck Reason Record-Route Recv-Info Refer-Sub Refer-To Referred-By "
    "Reject-Contact Remote-Party-ID Replaces Reply-To Request-Disposition Require Resource-Priority Retry-After Route "
    "RSeq Security-Client Security-Server Security-Verify Server Service-Route Session-Expires Session-ID Subject "
    "Subscription-State Supported Timestamp To Unsupported User-Agent Via Warning WWW-Authenticate"
)

_TOKEN: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-.!%*_+`'~"
_LEARNED_MAX: Final = 4096


def _spellings() -> dict[bytes, str]:
    table = {}
    for name in _KNOWN_TEXT.split():
        for spelling in (name, name.lower(), name.upper(), name.title(), name.capitalize()):
            table[spelling.encode()] = name.lower()
    for short, name in COMPACT.items():
        table[short.encode()] = table[short.upper().encode()] = name
    return table


spellings: Final = _spellings()
"""Header name as it stands on the line -> canonical name; grows by what logs hold, up to a bound."""


def is_token(value: bytes) -> bool:
    """Tell whether `value` is a token of RFC 3261 25.1: a method or a header name."""
    return bool(value) and not value.translate(None, _TOKEN)


def canonical(spelled: bytes) -> str | None:
    """Give the canonical lower-case long name of a header, or None when `spelled` cannot be a header's name."""
    known = spellings.get(spelled)
    if known:
        return known
    name = spelled.rstrip(b" \t")
    if not is_token(name):
        return None
    lower = name.decode("ascii").lower()
    lower = COMPACT.get(lower, lower)
    if len(spellings) < _LEARNED_MAX and len(spelled) <= 64:
        spellings[spelled] = lower
    return lower
