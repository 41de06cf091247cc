"""What the reader of a message may find wrong: one table of stable ids, their severity, wording and rule."""

from typing import Final, NamedTuple

from siplogs.model import Finding


class Kind(NamedTuple):
    """One row of the table; `{}` in `text` takes what was seen."""

    severity: str
    text: str
    rfc: str | None = None
    header: str | None = None


KINDS: Final = {
    "not-sip": Kind("error", "this is not a SIP message; it begins with: {}", "RFC 3261 7"),
    "start-line-missing": Kind("error", "the start line is missing; the message begins with: {}", "RFC 3261 7"),
    "start-line-malformed": Kind(
        "error", "the start line is neither METHOD URI VERSION nor VERSION CODE PHRASE: {}", "RFC 3261 7.1"
    ),
    "start-line-blanks": Kind("warning", "the parts of the start line need single blanks between: {}", "RFC 3261 7.1"),
    "request-uri-malformed": Kind("error", "the request URI has blanks or angle brackets: {}", "RFC 3261 7.1"),
    "version-unknown": Kind("error", "the version is not SIP/2.0: {}", "RFC 3261 7.1"),
    "method-lower-case": Kind("warning", "methods are upper case; this one is not: {}", "RFC 3261 7.1"),
    "status-code-invalid": Kind("error", "the status code is outside 100 to 699: {}", "RFC 3261 7.2"),
    "header-line-malformed": Kind("error", "a header line is not NAME: VALUE: {}", "RFC 3261 7.3.1"),
    "header-missing": Kind("error", "a mandatory header is missing: {}", "RFC 3261 8.1.1"),
    "header-repeated": Kind("error", "this header may stand only once; the first counts: {}", "RFC 3261 7.3.1"),
    "content-length-invalid": Kind("error", "Content-Length is not a number: {}", "RFC 3261 20.14", "content-length"),
    "content-length-mismatch": Kind(
        "warning", "Content-Length and the body's length differ: {}", "RFC 3261 18.3", "content-length"
    ),
    "cseq-malformed": Kind("error", "CSeq is not NUMBER METHOD: {}", "RFC 3261 20.16", "cseq"),
    "cseq-out-of-range": Kind("error", "the CSeq number must be below 2147483648: {}", "RFC 3261 8.1.1.5", "cseq"),
    "cseq-method-mismatch": Kind(
        "error", "CSeq and the start line name different methods: {}", "RFC 3261 8.1.1.5", "cseq"
    ),
    "control-characters": Kind("warning", "control characters stand in: {}", "RFC 3261 25.1"),
    "utf8-invalid": Kind("warning", "bytes that are not UTF-8 stand in: {}", "RFC 3261 25.1"),
    "header-count-exceeded": Kind("warning", "more header lines than siplogs reads: {}"),
    "header-too-long": Kind("warning", "a line was cut because it is longer than siplogs reads: {}"),
    "body-too-large": Kind("warning", "the body was cut because it is larger than siplogs reads: {}"),
}
"""Every finding of this room by its id."""

_SHOWN: Final = 80


def finding(identifier: str, seen: bytes | str, header: str | None = None) -> Finding:
    """Make the finding `identifier` from the table, with at most 80 characters of what was seen.

    `header` (canonical) overrides the table's own. Raises KeyError for an id that is not in the table.
    """
    kind = KINDS[identifier]
    shown = seen[: 4 * _SHOWN].decode("utf-8", "replace") if isinstance(seen, bytes) else seen
    text = kind.text.format(shown.strip()[:_SHOWN])
    return Finding(id=identifier, severity=kind.severity, text=text, header=header or kind.header, rfc=kind.rfc)
