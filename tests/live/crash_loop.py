"""Runs `siplogs ship` again and again and kills it at random moments, while its log grows and is rotated.

    python -m tests.live.crash_loop FOLDER EVENTS KILLS SEED

A prepared process is forked for each run, as starting Python costs more than the work between two kills. Prints as
JSON how many runs were killed and how many ended by themselves; what was shipped is judged by the caller.
"""

import gzip
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from siplogs import cli, config
from siplogs.cli import ship, shipment
from siplogs.outputs import elasticsearch
from siplogs.pipeline import engine
from siplogs.shipping import collect, delivery, tail, templates
from tests.packs.writers import message, pjsip

PREPARED = (ship, elasticsearch, collect, delivery, tail, templates)
LONGEST = 0.6


def entry(number: int) -> bytes:
    seconds = number // 100
    wire = message(b"", b"X-Number: %d" % number)
    time_of_day = b"%02d:%02d:%02d" % (seconds // 3600, seconds // 60 % 60, seconds % 60)
    return (b"[Nov 20 %s] NOTICE[1] main.c: %d\n" % (time_of_day, number)) + pjsip(wire).replace(
        b"21 02:17:08", b"20 " + time_of_day
    )


class Loop:
    """The log, its rotations, and the runs; `chance` decides when what happens."""

    def __init__(self, folder: Path, events: int, kills: int, seed: int) -> None:
        self.folder = folder
        self.live = folder / "full"
        self.events = events
        self.wanted = kills
        self.chance = random.Random(seed)
        self.written = self.rotations = self.killed = self.ended = 0
        self.codes: set[int] = set()
        self.after: list[Path] = []

    def run(self) -> None:
        step = -(-self.events // self.wanted)
        while self.killed < self.wanted or self.written < self.events:
            self.append(min(step, self.events - self.written))
            process = self.start()
            time.sleep(self.chance.uniform(0, LONGEST / 2))
            if self.killed % 8 == 7:
                self.rotate()
            time.sleep(self.chance.uniform(0, LONGEST / 2))
            self.kill(process)
        self.after = []
        for _ in range(3):
            self.codes.add(self.finished(self.start()))

    def append(self, count: int) -> None:
        """Write in pieces that end anywhere, as a PBX's buffer does."""
        data = b"".join(entry(number) for number in range(self.written, self.written + count))
        self.written += count
        with self.live.open("ab", buffering=0) as log:
            cut = self.chance.randrange(len(data) + 1)
            log.write(data[:cut])
            log.write(data[cut:])

    def rotate(self) -> None:
        self.rotations += 1
        old = self.folder / f"full.{1000 - self.rotations}"
        if self.rotations % 3 == 2:
            shutil.copy(self.live, old)
            os.truncate(self.live, 0)
        else:
            self.live.rename(old)
        if self.rotations % 3 == 0:
            packed = gzip.compress(old.read_bytes(), 1)
            with old.with_name(f"{old.name}.gz").open("wb", buffering=0) as archive:
                archive.write(packed[: len(packed) // 2])
                time.sleep(self.chance.uniform(0, 0.1))
                archive.write(packed[len(packed) // 2 :])
            old.unlink()

    def start(self) -> int:
        process = os.fork()
        if process:
            return process
        code = 99
        try:
            sys.argv = ["siplogs", "ship"]
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os._exit(code)

    def kill(self, process: int) -> None:
        os.kill(process, signal.SIGKILL)
        code = self.finished(process)
        if code == -signal.SIGKILL:
            self.killed += 1
        else:
            self.ended += 1
            self.codes.add(code)

    def finished(self, process: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def prepare() -> None:
    """Compile once what each run would compile again."""
    settings = config.load()
    for one in shipment.inputs(settings, [], ""):
        made = engine(one.options)
        made.literals(("asterisk",))
        assert made.pairs is not None
        assert made.topics is not None


if __name__ == "__main__":
    loop = Loop(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
    prepare()
    loop.run()
    print(
        json.dumps(
            {
                "killed": loop.killed,
                "ended": loop.ended,
                "codes": sorted(loop.codes),
                "rotations": loop.rotations,
                "written": loop.written,
            }
        )
    )
