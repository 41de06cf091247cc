"""Which events a filter lets through, and what it says when a value cannot be understood."""

from datetime import UTC, datetime

import pytest
from dateutil import tz
from hypothesis import given, settings
from hypothesis import strategies as st

from siplogs.errors import FilterError
from siplogs.filters import KINDS, Filter, moment
from siplogs.model import Endpoint, Event, EventMeta, Party, Related, SipDocument, Siplogs, Uri

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def event(**changes: object) -> Event:
    made = Event(
        timestamp="2026-11-21T02:17:08.123Z",
        event=EventMeta(
            id="x",
            kind="event",
            category=["network"],
            type=["protocol"],
            action="sip-invite",
            original="INVITE sip:600@192.0.2.1 SIP/2.0",
        ),
        siplogs=Siplogs(
            kind="message", pbx="asterisk", pack="asterisk-pjsip", rule="received", code=486, class_="4xx", failure=True
        ),
        sip=SipDocument(
            call_id="abc-123@192.0.2.11",
            from_=Party(
                display_info="Alice",
                uri=Uri(original="sip:1001@pbx.example.com", username="1001", host="pbx.example.com"),
            ),
            to=Party(uri=Uri(original="sip:600@192.0.2.1", username="600", host="192.0.2.1")),
        ),
        source=Endpoint(address="192.0.2.11", ip="192.0.2.11", port=5060),
        destination=Endpoint(address="2001:db8::1", ip="2001:db8::1", port=5060),
        related=Related(user=["1001", "600"]),
    )
    for name, value in changes.items():
        target, _, field = name.rpartition("__")
        setattr(getattr(made, target) if target else made, field, value)
    return made


@pytest.mark.parametrize(
    ("wanted", "accepted"),
    [
        (Filter(), True),
        (Filter(call_id="abc-123@192.0.2.11"), True),
        (Filter(call_id="abc-"), True),
        (Filter(call_id="bc-"), False),
        (Filter(call_id="ABC"), False),
        (Filter(codes=("486",)), True),
        (Filter(codes=("487", "4xx")), True),
        (Filter(codes=("4XX",)), True),
        (Filter(codes=("5xx", "200")), False),
        (Filter(methods=("INVITE",)), True),
        (Filter(methods=("bye", "invite")), True),
        (Filter(methods=("BYE",)), False),
        (Filter(sender="1001"), True),
        (Filter(sender="Alice"), True),
        (Filter(sender="pbx.example.com"), True),
        (Filter(sender="sip:1001@pbx.example.com"), True),
        (Filter(sender="600"), False),
        (Filter(receiver="600"), True),
        (Filter(receiver="1001"), False),
        (Filter(user="1001"), True),
        (Filter(user="600"), True),
        (Filter(user="100"), False),
        (Filter(ip="192.0.2.11"), True),
        (Filter(ip="192.0.2.0/24"), True),
        (Filter(ip="192.0.2.7/24"), True),
        (Filter(ip="2001:db8::/32"), True),
        (Filter(ip="198.51.100.0/24"), False),
        (Filter(failures=True), True),
        (Filter(kinds=("message",)), True),
        (Filter(kinds=("notice", "security")), False),
        (Filter(match="INVITE sip:6\\d\\d@"), True),
        (Filter(match="^BYE"), False),
        (Filter(since="2026-11-21 02:17:08.123", timezone="UTC"), True),
        (Filter(since="2026-11-21 02:17:09", timezone="UTC"), False),
        (Filter(until="2026-11-21 02:17:08.123", timezone="UTC"), True),
        (Filter(until="2026-11-21 02:17:08", timezone="UTC"), False),
        (Filter(since="2026-11-21 03:17:08", until="2026-11-21 03:17:09", timezone="Europe/Madrid"), True),
        (Filter(since="2026-11-21T02:17:00Z", until="2026-11-21T03:18:00+01:00", timezone="America/New_York"), True),
        (Filter(since="2026-11-21 04:17:08", until="2026-11-21 04:17:09", timezone="+02:00"), True),
        (Filter(since="2026-11-21 00:17:08", until="2026-11-21 00:17:09", timezone="+02:00"), False),
        (Filter(codes=("486",), methods=("INVITE",), failures=True, ip="192.0.2.0/24"), True),
        (Filter(codes=("486",), methods=("BYE",)), False),
    ],
)
def test_condition(wanted: Filter, accepted: bool) -> None:
    assert wanted.check().accepts(event()) is accepted


def test_bare_event_is_let_through_by_no_condition_on_what_it_lacks() -> None:
    bare = event(
        sip=None,
        source=None,
        destination=None,
        related=None,
        siplogs__code=None,
        siplogs__failure=None,
        siplogs__class_=None,
    )
    for wanted in (
        Filter(call_id="a"), Filter(codes=("4xx",)), Filter(sender="1001"), Filter(receiver="600"), Filter(user="1001"),
        Filter(ip="0.0.0.0/0"), Filter(failures=True),
    ):  # fmt: skip
        assert not wanted.accepts(bare)
    assert Filter().accepts(bare)


@pytest.mark.parametrize("address", ["fe80::1%eth0", "not an address", "", "999.1.1.1"])
def test_odd_addresses_never_raise(address: str) -> None:
    Filter(ip="192.0.2.0/24").accepts(event(source=Endpoint(address=address, ip=address)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h ago", "2026-11-21T10:00:00.000"),
        ("2h", "2026-11-21T10:00:00.000"),
        ("90 minutes ago", "2026-11-21T10:30:00.000"),
        ("30s ago", "2026-11-21T11:59:30.000"),
        ("1 day ago", "2026-11-20T12:00:00.000"),
        ("2 weeks", "2026-11-07T12:00:00.000"),
        (" 5 MIN ago ", "2026-11-21T11:55:00.000"),
        ("2026-11-20", "2026-11-20T00:00:00.000"),
        ("2026-11-20 02:03", "2026-11-20T02:03:00.000"),
        ("2026-11-20T02:03:04.567", "2026-11-20T02:03:04.567"),
        ("2026-11-20T02:03:04+02:00", "2026-11-20T00:03:04.000"),
        ("02:00", "2026-11-21T02:00:00.000"),
        ("Nov 20 23:00", "2026-11-20T23:00:00.000"),
    ],
)
def test_moment(text: str, expected: str) -> None:
    assert moment(text, UTC, NOW) == expected


def test_moment_in_a_zone() -> None:
    madrid = tz.gettz("Europe/Madrid")
    assert moment("02:00", madrid, NOW) == "2026-11-21T01:00:00.000"
    assert moment("2026-07-01 02:00", madrid, NOW) == "2026-07-01T00:00:00.000"
    late = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert moment("00:15", madrid, late) == "2026-11-20T23:15:00.000"


@pytest.mark.parametrize(
    ("wanted", "named", "remedy"),
    [
        (Filter(codes=("99",)), "--code 99", "100 to 699"),
        (Filter(codes=("7xx",)), "--code 7xx", "4xx"),
        (Filter(codes=("486x",)), "--code 486x", "4xx"),
        (Filter(kinds=("msg",)), "--kind msg", ", ".join(KINDS)),
        (Filter(ip="192.0.2.300"), "--ip 192.0.2.300", "192.0.2.0/24"),
        (Filter(ip="192.0.2.0/33"), "--ip 192.0.2.0/33", "192.0.2.0/24"),
        (Filter(since="yesterdayish"), "'yesterdayish'", "2h ago"),
        (Filter(until="25:99"), "'25:99'", "2h ago"),
        (Filter(since="999999w ago"), "'999999w ago'", "2h ago"),
        (Filter(since="0001-01-01 00:00 +14:00", timezone="UTC"), "'0001-01-01 00:00 +14:00'", "2h ago"),
        (Filter(since="02:00", timezone="Europe/Nowhere"), "no time zone 'Europe/Nowhere'", "Europe/Madrid"),
        (Filter(match="("), "--match '('", "mend"),
        (Filter(match="a{5,1}"), "--match", "mend"),
    ],
)
def test_value_that_cannot_be_understood(wanted: Filter, named: str, remedy: str) -> None:
    with pytest.raises(FilterError) as caught:
        wanted.check()
    assert named in str(caught.value)
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "option"),
    [
        (Filter(call_id=""), "--call-id"),
        (Filter(codes=()), "--code"),
        (Filter(methods=()), "--method"),
        (Filter(sender=""), "--from"),
        (Filter(receiver=""), "--to"),
        (Filter(user=""), "--user"),
        (Filter(ip=""), "--ip"),
        (Filter(since=""), "--since"),
        (Filter(until=""), "--until"),
        (Filter(kinds=()), "--kind"),
        (Filter(match=""), "--match"),
    ],
)
def test_an_empty_condition_is_refused_and_does_not_let_everything_through(wanted: Filter, option: str) -> None:
    with pytest.raises(FilterError, match=f"^{option} is given without a value; write one behind it, or leave"):
        wanted.check()


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=30),
    st.sampled_from(["ip", "since", "until", "match", "codes", "kinds", "call_id", "user", "sender"]),
)
def test_any_value_is_understood_or_refused_with_one_line(text: str, name: str) -> None:
    wanted = Filter(**{name: (text,) if name in ("codes", "kinds") else text})  # type: ignore[arg-type]
    try:
        wanted.check().accepts(event())
    except FilterError as error:
        assert len(str(error).splitlines()) == 1


def test_expression_that_takes_too_long_is_told() -> None:
    """The limit is a second an event; without it this expression would not end."""
    slow = event(
        event=EventMeta(id="x", kind="event", category=["network"], type=["protocol"], original="a" * 5000 + "!")
    )
    with pytest.raises(FilterError, match="took over .* write a simpler expression"):
        Filter(match="(a+)+$").check().accepts(slow)
