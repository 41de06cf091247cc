"""Proves packs by their own samples: each sample must be found by its rule, with the fields that it promises."""

from collections.abc import Iterable, Iterator, Sequence

from siplogs.errors import PackError
from siplogs.model import Record
from siplogs.packs.pack import Pack, Prefix, Rule, Sample
from siplogs.packs.scanner import Literals, Scanner


def check_packs(packs: Iterable[Pack]) -> Iterator[str]:
    """Yield one line for every sample that a pack does not keep, naming file, rule and remedy."""
    for pack in packs:
        pack.check()
        yield from _prefix_trouble(pack.prefix)
        literals = Literals(pack.rules)
        for rule in pack.rules:
            for number, sample in enumerate(rule.data.sample, 1):
                trouble = _sample_trouble(literals, rule, sample)
                if trouble:
                    yield f"{pack.origin}: rule {rule.name}: sample {number}: {trouble}"


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


def _sample_trouble(literals: Literals, rule: Rule, sample: Sample) -> str:
    scanner = Scanner(literals)
    records = [record for record in scanner.scan([sample.log.encode()]) if record.rule == rule.name]
    if not scanner.accounting.rules[f"{rule.pack}/{rule.name}"]:
        return "the rule does not find it; check literal and pattern against the sample"
    return _difference(records[0], sample) if records else ""


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
