"""Where bytes come from: files, rotated sets, archives and streams, found and read one way."""

from siplogs.sources.finding import LogSet, find, find_sets
from siplogs.sources.source import Source

__all__ = ["LogSet", "Source", "find", "find_sets"]
