"""A real Asterisk on loopback addresses of its own, called by SIPp, which keeps count independently of the log.

    with Asterisk(root, "chan_sip") as asterisk, asterisk.answering() as phones:
        callers = asterisk.sipp("call", calls=60, rate=30)
    asterisk.log.read_text(); callers.messages; phones

The roots come from tools/asterisk/make-asterisk. Every process is ended by its own id, and ends with the test run
even when that is killed.
"""

import csv
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, Self

LAB = Path(__file__).parent / "lab"
REPOSITORY = Path(__file__).parents[2]
ROOTS = Path(os.environ.get("SIPLOGS_ASTERISK", REPOSITORY / ".asterisk"))
MAKE = REPOSITORY / "tools/asterisk/make-asterisk"
Driver = Literal["chan_sip", "pjsip"]
DEBUG = {"chan_sip": "sip set debug", "pjsip": "pjsip set logger"}
BOOT = 60.0  # seconds that Asterisk and SIPp get to start and to end


class Calls(NamedTuple):
    """What SIPp counted on one side: calls, and messages by "INVITE sent" or "200 received", repeats included."""

    successful: int
    failed: int
    messages: Counter[str]


class Asterisk:
    """Asterisk of `root` with `driver`, SIP messages logged into `log`; started and ended by `with`.

    `address` is Asterisk's, `callers` and `phones` are those of SIPp's two sides, all on port 5060. Configuration
    and logs stay in `home` until `remove()`.
    """

    def __init__(self, root: Path, driver: Driver = "pjsip", *, debug: bool = True) -> None:
        self.root, self.driver, self.debug = root.resolve(), driver, debug
        self._claim, net = _claim_net()
        # both drivers listen, each on an address of its own: what the other one's module offers is there as well
        self.addresses: dict[Driver, str] = {"chan_sip": f"{net}.0.1", "pjsip": f"{net}.0.2"}
        self.address, self.callers, self.phones = self.addresses[driver], f"{net}.0.11", f"{net}.0.12"
        self._inside = f"/run/{net}"
        self.home = self.root / self._inside[1:]
        self.work = self.home / "sipp"
        self.log = self.home / "log/full"
        self._process: subprocess.Popen[bytes] | None = None

    def cli(self, command: str) -> str:
        """Return what the console answers to `command`."""
        asked: list[str | Path] = [
            "chroot",
            self.root,
            "asterisk",
            "-C",
            f"{self._inside}/etc/asterisk.conf",
            "-rx",
            command,
        ]
        return subprocess.run(asked, capture_output=True, text=True, errors="replace", timeout=BOOT, check=False).stdout

    def __enter__(self) -> Self:
        self._configure()
        command: list[str | Path] = ["chroot", self.root, "asterisk", "-f", "-C", f"{self._inside}/etc/asterisk.conf"]
        self._process = _start(command, self.home / "console.txt", self.home)
        try:
            self._until_booted(self._process)
        except BaseException:
            self.stop()
            raise
        if self.debug:
            self.cli(f"{DEBUG[self.driver]} on")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End Asterisk, by its id if it does not end when asked."""
        if self._process and self._process.poll() is None:
            self.cli("core stop now")
            _end(self._process, signal.SIGTERM)
        self._claim.close()

    def remove(self) -> None:
        """Delete configuration and logs."""
        shutil.rmtree(self.home, ignore_errors=True)

    def sipp(
        self, scenario: str, *, calls: int, rate: int = 30, number: str = "2001", hold: int = 500, code: int = 486
    ) -> Calls:
        """Make `calls` calls, `rate` a second, each held for `hold` ms; `scenario` is call or refused (with `code`)."""
        limit = BOOT + calls / rate + hold / 1000
        some = ["-m", str(calls), "-r", str(rate), "-d", str(hold), "-s", number, "-l", str(calls)]
        some += ["-recv_timeout", "30000", "-timeout", f"{limit:.0f}s", f"{self.address}:5060"]
        name = f"{scenario}-{code}-{time.monotonic_ns()}"
        process = self._sipp(name, scenario, self.callers, some, code)
        try:
            process.wait(limit + BOOT)
        finally:
            _end(process, signal.SIGTERM)
        return self._counted(name)

    @contextmanager
    def answering(self) -> Iterator[Counter[str]]:
        """Let the phones' side answer calls; what is yielded counts its messages when the block has ended."""
        name = f"answer-{time.monotonic_ns()}"
        process = self._sipp(name, "answer", self.phones, [])
        messages: Counter[str] = Counter()
        try:
            _until(lambda: _bound(self.phones), "SIPp to listen", process)
            yield messages
        finally:
            _end(process, signal.SIGUSR1)
        messages.update(self._counted(name).messages)

    @contextmanager
    def capture(self, path: Path) -> Iterator[None]:
        """Write every packet of this Asterisk into `path` meanwhile; read it with `captured`."""
        wanted = f"udp port 5060 and host {self.address}"
        command: list[str | Path] = ["tcpdump", "-i", "lo", "-n", "-U", "-B", "32768", "-s", "0", "-w", path, wanted]
        process = _start(command, self.home / "tcpdump.txt", self.home)
        try:
            _until(lambda: path.exists() and path.stat().st_size >= 24, "tcpdump to listen", process)
            yield
            time.sleep(1)  # the kernel hands over packets by the block
        finally:
            _end(process, signal.SIGINT)

    def _configure(self) -> None:
        self.remove()
        for folder in ("etc", "log", "run", "sipp"):
            (self.home / folder).mkdir(parents=True)
        shutil.copytree(self.root / "etc/asterisk", self.home / "etc", dirs_exist_ok=True)
        values = {
            "HOME": self._inside,
            "MODULES": f"/{next(self.root.glob('usr/lib/**/chan_pjsip.so')).parent.relative_to(self.root)}",
            "CHAN_SIP": self.addresses["chan_sip"],
            "PJSIP": self.addresses["pjsip"],
            "PHONES": self.phones,
            "TECHNOLOGY": "SIP" if self.driver == "chan_sip" else "PJSIP",
        }
        for source in LAB.glob("*.conf"):
            (self.home / "etc" / source.name).write_text(_filled(source, values), encoding="utf-8")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()}\n", encoding="utf-8")

    def _until_booted(self, process: subprocess.Popen[bytes]) -> None:
        _until(lambda: "fully booted" in self.cli("core waitfullybooted"), "Asterisk to start", process)

    def _sipp(self, name: str, scenario: str, address: str, more: list[str], code: int = 0) -> subprocess.Popen[bytes]:
        (self.work / f"{name}.xml").write_text(_filled(LAB / f"{scenario}.xml", {"CODE": str(code)}), encoding="utf-8")
        command: list[str | Path] = ["sipp", "-sf", f"{name}.xml", "-i", address, "-mi", address, "-p", "5060"]
        command += ["-bind_local", "-nostdin", "-t", "u1", "-buff_size", "4194304"]
        command += ["-default_behaviors", "all,-abortunexp"]  # a repeat that comes late is no failed call
        command += ["-trace_stat", "-stf", f"{name}.csv", "-trace_msg", "-message_file", f"{name}.txt", "-trace_err"]
        return _start([*command, *more], self.work / f"{name}.out", self.work)

    def _counted(self, name: str) -> Calls:
        statistics = self.work / f"{name}.csv"
        if not statistics.exists():
            out = (self.work / f"{name}.out").read_text(errors="replace")
            raise RuntimeError(f"SIPp counted nothing: {out[-500:]}")
        total = _last_row(statistics)
        messages = Counter(_messages((self.work / f"{name}.txt").read_text(encoding="utf-8")))
        return Calls(int(total["SuccessfulCall(C)"]), int(total["FailedCall(C)"]), messages)


def _messages(record: str) -> Iterator[str]:
    """Yield "INVITE sent" or "200 received" for each message of SIPp's own record, those of ended calls included.

    SIPp's statistics do not tell what it received again, nor what came for a call that had ended.
    """
    for way, start in re.findall(r"^UDP message (sent|received) .*\n\n(?:SIP/2\.0 )?(\S+)", record, re.MULTILINE):
        yield f"{start} {way}"


def captured(path: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield (sender, receiver, UDP payload) of every packet that tcpdump wrote from the loopback interface."""
    data = path.read_bytes()
    at = 24
    while at + 16 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        packet = data[at + 16 + 14 : at + 16 + length]  # behind the Ethernet header
        at += 16 + length
        header = (packet[0] & 15) * 4
        yield socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), packet[header + 8 :]


def _claim_net() -> tuple[socket.socket, str]:
    """Take a net of 127/8 that no other Asterisk of these tests uses; closing the socket gives it back."""
    for second in range(16, 200):
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((f"127.{second}.0.254", 5060))
        except OSError:
            claim.close()
            continue
        return claim, f"127.{second}"
    raise RuntimeError("no loopback net is free for another Asterisk")


def _filled(source: Path, values: dict[str, str]) -> str:
    text = source.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _start(command: list[str | Path], output: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that is killed when the one that started it is gone."""
    with output.open("ab") as out:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TERM": "dumb"},
        )


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    for step in (how, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(step)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                continue


def _until(done: Callable[[], bool], what: str, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + BOOT
    while not done():
        if process.poll() is not None or time.monotonic() > limit:
            raise RuntimeError(f"waited in vain for {what}: {process.args!r}")
        time.sleep(0.1)


def _bound(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 5060))
        except OSError:
            return True
    return False


def _last_row(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=";"))[-1]
