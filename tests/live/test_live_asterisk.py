"""What a real Asterisk logs while SIPp calls it, beside what SIPp counted and what went over the wire."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.corpus.truth import Seen, messages, seen_in_log
from tests.live.asterisk import Asterisk, captured

CALLS = 60


@pytest.mark.parametrize(("version", "driver"), [("16", "chan_sip"), ("16", "pjsip"), ("22", "pjsip")])
def test_every_message_of_every_call_is_found_once(
    start_asterisk: Callable[..., Asterisk], version: str, driver: str, tmp_path: Path
) -> None:
    asterisk = start_asterisk(version, driver)
    with asterisk.capture(tmp_path / "calls.pcap"):
        with asterisk.answering() as phones:
            callers = asterisk.sipp("call", calls=CALLS)
        refused = asterisk.sipp("refused", calls=10, number="317", code=486)
    asterisk.stop()

    assert (callers.successful, callers.failed, refused.successful) == (CALLS, 0, 10)
    found = Counter(seen_in_log(event) for event in messages(asterisk.log))
    counted = callers.messages + refused.messages + phones
    assert found.total() == counted.total()
    for what in ("INVITE", "ACK", "BYE", "100", "401", "180", "200", "486"):
        here = sum(number for seen, number in found.items() if seen.what == what)
        assert here == counted[f"{what} sent"] + counted[f"{what} received"], what
    assert found == Counter(_on_the_wire(tmp_path / "calls.pcap", asterisk.address))


def _on_the_wire(capture: Path, address: str) -> Iterator[Seen]:
    for sender, receiver, payload in captured(capture):
        first, *lines = payload.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in reversed(lines) if ": " in line)
        what = first.split()[1 if first.startswith("SIP/2.0") else 0]
        inbound = receiver == address
        peer = f"{sender if inbound else receiver}:5060"
        yield Seen("in" if inbound else "out", what, headers["Call-ID"], headers["CSeq"], peer)
