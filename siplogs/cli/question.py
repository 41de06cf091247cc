"""What is asked of `siplogs explain`: an entry, the context to read it in, and how it was recognised."""

import shlex
from typing import Final, NamedTuple

from msgspec import Struct

from siplogs.knowledge import STACK_NAMES, Entry, Match
from siplogs.knowledge.words import Words

SIP: Final = "sip"


class Context(NamedTuple):
    """Where a reason was met: the request's method, the response's direction, the stack; "" is not known."""

    method: str = ""
    direction: str = ""
    stack: str = ""

    def over(self, other: "Context") -> "Context":
        """Return this context with what it leaves open taken from another."""
        return Context(self.method or other.method, self.direction or other.direction, self.stack or other.stack)

    def options(self) -> str:
        """Return the options of `siplogs explain` that stand for it, each with a blank before it."""
        method = f" --method {shlex.quote(self.method)}" if self.method else ""
        direction = f" --{self.direction}" if self.direction else ""
        return method + direction + (f" --stack {self.stack}" if self.stack else "")

    def described(self, words: Words) -> str:
        """Say it in words, such as INVITE, received by the PBX, PJSIP."""
        direction = {"sent": words.sent, "received": words.received, "local": words.local}.get(self.direction, "")
        stack = STACK_NAMES.get(self.stack, self.stack)
        return ", ".join(part for part in (self.method, direction, stack) if part)


class Question(Struct, frozen=True):
    """One thing to explain.

    `key` is what `siplogs explain` takes for it: 455, 4xx, q850:17; an unknown code has the entry of its class. `told`
    says how it was recognised, when that is not plain, and `rule` by which rule of a pattern pack. `others` are further
    things that were recognised; `same_name` says that it is the name that fits them, not the text that holds them.
    """

    key: str
    entry: Entry
    context: Context = Context()
    told: str = ""
    rule: str = ""
    others: tuple["Question", ...] = ()
    same_name: bool = False

    def command(self) -> str:
        """Return the command that asks it."""
        return f"siplogs explain {shlex.quote(self.key)}{self.context.options()}"


def key_of(entry: Entry) -> str:
    """Return what `siplogs explain` takes for an entry: 486, or kind:key."""
    return entry.code if entry.kind == SIP else f"{entry.kind}:{entry.code}"


def context_of(match: Match) -> Context:
    """Return the context of a refinement; of several methods the first stands for all."""
    return Context(match.method[0] if match.method else "", match.direction, match.stack)
