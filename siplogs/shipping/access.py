"""As whom logs are shipped, and what that user may do: found by being that user for a moment, as root may do all."""

import os
import pwd
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

_LEAST_ROOM: Final = 65_536


class Shipper(Struct, frozen=True):
    """The user who ships."""

    name: str
    uid: int
    gid: int

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Be this user where root asks; whoever else asks stays who he is."""
        if os.geteuid() != 0 or self.uid == 0:
            yield
            return
        groups, gid = os.getgroups(), os.getegid()
        try:
            with suppress(PermissionError):  # root of a container that must not become anybody else
                os.setgroups(os.getgrouplist(self.name, self.gid))
                os.setegid(self.gid)
                os.seteuid(self.uid)
            yield
        finally:
            os.seteuid(0)
            os.setegid(gid)
            os.setgroups(groups)


def shipper(state: Path) -> Shipper:
    """Return who ships: the owner of the state's folder where root asks, else whoever asks."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        found = _nearest(state.parent).stat()
        uid, gid = found.st_uid, found.st_gid
    try:
        known = pwd.getpwuid(uid)
    except KeyError:
        return Shipper(str(uid), uid, gid)
    return Shipper(known.pw_name, uid, known.pw_gid)


def hindrance(user: Shipper, path: Path, beside: Sequence[str] = ()) -> str:
    """Say what hinders a user from keeping a file and what to do, "" for nothing; a folder that he can make is fine.

    `beside` are the endings of files beside it that belong to it.
    """
    with user.acting():
        files = [one for one in (path, *(path.with_name(path.name + end) for end in beside)) if _may(one, os.F_OK)]
        closed = [str(one) for one in files if not _may(one, os.R_OK | os.W_OK)]
        folder = _nearest(path.parent)
        open_ = _may(folder, os.R_OK | os.W_OK | os.X_OK)
    if not folder.is_dir():
        return f"{folder} is a file where a folder is meant; name another place"
    if disk := disk_trouble(folder):
        return disk
    if closed:
        asker = "" if os.geteuid() == 0 else "ask as root or as the user that ships; if that is you: "
        return f"the user {user.name} must not write it; {asker}chown {user.name}: {' '.join(closed)}"
    if not open_:
        return f"the user {user.name} must not write in {folder}; let it write there, or name another place"
    return ""


def disk_trouble(folder: Path) -> str:
    """Say why nothing can be kept on the disk of a folder and what to do, "" where something can."""
    disk = os.statvfs(_nearest(folder))
    if disk.f_flag & os.ST_RDONLY:
        remedy = "mount it for writing (the kernel's log may tell why), or name another place"
        return f"{folder} is mounted read-only; {remedy}"
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < _LEAST_ROOM:
        return f"the disk of {folder} is full; make room there"
    return ""


def _nearest(folder: Path) -> Path:
    """Return the first that is there of a folder and those above it."""
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if _may(one, os.F_OK))


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=True)
