"""A message: start line, headers, body, and what is wrong with it (RFC 3261 7)."""

from functools import lru_cache
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from siplogs.model import CSeq, Finding, Header, Message, ViaDocument
from siplogs.sip.findings import finding
from siplogs.sip.headers import NO_CONTROL, header_lines, is_list, is_plain_cseq, read_header
from siplogs.sip.names import LISTS, MANDATORY, SINGLE, canonical
from siplogs.sip.start_line import parse_start_line
from siplogs.sip.text import comma_list, decode, number


class Limits(Struct, frozen=True):
    """How much of a hostile message is read, in lines and bytes; each limit that is hit is a finding."""

    header_count: int = 256
    header_length: int = 8192
    body_size: int = 262_144


DEFAULT_LIMITS: Final = Limits()

_LINE_ENDS: Final = (b"\r", b"\n")
_USUAL_HEAD: Final = 3072
_UNTOLD: Final = -1
_JOINED: Final = frozenset({"via", "allow", "supported", "accept", "cause", "warning"})


def parse_message(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Message:
    """Take a SIP message apart, line ends CRLF, LF or mixed; whatever is wrong with it stands in its findings.

    Never raises. Empty lines before the start line are skipped; the body is what follows the first empty line. Data
    that is no SIP at all has neither method nor code, and no finding but `not-sip`.
    """
    if data[:1] in _LINE_ENDS:
        data = data.lstrip(b"\r\n")
    head, gap, body = data.partition(b"\n\r\n")
    if not gap or b"\n\n" in head or head.endswith(b"\n"):
        head, body = halves(data)
    lines = head.split(b"\n")
    if len(head) > _USUAL_HEAD or len(lines) > limits.header_count or len(head) > limits.header_length:
        return _carefully(lines, body, limits)
    start = parse_start_line(lines[0])
    try:
        headers = [*map(header_lines.__getitem__, lines[1:])]
    except (KeyError, ValueError):
        return _carefully(lines, body, limits)
    if not start.sip or not start.clean or len(body) > limits.body_size:
        return _carefully(lines, body, limits)
    parts = {header.slot: header.parsed for header in headers if header.slot}
    others = {header.name: header.parsed for header in headers if not header.slot}
    findings = [*start.findings]
    if (
        len(parts) + len(others) != len(headers)
        or not ("via" in parts and "from_" in parts and "to" in parts and "call_id" in parts and "cseq" in parts)
        or (start.method and parts["cseq"].method != start.method)
        or parts.get("content_length", _UNTOLD) not in (_UNTOLD, len(body))
    ):
        findings += _judged(headers, start.method, body)
        parts, others = _gathered(headers)
    return Message(
        start.method, start.uri, start.code, start.phrase, start.version, headers, parts, others, body, findings
    )


def _carefully(lines: list[bytes], body: bytes, limits: Limits) -> Message:
    """Read a message of which something is unusual: folded or malformed lines, odd bytes, too much of anything."""
    findings: list[Finding] = []
    head = b"\n".join(lines)
    if len(head) > limits.header_length or len(lines) > limits.header_count:
        lines = _within_limits(lines, limits, findings)
    start = parse_start_line(lines[0])
    headers = _odd_headers(lines[1:], limits, findings)
    if start.sip:
        findings += start.findings
        _check_bytes(head, findings)
        findings += _judged(headers, start.method, body)
    else:
        findings = [*start.findings]
    if len(body) > limits.body_size:
        findings.append(finding("body-too-large", f"{len(body)} bytes"))
        body = body[: limits.body_size]
    return Message(
        start.method, start.uri, start.code, start.phrase, start.version, headers, *_gathered(headers), body, findings
    )


def _gathered(headers: list[Header]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return `parts` and `others` of a message, headers that stand several times included.

    Lists are joined; of what may stand only once the first counts, and the rest is kept as text among the others.
    """
    parts: dict[str, Any] = {}
    texts: dict[str, list[str]] = {}
    for header in headers:
        slot, told = header.slot, header.slot in parts
        if not slot or (told and slot not in _JOINED) or (slot == "contact" and is_list(header)):
            texts.setdefault(header.name, []).append(decode(header.value))
        if slot:
            parts[slot] = _joined(slot, parts[slot], header.parsed) if told else header.parsed
    return parts, {name: found[0] if len(found) == 1 else found for name, found in texts.items()}


def _joined(slot: str, known: Any, more: Any) -> Any:
    if slot == "via":
        return replace(known, document=ViaDocument([*known.document.original, *more.document.original]))
    return [*(known or ()), *(more or ())] or None if slot in _JOINED else known


def halves(data: bytes) -> tuple[bytes, bytes]:
    """Split at the first empty line, whichever line ends stand around it; without one, all is head."""
    end = data.find(b"\n\n")
    other = data.find(b"\n\r\n", 0, end if end >= 0 else len(data))
    if other >= 0:
        return data[:other], data[other + 3 :]
    return (data[:end], data[end + 2 :]) if end >= 0 else (data.rstrip(b"\r\n"), b"")


def _within_limits(lines: list[bytes], limits: Limits, findings: list[Finding]) -> list[bytes]:
    count, length = limits.header_count + 1, limits.header_length
    if len(lines) > count:
        findings.append(finding("header-count-exceeded", f"{len(lines) - 1} lines"))
    longest = max(map(len, lines))
    if longest > length:
        findings.append(finding("header-too-long", f"{longest} bytes"))
    return [line[:length] for line in lines[:count]]


def _odd_headers(lines: list[bytes], limits: Limits, findings: list[Finding]) -> list[Header]:
    """Read header lines of which some are folded, malformed or of a spelling not met before."""
    headers = []
    malformed = []
    for line in _unfolded(lines, limits, findings):
        spelled, colon, value = line.partition(b":")
        name = canonical(spelled) if colon else None
        if name is None:
            malformed.append(line)
        else:
            headers.append(read_header(name, value.strip()))
    if malformed:
        findings.append(finding("header-line-malformed", malformed[0]))
    return headers


def _unfolded(lines: list[bytes], limits: Limits, findings: list[Finding]) -> list[bytes]:
    """Join folded lines with one blank (RFC 3261 7.3.1), as far as the limit on a header's length allows."""
    groups: list[list[bytes]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and groups:
            groups[-1].append(line.strip())
        else:
            groups.append([line.strip()])
    joined = [group[0] if len(group) == 1 else b" ".join(filter(None, group)) for group in groups]
    if any(len(line) > limits.header_length for line in joined):
        findings.append(finding("header-too-long", f"{max(map(len, joined))} bytes"))
    return [line[: limits.header_length] for line in joined]


def _check_bytes(head: bytes, findings: list[Finding]) -> None:
    """Find control characters and broken UTF-8; several line ends in one message are no fault of the message."""
    lines = head.replace(b"\r\n", b"\n").removesuffix(b"\r").split(b"\n")
    control = [line for line in lines if line.translate(None, NO_CONTROL)]
    if control:
        findings.append(finding("control-characters", *_place(control[0])))
    broken = [line for line in lines if not line.isascii() and _is_broken(line)]
    if broken:
        findings.append(finding("utf8-invalid", *_place(broken[0])))


def _is_broken(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _place(line: bytes) -> tuple[str, str | None]:
    spelled, colon, _ = line.partition(b":")
    name = canonical(spelled) if colon else None
    return name or "the start line or a line without a name", name


def _judged(headers: list[Header], method: str, body: bytes) -> list[Finding]:
    """Find what is wrong with the headers as a whole; `method` is the start line's, "" on responses."""
    first_of = {header.name: header for header in reversed(headers)}
    findings = _repeated(headers) if len(first_of) != len(headers) else []
    findings += [finding("header-missing", name, name) for name in MANDATORY if name not in first_of]
    if cseq := first_of.get("cseq"):
        findings += _judge_cseq(cseq, method)
    if length := first_of.get("content-length"):
        findings += _judge_length(length.value, body)
    return findings


def _repeated(headers: list[Header]) -> list[Finding]:
    seen: set[str] = set()
    repeated: dict[str, bytes] = {}
    for header in headers:
        if header.name not in SINGLE:
            continue
        if header.name in seen:
            repeated.setdefault(header.name, header.value)
        seen.add(header.name)
    return [finding("header-repeated", value, name) for name, value in repeated.items()]


def _judge_cseq(header: Header, method: str) -> list[Finding]:
    cseq: CSeq = header.parsed
    if cseq.code is None or cseq.method is None or len(header.value.split()) != 2:
        return [finding("cseq-malformed", header.value)]
    found = [] if is_plain_cseq(header) else [finding("cseq-out-of-range", cseq.code)]
    if method and cseq.method != method:
        found.append(finding("cseq-method-mismatch", f"{cseq.method}, {method}"))
    return found


def _judge_length(claimed: bytes, body: bytes) -> list[Finding]:
    """Compare with the body as logged and as sent: a logger that dropped the CRs made it shorter."""
    length = number(claimed)
    if length is None:
        return [finding("content-length-invalid", claimed)]
    if length not in (len(body), len(body) + body.count(b"\n") - body.count(b"\r\n")):
        return [finding("content-length-mismatch", f"it says {length}, the body has {len(body)}")]
    return []


def first(message: Message, name: str) -> bytes | None:
    """Give the value of the first header with this canonical name, None when there is none."""
    return next((header.value for header in message.lines if header.name == name), None)


def values(message: Message, name: str) -> list[bytes]:
    """Give every value of the header with this canonical name; lists are split at their commas (RFC 3261 7.3.1)."""
    found = []
    for header in message.lines:
        if header.name == name:
            value = header.value
            if b"," in value and name in LISTS:
                found += _elements(value)
            elif value or name not in LISTS:
                found.append(value)
    return found


_elements = lru_cache(maxsize=1024)(comma_list)
