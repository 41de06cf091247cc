"""The SIP grammar: messages, headers, URIs and SDP, from bytes to the types of `siplogs.model`; nothing raises."""

from siplogs.sip.fields import (
    parse_credentials,
    parse_cseq,
    parse_reason,
    parse_retry_after,
    parse_session_expires,
    parse_session_id,
    parse_warning,
)
from siplogs.sip.memo import Memo
from siplogs.sip.message import DEFAULT_LIMITS, Limits, first, parse_message, values
from siplogs.sip.multipart import parts, sdp_body
from siplogs.sip.parties import parse_contact, parse_party, parse_via
from siplogs.sip.sdp import parse_sdp
from siplogs.sip.uri import parse_uri, uri_parameters

__all__ = [
    "DEFAULT_LIMITS",
    "Limits",
    "Memo",
    "first",
    "parse_contact",
    "parse_credentials",
    "parse_cseq",
    "parse_message",
    "parse_party",
    "parse_reason",
    "parse_retry_after",
    "parse_sdp",
    "parse_session_expires",
    "parse_session_id",
    "parse_uri",
    "parse_via",
    "parse_warning",
    "parts",
    "sdp_body",
    "uri_parameters",
    "values",
]
