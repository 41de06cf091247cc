"""Proves packs by their own samples: each is found by its rule with its fields, and every group is filled by one."""

from collections.abc import Iterable, Iterator, Sequence

from siplogs.errors import PackError
from siplogs.model import Record
from siplogs.packs.literals import Literals
from siplogs.packs.pack import Pack, Prefix, Rule, Sample
from siplogs.packs.scanner import Scanner


def check_packs(packs: Iterable[Pack]) -> Iterator[str]:
    """Yield one line for every sample that a pack does not keep, and for every group of a pattern that none fills.

    Each names file, rule and remedy.
    """
    for pack in packs:
        pack.check()
        yield from _prefix_trouble(pack.prefix)
        literals = Literals(pack.rules)
        for rule in pack.rules:
            yield from (f"{pack.origin}: rule {rule.name}: {trouble}" for trouble in _rule_troubles(literals, rule))


def require_proof(packs: Sequence[Pack]) -> None:
    """Raise PackError for the first sample that a pack does not keep."""
    for trouble in check_packs(packs):
        raise PackError(trouble)


def _prefix_trouble(prefix: Prefix) -> Iterator[str]:
    for number, sample in enumerate(prefix.samples, 1):
        match = next((m for p in prefix.patterns if (m := p.match(sample.log.encode()))), None)
        found = {} if match is None else {k: v.decode() for k, v in match.groupdict().items() if v is not None}
        if match is None or found != sample.fields:
            yield f"prefixes/{prefix.name}.toml: sample {number}: expected {sample.fields}, found {found}; mend either"


def _rule_troubles(literals: Literals, rule: Rule) -> Iterator[str]:
    """Prove the samples, and by them the groups; what a rule ignores has no fields to prove."""
    filled: set[str] = set()
    kept = True
    for number, sample in enumerate(rule.data.sample, 1):
        scanner = Scanner(literals)
        records = [record for record in scanner.scan([sample.log.encode()]) if record.rule == rule.name]
        trouble = _difference(records[0], sample) if records else ""
        if not scanner.accounting.rules[rule.key]:
            trouble = "the rule does not find it; check literal and pattern against the sample"
        if trouble:
            kept = False
            yield f"sample {number}: {trouble}"
        filled.update(*(_filled(rule, sample, record) for record in records))
    if kept and rule.kind != "ignore":
        for name in rule.pattern.groupindex:
            if name not in filled:
                yield f"no sample fills the group {name!r}; add a sample that has it, or take it out of the pattern"


def _filled(rule: Rule, sample: Sample, record: Record) -> set[str]:
    """Return the groups that the pattern itself fills, for a field may also come from the prefix or from `set`."""
    log, begin = sample.log.encode(), record.offset + record.text
    match = rule.pattern.match(log, begin) or rule.pattern.match(log, max(begin - 1, 0))
    return {name for name, value in match.groupdict().items() if value} if match is not None else set()


def _difference(record: Record, sample: Sample) -> str:
    for name, expected in sample.fields.items():
        taken = record.time if name == "time" else record.fields.get(name)
        found = (taken or b"").decode(errors="replace")
        if found != expected:
            return f"field {name}: expected {expected!r}, found {found!r}; mend the pattern or the sample"
    payload = (record.payload or b"").decode(errors="replace")
    if sample.payload is not None and not payload.startswith(sample.payload):
        return f"the message begins {payload[:40]!r}, expected {sample.payload!r}; mend pattern or frame"
    if sample.payload_end is not None and not payload.endswith(sample.payload_end):
        return f"the message ends {payload[-40:]!r}, expected {sample.payload_end!r}; mend the frame"
    if record.damage != sample.damage:
        return f"damage: expected {sample.damage!r}, found {record.damage!r}; mend the frame"
    return ""
