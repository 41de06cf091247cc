"""The one way through: source, packs, SIP, enrichment. Each stage is an iterator and usable alone.

>>> for event in read_events(find(["/var/log/asterisk/full"], warn=print)):
...     print(event.sip.call_id, event.siplogs.code)
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from siplogs import knowledge
from siplogs.enrich.clock import Clock, zone_named
from siplogs.enrich.events import EventBuilder
from siplogs.enrich.redaction import MARKS
from siplogs.errors import ConfigError, PackError, SourceError
from siplogs.model import Event
from siplogs.packs import (
    Accounting,
    Literals,
    Pack,
    RecordStream,
    Scanner,
    load_packs,
    recognise_products,
    require_proof,
    unwrap,
)
from siplogs.packs.scanner import LARGEST_MESSAGE
from siplogs.resources import data_folder
from siplogs.sip import DEFAULT_LIMITS, Limits
from siplogs.sources import Source

HEAD: Final = 1_048_576
BLOCK: Final = 524_288


class ReadOptions(Struct, frozen=True):
    """How logs are read. `packs` forces pattern packs; `timezone` is the zone of times without one ("": the host's).

    `largest` is the most bytes of one message, `limits` how much of its headers is read.
    """

    packs: tuple[str, ...] = ()
    timezone: str = ""
    host: str = ""
    original: bool = True
    language: str = "en"
    largest: int = LARGEST_MESSAGE
    limits: Limits = DEFAULT_LIMITS

    @property
    def zone(self) -> tzinfo | None:
        """The zone of times without one, None for the host's. Raises ConfigError when there is none of that name."""
        zone = zone_named(self.timezone)
        if self.timezone and zone is None:
            raise ConfigError(f"no time zone {self.timezone!r}; give a name such as Europe/Madrid or an offset +02:00")
        return zone


class Engine:
    """What is compiled once for all logs: packs, literals, knowledge."""

    def __init__(self, options: ReadOptions) -> None:
        self.options = options
        self.knowledge = knowledge.load(language=options.language)
        self._literals: dict[tuple[str, ...], Literals] = {}

    @cached_property
    def packs(self) -> dict[str, Pack]:
        """All packs by name, or those that were asked for."""
        packs = load_packs(data_folder("patterns"))
        require_proof([pack for pack in packs.values() if not pack.trusted])
        unknown = [name for name in self.options.packs if name not in packs]
        if unknown:
            raise PackError(f"no pattern pack {unknown[0]!r}; there are {', '.join(sorted(packs))}")
        return {name: pack for name, pack in packs.items() if not self.options.packs or name in self.options.packs}

    @cached_property
    def pairs(self) -> frozenset[str]:
        """Names of the rules whose lines hold key="value" pairs."""
        return frozenset(rule.name for pack in self.packs.values() for rule in pack.rules if rule.data.pairs)

    @cached_property
    def topics(self) -> dict[tuple[str, str], str]:
        """What the knowledge base is asked about lines without a response code, by pack and rule."""
        rules = (rule for pack in self.packs.values() for rule in pack.rules)
        return {(rule.pack, rule.name): rule.data.explain for rule in rules if rule.data.explain}

    def literals(self, products: tuple[str, ...]) -> Literals:
        """Return the compiled literals of the packs of some products."""
        if products not in self._literals:
            rules = [rule for pack in self.packs.values() if pack.product in products for rule in pack.rules]
            self._literals[products] = Literals(rules, MARKS)
        return self._literals[products]


_engines: Final[dict[ReadOptions, Engine]] = {}


def engine(options: ReadOptions) -> Engine:
    """Return the engine of these options, compiled once a process however many hosts and zones it serves.

    Raises ConfigError for a time zone that there is not.
    """
    options.zone  # noqa: B018
    shared = replace(options, host="", timezone="")
    if shared not in _engines:
        _engines[shared] = Engine(shared)
    return _engines[shared]


@contextmanager
def fresh_engines() -> Iterator[None]:
    """Compile packs anew from here on; where the body fails, those from before are in force again."""
    before = _engines.copy()
    _engines.clear()
    try:
        yield
    except BaseException:
        _engines.clear()
        _engines.update(before)
        raise


class Part(Struct, frozen=True):
    """A piece of a log to read: a whole source, or a range of it that begins at an entry.

    Records before the offset `doubtful` could be text of a damaged message's body. Where `live`, the log is still
    written to: an unfinished record at its end is left for the next reading; where it may be some day (`grows`), only a
    line without its end is. The next reading begins at `Reading.settled`, knows the date that was last seen (`dated`)
    and when the reading before ended (`since`), and passes over the records before `done`.
    """

    source: Source
    products: tuple[str, ...] = ()
    start: int = 0
    stop: int | None = None
    doubtful: int = 0
    live: bool = False
    grows: bool = False
    dated: bytes = b""
    done: int = 0
    since: float | None = None


class Reading:
    """The reading of one part: an iterator of events that knows afterwards where the bytes went.

    `dated` is the text of the last date that a record needed so far.
    """

    def __init__(self, part: Part, options: ReadOptions, on_bytes: Callable[[int], None] | None = None) -> None:
        self.part = part
        self.options = options
        self.accounting = Accounting()
        self.products: tuple[str, ...] = part.products
        self.dated = part.dated
        self.head = b""
        self.end = self.doubtful = self.settled = 0
        self._scanner: Scanner | None = None
        self._stream: RecordStream | None = None
        self.trouble: SourceError | None = None
        self._on_bytes = on_bytes
        self._engine = engine(options)

    def __iter__(self) -> Iterator[Event]:
        """Yield the events; a source that fails in the middle ends the iteration and leaves its error in `trouble`."""
        part, packs = self.part, self._engine.packs
        try:
            builder = self._builder(part.source)
        except SourceError as error:
            if not part.grows:
                raise
            self.trouble = error
            return
        blocks = self._blocks()
        first = next(blocks, b"")
        self.head = first[:HEAD]
        if not self.products:
            clean = next(unwrap([self.head], [pack.prefix.start for pack in packs.values()]), None)
            self.products = tuple(recognise_products(clean.data if clean else b"", packs.values()))
        products = self.products or tuple(sorted({pack.product for pack in packs.values()}))
        largest, doubtful = self.options.largest, part.doubtful
        literals = self._engine.literals(products)
        scanner = Scanner(
            literals,
            offset=part.start,
            stop=part.stop,
            largest=largest,
            doubtful=doubtful,
            dated=part.dated,
            live=part.live,
            grows=part.grows,
        )
        stream = RecordStream(scanner, [pack for pack in packs.values() if pack.product in products], part.start)
        self._scanner, self._stream, self.accounting = scanner, stream, scanner.accounting
        for record in stream(_chained(first, blocks)):
            self.dated = record.dated or self.dated
            if record.offset >= part.done:
                yield builder.build(record)
        if builder.timeless:
            self.accounting.reasons["bad-time"] += builder.timeless
        self.end, self.doubtful = scanner.end, scanner.doubtful
        self.settled = stream.settled

    @property
    def wrapped(self) -> bool:
        """Whether anything had to be unwrapped so far."""
        return self._stream is not None and self._stream.wrapped

    def _blocks(self) -> Iterator[bytes]:
        try:
            yield from self.part.source.blocks(self.part.start, size=BLOCK, on_bytes=self._on_bytes)
        except SourceError as error:
            self.trouble = error
            if self.part.grows and self._scanner is not None:
                self._scanner.live = True

    def _builder(self, source: Source) -> EventBuilder:
        return EventBuilder(
            path=(source.name or source.path).encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
            identity=source.identity(),
            clock=Clock(self.options.zone, source.modified, self.part.since),
            knowledge=self._engine.knowledge,
            products={name: pack.product for name, pack in self._engine.packs.items()},
            host=self.options.host,
            original=self.options.original,
            limits=self.options.limits,
            pairs=self._engine.pairs,
            topics=self._engine.topics,
            created=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        )


def _chained(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def read_events(
    sources: Iterable[Source], options: ReadOptions | None = None, warn: Callable[[str], None] | None = None
) -> Iterator[Event]:
    """Yield the events of logs, one after another; `warn` gets a line for each that could not be read whole."""
    for source in sources:
        reading = Reading(Part(source), options or ReadOptions())
        yield from reading
        if reading.trouble is not None and warn is not None:
            warn(str(reading.trouble))
