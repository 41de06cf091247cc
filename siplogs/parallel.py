"""Reads logs in parts, on all cores, and hands the rendered results over in the log's order.

A large plain file is cut where an entry with a full time begins. Should a record of one part reach beyond that place (a
message whose body looks like an entry), the next part is read again from where that record really ends; from a part on
that something else wraps (syslog, a container), the rest is read in one go: the result is that of one process.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from siplogs.enrich.documents import stack_of
from siplogs.errors import SiplogsError, SourceError
from siplogs.filters import Filter
from siplogs.model import Event
from siplogs.outputs import make_renderer
from siplogs.packs import Accounting, recognise_products, split_points
from siplogs.packs.literals import LOOKS_LIKE_SIP
from siplogs.pipeline import HEAD, Part, Reading, ReadOptions, engine
from siplogs.sources import Source
from siplogs.sources.source import shown

PART: Final = 3 * 1024 * 1024
WORTH_SPLITTING: Final = 3 * PART
_CHUNK_BYTES: Final = 1_048_576
_HEAD_SHOWN: Final = 4096
_ORPHAN_SECONDS: Final = 1.0
_GLANCE_SECONDS: Final = 0.05
_CONTEXT: Final = get_context("fork")


class Job(Struct, frozen=True):
    """What is done with every event: how logs are read, which events are wanted, how they are rendered."""

    options: ReadOptions
    wanted: Filter
    format: str
    color: bool = False
    width: int = 120


Context = tuple[int, str, str, str, bool]
"""Response code, method, who made the response (sent, received, local or ""), stack, and whether it failed."""


class Tally(Struct):
    """What came of a part: events found and wanted, responses in their contexts, products, bytes.

    `unknown` has path and beginning of each log that no pattern pack fits; `head` is what to show of a log in which no
    message was found: its beginning, or the first text there that looks like SIP.
    """

    events: int = 0
    matched: int = 0
    messages: int = 0
    responses: Counter[Context] = field(default_factory=Counter)
    lines_with_code: Counter[Context] = field(default_factory=Counter)
    products: Counter[str] = field(default_factory=Counter)
    accounting: Accounting = field(default_factory=Accounting)
    troubles: list[str] = []
    unknown: list[tuple[str, bytes]] = []
    head: bytes = b""

    def count(self, event: Event) -> None:
        """Count a wanted event."""
        self.matched += 1
        ours = event.siplogs
        if ours.code is not None:
            method = (event.event.action or "sip-")[4:].upper()
            where = self.responses if ours.kind == "message" else self.lines_with_code
            stack = stack_of(ours.pack, ours.pbx, _source(event))
            where[ours.code, method, ours.response or "", stack, bool(ours.failure)] += 1

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
        self.unknown += other.unknown
        self.head = self.head or other.head


def _source(event: Event) -> str:
    """Return the component that wrote an event's line."""
    return (event.log.logger if event.log is not None else None) or event.event.provider or ""


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
        """Write everything; raises BrokenPipeError when nobody reads any more, SiplogsError when the disk is full."""
        if not data:
            return
        if not self._begun.value:
            self._begun.value = 1
            data = self._head + data.removeprefix(self._separator)
        self.put(data)

    def put(self, data: bytes) -> None:
        """Write bytes as they are."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise SiplogsError(f"cannot write the output ({why}): it is not whole; write it somewhere else") from error


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
    tally.head = _telling(reading) if not tally.messages else b""
    if not reading.products and not tally.events and reading.accounting.read:
        tally.unknown.append((shown(part.source.path), tally.head))
    yield Chunk(b"".join(pieces), tally, reading.end, reading.doubtful, reading.wrapped)


def _telling(reading: Reading) -> bytes:
    """Return the log's beginning or, when SIP was seen but not read there, the first of it with the line before."""
    head = reading.head
    place = head.find(LOOKS_LIKE_SIP) if reading.products and reading.accounting.reasons["unknown-shape"] else 0
    start = head.rfind(b"\n", 0, max(head.rfind(b"\n", 0, max(place, 0)), 0)) + 1
    return head[start : start + _HEAD_SHOWN]


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
        self._parent = os.getpid()
        self._name = shown(parts[0].source.path)
        self._turn = _CONTEXT.Condition()
        self._state = _CONTEXT.Array("q", 4, lock=False)  # whose turn, how far read, doubtful before, wrapped

    def chunks(self, on_bytes: Callable[[int], None] | None) -> Iterator[Chunk]:
        """Start the processes and yield the chunks in order; ends them whatever happens.

        Raises what one of them raised, and SourceError when one was ended from outside.
        """
        pipes = [_CONTEXT.Pipe(duplex=False) for _ in range(self._size)]
        team = [_CONTEXT.Process(target=self._run, args=(n, pipes), daemon=True) for n in range(self._size)]
        try:
            self._start(team)
            for _, sending in pipes:
                sending.close()
            yield from self._received([receiving for receiving, _ in pipes], team, on_bytes)
        finally:
            for process in team:
                if process.pid is not None:
                    process.terminate()
                    process.join()

    def _start(self, team: Sequence[ForkProcess]) -> None:
        try:
            for process in team:
                process.start()
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise SourceError(f"{self._name}: no process can be started to read it ({why}); try --jobs 1") from error

    def _received(
        self, pipes: Sequence[Connection], team: Sequence[ForkProcess], on_bytes: Callable[[int], None] | None
    ) -> Iterator[Chunk]:
        for number, part in enumerate(self._parts):
            chunk = self._next(pipes[number % self._size], team)
            if chunk.wrapped:
                rest = replace(part, start=max(part.start, int(self._state[1])), stop=None)
                yield from read_part(rest, self._job, on_bytes)
                return
            if on_bytes is not None:
                on_bytes((part.stop or part.source.size or 0) - part.start)
            yield chunk

    def _next(self, pipe: Connection, team: Sequence[ForkProcess]) -> Chunk:
        """Wait for what a process hands over; none can do without the others, so the death of any ends all."""
        while not pipe.poll():
            if dead := next((process for process in team if process.exitcode), None):
                raise self._death(dead)
            wait([pipe, *(process.sentinel for process in team if process.exitcode is None)])
        try:
            outcome: Chunk | Exception = pipe.recv()
        except (EOFError, OSError) as error:
            raise self._death(_fallen(team)) from error
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _death(self, process: ForkProcess | None) -> SourceError:
        number = -(process.exitcode or 0) if process is not None else 0
        why = f"signal {number}{': out of memory?' if number == signal.SIGKILL else ''}" if number > 0 else "too early"
        return SourceError(f"{self._name}: a reading process ended ({why}): the output is not whole; try --jobs 1")

    def _run(self, me: int, pipes: Sequence[tuple[Connection, Connection]]) -> None:
        """Read every part of mine, wait for my turn, read again what began inside a record, hand the result over."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, (receiving, sending) in enumerate(pipes):
            receiving.close()
            if number != me:
                sending.close()
        try:
            for number in range(me, len(self._parts), self._size):
                chunk = _work(self._parts[number], self._job)
                if not self._hand_over(number, chunk, pipes[me][1]):
                    break
        except Exception as error:  # noqa: BLE001 (the parent raises it)
            with suppress(OSError):
                pipes[me][1].send(self._told(error))
        os._exit(0)

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, SiplogsError | BrokenPipeError):
            return error
        why = f"{type(error).__name__}: {error}"
        return SourceError(f"{self._name}: a reading process failed ({why}): the output is not whole; try --jobs 1")

    def _hand_over(self, number: int, chunk: Chunk, sending: Connection) -> bool:
        part, state = self._parts[number], self._state
        if not self._my_turn(number):
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

    def _my_turn(self, number: int) -> bool:
        """Wait until all parts before are handed over; False when none is wanted any more, or the parent is gone."""
        with self._turn:
            while not self._turn.wait_for(lambda: self._state[0] >= number, _ORPHAN_SECONDS):
                if os.getppid() != self._parent:
                    return False
        return int(self._state[0]) == number


def _fallen(team: Sequence[ForkProcess]) -> ForkProcess | None:
    """Return the process that ended badly; the end of its pipe is seen before its exit code is there."""
    limit = time.monotonic() + _ORPHAN_SECONDS
    while time.monotonic() < limit:
        for process in team:
            if process.exitcode:
                return process
        wait([process.sentinel for process in team if process.exitcode is None], _GLANCE_SECONDS)
    return None
