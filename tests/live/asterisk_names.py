"""What a real Asterisk has: its options, applications, functions, commands, modules and sample files."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.live.asterisk import Asterisk

SIP_FILES = ("sip.conf", "pjsip.conf", "sip_notify.conf", "pjsip_notify.conf", "pjsip_wizard.conf", "iax.conf")


class Names(NamedTuple):
    """All names of one Asterisk, or of several together; `strings` are the whole strings in its programs."""

    pjsip: set[str]
    types: set[str]
    chan_sip: set[str]
    other: set[str]
    applications: set[str]
    functions: set[str]
    commands: set[str]
    files: set[str]
    strings: set[str]

    def options(self, stack: str) -> set[str]:
        """What may stand before an equals sign in a text for `stack`."""
        common = self.other | self.functions
        sides = {"asterisk-pjsip": self.pjsip, "asterisk-chan-sip": self.chan_sip}
        return common | sides.get(stack, self.pjsip | self.chan_sip)

    def accepts(self, command: list[str]) -> bool:
        """Whether a command begins with one that the console knows; what follows are arguments, or prose."""
        return any(
            len(command) >= len(known) and all(word in words for word, words in zip(command, known, strict=False))
            for known in map(_literal, self.commands)
        )


def together(names: Iterable[Names]) -> Names:
    """What any of them has."""
    merged: list[set[str]] = [set().union(*sets) for sets in zip(*names, strict=True)]
    return Names(*merged)


def names_of(asterisk: Asterisk) -> Names:
    """Ask a running Asterisk for everything that it has."""
    etc = asterisk.root / "etc/asterisk"
    modules = {path.name: path for path in asterisk.root.glob("usr/lib/**/asterisk/modules/*.so")}
    options, types = _documented_options(asterisk)
    sip: set[str] = set()
    if "chan_sip.so" in modules:
        sip = _sample(etc / "sip.conf") | _strings([modules["chan_sip.so"]])
    return Names(
        pjsip=options,
        types=types,
        chan_sip=sip,
        other=set().union(*(_sample(path) for path in etc.glob("*.conf") if path.name not in SIP_FILES)),
        applications=set(re.findall(r"^ *(\S+): ", asterisk.cli("core show applications"), re.MULTILINE)),
        functions=set(re.findall(r"^(\S+) +\S+\(", asterisk.cli("core show functions"), re.MULTILINE)),
        commands={line.split(" -- ")[0].strip() for line in asterisk.cli("core show help").splitlines()} - {"", "!"},
        files={path.name for path in etc.iterdir()} | set(modules),
        strings=_strings([asterisk.root / "usr/sbin/asterisk", *modules.values()]),
    )


def _documented_options(asterisk: Asterisk) -> tuple[set[str], set[str]]:
    options: set[str] = set()
    types: set[str] = set()
    for module in re.findall(r"^\t(\S+)", asterisk.cli("config show help"), re.MULTILINE):
        for kind in _listed(asterisk.cli(f"config show help {module}")):
            types.add(kind)
            options.update(_listed(asterisk.cli(f"config show help {module} {kind}").split("[Config Options]")[-1]))
    return options, types


def _listed(answer: str) -> list[str]:
    return re.findall(r"^(\S+) +-- ", answer, re.MULTILINE)


def _sample(path: Path) -> set[str]:
    """Names before an equals sign in a sample file, those in its comments as well."""
    return set(re.findall(r"(?<![\w-])([A-Za-z][\w-]*)\s*=", path.read_text(encoding="utf-8", errors="replace")))


def _strings(programs: Iterable[Path]) -> set[str]:
    return {
        part.decode()
        for path in programs
        for part in re.findall(rb"(?<=\0)[\w-]{3,60}(?=\0)", path.read_bytes(), re.ASCII)
    }


def _literal(command: str) -> list[list[str]]:
    """The words that a command must begin with, each as its alternatives: rtp set debug {on|off|ip}."""
    return [word.strip("{}").split("|") for word in command.split("[", maxsplit=1)[0].split()]
