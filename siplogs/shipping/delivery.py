"""Delivery of ready-made documents: in bulk, each judged by itself, none lost and none doubled.

Every document is sent as `create` under its own `_id`, so that sending it again changes nothing. While batches are sent
the next one is read, and no more: memory stays bounded by three batches however long Elasticsearch takes.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Self

import msgspec
from msgspec import Struct

from siplogs.errors import DeliveryError
from siplogs.outputs.elasticsearch import Answer, Document, Server, UnreachableError, reason
from siplogs.shipping.alongside import Alongside, Control
from siplogs.shipping.dead_letters import DeadLetters, Refusal

# Refusals of single documents that no document is to blame for: all others would meet the same fate.
_FATAL: Final = {
    "security_exception": "the credentials lack a privilege: give them create_doc and auto_configure on siplogs-*",
    "index_not_found_exception": "the index cannot be made: allow siplogs-* in action.auto_create_index",
}
_FULL: Final = "shards open"
_LONGEST_PAUSE: Final = 60.0
_LONGEST_WISH: Final = 600.0
_TOO_LARGE: Final = 413
"""Whoever says so, a proxy too, means the request: a smaller one may pass."""
_AT_ONCE: Final = 2
_TICK_SECONDS: Final = 1.0


class DeliveryReport(Struct):
    """What became of the documents: newly created, already there, or refused and kept as dead letters."""

    created: int = 0
    present: int = 0
    dead: int = 0
    pauses: int = 0

    def add(self, other: "DeliveryReport") -> None:
        """Add what became of other documents."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def __str__(self) -> str:
        return f"{self.created} created, {self.present} already there, {self.dead} dead letters"


class Limits(Struct, frozen=True):
    """Limits of one bulk request, and after how many pauses in a row without progress delivery gives up.

    No document waits for others to fill a request for longer than `seconds`.
    """

    documents: int = 2000
    octets: int = 5_000_000
    seconds: float = 1.0
    pauses: int = 10


def deliver(
    documents: Iterable[Document],
    server: Server,
    dead_letters: DeadLetters,
    limits: Limits = Limits(),  # noqa: B008
    *,
    settled: Callable[[Sequence[Document]], None] | None = None,
    sleep: Callable[[float], None] | None = None,
    troubled: Callable[[str], None] | None = None,
    meanwhile: Callable[[], None] | None = None,
    reading: Callable[[Callable[[], None]], None] | None = None,
    report: DeliveryReport | None = None,
) -> DeliveryReport:
    """Send documents in order, a batch at a time, and return what became of them.

    `settled` is called with each batch once every document of it is in Elasticsearch or safely among the dead letters:
    the moment at which a checkpoint may move. `troubled` is told at each pause why it has to be made, `meanwhile` is
    called every second or so of waiting. `reading` is given what has to be called now and then while the next document
    is looked for: what was found before is sent when it has waited for long enough. `report`, if given, counts what is
    settled. All are called from the caller's thread but `sleep`, which stands in for the pauses.

    Raises DeliveryError when the server stays away or refuses everything; what was not settled then has to be sent
    again, which is harmless. Whatever else is raised meanwhile, say by a signal, gives up the batch that is under way.
    """
    control = Control()
    sleep = control.wait if sleep is None else sleep
    report = DeliveryReport() if report is None else report

    def send(batch: Sequence[Document]) -> _Shipment:
        return _Shipment(server, limits, control, sleep, report).send(batch)

    def done(batch: Sequence[Document], shipment: _Shipment) -> None:
        if shipment.refused:
            dead_letters.keep(shipment.refused)
        report.add(shipment.report)
        if settled:
            settled(batch)

    with Alongside(send, control, width=_AT_ONCE, done=done, told=troubled, meanwhile=meanwhile) as sending:
        batches = _Batches(limits, sending)
        if reading:
            reading(batches.tick)
        for document in documents:
            batches.add(document)
        batches.close()
        sending.wait()
    return report


def resend(server: Server, dead_letters: DeadLetters, limits: Limits = Limits()) -> DeliveryReport:  # noqa: B008
    """Send the dead letters once more; those refused again are kept again. Raises DeliveryError."""
    total = DeliveryReport()
    for documents in dead_letters.batches():
        total.add(deliver(documents, server, dead_letters, limits))
    return total


class _Shipment:
    """What sending one batch takes, and what became of it: `refused` is to be kept once all of it is judged."""

    def __init__(
        self, server: Server, limits: Limits, control: Control, sleep: Callable[[float], None], before: DeliveryReport
    ) -> None:
        self.report = DeliveryReport()
        self.refused: list[tuple[Document, Refusal]] = []
        self._server = server
        self._limits = limits
        self._control = control
        self._sleep = sleep
        self._before = before

    def send(self, batch: Sequence[Document]) -> Self:
        """Send until every document of the batch is judged."""
        waiting: Sequence[Document] = batch
        fruitless = 0
        while waiting:
            try:
                answer = self._server.bulk(_body(waiting))
            except UnreachableError as error:
                left, wish, trouble = waiting, None, str(error)
            else:
                left, wish = self._judge(waiting, answer), answer.retry_after
                trouble = self._trouble(answer) if left else ""
            self._control.check()
            fruitless = fruitless + 1 if len(left) == len(waiting) else 1
            waiting = left
            if waiting:
                self._pause(fruitless, wish, trouble)
        return self

    def _pause(self, fruitless: int, wish: float | None, trouble: str) -> None:
        if fruitless > self._limits.pauses:
            raise DeliveryError(f"{trouble}; gave up after {self._before}; nothing is lost, run again", wish)
        self.report.pauses += 1
        self._control.tell(trouble)
        self._sleep(pause_after(fruitless, wish))

    def _judge(self, sent: Sequence[Document], answer: Answer) -> Sequence[Document]:
        """Count what is settled and return the documents to send again."""
        if answer.status == 200:
            return self._judge_each(sent, answer.body)
        if answer.status == 429 or answer.status >= 500:
            return sent
        if answer.status != _TOO_LARGE and self._server.stranger(answer):
            return sent
        if answer.status not in {400, _TOO_LARGE}:
            raise self._server.refusal(answer, "sending documents")
        if len(sent) == 1:
            self._refuse(sent[0], Refusal(answer.status, "refused_alone", reason(answer.body)))
            return []
        middle = len(sent) // 2
        self.send(sent[:middle])
        self.send(sent[middle:])
        return []

    def _judge_each(self, sent: Sequence[Document], body: Any) -> Sequence[Document]:
        items = _items(body, len(sent))
        if items is None:
            return sent
        again: list[Document] = []
        for document, item in zip(sent, items, strict=True):
            status = item["status"]
            if status < 300:
                self.report.created += 1
            elif status == 409:
                self.report.present += 1
            elif _is_passing(item):
                again.append(document)
            else:
                error = item.get("error")
                kind = str(error.get("type", "")) if isinstance(error, dict) else ""
                self._refuse(document, Refusal(status, kind, reason({"error": error})))
        return again

    def _trouble(self, answer: Answer) -> str:
        items = answer.body.get("items", ()) if isinstance(answer.body, dict) else ()
        for item in filter(_is_passing, _items(answer.body, len(items)) or ()):
            full = item["status"] == 400
            what = "has no room for more indices; prune, or raise the limit" if full else "is overloaded"
            return f"Elasticsearch {what} ({item['status']}: {reason(item)})"
        overloaded = f"Elasticsearch is overloaded ({answer.status}: {reason(answer.body)})"
        return self._server.stranger(answer) or overloaded

    def _refuse(self, document: Document, refusal: Refusal) -> None:
        if refusal.type in _FATAL:
            raise DeliveryError(f"{_FATAL[refusal.type]} ({refusal.reason}); gave up after {self._before}")
        self.refused.append((document, refusal))
        self.report.dead += 1


def pause_after(failures: int, wish: float | None) -> float:
    """Return for how many seconds to wait after so many failures in a row, at least as long as the server wishes.

    It grows from one second to a minute, and a part of it is left to chance: others wait for the same server.
    """
    longest = min(_LONGEST_PAUSE, 2.0 ** min(failures - 1, 6))
    return max(random.uniform(longest / 2, longest), min(wish or 0.0, _LONGEST_WISH))  # noqa: S311


def _items(body: Any, number: int) -> list[dict[str, Any]] | None:
    """Return what became of each document; None when that is no answer to a bulk request of so many."""
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list) or len(items) != number:
        return None
    found = [item.get("create") if isinstance(item, dict) else None for item in items]
    good = all(isinstance(item, dict) and isinstance(item.get("status"), int) for item in found)
    return found if good else None  # type: ignore[return-value]


def _is_passing(item: dict[str, Any]) -> bool:
    """Tell whether a document may be taken later: the server has too much to do, or no room for another index."""
    status: int = item["status"]
    return status == 429 or status >= 500 or (status == 400 and _FULL in reason(item))


class _Batches:
    """Gathers documents to batches and hands each over when it is large enough, or its first document waited enough."""

    def __init__(self, limits: Limits, sending: Alongside[Sequence[Document], _Shipment]) -> None:
        self._limits = limits
        self._sending = sending
        self._batch: list[Document] = []
        self._octets = 0
        self._began = self._ticked = time.monotonic()

    def add(self, document: Document) -> None:
        """Take one document more."""
        size = len(document.body) + 100
        limits = self._limits
        if self._batch and (len(self._batch) >= limits.documents or self._octets + size > limits.octets):
            self.close()
        if not self._batch:
            self._began = time.monotonic()
        self._batch.append(document)
        self._octets += size

    def tick(self) -> None:
        """Hand over what waited for long enough; it is to be called while no document comes."""
        now = time.monotonic()
        if self._batch and now - self._began >= self._limits.seconds:
            self.close()
        if now - self._ticked >= _TICK_SECONDS:
            self._ticked = now
            self._sending.look()

    def close(self) -> None:
        """Hand over what is there."""
        if self._batch:
            batch, self._batch, self._octets = self._batch, [], 0
            self._sending.hand_over(batch)


def _body(documents: Sequence[Document]) -> bytes:
    encode = msgspec.json.encode
    lines: list[bytes] = []
    for document in documents:
        lines += (encode({"create": {"_index": document.index, "_id": document.id}}), document.body)
    lines.append(b"")
    return b"\n".join(lines)
