"""Delivery of ready-made documents: in bulk, each judged by itself, none lost and none doubled.

Every document is sent as `create` under its own `_id`, so that sending it again changes nothing. While Elasticsearch is
overloaded nothing new is read: memory stays bounded by one batch.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from siplogs.errors import DeliveryError
from siplogs.outputs.elasticsearch import Answer, Document, Server, UnreachableError, reason
from siplogs.shipping.dead_letters import DeadLetters, Refusal

# Refusals of single documents that no document is to blame for: all others would meet the same fate.
_FATAL: Final = {
    "security_exception": "the credentials lack a privilege: give them create_doc and auto_configure on siplogs-*",
    "index_not_found_exception": "the index cannot be made: allow siplogs-* in action.auto_create_index",
}
_LONGEST_PAUSE: Final = 60.0
_LONGEST_WISH: Final = 600.0
_REFUSED_AS_A_WHOLE: Final = {400, 413}


class DeliveryReport(Struct):
    """What became of the documents: newly created, already there, or refused and kept as dead letters."""

    created: int = 0
    present: int = 0
    dead: int = 0
    pauses: int = 0

    def __str__(self) -> str:
        return f"{self.created} created, {self.present} already there, {self.dead} dead letters"


class Limits(Struct, frozen=True):
    """Limits of one bulk request, and after how many pauses in a row without progress delivery gives up."""

    documents: int = 2000
    octets: int = 5_000_000
    pauses: int = 10


def deliver(
    documents: Iterable[Document],
    server: Server,
    dead_letters: DeadLetters,
    limits: Limits = Limits(),  # noqa: B008
    *,
    settled: Callable[[Sequence[Document]], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> DeliveryReport:
    """Send documents in order, a batch at a time, and return what became of them.

    `settled` is called with each batch once every document of it is in Elasticsearch or safely among the dead letters:
    the moment at which a checkpoint may move. Raises DeliveryError when the server stays away or refuses everything;
    what was not settled then has to be sent again, which is harmless.
    """
    delivery = _Delivery(server, dead_letters, limits, sleep)
    for batch in _batches(documents, limits):
        delivery.send(batch)
        if settled:
            settled(batch)
    return delivery.report


def resend(server: Server, dead_letters: DeadLetters, limits: Limits = Limits()) -> DeliveryReport:  # noqa: B008
    """Send the dead letters once more; those refused again are kept again. Raises DeliveryError."""
    total = DeliveryReport()
    for documents in dead_letters.batches():
        report = deliver(documents, server, dead_letters, limits)
        for name in DeliveryReport.__struct_fields__:
            setattr(total, name, getattr(total, name) + getattr(report, name))
    return total


class _Delivery:
    def __init__(
        self, server: Server, dead_letters: DeadLetters, limits: Limits, sleep: Callable[[float], None]
    ) -> None:
        self.report = DeliveryReport()
        self._server = server
        self._dead_letters = dead_letters
        self._limits = limits
        self._sleep = sleep

    def send(self, batch: Sequence[Document]) -> None:
        """Send until every document of the batch is settled."""
        waiting: Sequence[Document] = batch
        fruitless = 0
        while waiting:
            try:
                answer = self._server.bulk(_body(waiting))
            except UnreachableError as error:
                left, wish, trouble = waiting, None, DeliveryError(str(error))
            else:
                left, wish = self._judge(waiting, answer), answer.retry_after
                trouble = DeliveryError(f"Elasticsearch is overloaded ({_first_trouble(answer)})")
            fruitless = fruitless + 1 if len(left) == len(waiting) else 1
            waiting = left
            if waiting:
                self._pause(fruitless, wish, trouble)

    def _pause(self, fruitless: int, wish: float | None, trouble: DeliveryError) -> None:
        if fruitless > self._limits.pauses:
            raise DeliveryError(f"{trouble}; gave up after {self.report}; nothing is lost, run again") from trouble
        longest = min(_LONGEST_PAUSE, 2.0 ** (fruitless - 1))
        pause = random.uniform(longest / 2, longest)  # noqa: S311
        self.report.pauses += 1
        self._sleep(max(pause, min(wish or 0.0, _LONGEST_WISH)))

    def _judge(self, sent: Sequence[Document], answer: Answer) -> Sequence[Document]:
        """Count what is settled and return the documents to send again."""
        if answer.status == 200:
            return self._judge_each(sent, answer.body)
        if answer.status == 429 or answer.status >= 500:
            return sent
        if answer.status not in _REFUSED_AS_A_WHOLE:
            raise self._server.refusal(answer, "sending documents")
        if len(sent) == 1:
            self._bury([(sent[0], Refusal(answer.status, "refused_alone", reason(answer.body)))])
            return []
        middle = len(sent) // 2
        self.send(sent[:middle])
        self.send(sent[middle:])
        return []

    def _judge_each(self, sent: Sequence[Document], body: Any) -> Sequence[Document]:
        if not body["errors"]:
            self.report.created += len(sent)
            return []
        again: list[Document] = []
        refused: list[tuple[Document, Refusal]] = []
        for document, item in zip(sent, body["items"], strict=True):
            status = item["create"]["status"]
            if status < 300:
                self.report.created += 1
            elif status == 409:
                self.report.present += 1
            elif status == 429 or status >= 500:
                again.append(document)
            else:
                error = item["create"].get("error", {})
                refused.append((document, Refusal(status, error.get("type", ""), reason({"error": error}))))
        self._bury(refused)
        return again

    def _bury(self, refused: list[tuple[Document, Refusal]]) -> None:
        for _, refusal in refused:
            if refusal.type in _FATAL:
                raise DeliveryError(f"{_FATAL[refusal.type]} ({refusal.reason}); gave up after {self.report}")
        if refused:
            self._dead_letters.keep(refused)
            self.report.dead += len(refused)


def _first_trouble(answer: Answer) -> str:
    for item in answer.body.get("items", ()) if isinstance(answer.body, dict) else ():
        if item["create"]["status"] == 429 or item["create"]["status"] >= 500:
            return f"{item['create']['status']}: {reason(item['create'])}"
    return f"{answer.status}: {reason(answer.body)}"


def _batches(documents: Iterable[Document], limits: Limits) -> Iterator[list[Document]]:
    batch: list[Document] = []
    octets = 0
    for document in documents:
        size = len(document.body) + 100
        if batch and (len(batch) >= limits.documents or octets + size > limits.octets):
            yield batch
            batch, octets = [], 0
        batch.append(document)
        octets += size
    if batch:
        yield batch


def _body(documents: Sequence[Document]) -> bytes:
    encode = msgspec.json.encode
    lines: list[bytes] = []
    for document in documents:
        lines += (encode({"create": {"_index": document.index, "_id": document.id}}), document.body)
    lines.append(b"")
    return b"\n".join(lines)
