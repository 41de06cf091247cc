"""Where bytes come from: files, rotated sets, archives and streams, found and read one way."""

from siplogs.sources.finding import find
from siplogs.sources.source import Source

__all__ = ["Source", "find"]
