"""Secrets are cut out of log bytes, whatever their clothes, and nothing else is changed."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siplogs.enrich.redaction import MARKS, redact
from siplogs.packs import Scanner
from siplogs.packs.literals import Literals
from tests.packs.recorded import cut, recorded, scanned, shipped
from tests.packs.writers import WRITERS, message, pjsip

SECRET = b"5ecre7f00dbabe5ecre7"
RULES = {
    product: [rule for pack in shipped().values() if pack.product == product for rule in pack.rules]
    for product in ("asterisk", "freeswitch")
}
MARKING = {product: Literals(rules, MARKS) for product, rules in RULES.items()}

HOLDERS = [
    b'Authorization: Digest username="1001", realm="r", nonce="n1", uri="sip:a@b", response="%s", algorithm=MD5',
    b'Proxy-Authorization: Digest username="1001",response="%s"',
    b"Authorization: Digest username=1001, response=%s, nonce=abc",
    b"Authorization: Digest response='%s'",
    b'Authorization: Digest username="1001", cnonce="%s", nc=00000001',
    b'AUTHORIZATION: DIGEST RESPONSE="%s"',
    b'authorization : digest rEsPoNsE = "%s"',
    b'Authorization: Digest username="1001",\r\n response="%s"',
    b'Authorization: Digest username="1001", response=\r\n\t"%s"',
    b'Authorization:\r\n Digest response="%s"',
    b'Authorization: Digest response="\\"%s"',
    b"Authorization: Basic %s",
    b"Authorization: basic\t%s==",
    b"Authorization:\r\n  Basic\r\n %s",
    b"Proxy-Authorization: Bearer %s.e30.x-y_z",
    b"Authorization: Token %s",
    b"Authorization: Custom a=1,\r\n b=%s",
    b"X-Token: Bearer %s",
    b'Authentication-Info: rspauth="%s", qop=auth',
    b'Proxy-Authentication-Info: nextnonce="%s"',
    b'WWW-Authenticate: Digest realm="r", nonce="%s", stale=true',
    b"Proxy-Authenticate: Digest nonce=%s",
    b"Contact: <sip:alice:%s@192.0.2.7:5060>",
    b"Contact: <SIPS:alice:%s@example.com;transport=tls>",
    b"Contact: <sip:alice:%s,x@example.com>",
    b"Contact: <sip:alice;phone-context=a:%s@example.com>",
    b"Contact: sip:alice:%s@[2001:db8::1]",
    b"Refer-To: <sip:bob@example.com?Route=sip:carol:%s@example.com>",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:%s|2^20|1:32",
    b"a=crypto:2 AES_CM_128_HMAC_SHA1_80 INLINE:%s;inline:%s",
    b"a=ice-pwd:%s",
    b"A=ICE-PWD:%s",
    b"k=base64:%s",
    b"k=clear:%s",
    b"K=uri:https://example.com/%s",
    b"a=key-mgmt:mikey %s",
    b"a=key-mgmt: mikey  %s",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline: %s",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline :%s",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:|%s",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 %s",
    b"a=ice-pwd: %s",
    b"k=base64: %s",
    b'Authorization: Digest response="abc\r\n %s"',
    b'Authorization: Digest response=            "%s"',
    b"Authorization:            Basic %s",
    b"Authorization: %s",
    b"X-Authorization: %s",
    b"X-Info: Bearer: %s",
    b"X-Info: bearer=%s",
    b"X-Info: access_token=%s",
    b'{"access_token":"%s"}',
    b"X-Api-Key: %s",
    b"Cookie: session=%s",
    b'WWW-Authenticate: Digest realm="r", ik="%s", ck="%s"',
    b'Authorization: Digest username="u", auts="%s"',
    b"Refer-To: <sip:bob@example.com?Authorization=Digest%%20response%%3D%%22%s%%22>",
    b"Contact: <sip:alice:12,%s@example.com>",
    b"Contact: <sip:alice:%s;x@example.com>",
    b"Contact: <sip:alice:a@%s@example.com>",
    b'Contact: <sip:alice:"%s"@example.com>',
    b"Contact: <sip:alice%%3A%s@example.com>",
    b"Error-Info: <https://alice:%s@example.com/>",
    b"Alert-Info: <ftp://alice:%s@example.com/ring.wav>",
]
EVENTS = [
    b'Challenge="%s"',
    b'ReceivedChallenge="%s"',
    b'ReceivedHash="%s"',
    b'ExpectedResponse="%s"',
    b'Response="%s"',
    b'Challenge="",Response="%s",ExpectedResponse="%s"',
]
EVENT = (
    b'[Nov 21 02:34:48] SECURITY[30802] res_security_log.c: SecurityEvent="%s",EventTV="2026-11-21T02:34:48.486+0000",'
    b'Severity="Error",Service="PJSIP",EventVersion="1",AccountID="1101",SessionID="1-30811@127.17.0.12",'
    b'LocalAddress="IPV4/UDP/127.17.0.1/5060",RemoteAddress="IPV4/UDP/127.17.0.12/5070",%s\n'
)


def filled(holder: bytes, secret: bytes = SECRET) -> bytes:
    return holder.replace(b"%s", secret)


@pytest.mark.parametrize("holder", HOLDERS + EVENTS)
def test_secret_is_cut(holder: bytes) -> None:
    for before, after in ((b"", b""), (b"Subject: x\r\n", b"\r\nSubject: y\r\n"), (b"v=0\n", b"\nt=0 0\n")):
        found = redact(before + filled(holder) + after)
        assert SECRET not in found
        assert b"[redacted" in found
        assert found.startswith(before)
        assert found.endswith(after)


@pytest.mark.parametrize("holder", HOLDERS + EVENTS)
def test_secret_is_cut_where_the_log_cuts_it(holder: bytes) -> None:
    """A message ends anywhere in the value: what there is of the value is cut as well."""
    whole = filled(holder)
    begin = whole.index(SECRET)
    if b"alice" in holder or b"carol" in holder:
        return  # before the @ nobody can tell a password from a port
    for end in range(begin + 8, begin + len(SECRET) + 1):
        assert whole[begin : begin + 8] not in redact(whole[:end]), end


@pytest.mark.parametrize("length", [100, 5_000, 200_000])
@pytest.mark.parametrize("holder", HOLDERS + EVENTS)
def test_secret_of_any_length(holder: bytes, length: int) -> None:
    if b"alice" in holder or b"carol" in holder:
        length = min(length, 240)  # no host takes a longer URI
    assert b"Zz9Zz9Z" not in redact(filled(holder, b"Zz9" * (length // 3)))


@pytest.mark.parametrize("holder", HOLDERS + EVENTS)
def test_redacting_twice_changes_nothing_more(holder: bytes) -> None:
    once = redact(filled(holder))
    assert redact(once) == once


def test_what_stands_around_stays() -> None:
    text = (
        b'Authorization: Digest username="1001", realm="r", nonce="n1", uri="sip:a@b", response="x", algorithm=MD5\r\n'
    )
    found = redact(text)
    assert found == re.sub(rb'nonce="n1"', redact(b'nonce="n1"'), text).replace(
        b'response="x"', b'response="[redacted]"'
    )
    assert redact(b"Contact: <sip:alice:pw@192.0.2.7:5060;lr>") == b"Contact: <sip:alice:[redacted]@192.0.2.7:5060;lr>"
    crypto = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc|2^20|1:32\r\n"
    assert redact(crypto) == crypto.replace(b"abc", b"[redacted]")


def test_nonce_becomes_a_short_hash_that_stays_the_same() -> None:
    one = redact(b'WWW-Authenticate: Digest realm="r", nonce="abc123"')
    same = redact(b'Authorization: Digest nonce=abc123, realm="r"')
    other = redact(b'WWW-Authenticate: Digest realm="r", nonce="abc124"')
    mark = re.search(rb"\[redacted:([0-9a-f]{8})\]", one)
    assert mark is not None
    assert mark[0] in same
    assert mark[0] not in other
    assert b"abc12" not in one + same + other


@pytest.mark.parametrize(
    "text",
    [
        b"",
        message(b"hello"),
        message(b"v=0\r\na=fingerprint:sha-256 AA:BB\r\na=ice-ufrag:x\r\nk=prompt\r\n", b"Content-Type: application/sdp"),
        b"SIP/2.0 200 OK\r\nContact: <sip:alice@192.0.2.7:5060>;expires=60, <sip:bob@[2001:db8::1]:5061>\r\n\r\n",
        b"Contact: sip:192.0.2.7:5060,sip:bob@example.com",
        b"Route: <sip:192.0.2.7:5060;lr>,<sip:bob@example.com>",
        b"To: sip:192.0.2.7:5060;user=a@b",
        b"From: <sip:alice@example.com>;tag=1\r\nTo: <tel:+34600000000>",
        b'Warning: 399 x "no response given"',
        b"Refer-To: sip:192.0.2.7:5060?Subject=a@b",
        b"[Nov 21 02:17:09] NOTICE[1] chan_sip.c: Peer 'x' is now UNREACHABLE!  Last qualify: 0",
        b'WWW-Authenticate: Digest realm="r", qop="auth", opaque="o", algorithm=MD5',
        b"Allow: INVITE, ACK",
    ],
)  # fmt: skip
def test_text_without_secrets_is_the_same_object(text: bytes) -> None:
    assert redact(text) is text


@pytest.mark.parametrize("text", [b'nonce=""', b'response=""', b'Challenge=""', b"response="])
def test_empty_values_are_left(text: bytes) -> None:
    assert redact(text) == text


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([*HOLDERS, *EVENTS, b"\r\n", b"SIP/2.0", b"=", b'"', b"sip:", b":", b"@"])
        | st.binary(max_size=30),
        max_size=12,
    )
)
def test_any_bytes_keep_no_secret_and_redact_the_same_twice(pieces: list[bytes]) -> None:
    text = b"\r\n".join(filled(piece) for piece in pieces)
    assert redact(redact(text)) == redact(text)


def marked(log: bytes, places: list[int], product: str = "asterisk") -> list[bool]:
    """Whether the scanner noted a mark in each record."""
    return [bool(record.marked) for record in Scanner(MARKING[product]).scan(cut(log, places))]


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("writer", WRITERS)
def test_the_scanner_marks_every_record_that_holds_a_secret(holder: bytes, writer: str) -> None:
    product, write = WRITERS[writer]
    entry = write(message(b"", filled(holder)))
    assert marked(write(message()) + entry + write(message()), [], product) == [False, True, False]


@pytest.mark.parametrize("holder", EVENTS)
def test_the_scanner_marks_security_events(holder: bytes) -> None:
    event = EVENT % (b"ChallengeResponseFailed", filled(holder))
    assert marked(event, []) == [True]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_marks_do_not_depend_on_where_blocks_end(data: st.DataObject) -> None:
    """A record whose mark is overlooked would be printed with its secret."""
    product, write = WRITERS[data.draw(st.sampled_from(sorted(WRITERS)))]
    secret = write(message(b"", filled(data.draw(st.sampled_from(HOLDERS)))))
    if product == "asterisk" and data.draw(st.booleans()):
        long = write(message(b"", b"X-Long: " + b"h" * data.draw(st.integers(7000, 8100)), filled(HOLDERS[0])))
        secret = long[:8191]
    plain = write(message())
    log = plain + secret + plain + plain
    places = data.draw(st.lists(st.integers(0, len(log)), max_size=4))
    whole = [record.marked for record in Scanner(MARKING[product]).scan([log])]
    found = [record.marked for record in Scanner(MARKING[product]).scan(cut(log, places))]
    assert [one & other for one, other in zip(found, whole, strict=True)] == whole


def test_marks_are_seen_beyond_the_end_of_a_range() -> None:
    """A body that looks like an entry may end a range: the message reaches beyond it, and so does its secret."""
    forged = b"[Nov 21 02:17:08] NOTICE[1] chan_sip.c: x"
    log = pjsip(message(b"\r\n".join([b"text", forged, *[b"fill" * 100] * 10, filled(HOLDERS[0])]))) + pjsip(message())
    scanner = Scanner(MARKING["asterisk"], stop=log.index(b"\n" + forged) + 1)
    (record,) = scanner.scan([log])
    assert SECRET in (record.payload or b"")
    assert record.marked


@pytest.mark.parametrize(
    ("product", "name"),
    [
        ("asterisk", "asterisk/asterisk22-pjsip-codes.log"),
        ("asterisk", "asterisk/asterisk16-chan_sip-codes.log"),
        ("freeswitch", "freeswitch/freeswitch-1.10-siptrace-codes.log"),
        ("freeswitch", "freeswitch/freeswitch-oldtrace-siptrace.log"),
    ],
)
def test_marks_of_recorded_logs_leave_nothing_to_cut(product: str, name: str) -> None:
    log = recorded(name)
    records = list(Scanner(MARKING[product]).scan(cut(log, range(30_011, len(log), 30_011))))
    assert len(records) == len(scanned(log, product)[0])
    for record in records:
        assert redact(record.raw, record.marked) == redact(record.raw)
        assert redact(record.payload or b"", record.marked) == redact(record.payload or b"")
        if not record.marked:
            assert redact(record.raw) is record.raw
    assert any(record.marked for record in records)
    assert not all(record.marked for record in records)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *HOLDERS,
                *EVENTS,
                b"rspauth = %s",
                b"hash = '%s'",
                b"Challenge =%s",
                b"basic\n %s",
                b"\r\n",
                b"a",
                b'{"Basic": "%s"}',
                b"bearer='%s'",
            ]
        )
        | st.binary(max_size=20),
        max_size=4,
    )
)
def test_what_the_marks_say_is_all_that_there_is_to_cut(pieces: list[bytes]) -> None:
    """The scanner's marks let patterns be skipped, so they must miss nothing that these cut."""
    text = b" ".join(filled(piece) for piece in pieces)
    _, marks = MARKING["asterisk"].find(text, 0, len(text))
    found = 0
    for _, bit in marks:
        found |= bit
    assert redact(text, found) == redact(text)


@pytest.mark.parametrize(
    "piece",
    [b"response=", b'response="', b"nonce=\n", b'nonce="a" ', b"sip:a:", b"sip:" + b"a" * 250, b"uthorization:", b"basic ",
     b"uthorization: x\r\n ", b"bearer abc", b"inline:", b"digest:a:", b'\\"', b'response="\\', b"\nk=clear:", b"@", b" "],
)  # fmt: skip
def test_long_near_misses_end(piece: bytes) -> None:
    """200 kB of what is almost a secret; were the time to grow with the square, this would take minutes."""
    text = piece * (200_000 // len(piece))
    for near in (text, b"@uthorization: basic inline: " + text + b"@"):
        assert len(redact(near)) > 0
