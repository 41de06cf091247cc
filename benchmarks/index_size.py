"""What the knowledge in each document costs in a real Elasticsearch: bytes on disk with and without `siplogs.reason`.

`python -m benchmarks.index_size --write` measures this alone and puts its section into docs/benchmarks.md;
`make benchmark` measures it with all the rest. The server is the one of SIPLOGS_TEST_ELASTICSEARCH, else one that is
started for it (`make elasticsearch` installs that).
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.loads import LOADS, MEGABYTE, Load, prepare
from benchmarks.measure import DATA, ROOT
from benchmarks.page import replaced, table
from benchmarks.server import running
from siplogs.config import ElasticsearchSettings
from siplogs.errors import SiplogsError
from siplogs.model import Event
from siplogs.outputs.elasticsearch import EVENTS, Document, Server, connect, document
from siplogs.pipeline import Part, Reading, ReadOptions
from siplogs.shipping import templates
from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.delivery import deliver
from siplogs.sources import Source

TITLE = "## Size in the index"
SIZE = 20 * MEGABYTE
_EXPLANATION = """\
The events of each load, indexed with the shipped template into one shard without replicas, merged into one segment.
"without" leaves `siplogs.reason` out of the same documents. Bytes are those of the whole index on disk, a document."""


@dataclass(frozen=True, slots=True)
class Size:
    """One load in the index: documents, those that carry knowledge, and bytes a document, as JSON and on disk."""

    key: str
    documents: int
    explained: int
    json_with: float
    json_without: float
    disk_with: float
    disk_without: float


def index_sizes(corpus: Path, keys: Sequence[str], size: int = SIZE) -> list[Size]:
    """Measure the recorded loads; SiplogsError or OSError when there is no server to measure with."""
    loads = [load for load in LOADS if load.key in keys and load.source]
    with running() as url:
        server = connect(ElasticsearchSettings(url=[url], replicas=0))
        list(templates.install(server))
        return [_measured(server, load, prepare(load, size, corpus, DATA)) for load in loads]


def section(sizes: Sequence[Size], problem: str = "") -> str:
    """Return the section of the document."""
    head = ("name", "documents", "with knowledge", "JSON bytes with", "without", "on disk with", "without", "knowledge")
    rows = [
        (
            size.key,
            f"{size.documents:,}",
            f"{size.explained / size.documents:.0%}",
            f"{size.json_with:,.0f}",
            f"{size.json_without:,.0f}",
            f"{size.disk_with:,.0f}",
            f"{size.disk_without:,.0f}",
            f"{size.disk_with - size.disk_without:+,.0f} ({size.disk_with / size.disk_without - 1:+.0%})",
        )
        for size in sizes
    ]
    shown = table([head, *rows]) if rows else f"Not measured: {problem}"
    return f"{TITLE}\n\n{_EXPLANATION}\n\n{shown}\n"


def _measured(server: Server, load: Load, path: Path) -> Size:
    sys.stderr.write(f"{load.key}: size in the index\n")
    whole = _Index(server, load, path, explained=True)
    plain = _Index(server, load, path, explained=False)
    return Size(load.key, whole.documents, whole.known, whole.json, plain.json, whole.disk, plain.disk)


class _Index:
    """An index filled with a load, measured and removed."""

    def __init__(self, server: Server, load: Load, path: Path, *, explained: bool) -> None:
        self.name = f"{EVENTS}-size.{load.key}.{'with' if explained else 'without'}"
        self.documents = self.known = self._octets = 0
        server.request("DELETE", f"/{self.name}")
        with TemporaryDirectory() as folder:
            letters = DeadLetters(Path(folder) / "dead-letters.ndjson")
            report = deliver(self._filled(path, explained=explained), server, letters)
        if report.created != self.documents:
            raise OSError(f"{self.name}: {report} of {self.documents} documents")
        self.json = self._octets / self.documents
        self.disk = self._on_disk(server) / self.documents
        server.request("DELETE", f"/{self.name}")

    def _filled(self, path: Path, *, explained: bool) -> Iterator[Document]:
        for event in Reading(Part(Source.of(str(path))), ReadOptions()):
            self.documents += 1
            self.known += event.siplogs.reason is not None
            made = document(event if explained else _without(event))
            self._octets += len(made.body)
            yield Document(self.name, made.id, made.body)

    def _on_disk(self, server: Server) -> int:
        for step in ("_forcemerge?max_num_segments=1", "_flush?force=true", "_refresh"):
            path, _, query = f"/{self.name}/{step}".partition("?")
            asked = dict([query.split("=")]) if query else None
            server.expect(server.request("POST", path, query=asked), step)
        answer = server.expect(server.request("GET", f"/{self.name}/_stats/store"), "asking for the size")
        octets: int = answer["_all"]["primaries"]["store"]["size_in_bytes"]
        return octets


def _without(event: Event) -> Event:
    event.siplogs.reason = None
    return event


def main() -> int:
    """Measure, show, and with --write put the section into docs/benchmarks.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.index_size", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=ROOT / "tests" / "corpus", help="folder of the recorded loads")
    parser.add_argument("--write", action="store_true", help="put the section into docs/benchmarks.md")
    given = parser.parse_args()
    try:
        text = section(index_sizes(given.corpus, [load.key for load in LOADS]))
    except (SiplogsError, OSError) as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        return 2
    print(text)
    if given.write:
        file = ROOT / "docs" / "benchmarks.md"
        file.write_text(replaced(file.read_text(encoding="utf-8"), text, "## The exact commands"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
