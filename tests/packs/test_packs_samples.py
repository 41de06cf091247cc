"""Every shipped rule is proven by its own samples, alone and among all packs of its product."""

import pytest

from siplogs.packs import check_packs
from siplogs.packs.pack import Pack, Rule
from tests.packs.recorded import scanned, shipped, told

PACKS = list(shipped().values())
RULES = [(pack, rule) for pack in PACKS for rule in pack.rules]


def test_the_packs_of_the_design_are_there() -> None:
    assert {pack.name for pack in PACKS} == {
        "asterisk-pjsip",
        "asterisk-chan-sip",
        "asterisk-notices",
        "asterisk-security",
        "freeswitch-siptrace",
        "freeswitch-log",
    }


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_pack_keeps_its_samples(pack: Pack) -> None:
    assert list(check_packs([pack])) == []


@pytest.mark.parametrize(("pack", "rule"), RULES, ids=[f"{pack.name}-{rule.name}" for pack, rule in RULES])
def test_rule_alone_finds_its_samples_among_all_packs(pack: Pack, rule: Rule) -> None:
    assert rule.data.sample
    for sample in rule.data.sample:
        records, accounting = scanned(sample.log.encode(), pack.product)

        assert accounting.rules == {f"{pack.name}/{rule.name}": 1}
        if rule.kind == "ignore":
            assert records == []
            continue
        (record,) = records
        assert (record.pack, record.rule, record.kind) == (pack.name, rule.name, rule.kind)
        assert told(record) | sample.fields == told(record)
        assert record.damage == sample.damage
        assert accounting.read == len(sample.log.encode()) == accounting.in_records + accounting.skipped


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_pack_says_where_its_shapes_come_from_and_how_to_switch_logging_on(pack: Pack) -> None:
    assert pack.data.sources
    assert pack.data.versions
    assert pack.data.title
    assert pack.data.off or not any(rule.kind == "message" for rule in pack.rules)
    assert pack.prefix.samples
