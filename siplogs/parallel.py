"""Reads logs in parts, on all cores, and hands the rendered results over in the log's order.

A large plain file is cut where an entry with a full time begins. Should a record of one part reach beyond that place (a
message whose body looks like an entry), the next part is read again from where that record really ends; from a part on
that something else wraps (syslog, a container), the rest is read in one go: the result is that of one process.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from siplogs.enrich.documents import stack_of
from siplogs.filters import Filter
from siplogs.model import Event
from siplogs.outputs import make_renderer
from siplogs.packs import Accounting, recognise_products, split_points
from siplogs.pipeline import HEAD, Part, Reading, ReadOptions, engine
from siplogs.sources import Source

PART: Final = 3 * 1024 * 1024
WORTH_SPLITTING: Final = 3 * PART
_CHUNK_BYTES: Final = 1_048_576
_CONTEXT: Final = get_context("fork")


class Job(Struct, frozen=True):
    """What is done with every event: how logs are read, which events are wanted, how they are rendered."""

    options: ReadOptions
    wanted: Filter
    format: str
    color: bool = False
    width: int = 120


class Tally(Struct):
    """What came of a part: events found and wanted, responses by (code, method, direction, stack), products, bytes."""

    events: int = 0
    matched: int = 0
    messages: int = 0
    responses: Counter[tuple[int, str, str, str]] = field(default_factory=Counter)
    lines_with_code: Counter[tuple[int, str, str, str]] = field(default_factory=Counter)
    products: Counter[str] = field(default_factory=Counter)
    accounting: Accounting = field(default_factory=Accounting)
    troubles: list[str] = []
    head: bytes = b""

    def count(self, event: Event) -> None:
        """Count a wanted event."""
        self.matched += 1
        ours = event.siplogs
        if ours.code is not None:
            method = (event.event.action or "sip-")[4:].upper()
            where = self.responses if ours.kind == "message" else self.lines_with_code
            where[ours.code, method, ours.response or "", stack_of(ours.pack, ours.pbx)] += 1

    def add(self, other: "Tally") -> None:
        """Add what came of another part."""
        self.events += other.events
        self.matched += other.matched
        self.messages += other.messages
        self.responses.update(other.responses)
        self.lines_with_code.update(other.lines_with_code)
        self.products.update(other.products)
        self.accounting.add(other.accounting)
        self.troubles += other.troubles
        self.head = self.head or other.head


class Output:
    """Where rendered events go: writes `head` before the first of them and takes `separator` off it.

    Shared by processes that write in turn.
    """

    def __init__(self, descriptor: int, head: bytes = b"", separator: bytes = b"") -> None:
        self._descriptor = descriptor
        self._head = head
        self._separator = separator
        self._begun = _CONTEXT.Value("b", 0, lock=False)

    def write(self, data: bytes) -> None:
        """Write everything; raises BrokenPipeError when nobody reads any more."""
        if not data:
            return
        if not self._begun.value:
            self._begun.value = 1
            data = self._head + data.removeprefix(self._separator)
        self.put(data)

    def put(self, data: bytes) -> None:
        """Write bytes as they are."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


class Chunk(Struct):
    """Rendered events of a part; the last chunk of a part has its tally and how far it really reached."""

    data: bytes
    tally: Tally | None = None
    end: int = 0
    doubtful: int = 0
    wrapped: bool = False


def read_part(part: Part, job: Job, on_bytes: Callable[[int], None] | None = None) -> Iterator[Chunk]:
    """Read one part in this process: chunks of about a megabyte (a stream's at once), the last with the tally."""
    reading, tally, renderer = (
        Reading(part, job.options, on_bytes),
        Tally(),
        make_renderer(job.format, job.color, job.width),
    )
    pieces: list[bytes] = []
    size, enough = 0, _CHUNK_BYTES if part.source.size is not None else 1
    for event in reading:
        tally.events += 1
        tally.messages += event.siplogs.kind == "message"
        if job.wanted.accepts(event):
            tally.count(event)
            piece = renderer.event(event)
            pieces.append(piece)
            size += len(piece)
            if size >= enough:
                yield Chunk(b"".join(pieces))
                pieces, size = [], 0
    tally.accounting.add(reading.accounting)
    tally.products.update(reading.products)
    tally.troubles += [str(reading.trouble)] if reading.trouble is not None else []
    tally.head = reading.head[:4096] if not tally.events else b""
    yield Chunk(b"".join(pieces), tally, reading.end, reading.doubtful, reading.wrapped)


def read_all(
    sources: Sequence[Source],
    job: Job,
    jobs: int = 0,
    on_bytes: Callable[[int], None] | None = None,
    out: Output | None = None,
) -> Iterator[Chunk]:
    """Read all sources on `jobs` processes (0: one a core) and yield their chunks in order.

    With `out`, the processes write what they rendered there themselves, each in its turn; their chunks then hold no
    data, and whoever writes the other chunks must do so through `out`, too.
    """
    jobs = jobs or len(os.sched_getaffinity(0))
    for source in sources:
        parts = _parts(source, job.options) if jobs > 1 and source.seekable and _is_large(source) else []
        if len(parts) > 1:
            yield from _Team(parts, job, min(jobs, len(parts)), out).chunks(on_bytes)
        else:
            yield from read_part(Part(source), job, on_bytes)


def _is_large(source: Source) -> bool:
    return (source.size or 0) >= WORTH_SPLITTING


def _parts(source: Source, options: ReadOptions) -> list[Part]:
    """Cut a source into parts of about PART bytes that begin at entries; one part when no entry is found."""
    packs = engine(options).packs
    head = next(source.blocks(0, HEAD, HEAD), b"")
    products = tuple(recognise_products(head, packs.values()))
    pack = next((pack for pack in packs.values() if products and pack.product == products[0]), None)
    bounds, size = [0], source.size or 0
    while pack is not None and bounds[-1] + 2 * PART < size:
        wanted = bounds[-1] + PART
        window = next(source.blocks(wanted, wanted + HEAD, HEAD), b"")
        point = next(split_points(window, pack), None)
        if point is None:
            break
        bounds.append(wanted + point)
    stops = [*bounds[1:], None]
    return [Part(source, products, start, stop) for start, stop in zip(bounds, stops, strict=True)]


def _work(part: Part, job: Job) -> Chunk:
    chunks = list(read_part(part, job))
    last = chunks[-1]
    return Chunk(b"".join(chunk.data for chunk in chunks), last.tally, last.end, last.doubtful, last.wrapped)


class _Team:
    """Processes that read the parts of one source: the first takes the first, and so on in turn."""

    def __init__(self, parts: Sequence[Part], job: Job, size: int, out: Output | None) -> None:
        self._parts = parts
        self._job = job
        self._size = size
        self._out = out
        self._turn = _CONTEXT.Condition()
        self._state = _CONTEXT.Array("q", 4, lock=False)  # whose turn, how far read, doubtful before, wrapped

    def chunks(self, on_bytes: Callable[[int], None] | None) -> Iterator[Chunk]:
        """Start the processes and yield the chunks in order; ends them whatever happens."""
        pipes = [_CONTEXT.Pipe(duplex=False) for _ in range(self._size)]
        team = [_CONTEXT.Process(target=self._run, args=(n, pipes), daemon=True) for n in range(self._size)]
        try:
            for process in team:
                process.start()
            for _, sending in pipes:
                sending.close()
            yield from self._received([receiving for receiving, _ in pipes], on_bytes)
        finally:
            for process in team:
                process.terminate()
                process.join()

    def _received(self, pipes: Sequence[Connection], on_bytes: Callable[[int], None] | None) -> Iterator[Chunk]:
        for number, part in enumerate(self._parts):
            try:
                chunk: Chunk = pipes[number % self._size].recv()
            except EOFError as error:
                raise BrokenPipeError from error
            if chunk.wrapped:
                rest = replace(part, start=max(part.start, int(self._state[1])), stop=None)
                yield from read_part(rest, self._job, on_bytes)
                return
            if on_bytes is not None:
                on_bytes((part.stop or part.source.size or 0) - part.start)
            yield chunk

    def _run(self, me: int, pipes: Sequence[tuple[Connection, Connection]]) -> None:
        """Read every part of mine, wait for my turn, read again what began inside a record, hand the result over."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, (receiving, sending) in enumerate(pipes):
            receiving.close()
            if number != me:
                sending.close()
        with suppress(BrokenPipeError):
            for number in range(me, len(self._parts), self._size):
                chunk = _work(self._parts[number], self._job)
                if not self._hand_over(number, chunk, pipes[me][1]):
                    break
        os._exit(0)

    def _hand_over(self, number: int, chunk: Chunk, sending: Connection) -> bool:
        part, state = self._parts[number], self._state
        with self._turn:
            self._turn.wait_for(lambda: state[0] >= number)
        if state[0] > number:
            return False
        reached, doubtful = int(state[1]), int(state[2])
        if part.start < max(reached, doubtful):
            chunk = _work(replace(part, start=max(part.start, reached), doubtful=doubtful), self._job)
        if not chunk.wrapped:
            state[1], state[2] = max(chunk.end, part.stop or 0), chunk.doubtful
            if self._out is not None:
                self._out.write(chunk.data)
                chunk.data = b""
        sending.send(chunk)
        with self._turn:
            state[0] = len(self._parts) if chunk.wrapped else number + 1
            self._turn.notify_all()
        return not chunk.wrapped
