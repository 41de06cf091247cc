"""The knowledge base: what a response code means, why it comes and what to change. Data, one file a code."""

from siplogs.knowledge.base import CLASSES, KnowledgeBase, load
from siplogs.knowledge.entry import STACK_NAMES, Cause, Entry, Match, Refinement, covers

__all__ = ["CLASSES", "STACK_NAMES", "Cause", "Entry", "KnowledgeBase", "Match", "Refinement", "covers", "load"]
