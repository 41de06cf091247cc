"""Which events are wanted: a set of conditions that all must hold, checked on finished events."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any, Final

import regex
from dateutil import parser as dateutil_parser
from dateutil import tz
from msgspec import Struct

from siplogs.enrich.clock import zone_named
from siplogs.errors import FilterError
from siplogs.model import Event, Party

Predicate = Callable[[Event], bool]

MATCH_SECONDS: Final = 1.0
KINDS: Final = ("message", "notice", "registration", "security")

_RELATIVE: Final = re.compile(
    r"(\d{1,6})\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)(?:\s+ago)?$", re.IGNORECASE
)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CODE: Final = re.compile(r"([1-6])(?:\d\d|xx)$", re.IGNORECASE)


class Filter(Struct, frozen=True, dict=True):
    """The conditions as the user wrote them; one that is None holds for every event.

    `timezone` is the zone of `since` and `until` ("": the host's). Raises FilterError when checked, also for an empty
    condition: behind it stands a variable without a value, and all events are not what was asked for.
    """

    call_id: str | None = None
    codes: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    sender: str | None = None
    receiver: str | None = None
    user: str | None = None
    ip: str | None = None
    since: str | None = None
    until: str | None = None
    failures: bool = False
    kinds: tuple[str, ...] | None = None
    match: str | None = None
    timezone: str = ""

    @property
    def window(self) -> tuple[str, str]:
        """Return `since` and `until` as in @timestamp, "" for one that is not given."""
        since, until = (moment(bound, self._zone) if bound else "" for bound in (self.since, self.until))
        return since, until

    @cached_property
    def _zone(self) -> tzinfo:
        zone = zone_named(self.timezone) if self.timezone else tz.tzlocal()
        if zone is None:
            raise FilterError(f"no time zone {self.timezone!r}; give a name such as Europe/Madrid or an offset +02:00")
        return zone

    @cached_property
    def _predicates(self) -> list[Predicate]:
        zone = self._zone
        makers: tuple[tuple[str, Any, Callable[[Any], Predicate]], ...] = (
            ("--failures", self.failures or None, lambda _: _is_failure),
            ("--kind", self.kinds, _of_kind),
            ("--call-id", self.call_id, _with_call_id),
            ("--code", self.codes, _with_code),
            ("--method", self.methods, _with_method),
            ("--from", self.sender, lambda wanted: _with_party("from_", wanted)),
            ("--to", self.receiver, lambda wanted: _with_party("to", wanted)),
            ("--user", self.user, _with_user),
            ("--ip", self.ip, _with_address),
            ("--since", self.since, lambda bound: _not_before(moment(bound, zone))),
            ("--until", self.until, lambda bound: _not_after(moment(bound, zone))),
            ("--match", self.match, _matching),
        )
        for option, wanted, _ in makers:
            if wanted is not None and not wanted:
                raise FilterError(f"{option} is given without a value; write one behind it, or leave {option} out")
        return [make(wanted) for _, wanted, make in makers if wanted is not None]

    def check(self) -> "Filter":
        """Raise FilterError now rather than at the first event."""
        self._predicates  # noqa: B018
        return self

    def accepts(self, event: Event) -> bool:
        """Say whether all conditions hold for an event."""
        return all(predicate(event) for predicate in self._predicates)


def _is_failure(event: Event) -> bool:
    return bool(event.siplogs.failure)


def _of_kind(kinds: tuple[str, ...]) -> Predicate:
    for kind in kinds:
        if kind not in KINDS:
            raise FilterError(f"--kind {_shown(kind)}: no such kind; use one of {', '.join(KINDS)}")
    return lambda event: event.siplogs.kind in kinds


def _shown(value: str) -> str:
    return value if value.isprintable() else repr(value)


def _with_call_id(prefix: str) -> Predicate:
    def holds(event: Event) -> bool:
        call_id = event.sip.call_id if event.sip is not None else None
        return call_id is not None and call_id.startswith(prefix)

    return holds


def _with_code(codes: tuple[str, ...]) -> Predicate:
    exact: set[str] = set()
    classes: set[str] = set()
    for code in codes:
        if not _CODE.match(code):
            raise FilterError(
                f"--code {_shown(code)}: give codes from 100 to 699 or classes such as 4xx, joined by commas"
            )
        (classes if code.lower().endswith("xx") else exact).add(code.lower())

    def holds(event: Event) -> bool:
        ours = event.siplogs
        return ours.code is not None and (str(ours.code) in exact or ours.class_ in classes)

    return holds


def _with_method(methods: tuple[str, ...]) -> Predicate:
    wanted = {f"sip-{method.lower()}" for method in methods}
    return lambda event: event.event.action in wanted


def _with_party(side: str, wanted: str) -> Predicate:
    def holds(event: Event) -> bool:
        party: Party | None = getattr(event.sip, side) if event.sip is not None else None
        uri = party.uri if party is not None else None
        if party is None or uri is None:
            return False
        return wanted in (uri.username, uri.host, uri.original) or wanted == party.display_info

    return holds


def _with_user(wanted: str) -> Predicate:
    def holds(event: Event) -> bool:
        users = event.related.user if event.related is not None else None
        return users is not None and wanted in users

    return holds


def _with_address(wanted: str) -> Predicate:
    try:
        network = ip_network(wanted, strict=False)
    except ValueError as error:
        raise FilterError(f"--ip {_shown(wanted)}: no address or network; write 192.0.2.7 or 192.0.2.0/24") from error
    known: dict[str, bool] = {}

    def inside(address: str) -> bool:
        if address not in known:
            if len(known) > 65536:
                known.clear()
            known[address] = _is_inside(address, network)
        return known[address]

    return lambda event: any(
        inside(end.ip) for end in (event.source, event.destination) if end is not None and end.ip is not None
    )


def _is_inside(address: str, network: Any) -> bool:
    try:
        return ip_address(address.partition("%")[0]) in network
    except ValueError:
        return False


def _not_before(bound: str) -> Predicate:
    return lambda event: event.timestamp[:23] >= bound


def _not_after(bound: str) -> Predicate:
    return lambda event: event.timestamp[:23] <= bound


def moment(text: str, zone: tzinfo | None, now: datetime | None = None) -> str:
    """Read "2h ago", "2026-11-21 02:00" or "02:00" (today); returns UTC to the millisecond as in @timestamp."""
    now = now or datetime.now(UTC)
    relative = _RELATIVE.match(text.strip())
    try:
        if relative is not None:
            then = now - timedelta(**{_UNITS[relative[2][0].lower()]: int(relative[1])})
        else:
            midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
            then = dateutil_parser.parse(text, default=midnight)
        return f"{then.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:23]
    except (ValueError, OverflowError) as error:
        raise FilterError(f"{text!r} is no time; write '2026-11-21 02:00', '02:00' or '2h ago'") from error


def _matching(pattern: str) -> Predicate:
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise FilterError(f"--match {pattern!r}: no valid regular expression ({error}); mend it") from error

    def holds(event: Event) -> bool:
        searched = event.event.original or event.message or ""
        try:
            return compiled.search(searched, timeout=MATCH_SECONDS) is not None
        except TimeoutError as error:
            raise FilterError(
                f"--match {pattern!r}: took over {MATCH_SECONDS:g} s on one event; write a simpler expression"
            ) from error

    return holds
