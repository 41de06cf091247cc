"""A log with hardly any SIP: calls as Asterisk tells them at verbose 5 with SIP logging off, addresses of RFC 5737.

One call in a hundred is followed by a rejected registration, so that there is something to find.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

_SEED = 20_261_121

_CALL = (
    'pbx.c: Executing [{to}@from-internal:1] NoOp("PJSIP/{who}-{leg}", "call from {who} to {to}") in new stack',
    'pbx.c: Executing [{to}@from-internal:2] Set("PJSIP/{who}-{leg}", "CDR(accountcode)={account}") in new stack',
    'pbx.c: Executing [{to}@from-internal:3] GotoIf("PJSIP/{who}-{leg}", "0?busy:dial") in new stack',
    "pbx_builtins.c: Goto (from-internal,{to},6)",
    'pbx.c: Executing [{to}@from-internal:6] MixMonitor("PJSIP/{who}-{leg}", "{account}.wav,b") in new stack',
    "app_mixmonitor.c: Begin MixMonitor Recording PJSIP/{who}-{leg}",
    'pbx.c: Executing [{to}@from-internal:7] Dial("PJSIP/{who}-{leg}", "PJSIP/{to},30,tT") in new stack',
    "app_dial.c: Called PJSIP/{to}",
    "app_dial.c: PJSIP/{to}-{peer} is ringing",
    (
        "res_rtp_asterisk.c: 0x7f60cc0{account} -- Strict RTP learning after remote address set to: "
        "198.51.100.{octet}:{port}"
    ),
    "app_dial.c: PJSIP/{to}-{peer} answered PJSIP/{who}-{leg}",
    "bridge_channel.c: Channel PJSIP/{to}-{peer} joined 'simple_bridge' basic-bridge <{bridge}>",
    "bridge_channel.c: Channel PJSIP/{who}-{leg} joined 'simple_bridge' basic-bridge <{bridge}>",
    "bridge.c: Bridge {bridge}: switching from simple_bridge technology to native_rtp",
    (
        "res_rtp_asterisk.c: 0x7f60cc0{account} -- Strict RTP switching to RTP target address "
        "198.51.100.{octet}:{port} as source"
    ),
    "bridge_channel.c: Channel PJSIP/{to}-{peer} left 'native_rtp' basic-bridge <{bridge}>",
    "bridge_channel.c: Channel PJSIP/{who}-{leg} left 'native_rtp' basic-bridge <{bridge}>",
    "pbx.c: Spawn extension (from-internal, {to}, 7) exited non-zero on 'PJSIP/{who}-{leg}'",
    "app_mixmonitor.c: End MixMonitor Recording PJSIP/{who}-{leg}",
)
_RARE = (
    "NOTICE[{thread}] res_pjsip/pjsip_distributor.c: Request 'REGISTER' from '<sip:{who}@192.0.2.1>' failed for "
    "'203.0.113.{octet}:{port}' (callid: {account}@203.0.113.{octet}) - Failed to authenticate\n"
)
_CALLS_PER_RARE = 100


def generate(size: int, target: Path) -> None:
    """Write about `size` bytes of log, the same ones every time, to the file `target`."""
    written = 0
    with target.open("wb") as out:
        for text in _calls(random.Random(_SEED)):
            out.write(text)
            written += len(text)
            if written >= size:
                return


def _calls(chance: random.Random) -> Iterator[bytes]:
    moment = datetime(2026, 11, 21, 2, 0)  # noqa: DTZ001
    number = 0
    while True:
        number += 1
        moment += timedelta(milliseconds=chance.randint(20, 180))
        yield _one_call(chance, number, moment.isoformat(" ", "milliseconds")).encode()


def _one_call(chance: random.Random, number: int, moment: str) -> str:
    thread = chance.randint(1_000, 32_000)
    facts = {
        "who": chance.randint(1_000, 1_999),
        "to": chance.randint(2_000, 2_999),
        "leg": f"{2 * number:08x}",
        "peer": f"{2 * number + 1:08x}",
        "account": f"{chance.getrandbits(20):06d}",
        "octet": chance.randint(1, 254),
        "port": chance.randrange(10_000, 20_000, 2),
        "bridge": f"{chance.getrandbits(32):08x}-7c1e-4f0a-9b1d-{number:012x}",
    }
    head = f"[{moment}] VERBOSE[{thread}][C-{number:08x}] "
    text = "".join(f"{head}{line}\n" for line in _CALL).format(**facts)
    return text if number % _CALLS_PER_RARE else f"{text}[{moment}] {_RARE.format(thread=thread, **facts)}"
