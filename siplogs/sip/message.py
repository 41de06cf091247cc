"""A message: start line, headers, body, and what is wrong with it (RFC 3261 7)."""

from functools import lru_cache
from typing import Final

from msgspec import Struct

from siplogs.model import Finding, Message
from siplogs.sip.fields import parse_cseq
from siplogs.sip.findings import finding
from siplogs.sip.names import LISTS, MANDATORY, SINGLE, canonical, spellings
from siplogs.sip.start_line import parse_start_line
from siplogs.sip.text import comma_list, number


class Limits(Struct, frozen=True):
    """How much of a hostile message is read, in lines and bytes; each limit that is hit is a finding."""

    header_count: int = 256
    header_length: int = 8192
    body_size: int = 262_144


DEFAULT_LIMITS: Final = Limits()

_CSEQ_END: Final = 2**31
_LINE_ENDS: Final = (b"\r", b"\n")
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_NO_CONTROL: Final = b"\t" + _PRINTABLE + bytes(range(0x80, 0x100))
_USUAL_HEAD: Final = 3072
_LINES_CACHED: Final = 8192


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
        headers = [*map(_header, lines[1:])]
    except (KeyError, ValueError):
        return _carefully(lines, body, limits)
    if not start.sip or not start.clean or len(body) > limits.body_size:
        return _carefully(lines, body, limits)
    findings = [*start.findings]
    fields = _checked(headers, start.method, body, findings)
    return Message(start.method, start.uri, start.code, start.phrase, start.version, headers, fields, body, findings)


@lru_cache(maxsize=_LINES_CACHED)
def _header(line: bytes) -> tuple[str, bytes]:
    """Read a header line of usual shape; KeyError or ValueError for one that needs the careful reading.

    Cached because most lines stand in every message of a dialog, or in all of a device.
    """
    name, value = line.split(b":", 1)
    if line.removesuffix(b"\r").translate(None, _NO_CONTROL):
        raise ValueError(line)
    line.decode()
    return spellings[name], value.strip()


def _carefully(lines: list[bytes], body: bytes, limits: Limits) -> Message:
    """Read a message of which something is unusual: folded or malformed lines, odd bytes, too much of anything."""
    findings: list[Finding] = []
    head = b"\n".join(lines)
    if len(head) > limits.header_length or len(lines) > limits.header_count:
        lines = _within_limits(lines, limits, findings)
    start = parse_start_line(lines[0])
    headers = _odd_headers(lines[1:], limits, findings)
    fields = dict(reversed(headers))
    if start.sip:
        findings += start.findings
        _check_bytes(head, findings)
        fields = _checked(headers, start.method, body, findings)
    else:
        findings = [*start.findings]
    if len(body) > limits.body_size:
        findings.append(finding("body-too-large", f"{len(body)} bytes"))
        body = body[: limits.body_size]
    return Message(start.method, start.uri, start.code, start.phrase, start.version, headers, fields, body, findings)


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


def _odd_headers(lines: list[bytes], limits: Limits, findings: list[Finding]) -> list[tuple[str, bytes]]:
    """Read header lines of which some are folded, malformed or of a spelling not met before."""
    headers = []
    malformed = []
    for line in _unfolded(lines, limits, findings):
        spelled, colon, value = line.partition(b":")
        name = canonical(spelled) if colon else None
        if name is None:
            malformed.append(line)
        else:
            headers.append((name, value.strip()))
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
    control = [line for line in lines if line.translate(None, _NO_CONTROL)]
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


def _checked(headers: list[tuple[str, bytes]], method: str, body: bytes, findings: list[Finding]) -> dict[str, bytes]:
    """Find what is wrong with the headers as a whole; returns the first value of each."""
    fields = dict(headers)
    if len(fields) != len(headers):
        fields = dict(reversed(headers))
        _check_repeated(headers, findings)
    if not ("via" in fields and "from" in fields and "to" in fields and "call-id" in fields and "cseq" in fields):
        findings += [finding("header-missing", name, name) for name in MANDATORY if name not in fields]
    cseq = fields.get("cseq")
    if cseq is not None:
        findings += _judge_cseq(cseq, method)
    length = fields.get("content-length")
    if length is not None and length != b"%d" % len(body):
        _check_length(length, body, findings)
    return fields


def _check_repeated(headers: list[tuple[str, bytes]], findings: list[Finding]) -> None:
    seen: set[str] = set()
    repeated: dict[str, bytes] = {}
    for name, value in headers:
        if name not in SINGLE:
            continue
        if name in seen:
            repeated.setdefault(name, value)
        seen.add(name)
    findings += [finding("header-repeated", value, name) for name, value in repeated.items()]


@lru_cache(maxsize=1024)
def _judge_cseq(value: bytes, method: str) -> tuple[Finding, ...]:
    """Check a CSeq value against the method of the start line ("" on responses)."""
    cseq = parse_cseq(value)
    if cseq.code is None or cseq.method is None or len(value.split()) != 2:
        return (finding("cseq-malformed", value),)
    found = []
    if len(cseq.code) > 10 or int(cseq.code) >= _CSEQ_END:
        found.append(finding("cseq-out-of-range", cseq.code))
    if method and cseq.method != method:
        found.append(finding("cseq-method-mismatch", f"{cseq.method}, {method}"))
    return tuple(found)


def _check_length(claimed: bytes, body: bytes, findings: list[Finding]) -> None:
    """Compare with the body as logged and as sent: a logger that dropped the CRs made it shorter."""
    length = number(claimed)
    if length is None:
        findings.append(finding("content-length-invalid", claimed))
    elif length not in (len(body), len(body) + body.count(b"\n") - body.count(b"\r\n")):
        findings.append(finding("content-length-mismatch", f"it says {length}, the body has {len(body)}"))


def first(message: Message, name: str) -> bytes | None:
    """Give the value of the first header with this canonical name, None when there is none."""
    return message.fields.get(name)


def values(message: Message, name: str) -> list[bytes]:
    """Give every value of the header with this canonical name; lists are split at their commas (RFC 3261 7.3.1)."""
    found = []
    for header, value in message.headers:
        if header == name:
            if b"," in value and name in LISTS:
                found += _elements(value)
            elif value or name not in LISTS:
                found.append(value)
    return found


_elements = lru_cache(maxsize=1024)(comma_list)
