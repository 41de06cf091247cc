"""SDP, and multipart bodies that hold it."""

import pytest

from siplogs.model import Media, Message, SdpConnection, SdpOwner, SdpSession
from siplogs.sip import parse_sdp, parts, sdp_body
from tests.sip.writing import message_of

OFFER = b"""v=0
o=Z 1795228225 2 IN IP4 192.0.2.66
s=Talk
c=IN IP4 192.0.2.66
t=0 0
m=audio 8000 RTP/AVP 0 8 3 101 9 18 96
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=rtpmap:18 G729/8000
a=rtpmap:9 G722/8000
a=sendonly
m=video 9078/2 RTP/SAVP 97
c=IN IP6 2001:db8::9
a=rtpmap:97 H264/90000
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0
m=image 0 udptl t38
"""


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n"])
def test_reads_an_offer(end: bytes) -> None:
    sdp = parse_sdp(OFFER.replace(b"\n", end))
    assert sdp is not None
    assert sdp.version == "0"
    assert sdp.owner == SdpOwner("Z", "1795228225", "2", "192.0.2.66")
    assert sdp.session == SdpSession("Talk")
    assert sdp.connection == SdpConnection("IN IP4 192.0.2.66", "192.0.2.66")
    codecs = ["PCMU/8000", "PCMA/8000", "GSM/8000", "telephone-event/8000", "G722/8000", "G729/8000", "96"]
    assert sdp.media == [
        Media("audio", 8000, "RTP/AVP", "192.0.2.66", "sendonly", codecs, False),
        Media("video", 9078, "RTP/SAVP", "2001:db8::9", "sendrecv", ["H264/90000"], True),
        Media("image", 0, "udptl", "192.0.2.66", "sendrecv", ["t38"], False),
    ]


def test_the_session_level_gives_the_defaults() -> None:
    sdp = parse_sdp(
        b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 233.252.0.1/127\nt=0 0\na=recvonly\na=fingerprint:sha-256 AB\n"
        b"m=audio 4000 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\nm=audio 5000 RTP/AVP 8\na=inactive\n"
    )
    assert sdp is not None
    assert sdp.media == [
        Media("audio", 4000, "UDP/TLS/RTP/SAVPF", "233.252.0.1", "recvonly", ["opus/48000/2"], True),
        Media("audio", 5000, "RTP/AVP", "233.252.0.1", "inactive", ["PCMA/8000"], True),
    ]


def test_an_rtpmap_overrides_the_static_name() -> None:
    sdp = parse_sdp(b"v=0\nm=audio 1 RTP/AVP 18\na=rtpmap:18 G729A/8000\n")
    assert sdp is not None
    assert sdp.media is not None
    assert sdp.media[0].codecs == ["G729A/8000"]


@pytest.mark.parametrize("body", [b"", b"\r\n", b"hello", b"<xml/>", b"Signal=5\r\n", b"INVITE sip:a SIP/2.0\r\n"])
def test_what_is_no_sdp(body: bytes) -> None:
    assert parse_sdp(body) is None


@pytest.mark.parametrize(
    "body", [b"v=0", b"v=0\nm=", b"v=0\no=\nc=\ns=\nm=audio", b"m=audio x y z", b"v=0\no=a b", b"c=x\no=x"]
)
def test_fragments_give_what_is_there(body: bytes) -> None:
    assert parse_sdp(body) is not None


def test_lines_out_of_order_and_twice() -> None:
    sdp = parse_sdp(b"s=a\nv=0\nc=IN IP4 192.0.2.1\no=- 1 1 IN IP4 192.0.2.2\ns=b\nt=0 0\n")
    assert sdp is not None
    assert (sdp.version, sdp.session, sdp.owner) == ("0", SdpSession("a"), SdpOwner("-", "1", "1", "192.0.2.2"))
    assert sdp.connection == SdpConnection("IN IP4 192.0.2.1", "192.0.2.1")


def test_caps_on_media_and_formats() -> None:
    sdp = parse_sdp(
        b"v=0\n" + b"m=audio 1 RTP/AVP 0\n" * 31 + b"m=audio 1 RTP/AVP" + b" 0" * 500 + b"\nm=audio 2 x 0\n" * 9
    )
    assert sdp is not None
    assert sdp.media is not None
    assert len(sdp.media) == 32
    assert len(sdp.media[-1].codecs or []) == 64


@pytest.mark.parametrize("port", [b"65536", b"-1", b"x", b"9" * 5000])
def test_ports_that_are_none(port: bytes) -> None:
    sdp = parse_sdp(b"v=0\nm=audio " + port + b" RTP/AVP 0\n")
    assert sdp is not None
    assert sdp.media is not None
    assert sdp.media[0].port is None


def with_body(kind: bytes | None, body: bytes) -> Message:
    return message_of(*([("content-type", kind)] if kind is not None else []), body=body)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (b"application/sdp", True),
        (b"Application / SDP ; charset=utf-8", True),
        (None, True),
        (b"text/plain", False),
        (b"", False),
    ],
)
def test_sdp_body_by_content_type(kind: bytes | None, found: bool) -> None:
    assert sdp_body(with_body(kind, OFFER)) == (OFFER if found else None)


def test_no_body_no_sdp() -> None:
    assert sdp_body(with_body(b"application/sdp", b"")) is None
    assert sdp_body(with_body(None, b"hello")) is None


MIXED = b"""preamble
--b=1
Content-Type : application/sdp;charset=x
Content-Disposition: session

v=0
s=-
--b=1
c: application/isup;version=itu-t92+
 ;base=x

\x01\x02\x00
--b=1

no header
--b=1--
epilogue
"""


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("kind", [b'multipart/mixed;boundary="b=1"', b"Multipart/Mixed; x=y; Boundary=b=1"])
def test_multipart(end: bytes, kind: bytes) -> None:
    message = with_body(kind, MIXED.replace(b"\n", end))
    assert parts(message) == [
        ("application/sdp", b"v=0" + end + b"s=-"),
        ("application/isup", b"\x01\x02\x00"),
        ("text/plain", b"no header"),
    ]
    assert sdp_body(message) == b"v=0" + end + b"s=-"


def test_multipart_within_multipart() -> None:
    inner = b"--i\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--i--"
    body = b"--o\r\nContent-Type: multipart/alternative;boundary=i\r\n\r\n" + inner + b"\r\n--o\r\n\r\nx\r\n--o--\r\n"
    assert parts(with_body(b"multipart/mixed;boundary=o", body)) == [("application/sdp", b"v=0"), ("text/plain", b"x")]


def test_a_multipart_body_that_was_cut_gives_what_is_there() -> None:
    message = with_body(b"multipart/mixed;boundary=b", b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=")
    assert parts(message) == [("application/sdp", b"v=0\r\ns=")]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"multipart/mixed", b"--b\r\n\r\nx\r\n--b--"),
        (b"multipart/mixed;boundary=", b"--\r\n\r\nx\r\n----"),
        (b"multipart/mixed;boundary=b", b"nothing"),
        (b"text/plain;boundary=b", b"--b\r\n\r\nx\r\n--b--"),
    ],
)
def test_bodies_without_parts(kind: bytes, body: bytes) -> None:
    assert parts(with_body(kind, body)) == []
    assert sdp_body(with_body(kind, body)) is None


def test_caps_on_parts_and_depth() -> None:
    assert len(parts(with_body(b"multipart/mixed;boundary=b", b"--b\r\n\r\nx\r\n" * 500))) == 64
    nested = b"--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n" * 50
    assert len(parts(with_body(b"multipart/mixed;boundary=b", nested))) <= 64
