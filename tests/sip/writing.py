"""Messages made of headers alone, for what looks at nothing else."""

from siplogs.model import Message
from siplogs.sip.headers import read_header


def message_of(*headers: tuple[str, bytes], body: bytes = b"") -> Message:
    lines = [read_header(name, value) for name, value in headers]
    parts = {header.slot: header.parsed for header in reversed(lines) if header.slot}
    return Message(lines=lines, parts=parts, body=body)
