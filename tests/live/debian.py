"""A Debian 12 in a root folder of its own: programs run in it without a network, or it boots with its own systemd."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

REPOSITORY = Path(__file__).parents[2]
MAKE = REPOSITORY / "tools/debian/make-debian"
ROOT = Path(os.environ.get("SIPLOGS_DEBIAN", REPOSITORY / ".debian")) / "12"
BOOT: Final = 60.0
_ENVIRONMENT: Final = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
_ALONE: Final = ("unshare", "--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child")

# The first process of a booted Debian. /proc/sys and /sys are read-only, as the kernel is not its own.
_BOOT_SCRIPT: Final = """
set -e
cd "$1"
mount --make-rprivate /
mount --bind . .
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
ln -s /proc/self/fd dev/fd
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mkdir -p mnt
pivot_root . mnt
umount -l mnt
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin /lib/systemd/systemd --unit=basic.target --log-target=journal
"""


class Debian:
    """A copy of the root folder; `remove()` ends what runs in it."""

    def __init__(self, folder: Path) -> None:
        subprocess.run(["cp", "-a", ROOT, folder], check=True)
        self.root = folder
        self._init = 0

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command inside: beside systemd while booted, else with neither network nor other processes."""
        inside = (
            ("nsenter", f"--target={self._init}", "--mount", "--pid", "--ipc", "--cgroup", "--root", "--wd")
            if self._init
            else (*_ALONE, "chroot", str(self.root))
        )
        done = subprocess.run(
            [*inside, *command], capture_output=True, text=True, check=False, env=_ENVIRONMENT, timeout=120
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def property(self, name: str) -> str:
        """Return what systemd knows of the daemon under this name."""
        return self.run("systemctl", "show", "--value", f"--property={name}", "siplogs-tail").stdout.strip()

    def write(self, name: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file, its folders too."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def files(self, *folders: str) -> set[str]:
        """Return the paths below folders, without directories."""
        return {
            str(path.relative_to(self.root))
            for one in folders
            for path in (self.root / one).rglob("*")
            if path.is_symlink() or not path.is_dir()
        }

    @contextmanager
    def booted(self) -> Iterator[None]:
        """Run systemd as its first process, in the host's network."""
        namespaces = ("--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child")
        command = ["unshare", *namespaces, "bash", "-c", _BOOT_SCRIPT, "boot", str(self.root)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            try:
                self._init = self._first_process(process.pid)
                self._await_systemd()
                yield
            finally:
                self._init = 0
                process.kill()

    def remove(self) -> None:
        """Delete the copy."""
        shutil.rmtree(self.root)

    @staticmethod
    def _first_process(parent: int) -> int:
        children = Path(f"/proc/{parent}/task/{parent}/children")
        end = time.monotonic() + BOOT
        while time.monotonic() < end:
            if born := children.read_text().split():
                return int(born[0])
            time.sleep(0.05)
        raise AssertionError("unshare made no process")

    def _await_systemd(self) -> None:
        end = time.monotonic() + BOOT
        while time.monotonic() < end:
            name = Path(f"/proc/{self._init}/comm")
            if name.read_text() == "systemd\n":
                state = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
                if state in {"running", "degraded"}:
                    return
            time.sleep(0.1)
        raise AssertionError("systemd did not start in the Debian root")
