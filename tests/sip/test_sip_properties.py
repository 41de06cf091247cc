"""What must hold for every input: nothing raises, and spellings of one message read the same."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siplogs.sip import (
    Limits,
    first,
    parse_contact,
    parse_credentials,
    parse_cseq,
    parse_message,
    parse_party,
    parse_reason,
    parse_retry_after,
    parse_sdp,
    parse_session_expires,
    parse_session_id,
    parse_uri,
    parse_via,
    parse_warning,
    parts,
    sdp_body,
    uri_parameters,
    values,
)
from siplogs.sip.names import COMPACT, LISTS
from tests.sip.writing import message_of

PARSERS: list[Callable[[bytes], Any]] = [
    parse_contact, parse_credentials, parse_cseq, parse_party, parse_reason, parse_retry_after, parse_sdp,
    parse_session_expires, parse_session_id, parse_uri, parse_via, parse_warning, uri_parameters,
]  # fmt: skip

SHORT = {name: short for short, name in COMPACT.items()}
PIECES = [
    b'"', b"\\", b"<", b">", b";", b",", b":", b"@", b"=", b"?", b"%", b"%4", b"[", b"]", b"/", b" ", b"\t", b"\r",
    b"\n", b"\r\n", b"\r\n\r\n", b"sip:", b"tel:", b"SIP/2.0", b"SIP/2.0/UDP ", b"INVITE ", b"200", b"tag=",
    b"branch=", b"rport", b"Digest ", b"Basic ", b"realm=", b"uri=", b"response=", b"v=0", b"\nm=", b"\na=rtpmap:",
    b"\nc=", b"\no=", b"--b", b"Content-Type: multipart/mixed;boundary=b", b"Content-Length: ", b"CSeq: ", b"9" * 30,
    b"\xff", b"\xc3", b"\0", b"a",
]  # fmt: skip
hostile = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: str(parser.__name__))
@settings(deadline=None)
@given(value=hostile)
def test_no_value_raises(parser: Callable[[bytes], Any], value: bytes) -> None:
    parser(value)


@settings(deadline=None)
@given(data=hostile)
def test_no_message_raises(data: bytes) -> None:
    for limits in (Limits(), Limits(header_count=2, header_length=10, body_size=5)):
        message = parse_message(data, limits=limits)
        assert len(message.body) <= limits.body_size
        assert len(message.headers) <= limits.header_count
        assert all(len(value) <= limits.header_length for _, value in message.headers)
        assert message.method or message.code or message.findings
        parts(message)
        sdp_body(message)
        for name, value in message.headers:
            assert name == name.lower()
            assert value == value.strip()
            assert first(message, name) == next(value for known, value in message.headers if known == name)
            assert b"".join(values(message, name)) or not b"".join(v for n, v in message.headers if n == name).strip(
                b", "
            )


@settings(deadline=None)
@given(kind=hostile, body=hostile)
def test_no_body_raises(kind: bytes, body: bytes) -> None:
    message = message_of(("content-type", kind), body=body)
    assert all(isinstance(content, bytes) for _, content in parts(message))
    sdp_body(message)


token = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", min_size=1, max_size=12).filter(lambda text: text.strip("-."))
words = st.lists(st.text("abcXYZ0189:;=,<>@\"'%", min_size=1, max_size=10), min_size=1, max_size=5)
headers = st.lists(st.tuples(st.one_of(st.sampled_from(sorted(LISTS | set(SHORT))), token), words), max_size=12)


def spell(name: str, draw: Callable[[Any], Any]) -> str:
    spelled = draw(st.sampled_from([name, name.upper(), name.title(), name.swapcase(), SHORT.get(name, name)]))
    return str(spelled) + draw(st.sampled_from(["", " ", "\t"])) + ":" + draw(st.sampled_from(["", " ", "   "]))


@settings(deadline=None, max_examples=200)
@given(fields=headers, body=st.binary(max_size=50), data=st.data())
def test_case_compact_forms_folding_and_line_ends_do_not_matter(
    fields: list[tuple[str, list[str]]], body: bytes, data: st.DataObject
) -> None:
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    fold = st.sampled_from([" ", f"{end} ", f" {end}\t \t", f"{end}    "])
    plain, odd = "INVITE sip:a@example.com SIP/2.0\r\n", f"INVITE sip:a@example.com SIP/2.0{end}"
    for given_name, content in fields:
        name = COMPACT.get(given_name, given_name)
        plain += f"{name}: {' '.join(content)}\r\n"
        odd += spell(name, data.draw) + content[0] + "".join(data.draw(fold) + word for word in content[1:])
        odd += data.draw(st.sampled_from(["", "  "])) + end
    expected = parse_message(plain.encode() + b"\r\n" + body)
    got = parse_message(odd.encode() + end.encode() + body)
    assert expected.headers == [(COMPACT.get(n, n), " ".join(c).encode()) for n, c in fields]
    assert (got.headers, got.body, got.method, got.uri) == (expected.headers, body, expected.method, expected.uri)
    assert [finding.id for finding in got.findings] == [finding.id for finding in expected.findings]


@settings(deadline=None)
@given(fields=headers)
def test_a_message_whose_log_lost_the_carriage_returns_reads_the_same(fields: list[tuple[str, list[str]]]) -> None:
    body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n"
    lines = "".join(f"{name}: {' '.join(content)}\r\n" for name, content in fields)
    data = b"SIP/2.0 200 OK\r\n" + lines.encode() + b"l: %d\r\n\r\n" % len(body) + body
    sent, logged = parse_message(data), parse_message(data.replace(b"\r\n", b"\n"))
    assert logged.headers == sent.headers
    assert logged.body == body.replace(b"\r\n", b"\n")
    if not any(name in ("content-length", "l") for name, _ in fields):
        assert logged.findings == sent.findings


@settings(deadline=None)
@given(tag=token, user=token, host=token, display=st.text(max_size=20).filter(lambda text: text.strip()))
def test_a_party_that_was_written_is_read_back(tag: str, user: str, host: str, display: str) -> None:
    display = display.strip()
    quoted = display.replace("\\", "\\\\").replace('"', '\\"')
    party = parse_party(f'"{quoted}" <sip:{user}@{host};x=1>;y=2;tag={tag}'.encode("utf-8", "replace"))
    assert party.display_info == display.encode("utf-8", "replace").decode()
    assert party.tag == tag
    assert party.uri is not None
    assert (party.uri.username, party.uri.host) == (user, host)


@settings(deadline=None)
@given(secret=st.text("0123456789abcdef", min_size=32, max_size=32), noise=hostile)
def test_no_digest_response_comes_out(secret: str, noise: bytes) -> None:
    for value in (
        b'Digest username="a", response="' + secret.encode() + b'"' + noise,
        b"Digest " + noise.replace(b'"', b"") + b', response="' + secret.encode() + b'", realm="r"',
    ):
        assert secret not in repr(parse_credentials(value))


@pytest.mark.parametrize(
    "pattern",
    [b'"', b'\\"', b'a="\\"', b"<", b"a", b"a ", b",", b";", b'="', b"%", b"=", b' "', b"@", b"[", b"\n ", b"\n--b"],
)
@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: str(parser.__name__))
def test_long_hostile_values_are_read(parser: Callable[[bytes], Any], pattern: bytes) -> None:
    parser(b'"' + pattern * (65536 // len(pattern)))
    parser(b"Digest " + pattern * (65536 // len(pattern)) + b", x")
