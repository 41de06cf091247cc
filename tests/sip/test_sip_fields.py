"""CSeq, Reason, Warning, Retry-After, Session-Expires, Session-ID, credentials."""

import base64

import msgspec
import pytest

from siplogs.model import Credentials, CSeq, Reason, Uri, WarningValue
from siplogs.sip import (
    parse_credentials,
    parse_cseq,
    parse_reason,
    parse_retry_after,
    parse_session_expires,
    parse_session_id,
    parse_warning,
)

SECRET = "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1 INVITE", CSeq("1", "INVITE")),
        (b"0009  register", CSeq("0009", "REGISTER")),
        (b"7 newmethod", CSeq("7", "newmethod")),
        (b"36893488147419103232 BYE", CSeq("36893488147419103232", "BYE")),
        (b"INVITE", CSeq(None, "INVITE")),
        (b"12", CSeq("12", None)),
        (b"x INVITE", CSeq(None, "INVITE")),
        (b"", CSeq()),
    ],
)
def test_cseq(value: bytes, expected: CSeq) -> None:
    assert parse_cseq(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'Q.850;cause=16;text="Normal call clearing"', [Reason("Q.850", 16, "Normal call clearing")]),
        (b'SIP ;cause=200 ;text="Call completed elsewhere", Q.850;cause=26', [
            Reason("SIP", 200, "Call completed elsewhere"), Reason("Q.850", 26),
        ]),
        (b'SIP;text="a;cause=5, \\"b\\"";CAUSE=480', [Reason("SIP", 480, 'a;cause=5, "b"')]),
        (b"Q.850;cause=16a", [Reason("Q.850")]),
        (b"Q.850;cause=99999", [Reason("Q.850")]),
        (b"", []),
    ],
)  # fmt: skip
def test_reason(value: bytes, expected: list[Reason]) -> None:
    assert parse_reason(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'307 isi.edu "Session parameter \'foo\' not understood"', [
            WarningValue(307, "isi.edu", "Session parameter 'foo' not understood"),
        ]),
        (b'301 a:5060 "x, y", 399 b "z"', [WarningValue(301, "a:5060", "x, y"), WarningValue(399, "b", "z")]),
        (b"399 b", [WarningValue(399, "b")]),
        (b'1812 overture "In Progress"', [WarningValue(text='1812 overture "In Progress"')]),
        (b"", []),
    ],
)  # fmt: skip
def test_warning(value: bytes, expected: list[WarningValue]) -> None:
    assert parse_warning(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"18000;duration=3600", 18000),
        (b"120 (I'm in a meeting)", 120),
        (b" 5 ", 5),
        (b"0", 0),
        (b"-1", None),
        (b"soon", None),
        (b"949302838503028349304023988", None),
        (b"", None),
    ],
)
def test_retry_after(value: bytes, expected: int | None) -> None:
    assert parse_retry_after(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1800", (1800, None)),
        (b"1800;refresher=UAC", (1800, "uac")),
        (b"90 ; x ; Refresher = uas", (90, "uas")),
        (b"x;refresher=uas", (None, "uas")),
        (b"", (None, None)),
    ],
)
def test_session_expires(value: bytes, expected: tuple[int | None, str | None]) -> None:
    assert parse_session_expires(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"ab30317f1a784dc48ff824d0d3715d86;remote=47755A9DE7794ba387653f2099600ef2", (
            "ab30317f1a784dc48ff824d0d3715d86", "47755a9de7794ba387653f2099600ef2",
        )),
        (b"ab30317f1a784dc48ff824d0d3715d86", ("ab30317f1a784dc48ff824d0d3715d86", None)),
        (b"", (None, None)),
    ],
)  # fmt: skip
def test_session_id(value: bytes, expected: tuple[str | None, str | None]) -> None:
    assert parse_session_id(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f'Digest username="alice", realm="a, b", nonce="n=1", uri="sip:example.com",response="{SECRET}",algorithm=MD5',
         Credentials("Digest", "a, b", "alice", "MD5", None, Uri("sip:example.com", "sip", None, "example.com"))),
        ('Digest realm="asterisk",nonce="1/2",opaque="0",algorithm=SHA-256,qop="auth",stale=TRUE',
         Credentials("Digest", "asterisk", None, "SHA-256", True)),
        ('Digest realm="x", stale=false', Credentials("Digest", "x", stale=False)),
        ('digest  Username = "a\\"b" ,Realm="r"', Credentials("digest", "r", 'a"b')),
        (f'Digest username=alice,realm=r,response={SECRET}', Credentials("Digest", "r", "alice")),
        (f'Bearer {SECRET}', Credentials("Bearer")),
        ('Bearer realm="example.com", authz_server="https://example.com/"', Credentials("Bearer", "example.com")),
        ('Basic realm="r"', Credentials("Basic", "r")),
        ("Basic " + base64.b64encode(f"alice:{SECRET}".encode()).decode(), Credentials("Basic", None, "alice")),
        ("Basic " + base64.b64encode(SECRET.encode()).decode(), Credentials("Basic")),
        ("Basic !!!", Credentials("Basic")),
        ("Digest", Credentials("Digest")),
        ("", Credentials()),
    ],
)  # fmt: skip
def test_credentials(value: str, expected: Credentials) -> None:
    assert parse_credentials(value.encode()) == expected


@pytest.mark.parametrize(
    "value",
    [
        f'Digest username="alice, realm="r", response="{SECRET}"',
        f'Digest username="alice\\", response="{SECRET}", realm="r"',
        f'Digest username="alice response="{SECRET}"',
        f'Digest realm="r, response={SECRET}',
        f'Digest realm="r, response={SECRET}, nonce="n"',
        f"Digest realm=r;response={SECRET}",
        f'Digest realm=r response="{SECRET}"',
        f'Digest uri="sip:example.com, response={SECRET}", realm="r"',
        f'Digest username="x",RESPONSE = "{SECRET}"',
        f'Basic realm="r", {SECRET}',
    ],
)
def test_no_shape_of_broken_quoting_lets_the_response_out(value: str) -> None:
    assert SECRET not in msgspec.json.encode(parse_credentials(value.encode())).decode()
