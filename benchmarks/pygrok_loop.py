"""A plain pygrok loop over a PBX log: the obvious way to do it in Python, and the one siplogs is compared with.

Each line is decoded and matched once against one grok pattern that knows the dialect's marker line and SIP
header lines; the fields are taken out and counted. Nothing is assembled, and nothing is written.
"""

import sys

from pygrok import Grok

_ENTRY = r"\[%{DATA:time}\] %{WORD:level}\[%{INT:thread}\](?:\[%{NOTSPACE:call}\])? %{NOTSPACE:source}:"
_HEADER = r"%{SIPNAME:header}\s*:\s*%{GREEDYDATA:value}"

MARKERS = {
    "asterisk-pjsip": (
        _ENTRY + r" <--- %{WORD:action} SIP %{WORD:kind} \(%{INT:bytes:int} bytes\)"
        r" (?:from|to) %{WORD:transport}:%{NOTSPACE:peer} --->"
    ),
    "asterisk-chan-sip": (
        r"(?:<--- |" + _ENTRY + r" )%{SIPACTION:action} (?:#%{INT:attempt:int} )?(?:\([^)]*\) )?"
        r"(?:from|to) %{NOTSPACE:peer}(?: --->|:)"
    ),
    "freeswitch-siptrace": (
        r"%{SIPACTION:action} %{INT:bytes:int} bytes (?:from|to) %{WORD:transport}/%{NOTSPACE:peer} at %{TIME:time}:"
    ),
}
_CUSTOM = {
    "SIPNAME": r"[A-Za-z][A-Za-z-]*",
    "SIPACTION": r"SIP read|(?:Reliably )?Transmitting|Retransmitting|recv|send",
}


def count(dialect: str, path: str) -> tuple[int, int]:
    """Return how many marker lines and header lines the file at `path` has."""
    grok = Grok(rf"^(?:{MARKERS[dialect]}|{_HEADER})", custom_patterns=_CUSTOM)
    match = grok.match
    markers = headers = 0
    with open(path, encoding="utf-8", errors="replace", newline="\n") as log:  # noqa: PTH123
        for line in log:
            fields = match(line)
            if fields is None:
                continue
            if fields["action"] is None:
                headers += 1
            else:
                markers += 1
    return markers, headers


if __name__ == "__main__":
    found = count(sys.argv[1], sys.argv[2])
    print(f"{found[0]} markers {found[1]} headers")
