"""Where the bytes of a log went."""

from collections import Counter

from msgspec import Struct, field


class Accounting(Struct):
    """Where the bytes went. `read` = `in_records` + `skipped`; `reasons` counts skipped places that look like SIP."""

    read: int = 0
    in_records: int = 0
    skipped: int = 0
    lines: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Accounting") -> None:
        """Add another part of the same log."""
        self.read += other.read
        self.in_records += other.in_records
        self.skipped += other.skipped
        self.lines += other.lines
        self.rules.update(other.rules)
        self.reasons.update(other.reasons)
