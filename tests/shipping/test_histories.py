"""Random histories of a log: written, rotated in every way, read, read in part, noted only, left alone, restarted."""

import gzip
import json
import re
import shutil
import tempfile
from itertools import count
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from test_followed import Daemon

from tests.packs.writers import message, pjsip

RULER = b"   " + b"-" * 72 + b"\n"
PATHS = ("{}/full*", "{}/full", "{}")
STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from([1, 2, 9])),
    st.tuples(st.just("ship"), st.none()),
    st.tuples(st.just("give_up"), st.sampled_from([0, 7, 20])),
    st.tuples(st.just("note"), st.none()),
    st.tuples(st.just("rename"), st.sampled_from([0, 1, 2])),
    st.tuples(st.just("copytruncate"), st.sampled_from([0, 2])),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 6.0, 70.0, 5000.0])),
)


class History:
    """A log with its rotations, and what follows it: one daemon, or a run from cron after the other."""

    def __init__(self, folder: Path, path: str, first_line: bytes, *, cron: bool) -> None:
        self.live = folder / "full"
        self.cron = cron
        self.first_line = first_line
        self.numbers = count()
        self.written: list[int] = []
        self.write(3)
        self.daemon = Daemon(folder, path.format(folder), once=cron)
        self.ship()

    def write(self, events: int) -> None:
        new = not self.live.exists() or not self.live.stat().st_size
        with self.live.open("ab") as log:
            log.write(self.first_line if new else b"")
            for number in (next(self.numbers) for _ in range(events)):
                self.written.append(number)
                text = pjsip(message(b"body\n", b"Content-Type: text/plain\r\nX-Number: %d" % number))
                log.write(b"[Nov 21 00:%02d:%02d] NOTICE[1] main.c: %d\n" % (*divmod(number % 3600, 60), number) + text)

    def ship(self, _: None = None) -> None:
        if self.cron:
            self.daemon.again()
        self.daemon.passes()

    def give_up(self, events: int) -> None:
        """Elasticsearch goes away after so many."""
        if self.cron:
            self.daemon.again()
        documents = self.daemon.collector.documents()
        sent = [one for _, one in zip(range(events), documents, strict=False)]
        documents.close()
        self.daemon.collector.settled(sent)
        self.daemon.collector.start_over()
        self.daemon.delivered += sent

    def note(self, _: None = None) -> None:
        """Elasticsearch is away from the start."""
        if self.cron:
            self.daemon.again()
        self.daemon.collector.note()

    def restart(self, _: None = None) -> None:
        self.daemon.again()

    def wait(self, seconds: float) -> None:
        self.daemon.steady += seconds

    def rename(self, packed: int) -> None:
        """Rotate as logrotate does; `packed` is 0 for never, 1 for at once, 2 for `delaycompress`."""
        if self.live.exists():
            self._shift()
            self.live.rename(self.live.with_name("full.1"))
            self._pack(packed)
            self._after()

    def copytruncate(self, packed: int) -> None:
        if self.live.exists():
            self._shift()
            shutil.copy2(self.live, self.live.with_name("full.1"))
            self.live.write_bytes(b"")
            self._pack(packed)
            self._after()

    def _after(self) -> None:
        self.write(2)
        if not self.cron:  # the daemon looks twice a second
            self.note()

    def _shift(self) -> None:
        for number in range(40, 0, -1):
            for ending in ("", ".gz"):
                old = self.live.with_name(f"full.{number}{ending}")
                if old.exists():
                    old.rename(self.live.with_name(f"full.{number + 1}{ending}"))

    def _pack(self, number: int) -> None:
        plain = self.live.with_name(f"full.{number}")
        if number and plain.exists():
            packed = self.live.with_name(f"full.{number}.gz")
            packed.write_bytes(gzip.compress(plain.read_bytes()))
            shutil.copystat(plain, packed)
            plain.unlink()

    def end(self) -> list[int]:
        """Ship what is left; return the numbers of what arrived, each as often as Elasticsearch has it."""
        for seconds in (0.0, 0.0, 5000.0, 0.0):
            self.wait(seconds)
            self.ship()
        self.daemon.end()
        bodies = {one.id: json.loads(one.body) for one in self.daemon.delivered}
        texts = [body["event"]["original"] for body in bodies.values() if body["siplogs"]["kind"] == "message"]
        return sorted(int(re.search(r"X-Number: (\d+)", text)[1]) for text in texts)


@settings(deadline=None, max_examples=60)
@given(
    path=st.sampled_from(PATHS),
    first_line=st.sampled_from([b"", RULER]),
    cron=st.booleans(),
    steps=st.lists(STEPS, min_size=12, max_size=45),
)
def test_any_history_of_a_log_gives_each_event_once(
    path: str, first_line: bytes, cron: bool, steps: list[tuple[str, float]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder), path, first_line, cron=cron)
        for name, value in steps:
            getattr(history, name)(value)
        assert history.end() == history.written
        assert history.daemon.warnings == []
