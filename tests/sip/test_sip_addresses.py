"""URIs, parties, contacts and Via values."""

import pytest

from siplogs.model import Contact, Party, Uri, Via
from siplogs.sip import parse_contact, parse_party, parse_uri, parse_via, uri_parameters

ALICE = Uri("sip:alice@example.com", "sip", "alice", "example.com")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"sip:600@192.0.2.1:5060", ("sip", "600", "192.0.2.1", "5060")),
        (b"sip:192.0.2.1", ("sip", None, "192.0.2.1", None)),
        (b"SIPS:Bob@Example.COM", ("sips", "Bob", "Example.COM", None)),
        (b"sip:a@example.com;transport=tcp;lr?subject=x@y", ("sip", "a", "example.com", None)),
        (b"sip:a:secret@example.com", ("sip", "a", "example.com", None)),
        (b"sip:+1555;phone-context=x@example.com;user=phone", ("sip", "+1555;phone-context=x", "example.com", None)),
        (b"sip:j%40x%20y@example.com", ("sip", "j@x y", "example.com", None)),
        (b"sip:%E2%82%AC@example.com", ("sip", "€", "example.com", None)),
        (b"sip:%FF@example.com", ("sip", "\ufffd", "example.com", None)),
        (b"sip:100%@example.com", ("sip", "100%", "example.com", None)),
        (b"sip:a@b@example.com;x=c@d", ("sip", "a@b", "example.com", None)),
        (b"sip:example.com;x=c@d", ("sip", "example.com;x=c", "d", None)),
        (b"sip:a@[2001:db8::1]:5061", ("sip", "a", "2001:db8::1", "5061")),
        (b"sip:[2001:db8::1]", ("sip", None, "2001:db8::1", None)),
        (b"sip:a@[2001:db8::1", ("sip", "a", "2001:db8::1", None)),
        (b"sip:a@2001:db8::1", ("sip", "a", "2001:db8::1", None)),
        (b"sip:a@example.com: 5060", ("sip", "a", "example.com", "5060")),
        (b"sip:a@example.com:port", ("sip", "a", "example.com", "port")),
        (b"sip:@example.com", ("sip", None, "example.com", None)),
        (b"sip:", ("sip", None, None, None)),
        (b"<sip:a@example.com>", ("sip", "a", "example.com", None)),
        (b" sip:a@example.com ", ("sip", "a", "example.com", None)),
        (b"tel:+1-201-555-0123;phone-context=example.com", ("tel", "+1-201-555-0123", None, None)),
        (b"tel:110", ("tel", "110", None, None)),
        (b"urn:service:sos", ("urn", None, None, None)),
        (b"https://example.com/a", ("https", None, None, None)),
        (b"pres:a@example.com", ("pres", "a", "example.com", None)),
        (b"600@192.0.2.1", (None, None, None, None)),
        (b"192.0.2.1:5060", (None, None, None, None)),
        (b"localhost:5060", (None, None, None, None)),
        (b"example.com:5060;lr", (None, None, None, None)),
        (b"sip", (None, None, None, None)),
        (b"*", (None, None, None, None)),
        (b"", (None, None, None, None)),
    ],
)
def test_uris(value: bytes, expected: tuple[str | None, ...]) -> None:
    uri = parse_uri(value)
    assert (uri.scheme, uri.username, uri.host, uri.port) == expected
    assert uri.original == (value.decode() or None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"sip:a@example.com;Transport=TCP;lr;x=%41", {"transport": "TCP", "lr": "", "x": "A"}),
        (b"sip:a;b=c@example.com", {}),
        (b"sip:a;b=c@example.com;d=e@f?g;h=i", {"d": "e@f"}),
        (b"<sip:example.com;line=x>;expires=3", {"line": "x"}),
        (b"tel:+1555;ext=7", {"ext": "7"}),
        (b"nothing", {}),
        (b"", {}),
    ],
)
def test_uri_parameters(value: bytes, expected: dict[str, str]) -> None:
    assert uri_parameters(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"<sip:alice@example.com>", Party(uri=ALICE)),
        (b"sip:alice@example.com", Party(uri=ALICE)),
        (b"sip:alice@example.com;tag=1", Party(tag="1", uri=ALICE)),
        (b'"Alice" <sip:alice@example.com>;tag=1', Party("Alice", "1", ALICE)),
        (b"Alice B<sip:alice@example.com> ; x ; TAG = 1 ;y=2", Party("Alice B", "1", ALICE)),
        (rb'"A \"the\\ <x>\" B, C" <sip:alice@example.com>;tag=1', Party('A "the\\ <x>" B, C', "1", ALICE)),
        (b'"a > b <c>" <sip:alice@example.com>', Party("a > b <c>", uri=ALICE)),
        (b'"<sip:x@example.com>" <sip:alice@example.com>;tag=1', Party("<sip:x@example.com>", "1", ALICE)),
        (b'"Alice" <sip:alice@example.com>;x=";tag=2";tag=1', Party("Alice", "1", ALICE)),
        (b'"Alice <sip:alice@example.com>;tag=1', Party("Alice", "1", ALICE)),
        (b'"Alice"', Party("Alice")),
        (b'"" <sip:alice@example.com>', Party(uri=ALICE)),
        ("Zoë <sip:alice@example.com>".encode(), Party("Zoë", uri=ALICE)),
        (b"caf\xe9 <sip:alice@example.com>", Party("caf\ufffd", uri=ALICE)),
        (b"<sip:alice@example.com", Party(uri=ALICE)),
        (b"<sip:alice@example.com>;tag=", Party(uri=ALICE)),
        (b"<sip:alice@example.com>;tag=1, <sip:b@example.com>;tag=2", Party(tag="1", uri=ALICE)),
        (b"<sip:alice@example.com>, <sip:b@example.com>;tag=2", Party(uri=ALICE)),
        (b'"Anonymous" <sip:anonymous@anonymous.invalid>;tag=x', Party(
            "Anonymous", "x", Uri("sip:anonymous@anonymous.invalid", "sip", "anonymous", "anonymous.invalid"),
        )),
        (b"<tel:+15550123>", Party(uri=Uri("tel:+15550123", "tel", "+15550123"))),
        (b"<>", Party()),
        (b"", Party()),
    ],
)  # fmt: skip
def test_parties(value: bytes, expected: Party) -> None:
    assert parse_party(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"<sip:alice@example.com>", Contact(uri=ALICE)),
        (b"*", Contact(uri=Uri("*"))),
        (b'"A" <sip:alice@example.com;transport=TLS;line=k7>;q=0.5;Expires=60;+sip.instance="<urn:uuid:1;expires=9>"', (
            Contact("A", Uri("sip:alice@example.com;transport=TLS;line=k7", "sip", "alice", "example.com"),
                    "tls", "k7", "60", "0.5")
        )),
        (b'<sip:alice@example.com>;expires="60"', Contact(uri=ALICE, expires="60")),
        (b"sip:alice@example.com;expires=60", Contact(uri=ALICE, expires="60")),
        (b"<sip:alice@example.com>;q=1, <sip:b@example.com>;expires=5", Contact(uri=ALICE, q="1")),
        (b"", Contact()),
    ],
)  # fmt: skip
def test_contacts(value: bytes, expected: Contact) -> None:
    assert parse_contact(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport", Via("udp", "192.0.2.1", 5060, "z9hG4bK1")),
        (b"SIP/2.0/TLS example.com", Via("tls", "example.com")),
        (b"SIP/2.0/UDP 10.0.0.1;rport=5062;received=192.0.2.9;branch=b", Via(
            "udp", "10.0.0.1", None, "b", "192.0.2.9", 5062,
        )),
        (b"SIP/2.0/UDP [2001:db8::1]:5070;received=[2001:db8::2];branch=b", Via(
            "udp", "2001:db8::1", 5070, "b", "2001:db8::2",
        )),
        (b"SIP/2.0/UDP 192.0.2.1;received=2001:db8::2", Via("udp", "192.0.2.1", received="2001:db8::2")),
        (b"sip / 2.0 /\tWss  x.invalid ; BRANCH = b ; alias", Via("wss", "x.invalid", None, "b")),
        (b'SIP/2.0/UDP 192.0.2.1;x=";branch=no";branch=yes', Via("udp", "192.0.2.1", None, "yes")),
        (b"SIP/2.0/UDP 192.0.2.1;branch=1, SIP/2.0/TCP 192.0.2.2;branch=2", Via("udp", "192.0.2.1", None, "1")),
        (b"SIP/2.0/UDP 192.0.2.1, SIP/2.0/TCP 192.0.2.2;received=192.0.2.3", Via("udp", "192.0.2.1")),
        (b"SIP/2.0/UDP 192.0.2.1:99999;rport=99999", Via("udp", "192.0.2.1")),
        (b"SIP/2.0/UDP 192.0.2.1:x;rport=x", Via("udp", "192.0.2.1")),
        (b"SIP/2.0/UDP", Via("udp")),
        (b"192.0.2.1:5060", Via("", "192.0.2.1", 5060)),
        (b"", Via()),
    ],
)  # fmt: skip
def test_vias(value: bytes, expected: Via) -> None:
    assert parse_via(value) == expected
