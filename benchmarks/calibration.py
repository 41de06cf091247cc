"""A yardstick for machines: how many MB/s of SIP header lines plain Python splits into dictionaries here.

The text is fixed and lies in memory, so the figure depends on the processor and the interpreter alone.
"""

from time import perf_counter

_MESSAGE = b"""INVITE sip:+442079460300@pbx.example.com SIP/2.0\r
Via: SIP/2.0/UDP 192.0.2.11:5060;rport;branch=z9hG4bK-29694-1-0\r
From: "User 1001" <sip:1001@pbx.example.com>;tag=29694SIPpTag001\r
To: <sip:+442079460300@pbx.example.com>\r
Call-ID: 1-29694@192.0.2.11\r
CSeq: 1 INVITE\r
Contact: <sip:1001@192.0.2.11:5060;transport=UDP>\r
Max-Forwards: 70\r
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE\r
Supported: replaces, timer\r
User-Agent: benchmark\r
Content-Type: application/sdp\r
Content-Length:   150"""
_TIMES = 12_000
_ROUNDS = 3


def header_rate() -> float:
    """Return the best MB/s (1e6 bytes) of a few rounds of `split` and `partition` over some 6 MB of messages."""
    text = b"\r\n\r\n".join([_MESSAGE] * _TIMES)
    return max(_round(text) for _ in range(_ROUNDS))


def _round(text: bytes) -> float:
    started = perf_counter()
    for message in text.split(b"\r\n\r\n"):
        fields: dict[bytes, bytes] = {}
        for line in message.split(b"\r\n"):
            name, _, value = line.partition(b": ")
            fields[name] = value
    return len(text) / 1e6 / (perf_counter() - started)


if __name__ == "__main__":
    print(header_rate())
