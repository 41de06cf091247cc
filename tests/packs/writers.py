"""Write SIP messages into logs the way that each PBX does, so that tests can choose what is in the messages."""

BEFORE = {
    "asterisk": b"[Nov 21 02:17:07] NOTICE[1] chan_sip.c: Peer 'before' is now UNREACHABLE!  Last qualify: 0\n",
    "freeswitch": b"2026-11-21 01:50:03.134991 100.00% [ERR] sofia.c:1 Gateway 'before' is down!\n",
}
AFTER = {
    "asterisk": b"[Nov 21 02:17:09] NOTICE[1] chan_sip.c: Peer 'after' is now UNREACHABLE!  Last qualify: 0\n",
    "freeswitch": b"2026-11-21 01:50:03.164991 100.00% [ERR] sofia.c:1 Gateway 'after' is down!\n",
}
RULER = b"-" * 72


def message(body: bytes = b"", *headers: bytes, start: bytes = b"MESSAGE sip:600@192.0.2.1 SIP/2.0") -> bytes:
    """A SIP message on the wire, with a right Content-Length."""
    lines = [
        start,
        b"Via: SIP/2.0/UDP 192.0.2.11:5060;branch=z9hG4bK-1",
        b"From: <sip:1001@192.0.2.1>;tag=1",
        b"To: <sip:600@192.0.2.1>",
        b"Call-ID: carrier@192.0.2.11",
        b"CSeq: 1 MESSAGE",
        *headers,
        b"Content-Length: %d" % len(body),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def pjsip(wire: bytes) -> bytes:
    """res_pjsip_logger.c: the count, then exactly these bytes and a line feed."""
    marker = b"<--- Received SIP request (%d bytes) from UDP:192.0.2.11:5060 --->\n" % len(wire)
    return b"[Nov 21 02:17:08] VERBOSE[19111] res_pjsip_logger.c: " + marker + wire + b"\n"


def pjproject_refused(wire: bytes) -> bytes:
    """sip_endpoint.c: a message that could not be taken, up to a closing line."""
    head = (
        b"[Nov 21 02:17:08] ERROR[2] pjproject: \t        sip_endpoint.c Error processing packet from 192.0.2.66:5060:"
    )
    return (
        head
        + b" Missing required header(s) (PJSIP_EMISSINGHDR) Call-ID [code 171050]:\n"
        + wire
        + b"\n-- end of packet.\n"
    )


def chan_sip_received(wire: bytes) -> bytes:
    """chan_sip.c, handle_request_do: CRs taken out, closed by dashes, then the counts of headers and body lines."""
    text = wire.replace(b"\r\n", b"\n")
    head, _, body = text.partition(b"\n\n")
    counts = b"--- (%d headers %d lines) ---\n" % (
        head.count(b"\n"),
        body.count(b"\n") + (not body.endswith(b"\n")) if body else 0,
    )
    entry = b"[Nov 21 02:17:08] VERBOSE[27868] chan_sip.c: "
    closed = text if text.endswith(b"\n") else text + b"\n"
    return entry + b"\n<--- SIP read from UDP:192.0.2.20:5060 --->\n" + closed + b"<------------->\n" + entry + counts


def chan_sip_sent(wire: bytes) -> bytes:
    """chan_sip.c, __sip_xmit for requests: as on the wire, an empty line, three dashes."""
    return (
        b"[Nov 21 02:17:08] VERBOSE[27868] chan_sip.c: Reliably Transmitting (no NAT) to 192.0.2.11:5060:\n"
        + wire
        + b"\n---\n"
    )


def chan_sip_response(wire: bytes) -> bytes:
    """chan_sip.c, send_response: the marker on its own line, twelve dashes."""
    entry = b"[Nov 21 02:17:08] VERBOSE[27868] chan_sip.c: \n<--- Transmitting (no NAT) to 192.0.2.11:5060 --->\n"
    return entry + wire + b"\n<------------>\n"


def siptrace(wire: bytes, *, closing: bytes = b"\n") -> bytes:
    """sofia-sip 1.13 tport_logging.c: the wire's count, CRs taken out; before 1.13.8 without a closing line feed."""
    head = b"recv %d bytes from udp/[192.0.2.11]:48057 at 01:50:03.136548:\n" % len(wire)
    return head + RULER + b"\n" + wire.replace(b"\r\n", b"\n") + closing


def siptrace_unclosed(wire: bytes) -> bytes:
    return siptrace(wire, closing=b"")


def siptrace_old(wire: bytes) -> bytes:
    """sofia-sip before 1.13: each line indented by three blanks, between two rules."""
    head = b"recv %d bytes from udp/[192.0.2.11]:48057 at 01:50:03.136548:\n   " % len(wire)
    text = wire.replace(b"\r\n", b"\n")
    lines = b"".join(b"   " + line + b"\n" for line in text.removesuffix(b"\n").split(b"\n"))
    return head + RULER + b"\n" + lines + b"   " + RULER + b"\n"


WRITERS = {
    "pjsip": ("asterisk", pjsip),
    "pjproject-refused": ("asterisk", pjproject_refused),
    "chan_sip-received": ("asterisk", chan_sip_received),
    "chan_sip-sent": ("asterisk", chan_sip_sent),
    "chan_sip-response": ("asterisk", chan_sip_response),
    "siptrace": ("freeswitch", siptrace),
    "siptrace-unclosed": ("freeswitch", siptrace_unclosed),
    "siptrace-old": ("freeswitch", siptrace_old),
}
