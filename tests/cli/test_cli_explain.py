"""What `siplogs explain` makes of the words it is given: names, causes, log lines, text from standard input, anything."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from siplogs.cli import make_app
from siplogs.errors import SiplogsError
from siplogs.knowledge import load
from siplogs.packs import load_packs
from siplogs.resources import data_folder
from tests.cli.command import siplogs

app = make_app("explain")
ENVIRONMENT = {"LC_ALL": "C", "SIPLOGS_PATTERNS": "/nonexistent"}

LINES = {
    '[Nov 21 02:35:34] VERBOSE[31724][C-00000001] chan_sip.c:     -- Got SIP response 486 "Busy Here" back from '
    "192.0.2.1:5060": (
        "Recognised: 486 to INVITE, received by the PBX, chan_sip (rule asterisk-notices/response-back)",
        "486 Busy Here",
    ),
    '-- Got SIP response 486 "Busy Here" back from 192.0.2.1:5060': (
        "Recognised: 486 to INVITE, received by the PBX, chan_sip (rule asterisk-notices/response-back)",
        "486 Busy Here",
    ),
    "2026-11-21 02:12:41.123456 [NOTICE] sofia.c:1234 Hangup sofia/internal/1001@192.0.2.1 [CS_EXECUTE] [USER_BUSY]": (
        "Recognised: Q.850 cause: 17 User busy, FreeSWITCH (rule freeswitch-log/hangup-failed)",
        "17 User busy",
    ),
    "Reason: Q.850;cause=34": ("Recognised: Q.850 cause: 34 No circuit/channel available", "34 No circuit"),
    'Reason: SIP;cause=487;text="ORIGINATOR_CANCEL"': ("Recognised: 487 Request Terminated", "487 Request Terminated"),
    'Warning: 304 example.com "Media type not available"': (
        "Recognised: Warning code: 304 Media type",
        "304 Media type",
    ),
    "SIP/2.0 488 Not Acceptable Here": ("Recognised: 488 Not Acceptable Here", "488 Not Acceptable Here"),
    "SIP/2.0 488 Not Acceptable Here Via: SIP/2.0/UDP 192.0.2.1 CSeq: 1 INVITE": (
        "Recognised: 488 to INVITE",
        "488 Not Acceptable Here",
    ),
    "carrier said 603 to INVITE": ("Recognised: 603 to INVITE", "603 Decline"),
    "REGISTER -> 403": ("Recognised: 403 to REGISTER", "403 Forbidden"),
    "== Everyone is busy/congested at this time (2:1/0/1)": ("Recognised: DIALSTATUS: BUSY", "BUSY"),
    "== Everyone is busy/congested at this time (2:0/1/1)": ("Recognised: DIALSTATUS: CONGESTION", "CONGESTION"),
    "== Everyone is busy/congested at this time (1:0/0/1)": ("Recognised: DIALSTATUS: CHANUNAVAIL", "CHANUNAVAIL"),
    "the gateway is in state REGISTER": ("Recognised: gateway state: REGISTER", "REGISTER"),
    "[Nov 21 03:27:46] WARNING[24824] res_pjsip_outbound_registration.c: Temporal response '401' received from "
    "'sip:203.0.113.20' on registration attempt to 'sip:1001@203.0.113.20', retrying in '40'": (
        "Recognised: refusal: Credentials not accepted by the server, PJSIP "
        "(rule asterisk-notices/registration-temporary-login)",
        "Credentials not accepted by the server",
    ),
    "2026-11-21 01:59:06.584981 [DEBUG] sofia.c:7493 Channel sofia/internal/1011@192.0.2.1 entering state "
    "[terminated][486]": ("Recognised: 486 to INVITE, FreeSWITCH (rule freeswitch-log/state)", "486 Busy Here"),
    "the trunk is UNREACHABLE since noon": ("Recognised: contact state: UNREACHABLE", "UNREACHABLE"),
    "sip_errno: PJSIP_EMISSINGHDR": ("Recognised: pjproject error: PJSIP_EMISSINGHDR", "PJSIP_EMISSINGHDR"),
    "HANGUPCAUSE=17 after Dial": ("Recognised: Q.850 cause: 17 User busy", "17 User busy"),
    "REGISTER, User-Agent: friendly-scanner/1.0": ("Recognised: scanner: friendly-scanner", "friendly-scanner"),
}
MESSAGE = """SIP/2.0 486 Busy Here
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1
From: <sip:1001@example.com>;tag=1
To: <sip:1002@example.com>;tag=2
Call-ID: one@example.com
CSeq: 1 INVITE
Reason: Q.850;cause=17;text="User busy"
Content-Length: 0

"""
LOGGED = "[Nov 21 02:33:24] VERBOSE[29547] res_pjsip_logger.c: <--- Received SIP response ({} bytes) from UDP:192.0.2.1:5060 --->\n"


def invoked(*arguments: str, data: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["explain", *arguments], input=data, env=ENVIRONMENT)


def run(*arguments: str, data: str | bytes | None = None) -> str:
    result = invoked(*arguments, data=data)
    if result.exception:
        raise result.exception
    return result.stdout


def told(page: str) -> str:
    """What was recognised, on one line."""
    return " ".join(page.partition("\n\n")[0].split())


@pytest.mark.parametrize(("line", "expected"), LINES.items(), ids=lambda one: str(one)[:40])
def test_a_line_is_recognised(line: str, expected: tuple[str, str]) -> None:
    page = run(line)
    assert told(page).startswith(expected[0])
    assert page.partition("\n\n")[2].startswith(expected[1])
    if not line.startswith("-"):
        assert told(run(*line.split())).startswith(expected[0]), "unquoted"


def test_a_message_in_a_log_tells_method_direction_and_stack() -> None:
    logged = LOGGED.format(len(MESSAGE.replace("\n", "\r\n"))) + MESSAGE.replace("\n", "\r\n")
    page = run(logged)
    assert told(page) == "Recognised: 486 to INVITE, received by the PBX, PJSIP (rule asterisk-pjsip/received)"
    assert "Read for: INVITE, received by the PBX, PJSIP." in page
    assert "siplogs explain q850:17 --stack asterisk-pjsip" in page.partition("Also in this text")[2]
    assert run("-", data=logged) == page


def test_a_bare_message_tells_code_method_and_cause() -> None:
    for text in (MESSAGE, MESSAGE.replace("\n", "\r\n"), f"my trunk says:\n\n{MESSAGE}"):
        page = run("-", data=text)
        assert told(page).endswith("Recognised: 486 to INVITE")
        assert "siplogs explain q850:17" in page.partition("Also in this text")[2]


def test_a_line_keeps_direction_and_stack_when_the_shell_took_its_quotes() -> None:
    page = run(*"-- -- Got SIP response 486 Busy Here back from 192.0.2.1:5060".split())
    assert (
        told(page) == "Recognised: 486 to INVITE, received by the PBX, chan_sip (rule asterisk-notices/response-back)"
    )
    other = run('    -- Incoming call: Got SIP response 500 "Server Internal Error" back from 192.0.2.1')
    assert "500, received by the PBX, chan_sip (rule asterisk-notices/response-back-other)" in told(other)


def test_a_response_outside_of_calls_is_not_taken_for_one_to_an_invite() -> None:
    line = '[Nov 21 02:22:30] VERBOSE[27404]{} chan_sip.c:     -- Got SIP response 503 "Full" back from 192.0.2.1:5060'
    assert "503, received by the PBX, chan_sip" in told(run(line.format("")))
    assert "503 to INVITE, received by the PBX, chan_sip" in told(run(line.format("[C-0000000a]")))


def test_options_outweigh_what_a_line_tells() -> None:
    line = next(iter(LINES))
    assert "Read for: INVITE, sent by the PBX, chan_sip." in run(line, "--method", "INVITE", "--sent")


def test_of_several_things_the_worst_is_shown_and_the_rest_named() -> None:
    page = run("SIP/2.0 200 OK then SIP/2.0 503 Service Unavailable")
    assert told(page) == "Recognised: 503 Service Unavailable"
    assert "      siplogs explain 200\n" in page.partition("Also in this text")[2]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("q850:17", "17 User busy"),
        ("q.850:17", "17 User busy"),
        ("Q.850:17", "17 User busy"),
        ("cause:17", "17 User busy"),
        ("isdn:USER_BUSY", "17 User busy"),
        ("warning:304", "304 Media type not available"),
        ("warn:304", "304 Media type not available"),
        ("sip:486", "486 Busy Here"),
        ("code:486", "486 Busy Here"),
        ("internal:904", "904 "),
        ("gw:FAIL_WAIT", "FAIL_WAIT"),
        ("17", "17 User busy"),
        ("904", "904 "),
        ("USER_BUSY", "17 User busy"),
        ("AST_CAUSE_USER_BUSY", "17 User busy"),
        ("NORMAL_CLEARING", "16 Normal"),
        ("CHANUNAVAIL", "CHANUNAVAIL"),
        ("InvalidPassword", "InvalidPassword"),
        ("PJSIP_EMISSINGHDR", "PJSIP_EMISSINGHDR"),
        ("Not Acceptable Here", "488 Not Acceptable Here"),
        ("NOT acceptable-here", "488 Not Acceptable Here"),
    ],
)
def test_names(asked: str, first: str) -> None:
    page = run(asked)
    assert page.startswith(first)
    assert run(*asked.split()) == page


def test_a_name_that_fits_several_shows_the_best_and_names_the_rest() -> None:
    page = run("BUSY")
    assert page.startswith("BUSY ")
    rest = page.partition("That name also fits")[2]
    assert "siplogs explain 486\n" in rest
    assert "siplogs explain q850:17\n" in rest


def test_a_code_that_is_a_warning_or_a_cause_too_says_so() -> None:
    assert "siplogs explain warning:300" in run("300").partition("That name also fits")[2]
    assert "siplogs explain q850:100" in run("100").partition("That name also fits")[2]
    assert "That name also fits" not in run("486")


def test_names_and_codes_are_compared() -> None:
    assert "486, seen from q850:17:" in run("USER_BUSY", "486")


def test_search_lists_entries_with_their_commands() -> None:
    listed = run("--search", "not acceptable here")
    commands = re.findall(r"^    siplogs explain (\S+)$", listed, re.MULTILINE)
    assert commands[0] == "488"
    assert f"{len(load().search('not acceptable here'))} entries hold all of: not acceptable here" in listed
    assert run("--search", "not", "acceptable", "here") == listed
    assert max(len(line) for line in listed.splitlines()) <= 80
    for command in commands:
        assert run(command)
    many = run("--search", "the")
    assert "more; another word narrows it down" in many


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ("user_bussy", "nothing known of 'user_bussy'; similar: 17 User busy (q850:17)"),
        ("zzzzzzzz", "nothing known of 'zzzzzzzz'; look for words: siplogs explain --search WORDS"),
        ("one way audio", "entries hold its words: siplogs explain --search 'one way audio'"),
        ("750", "response codes go from 100 to 699, a class is 4xx"),
        ("4x", "response codes go from 100 to 699, a class is 4xx"),
        ("q850:999", "nothing known of 'q850:999'"),
        ("sip:1001@example.com", "nothing known of 'sip:1001@example.com'"),
        (
            "2026-11-21 02:00:34.179131 [NOTICE] switch_channel.c:1142 New Channel sofia/internal/1001@192.0.2.1 [1]",
            "that is a line of the log (rule freeswitch-log/new-channel), which gives no code, cause or state",
        ),
        ("--mehtod", "--mehtod is no option of siplogs explain; siplogs explain -h lists them"),
        ("", "say what to explain"),
        ("  ", "say what to explain"),
    ],
)
def test_what_is_not_known(asked: str, error: str) -> None:
    result = invoked(asked)
    assert isinstance(result.exception, SiplogsError)
    assert error in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_request_tells_no_reason() -> None:
    request = "OPTIONS sip:192.0.2.1 SIP/2.0\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    result = invoked("-", data=LOGGED.replace("response", "request").format(len(request)) + request)
    assert "that is a request, OPTIONS (rule asterisk-pjsip/received)" in str(result.exception)


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("REGISTER sip:192.0.2.1 SIP/2.0", "REGISTER"),
        ("INVITE sip:486@192.0.2.1;user=phone SIP/2.0", "INVITE"),
        ("CSeq: 2 REGISTER", "REGISTER"),
        ("CSeq: 486 INVITE", "INVITE"),
        ("REGISTER sip:192.0.2.1 SIP/2.0\r\nCSeq: 404 REGISTER\r\nExpires: 300\r\nMax-Forwards: 483\r\n", "REGISTER"),
        ("Method: REGISTER", "REGISTER"),
        ("Really destroying SIP dialog 'x@192.0.2.1' Method: REGISTER", "REGISTER"),
        ("INVITE", "INVITE"),
    ],
)
def test_a_bare_request_or_its_method_tells_no_reason(text: str, method: str) -> None:
    result = invoked("-", data=text)
    assert isinstance(result.exception, SiplogsError)
    assert f"that is a request, {method}, which gives no code, cause or state" in str(result.exception)


@pytest.mark.parametrize(
    "line",
    [
        "<--- Transmitting SIP response (503 bytes) to UDP:192.0.2.1:5060 --->",
        "<--- Received SIP request (486 bytes) from UDP:192.0.2.1:5060 --->",
        "Peer '1001' got a reply in 486ms, then 503 ms",
        "--- SIP response with 404 headers, 480 lines ---",
        "[INFO] mod_dialplan_xml.c:637 Processing 1001 <404>->486 in context default",
        "[INFO] core.c: 486 sessions",
    ],
)
def test_numbers_of_other_things_are_no_codes(line: str) -> None:
    assert "nothing known of" in str(invoked("-", data=line).exception)


def test_nothing_asked_and_nothing_found() -> None:
    assert "say what to explain" in str(invoked().exception)
    assert "standard input is empty" in str(invoked("-", data="").exception)
    assert "no entry holds all of: zyzzyva" in str(invoked("--search", "zyzzyva").exception)
    assert "siplogs scan - reads it all" in str(invoked("-", data=b"x" * 2_000_000).exception)


@pytest.mark.parametrize("name", ["486", "USER_BUSY"])
def test_standard_input_may_hold_a_name(name: str) -> None:
    assert run("-", data=f"{name}\n") == run(name)


def test_samples_of_rules_are_answered_without_a_traceback() -> None:
    answered = 0
    samples = [rule.data.sample[0].log for pack in load_packs(data_folder("patterns")).values() for rule in pack.rules]
    samples = samples[::7]
    for sample in samples:
        result = invoked("-", data=sample)
        assert result.exception is None or isinstance(result.exception, SiplogsError)
        answered += result.exception is None
    assert answered > len(samples) / 2


def test_the_command_is_one_line_of_error_and_no_traceback() -> None:
    done = siplogs("explain", "what\x1b[31m is\nthis", LC_ALL="C.UTF-8")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"\x1b" not in done.stderr
    bytes_in = siplogs("explain", "-", data=b"SIP/2.0 486 Busy \xff\xfe\x00Here\r\n\r\n", LC_ALL="C")
    assert bytes_in.returncode == 0
    assert bytes_in.stdout.startswith(b"Recognised: 486 Busy Here")
    odd = siplogs("explain", b"\xff\xfe is odd".decode("utf-8", "surrogateescape"), LC_ALL="C.UTF-8")
    assert odd.returncode == 2
    assert b"Traceback" not in odd.stderr


words = st.sampled_from(
    ["486", "4xx", "q850:17", "SIP/2.0 486", "Reason:", "-", "--", "[", "cause=", "\x00", "\udcff", "é"]
)
arguments = st.lists(st.text(max_size=30) | words, min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(arguments)
def test_any_arguments_are_answered_or_refused(what: list[str]) -> None:
    result = invoked(*what, data="")
    assert result.exception is None or isinstance(result.exception, SiplogsError | SystemExit)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: f"SIP/2.0 486 {text}".encode(errors="replace")))
def test_any_bytes_are_answered_or_refused(data: bytes) -> None:
    result = invoked("-", data=data)
    assert result.exception is None or isinstance(result.exception, SiplogsError)
