"""What the knowledge base says of an event: its code in context, its causes and warnings, a line without a code."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from siplogs.enrich.documents import text
from siplogs.model import Explanation, Reason, Record, WarningValue
from siplogs.sip import Memo

_REFUSALS: Final = frozenset((401, 403, 407))
_CAUSES: Final = 4096
_JUDGED: Final = 4096
SPECIFIC: Final = ("refusal.", "transport.", "pjsip.", "internal.")


class Knowledge(Protocol):
    """What is asked about reasons."""

    def explanation(self, code: int, method: str, direction: str, stack: str) -> Explanation | None:
        """Explain a response code in its context."""

    def term(self, kind: str, text: str, stack: str) -> Explanation | None:
        """Explain anything else, by its kind and its name."""


class Judgement(Struct, frozen=True, gc=False):
    """What a code says of an event, given method, who made the response (sent, received, local or "") and stack."""

    category: list[str]
    type: list[str]
    action: str | None = None
    outcome: str | None = None
    code_text: str | None = None
    code: int | None = None
    code_class: str | None = None
    failure: bool | None = None
    reason: Explanation | None = None
    side: str | None = None


class Reasons:
    """Asks the knowledge base and remembers its answers.

    `topics` says what is asked about a line without a response code, by pack and rule: KIND:KEY or KIND:{group}, with
    | between those that are tried in turn.
    """

    def __init__(self, knowledge: Knowledge, topics: Mapping[tuple[str, str], str]) -> None:
        self._knowledge = knowledge
        self._topics = {rule: [_question(one) for one in asked.split(" | ")] for rule, asked in topics.items()}
        self.judge = lru_cache(maxsize=_JUDGED)(self._judge)
        self.caused: Memo[Any, Any] = Memo(self._caused, _CAUSES)
        self.scanner: Memo[str, Explanation | None] = Memo(self._scanner, _CAUSES)

    def _judge(self, code: int, method: str, side: str, stack: str) -> Judgement:
        category, kind = _category(method), ["protocol"]
        action = f"sip-{method.lower()}" if method and method.isascii() else None
        if not 100 <= code <= 699:
            return Judgement(category, kind, action, code_text=str(code) if code else None)
        reason = self._knowledge.explanation(code, method, side, stack)
        failed = reason.failure if reason is not None else code >= 400
        if code in _REFUSALS:
            kind = ["protocol", "denied"]
        return Judgement(
            category,
            kind,
            action,
            _outcome(code, failed=failed),
            str(code),
            code,
            f"{code // 100}xx",
            failed or None,
            reason,
            side or None,
        )

    def of_line(self, code: Explanation | None, record: Record, stack: str, *, failed: bool) -> Explanation | None:
        """Explain a line as its rule says or by its code, whichever is the more specific.

        What the PBX prints as the reason of a refusal says more than the code beside it; a state says less.
        """
        if code is not None and not failed:
            return code
        topic = self._topic(record, stack)
        if topic is None or (code is not None and code.failure and not topic.id.startswith(SPECIFIC)):
            return code
        return topic

    def _topic(self, record: Record, stack: str) -> Explanation | None:
        for kind, name in self._topics.get((record.pack, record.rule), ()):
            asked = text(record.fields.get(name[1:-1], b"")) if name.startswith("{") else name
            known = self._knowledge.term(kind, asked, stack)
            if known is not None:
                return known
        return None

    def _caused(self, value: Reason | WarningValue) -> Any:
        """Add to a cause or a warning what it means."""
        known, code = None, value.code
        if code is None:
            return value
        if isinstance(value, WarningValue):
            known = self._knowledge.term("warning", str(code), "")
        elif value.protocol is None or value.protocol.upper() == "Q.850":
            known = self._knowledge.term("q850", str(code), "")
        elif value.protocol.upper() == "SIP":
            known = self._knowledge.explanation(code, "", "", "")
        return replace(value, meaning=known.meaning) if known is not None else value

    def _scanner(self, agent: str) -> Explanation | None:
        return self._knowledge.term("scanner", agent, "")


def _question(written: str) -> tuple[str, str]:
    kind, _, name = written.partition(":")
    return kind, name


def _category(method: str) -> list[str]:
    if method == "REGISTER":
        return ["network", "authentication"]
    return ["network", "session"] if method in ("INVITE", "BYE", "CANCEL", "ACK") else ["network"]


def _outcome(code: int, *, failed: bool) -> str | None:
    if code < 200:
        return None
    if failed:
        return "failure"
    return "success" if code < 300 else "unknown"
