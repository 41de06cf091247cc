"""What the paths of an input stand for, whether or not anything is there at the moment."""

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePath

from siplogs.sources.finding import USUAL_PLACES
from siplogs.sources.pipe import STANDARD_INPUT
from siplogs.sources.rotation import log_name


def covers(paths: Sequence[str], name: str) -> bool:
    """Tell whether paths, without any the usual places, name a file, its folder, or the log whose rotation it is."""
    if name == STANDARD_INPUT:
        return name in paths
    files = [Path(one) for one in _spellings(name)]
    logs = [file.with_name(log_name(file.name).family) for file in files if file.name]
    named = {str(place) for file in (*files, *logs) for place in (file, file.parent)}
    return any(_stands_for(path, named) for path in paths or [folder for folder, _ in USUAL_PLACES])


def _stands_for(pattern: str, named: set[str]) -> bool:
    if "**" in pattern and not named.isdisjoint(map(os.path.abspath, glob.glob(pattern, recursive=True))):  # noqa: PTH207
        return True
    return any(one == way or PurePath(one).match(way) for one in named for way in _spellings(pattern))


def _spellings(path: str) -> tuple[str, str]:
    """Return a path whole, and with its symbolic links resolved."""
    return os.path.abspath(path), os.path.realpath(path)  # noqa: PTH100


def beside(paths: Sequence[str]) -> list[str]:
    """Return the rotated files beside live logs that were named by themselves."""
    found: list[str] = []
    for path in paths:
        name = os.path.basename(path)  # noqa: PTH119 (paths stay as given)
        if path == STANDARD_INPUT or not name or log_name(name).family != name:
            continue
        if not os.path.lexists(path) and glob.has_magic(path):
            continue
        folder = os.path.dirname(path)  # noqa: PTH120
        with suppress(OSError):
            names = sorted(entry.name for entry in os.scandir(folder or ".") if entry.is_file())
            found += [os.path.join(folder, one) for one in names if one != name and log_name(one).family == name]  # noqa: PTH118
    return [path for path in found if path not in paths]


def folders(paths: Sequence[str]) -> Iterator[str]:
    """Yield the folders in which files of these paths would appear, as far as they are known."""
    for path in paths:
        folder = path if os.path.isdir(path) else os.path.dirname(path) or "."  # noqa: PTH112, PTH120
        if path != STANDARD_INPUT and not glob.has_magic(folder):
            yield folder
