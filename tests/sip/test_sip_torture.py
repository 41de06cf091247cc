"""RFC 4475's torture messages, in torture/: what must be read from each of them.

They stand as the RFC gives them, but for telephone numbers, hosts and addresses that are not reserved for examples, and
for the binary part of mpart01, which is every byte once here.
"""

import re
from pathlib import Path

import pytest

from siplogs.model import Message, Uri
from siplogs.sip import (
    first,
    parse_contact,
    parse_credentials,
    parse_cseq,
    parse_message,
    parse_party,
    parse_retry_after,
    parse_sdp,
    parse_uri,
    parse_via,
    parse_warning,
    parts,
    sdp_body,
    uri_parameters,
    values,
)

TORTURE = Path(__file__).parent / "torture"
CALL_ID = re.compile(rb"(?im)^(?:call-id|i): *(\S+)")
LPC_VIDEO = ["PCMU/8000", "QCELP/8000"], ["LPC"]

FINDINGS = {
    "badvers": ["version-unknown"],
    "bigcode": ["status-code-invalid"],
    "clerr": ["content-length-mismatch"],
    "dblreq": ["content-length-mismatch"],
    "insuf": ["header-missing"] * 3,
    "intmeth": ["control-characters"],
    "ltgtruri": ["request-uri-malformed"],
    "lwsruri": ["request-uri-malformed"],
    "lwsstart": ["start-line-blanks"],
    "mcl01": ["header-repeated", "content-length-mismatch"],
    "mismatch01": ["cseq-method-mismatch"],
    "mismatch02": ["cseq-method-mismatch"],
    "multi01": ["header-repeated"] * 5,
    "ncl": ["content-length-invalid"],
    "scalar02": ["cseq-out-of-range"],
    "scalarlg": ["cseq-out-of-range"],
    "trws": ["start-line-blanks"],
}
"""Every message that is not here has nothing that this grammar finds wrong."""

START_LINES = {
    "bcast": ("", "", 200, "OK"),
    "bigcode": ("", "", 0, "better not break the receiver"),
    "esc02": ("RE%47IST%45R", "sip:registrar.example.com", 0, ""),
    "escruri": ("INVITE", "sip:user@example.com?Route=%3Csip:example.com%3E", 0, ""),
    "ltgtruri": ("INVITE", "<sip:user@example.com>", 0, ""),
    "lwsruri": ("INVITE", "sip:user@example.com; lr", 0, ""),
    "lwsstart": ("INVITE", "sip:user@example.com", 0, ""),
    "noreason": ("", "", 100, ""),
    "novelsc": ("OPTIONS", "soap.beep://192.0.2.103:3002", 0, ""),
    "scalarlg": ("", "", 503, "Service Unavailable"),
    "trws": ("OPTIONS", "sip:remote-target@example.com", 0, ""),
    "unreason": ("", "", 200, "= 2**3 * 5**2 но сто девяносто девять - простое"),
    "wsinv": ("INVITE", "sip:vivekg@chair-dnrc.example.com;unknownparam", 0, ""),
}


def read(name: str) -> Message:
    return parse_message((TORTURE / f"{name}.sip").read_bytes())


def one(message: Message, name: str) -> bytes:
    value = first(message, name)
    assert value is not None
    return value


@pytest.mark.parametrize("name", sorted(path.stem for path in TORTURE.glob("*.sip")))
def test_finds_what_is_wrong_and_reads_the_rest(name: str) -> None:
    message = read(name)
    assert [finding.id for finding in message.findings] == FINDINGS.get(name, [])
    assert message.method or message.code or name == "bigcode"
    written = CALL_ID.search((TORTURE / f"{name}.sip").read_bytes())
    assert first(message, "call-id") == (written[1] if written else None)


@pytest.mark.parametrize("name", sorted(START_LINES))
def test_reads_the_start_line(name: str) -> None:
    message = read(name)
    assert (message.method, message.uri, message.code, message.phrase) == START_LINES[name]


def test_all_messages_of_the_rfc_are_here() -> None:
    assert len(list(TORTURE.glob("*.sip"))) == 49
    assert set(FINDINGS) | set(START_LINES) <= {path.stem for path in TORTURE.glob("*.sip")}


def test_wsinv_a_short_tortuous_invite() -> None:
    message = read("wsinv")
    to, caller = parse_party(one(message, "to")), parse_party(one(message, "from"))
    assert (to.uri.username if to.uri else None, to.tag) == ("vivekg", "1918181833n")
    assert (caller.display_info, caller.tag) == ('J Rosenberg \\"', "98asjd8")
    assert first(message, "max-forwards") == b"0068"
    assert one(message, "cseq") == b"0009 INVITE"
    assert parse_cseq(one(message, "cseq")).method == "INVITE"
    assert first(message, "subject") == b""
    assert first(message, "newfangledheader") == b"newfangled value continued newfangled value"
    assert first(message, "unknownheaderwithunusualvalue") == b";;,,;;,;"
    vias = [parse_via(value) for value in values(message, "via")]
    assert [(via.transport, via.host, via.branch) for via in vias] == [
        ("udp", "192.0.2.2", "390skdjuw"),
        ("tcp", "spindle.example.com", "z9hG4bK9ikj8"),
        ("udp", "192.168.255.111", "z9hG4bK30239"),
    ]
    contact = parse_contact(one(message, "contact"))
    assert (contact.display_info, contact.q) == ('Quoted string ""', "0.33")
    assert values(message, "route") == [b"<sip:services.example.com;lr;unknownwith=value;unknown-no-value>"]


def test_intmeth_a_wide_range_of_characters() -> None:
    message = read("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    uri = parse_uri(message.uri.encode())
    assert (uri.username, uri.host) == ("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*", "example.com")
    assert parse_party(one(message, "to")).display_info == "BEL:\x07 NUL:\x00 DEL:\x7f"
    caller = parse_party(one(message, "from"))
    assert (caller.display_info, caller.tag) == ("token1~` token2'+_ token3*%!.-", "_token~1'+`*%!-.")
    assert first(message, "extensionheader-!.%*+_`'~") == "\ufeff大停電".encode()
    assert parse_via(one(message, "via")).branch == "z9hG4bK-.!%66*_+`'~"
    assert message.findings[0].header == "to"


def test_esc01_escapes_resolve_and_scheme_within_user_stays_user() -> None:
    message = read("esc01")
    assert parse_uri(message.uri.encode()).username == "sips:user@example.com"
    assert parse_party(one(message, "to")).uri == Uri("sip:%75se%72@example.com", "sip", "user", "example.com")
    caller = parse_party(one(message, "from")).uri
    assert caller is not None
    assert caller.username == "I have spaces"
    contact = parse_contact(one(message, "contact")).uri
    assert contact is not None
    assert contact.username == "caller"
    assert uri_parameters((contact.original or "").encode()) == {"lr": "", "name": "value%41"}


def test_escnull_nulls_in_user_parts() -> None:
    users = [parse_contact(value).uri for value in values(read("escnull"), "contact")]
    assert [uri.username for uri in users if uri] == ["\0", "\0\0"]


def test_esc02_escapes_mean_nothing_outside_uris() -> None:
    message = read("esc02")
    assert values(message, "contact") == [b"<sip:alias1@host1.example.com>", b"<sip:alias3@host3.example.com>"]
    assert first(message, "c%6fntact") == b"<sip:alias2@host2.example.com>"
    assert parse_party(one(message, "to")).display_info == "%Z%45"


@pytest.mark.parametrize(
    ("name", "display"),
    [
        ("lwsdisp", "caller"),
        ("badaspec", "Bell, Alexander"),
        ("baddn", "Bell, Alexander"),
        ("badvers", "A. Bell"),
        ("quotbal", None),
    ],
)
def test_reads_display_names(name: str, display: str | None) -> None:
    assert parse_party(one(read(name), "from")).display_info == display


def test_quotbal_an_unclosed_quote_ends_before_the_angle_bracket() -> None:
    party = parse_party(one(read("quotbal"), "to"))
    assert (party.display_info, party.uri) == (
        "Mr. J. User",
        Uri("sip:j.user@example.com", "sip", "j.user", "example.com"),
    )


def test_badaspec_blanks_within_angle_brackets() -> None:
    assert parse_party(one(read("badaspec"), "to")).uri == Uri(
        "sip:t.watson@example.org", "sip", "t.watson", "example.org"
    )


def test_longreq_long_values_stay_whole() -> None:
    message = read("longreq")
    vias = values(message, "via")
    assert len(vias) == 34
    assert parse_via(vias[-1]).branch == "very" + "long" * 50 + "branchvalue"
    assert parse_via(vias[-1]).received == "192.0.2.5"
    assert parse_party(one(message, "from")).tag == "12" + "982" * 50 + "424"
    assert one(message, "call-id") == b"longreq.one" + b"really" * 20 + b"longcallid"
    assert first(message, "unknown-" + "long" * 20 + "-name") is not None


def test_dblreq_what_follows_the_first_message_is_its_body() -> None:
    message = read("dblreq")
    assert message.method == "REGISTER"
    assert parse_message(message.body).method == "INVITE"


def test_semiuri_semicolons_belong_to_the_user_part() -> None:
    message = read("semiuri")
    uri = parse_uri(message.uri.encode())
    assert (uri.username, uri.host) == ("user;par=u@example.net", "example.com")
    assert uri_parameters(message.uri.encode()) == {}
    assert values(message, "accept")[-1] == b"message/sipfrag"
    assert len(values(message, "accept")) == 6


def test_transports_known_and_unknown() -> None:
    vias = [parse_via(value) for value in values(read("transports"), "via")]
    assert [via.transport for via in vias] == ["udp", "sctp", "tls", "unknown", "tcp"]


def test_mpart01_binary_parts_come_out_untouched() -> None:
    message = read("mpart01")
    assert parts(message) == [("text/plain", b"Hello"), ("application/octet-stream", bytes(range(256)))]
    assert sdp_body(message) is None


def test_badinv01_separators_without_values() -> None:
    message = read("badinv01")
    assert parse_via(values(message, "via")[0]).host == "192.0.2.15"
    assert parse_contact(one(message, "contact")).display_info == "Joe"


def test_numbers_too_large_are_no_numbers() -> None:
    assert parse_cseq(one(read("scalar02"), "cseq")).code == "36893488147419103232"
    assert parse_contact(one(read("scalar02"), "contact")).expires == "280297596632815"
    large = read("scalarlg")
    assert parse_retry_after(one(large, "retry-after")) is None
    assert parse_warning(one(large, "warning"))[0].code is None


def test_regbadct_without_angle_brackets() -> None:
    contact = parse_contact(one(read("regbadct"), "contact"))
    assert contact.uri is not None
    assert (contact.uri.username, contact.uri.host) == ("user", "example.com")


def test_cparam_parameters_belong_to_the_header_or_to_the_uri() -> None:
    of_header, of_uri = (parse_contact(one(read(name), "contact")).uri for name in ("cparam01", "cparam02"))
    assert of_header == Uri("sip:+19725550122@gw1.example.net", "sip", "+19725550122", "gw1.example.net")
    assert of_uri == Uri("sip:+19725550122@gw1.example.net;unknownparam", "sip", "+19725550122", "gw1.example.net")


def test_schemes_unknown_to_sip_are_named() -> None:
    message = read("unksm2")
    schemes = [parse_party(one(message, name)).uri for name in ("to", "from", "contact")]
    assert [uri.scheme for uri in schemes if uri] == ["isbn", "http", "name"]
    assert [parse_uri(read(name).uri.encode()).scheme for name in ("unkscm", "novelsc")] == [
        "nobodyknowsthisscheme",
        "soap.beep",
    ]


def test_regaut01_an_unknown_scheme_of_authentication() -> None:
    assert parse_credentials(one(read("regaut01"), "authorization")).scheme == "NoOneKnowsThisScheme"


def test_multi01_the_first_of_several_counts() -> None:
    message = read("multi01")
    assert one(message, "call-id") == b"multi01.98asdh@192.0.2.1"
    assert one(message, "cseq") == b"5 INVITE"
    assert {finding.header for finding in message.findings} == {"cseq", "call-id", "from", "to", "max-forwards"}


def test_insuf_names_the_headers_that_are_missing() -> None:
    assert [finding.header for finding in read("insuf").findings] == ["from", "to", "call-id"]


@pytest.mark.parametrize("name", ["wsinv", "esc01", "longreq", "baddate", "sdp01", "unreason", "bcast", "clerr", "ncl"])
def test_reads_the_sdp(name: str) -> None:
    body = sdp_body(read(name))
    assert body is not None
    sdp = parse_sdp(body)
    assert sdp is not None
    assert sdp.media is not None
    assert [(media.type, media.port) for media in sdp.media] == [("audio", 49217), ("video", 3227)]
    assert tuple(media.codecs for media in sdp.media) == LPC_VIDEO


def test_mismatch02_an_sdp_without_its_mandatory_lines() -> None:
    sdp = parse_sdp(read("mismatch02").body)
    assert sdp is not None
    assert sdp.session is None
    assert sdp.connection is not None
    assert sdp.connection.address == "192.0.2.1"


def test_invut_a_body_of_unknown_type_is_left_alone() -> None:
    message = read("invut")
    assert message.body == b'<audio>\r\n <pcmu port="443"/>\r\n</audio>\r\n'
    assert sdp_body(message) is None
