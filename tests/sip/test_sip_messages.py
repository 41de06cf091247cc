"""Messages: start lines, header shapes, what is found wrong, limits."""

import pytest

from siplogs.model import Message
from siplogs.sip import DEFAULT_LIMITS, Limits, first, parse_message, values
from siplogs.sip.findings import KINDS
from tests.sip.writing import message_of

HEADERS = b"""\
Via: SIP/2.0/UDP 192.0.2.66:5060;branch=z9hG4bK-1;rport
Max-Forwards: 70
From: "Alice" <sip:alice@192.0.2.1>;tag=8f3c1a2b
To: <sip:600@192.0.2.1>
Call-ID: call-1@192.0.2.66
CSeq: 1 INVITE
Contact: <sip:alice@192.0.2.66:5060>
Content-Type: application/sdp
"""
BODY = b"v=0\r\no=- 1 1 IN IP4 192.0.2.66\r\ns=-\r\n"


def request(
    start: bytes = b"INVITE sip:600@192.0.2.1 SIP/2.0", headers: bytes = HEADERS, body: bytes = BODY, length: int = -1
) -> bytes:
    head = start + b"\n" + headers + b"Content-Length: %d\n\n" % (len(body) if length < 0 else length)
    return head.replace(b"\n", b"\r\n") + body


def ids(message: Message) -> list[str]:
    return [finding.id for finding in message.findings]


def without(name: bytes) -> bytes:
    return b"".join(line for line in HEADERS.splitlines(keepends=True) if not line.startswith(name + b":"))


def with_value(name: bytes, value: bytes) -> bytes:
    return without(name) + name + b": " + value + b"\n"


def test_reads_a_request() -> None:
    message = parse_message(request())
    assert (message.method, message.uri, message.version) == ("INVITE", "sip:600@192.0.2.1", "2.0")
    assert (message.code, message.phrase) == (0, "")
    assert [name for name, _ in message.headers] == [
        "via", "max-forwards", "from", "to", "call-id", "cseq", "contact", "content-type", "content-length",
    ]  # fmt: skip
    assert first(message, "from") == b'"Alice" <sip:alice@192.0.2.1>;tag=8f3c1a2b'
    assert message.body == BODY
    assert message.findings == []


def test_reads_a_response() -> None:
    message = parse_message(request(b"SIP/2.0 486 Busy Here"))
    assert (message.method, message.uri, message.code, message.phrase) == ("", "", 486, "Busy Here")
    assert message.findings == []


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"SIP/2.0 200", (200, "")),
        (b"SIP/2.0 200 ", (200, "")),
        (b"sip/2.0 200 OK", (200, "OK")),
        ("SIP/2.0 403 Interdit à l'accès".encode(), (403, "Interdit à l'accès")),
    ],
)
def test_reads_status_lines_of_other_shapes(start: bytes, expected: tuple[int, str]) -> None:
    message = parse_message(request(start))
    assert (message.code, message.phrase) == expected
    assert message.findings == []


@pytest.mark.parametrize(
    ("start", "expected", "found"),
    [
        (b"SIP/3.0 200 OK", ("", 200), ["version-unknown"]),
        (b"INVITE sip:a@example.com SIP/3.0", ("INVITE", 0), ["version-unknown"]),
        (b"SIP/2.0  200 OK", ("", 200), ["start-line-blanks"]),
        (b"SIP/2.0 099 Low", ("", 99), ["status-code-invalid"]),
        (b"SIP/2.0 700 High", ("", 700), ["status-code-invalid"]),
        (b"SIP/2.0 2000 Long", ("", 0), ["status-code-invalid"]),
        (b"SIP/2.0 OK", ("", 0), ["status-code-invalid"]),
        (b"SIP/2.0", ("", 0), ["status-code-invalid"]),
        (b"invite sip:a@example.com SIP/2.0", ("INVITE", 0), ["method-lower-case"]),
        (b"Invite sip:a@example.com SIP/2.0", ("INVITE", 0), ["method-lower-case"]),
        (b"INVITE sip:a@example.com", ("INVITE", 0), ["start-line-malformed"]),
        (b"INVITE SIP/2.0", ("INVITE", 0), ["start-line-malformed"]),
        (b"INVITE sip:a b@example.com SIP/2.0", ("INVITE", 0), ["request-uri-malformed"]),
        (b"INVITE\tsip:a@example.com SIP/2.0", ("INVITE", 0), ["start-line-blanks"]),
    ],
)
def test_reads_odd_start_lines_and_says_so(start: bytes, expected: tuple[str, int], found: list[str]) -> None:
    message = parse_message(request(start))
    assert (message.method, message.code) == expected
    assert [name for name in ids(message) if name != "control-characters"] == found


def test_a_lost_start_line_does_not_lose_the_headers() -> None:
    message = parse_message(request()[len(b"INVITE sip:600@192.0.2.1 SIP/2.0\r\n") :])
    assert (message.method, message.code) == ("", 0)
    assert "start-line-missing" in ids(message)
    assert first(message, "call-id") == b"call-1@192.0.2.66"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"OPTIONS * HTTP/1.0\r\n\r\n",
        b"jaK",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello: world\r\n\r\n",
    ],
)
def test_what_is_no_sip_has_one_finding(data: bytes) -> None:
    message = parse_message(data)
    assert (message.method, message.uri, message.code, message.version) == ("", "", 0, "")
    assert ids(message) == ["not-sip"]


def test_compact_forms_become_long_names() -> None:
    compact = b"a b c d e f i j k l m n o r s t u v x y"
    lines = b"".join(name + b": 1\r\n" + name.upper() + b": 2\r\n" for name in compact.split())
    message = parse_message(b"OPTIONS sip:a@example.com SIP/2.0\r\n" + lines + b"\r\n")
    names = [
        "accept-contact", "referred-by", "content-type", "request-disposition", "content-encoding", "from", "call-id",
        "reject-contact", "supported", "content-length", "contact", "identity-info", "event", "refer-to", "subject",
        "to", "allow-events", "via", "session-expires", "identity",
    ]  # fmt: skip
    assert message.headers == [pair for name in names for pair in ((name, b"1"), (name, b"2"))]


def test_any_case_blanks_before_the_colon_and_unknown_names() -> None:
    message = parse_message(b"SIP/2.0 200 OK\r\nCALL-id : 1\r\nX-Own_Name\t:  two words \t\r\nx-own_name:3\r\n\r\n")
    assert message.headers == [("call-id", b"1"), ("x-own_name", b"two words"), ("x-own_name", b"3")]


def test_folded_lines_join_with_one_blank() -> None:
    data = b"SIP/2.0 200 OK\r\nSubject: one\r\n \t two  \r\n\tthree\r\nTo:\r\n <sip:a@example.com>\r\n\r\nbody"
    message = parse_message(data)
    assert message.headers == [("subject", b"one two three"), ("to", b"<sip:a@example.com>")]
    assert message.body == b"body"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("gap", [b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\n\n"])
def test_line_ends_of_any_kind_and_mixed(end: bytes, gap: bytes) -> None:
    head = request().partition(b"\r\n\r\n")[0].replace(b"\r\n", end)
    message = parse_message(head + gap + BODY)
    assert message.headers == parse_message(request()).headers
    assert message.body == BODY
    assert message.findings == []


def test_the_first_empty_line_ends_the_head_whichever_it_is() -> None:
    assert parse_message(b"SIP/2.0 200 OK\nTo: a\n\nx: 1\r\n\r\ny").body == b"x: 1\r\n\r\ny"
    assert parse_message(b"SIP/2.0 200 OK\r\nTo: a\r\n\r\nx: 1\n\ny").body == b"x: 1\n\ny"


def test_leading_empty_lines_are_skipped() -> None:
    assert parse_message(b"\r\n\n\r\n" + request()) == parse_message(request())


def test_a_message_without_its_empty_line_is_all_head() -> None:
    data = request(body=b"")
    assert parse_message(data[:-2]) == parse_message(data) == parse_message(data.rstrip())


def test_header_lines_that_are_none() -> None:
    message = parse_message(request(headers=HEADERS + b"no colon here\n: no name\nbad name: x\nFrom\n"))
    assert ids(message) == ["header-line-malformed"]
    assert "no colon here" in message.findings[0].text
    assert message.headers == parse_message(request()).headers


@pytest.mark.parametrize("name", [b"Via", b"From", b"To", b"Call-ID", b"CSeq"])
def test_missing_mandatory_headers(name: bytes) -> None:
    message = parse_message(request(headers=without(name)))
    assert [(finding.id, finding.header) for finding in message.findings] == [("header-missing", name.decode().lower())]


def test_several_call_ids_the_first_counts() -> None:
    message = parse_message(request(headers=HEADERS + b"i: other\nCALL-ID: third\n"))
    assert first(message, "call-id") == b"call-1@192.0.2.66"
    assert [(finding.id, finding.header) for finding in message.findings] == [("header-repeated", "call-id")]
    assert message.parts["call_id"] == "call-1@192.0.2.66"


def test_headers_that_may_be_repeated_are_not_found_wrong() -> None:
    message = parse_message(request(headers=HEADERS + b"Via: SIP/2.0/UDP 192.0.2.9\nX-A: 1\nX-A: 2\n"))
    assert message.findings == []
    assert len(values(message, "via")) == 2


@pytest.mark.parametrize("value", [b"", b"abc", b"-1", b"+5", b"1_0", b"12 34", b"0x10", b"9" * 5000])
def test_content_length_that_is_no_number(value: bytes) -> None:
    data = b"SIP/2.0 200 OK\r\n" + HEADERS.replace(b"\n", b"\r\n") + b"Content-Length: " + value + b"\r\n\r\n"
    assert ids(parse_message(data)) == ["content-length-invalid"]


@pytest.mark.parametrize("difference", [-1, 1, 300])
def test_content_length_that_differs(difference: int) -> None:
    message = parse_message(request(length=len(BODY) + difference))
    assert ids(message) == ["content-length-mismatch"]
    assert str(len(BODY)) in message.findings[0].text
    assert str(len(BODY) + difference) in message.findings[0].text


def test_content_length_counts_the_carriage_returns_that_a_log_lost() -> None:
    message = parse_message(request().replace(b"\r\n", b"\n"))
    assert len(message.body) < len(BODY)
    assert message.findings == []


def test_content_length_with_blanks_and_leading_zeros() -> None:
    data = request().replace(b"Content-Length: ", b"Content-Length:   00")
    assert parse_message(data).findings == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"2 BYE", "cseq-method-mismatch"),
        (b"INVITE", "cseq-malformed"),
        (b"1", "cseq-malformed"),
        (b"", "cseq-malformed"),
        (b"one INVITE", "cseq-malformed"),
        (b"1 INVITE now", "cseq-malformed"),
        (b"-1 INVITE", "cseq-malformed"),
        (b"2147483648 INVITE", "cseq-out-of-range"),
        (b"9" * 5000 + b" INVITE", "cseq-out-of-range"),
    ],
)
def test_cseq_that_is_wrong(value: bytes, found: str) -> None:
    assert ids(parse_message(request(headers=with_value(b"CSeq", value)))) == [found]


@pytest.mark.parametrize("value", [b"0 INVITE", b"2147483647 INVITE", b"0001  INVITE", b"1\tINVITE"])
def test_cseq_that_is_right(value: bytes) -> None:
    assert ids(parse_message(request(headers=with_value(b"CSeq", value)))) == []


def test_a_response_may_have_any_method_in_its_cseq() -> None:
    assert parse_message(request(b"SIP/2.0 200 OK", with_value(b"CSeq", b"2 BYE"))).findings == []


@pytest.mark.parametrize("character", [b"\0", b"\x07", b"\x1b", b"\x7f", b"\x0b", b"\r"])
def test_control_characters_are_found_and_kept(character: bytes) -> None:
    message = parse_message(request(headers=HEADERS + b"Subject: a" + character + b"b\n"))
    assert [(finding.id, finding.header) for finding in message.findings] == [("control-characters", "subject")]
    assert first(message, "subject") == b"a" + character + b"b"


def test_a_tab_and_utf_8_are_no_fault() -> None:
    message = parse_message(request(headers=HEADERS + "Subject: a\tñandú\n".encode()))
    assert message.findings == []


def test_broken_utf_8_is_found() -> None:
    message = parse_message(request(headers=HEADERS + b"Subject: caf\xe9\n"))
    assert [(finding.id, finding.header) for finding in message.findings] == [("utf8-invalid", "subject")]


def test_a_body_is_not_judged_and_not_touched() -> None:
    body = b"\0\xff\x1b[31m\nINVITE sip:x@example.com SIP/2.0\r\n\r\n"
    message = parse_message(request(body=body))
    assert message.body == body
    assert message.findings == []


def test_findings_show_at_most_eighty_characters_of_the_message() -> None:
    message = parse_message(b"x" * 10_000)
    assert message.findings[0].text.endswith("x" * 80)
    assert len(message.findings[0].text) < 200


class TestLimits:
    def test_header_count(self) -> None:
        limits = Limits(header_count=9)
        assert parse_message(request(), limits=limits).findings == []
        message = parse_message(request(headers=HEADERS + b"X: 1\n"), limits=limits)
        assert ids(message) == ["header-count-exceeded"]
        assert len(message.headers) == 9

    def test_header_length(self) -> None:
        data = request(headers=HEADERS + b"Subject: " + b"a" * 91 + b"\n")
        assert parse_message(data, limits=Limits(header_length=101)).findings == []
        message = parse_message(data, limits=Limits(header_length=99))
        assert ids(message) == ["header-too-long"]
        assert first(message, "subject") == b"a" * 90

    def test_header_length_of_folded_lines(self) -> None:
        data = request(headers=HEADERS + b"Subject: " + b"\n ".join([b"a" * 80] * 100) + b"\n")
        message = parse_message(data, limits=Limits(header_length=1000))
        assert ids(message) == ["header-too-long"]
        assert len(first(message, "subject") or b"") <= 1000

    def test_start_line_length(self) -> None:
        message = parse_message(request(b"INVITE sip:" + b"a" * 9000 + b"@example.com SIP/2.0"))
        assert "header-too-long" in ids(message)
        assert message.method == "INVITE"

    def test_body_size(self) -> None:
        assert parse_message(request(), limits=Limits(body_size=len(BODY))).findings == []
        message = parse_message(request(), limits=Limits(body_size=10))
        assert ids(message) == ["body-too-large"]
        assert message.body == BODY[:10]

    def test_defaults(self) -> None:
        assert (DEFAULT_LIMITS.header_count, DEFAULT_LIMITS.header_length) == (256, 8192)

    def test_many_messages_with_new_names_do_not_grow_the_table(self) -> None:
        from siplogs.sip.names import spellings

        for number in range(6000):
            parse_message(b"SIP/2.0 200 OK\r\nX-%d: 1\r\n\r\n" % number)
        assert len(spellings) <= 4096
        assert parse_message(b"SIP/2.0 200 OK\r\nX-5999: 1\r\n\r\n").headers == [("x-5999", b"1")]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("allow", b"INVITE, ACK,BYE", [b"INVITE", b"ACK", b"BYE"]),
        ("supported", b"", []),
        ("supported", b" , ,timer,", [b"timer"]),
        ("contact", b'"A, B" <sip:a,b@example.com>;q=1, <sip:c@example.com>', [
            b'"A, B" <sip:a,b@example.com>;q=1', b"<sip:c@example.com>",
        ]),
        ("via", b"SIP/2.0/UDP 192.0.2.1,SIP/2.0/TCP 192.0.2.2", [b"SIP/2.0/UDP 192.0.2.1", b"SIP/2.0/TCP 192.0.2.2"]),
        ("warning", b'301 a "x, \\"y\\", z", 307 b "c"', [b'301 a "x, \\"y\\", z"', b'307 b "c"']),
        ("p-asserted-identity", b'"B" <sip:b@example.com>,<tel:+1555>', [b'"B" <sip:b@example.com>', b"<tel:+1555>"]),
        ("date", b"Fri, 20 Nov 2026 10:00:00 GMT", [b"Fri, 20 Nov 2026 10:00:00 GMT"]),
        ("authorization", b'Digest username="a", realm="b"', [b'Digest username="a", realm="b"']),
        ("www-authenticate", b'Digest realm="a", nonce="b"', [b'Digest realm="a", nonce="b"']),
        ("user-agent", b"A, B", [b"A, B"]),
    ],
)  # fmt: skip
def test_values_split_where_the_header_is_a_list(name: str, value: bytes, expected: list[bytes]) -> None:
    assert values(message_of(("x", b"1"), (name, value)), name) == expected


def test_values_join_the_repeated_headers_in_order() -> None:
    message = message_of(("allow", b"A, B"), ("to", b"x"), ("allow", b"C"))
    assert values(message, "allow") == [b"A", b"B", b"C"]
    assert values(message, "via") == []
    assert first(message, "allow") == b"A, B"
    assert first(message, "via") is None
    assert message.headers == [("allow", b"A, B"), ("to", b"x"), ("allow", b"C")]


def test_values_may_be_changed_by_who_asks() -> None:
    message = message_of(("allow", b"A, B"))
    values(message, "allow").clear()
    assert values(message, "allow") == [b"A", b"B"]


def test_the_table_of_findings_is_sound() -> None:
    for identifier, kind in KINDS.items():
        assert identifier == identifier.lower().replace("_", "-")
        assert kind.severity in ("error", "warning", "info")
        assert kind.text.count("{}") == 1
        assert kind.rfc is None or kind.rfc.startswith("RFC ")


def test_lists_of_repeated_headers_are_joined() -> None:
    extra = b"Supported: timer\nk: 100rel, path\nReason: SIP;cause=200\nReason: Q.850;cause=16\nAllow: ACK\n"
    message = parse_message(request(headers=HEADERS + extra + b"Allow: BYE\n"))
    assert message.findings == []
    assert message.parts["supported"] == ["timer", "100rel", "path"]
    assert message.parts["allow"] == ["ACK", "BYE"]
    assert [(reason.protocol, reason.code) for reason in message.parts["cause"]] == [("SIP", 200), ("Q.850", 16)]


def test_vias_of_one_line_and_of_several_stand_in_order() -> None:
    first_line = b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1, SIP/2.0/TCP 192.0.2.2\n"
    message = parse_message(request(headers=first_line + HEADERS))
    top = message.parts["via"]
    assert (top.branch, top.host, top.transport) == ("z9hG4bK1", "192.0.2.1", "udp")
    assert top.document.original == [
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "SIP/2.0/TCP 192.0.2.2",
        "SIP/2.0/UDP 192.0.2.66:5060;branch=z9hG4bK-1;rport",
    ]


def test_what_has_no_field_of_its_own_is_kept_as_text() -> None:
    more = b"Contact: <sip:b@192.0.2.7>\nServer: x\nUser-Agent: y\n"
    message = parse_message(request(headers=HEADERS + more))
    assert message.parts["contact"].uri.username == "alice"
    assert message.parts["user_agent"].original == "x"
    assert message.others == {"contact": "<sip:b@192.0.2.7>", "user-agent": "y"}
    several = parse_message(request(headers=without(b"Contact") + b"m: <sip:a@192.0.2.7>, <sip:b@192.0.2.8>\n"))
    assert several.parts["contact"].uri.host == "192.0.2.7"
    assert several.others == {"contact": "<sip:a@192.0.2.7>, <sip:b@192.0.2.8>"}
