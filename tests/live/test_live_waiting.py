"""What happens to logs while a delivery has to wait: nothing is lost unsaid, nothing ends among the dead letters."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from fault_proxy import FaultProxy
from test_live_faults import proxy, rig, said, same, stopped
from test_live_tail import Rig, entry, stored, wait_until

__all__ = ["proxy", "rig"]


@pytest.fixture
def limited(blank: Any) -> Iterator[Any]:
    """A server whose settings of the cluster are put back."""
    yield blank
    allow(blank)


def allow(node: Any) -> None:
    for name in ("cluster.blocks.read_only", "cluster.max_shards_per_node"):
        node.call("PUT", "/_cluster/settings", {"persistent": {name: None}})


def test_logs_rolled_over_and_deleted_during_one_pause(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    """FreeSWITCH's maximum-rotate deletes the oldest at each rollover; the server asks for a long pause meanwhile."""
    rig.append(*range(5))
    daemon = rig.start("tail", "--from-beginning")
    wait_until(lambda: len(stored(blank)) == 5)
    rig.expect(rig.live)
    proxy.retry_after = "8"
    proxy.faults.append(429)
    rig.append(5)
    wait_until(lambda: not proxy.faults)
    for turn in range(1, 5):
        rig.expect(rig.live)
        rig.live.replace(rig.folder / "full.1")
        rig.live.write_bytes(b"".join(entry(number) for number in range(turn * 100, turn * 100 + 50)))
        time.sleep(1.5)
    rig.expect(rig.live)
    assert len(rig.expected) == 206
    wait_until(lambda: same(rig, blank))
    assert stopped(daemon) < 5
    assert "deleted" not in rig.log.read_text()


def test_ship_notes_the_logs_before_it_finds_the_server_away(rig: Rig, proxy: FaultProxy, blank: Any) -> None:
    rig.append(*range(5))
    assert rig.run("ship") == (0, "")
    rig.append(*range(5, 60))
    proxy.down = True
    assert rig.run("ship")[0] == 3
    proxy.down = False
    rig.live.unlink()
    rig.append(*range(100, 103))
    code, text = rig.run("ship")
    assert code == 2
    assert "bytes of it were deleted or overwritten before they were read" in text
    assert rig.run("ship") == (0, "")
    assert len(stored(blank)) == 8


def test_ship_until_a_time_leaves_the_rest_to_the_next_run(rig: Rig, blank: Any) -> None:
    early, late = b"".join(map(entry, range(5))), b"".join(map(entry, range(5, 10)))
    rig.live.write_bytes(early.replace(b"02:17:08", b"02:10:00") + late)
    rig.expect(rig.live)
    assert rig.run("ship", "--until", "2026-11-21 02:11:00", "-v") == (
        0,
        "5 created, 0 already there, 0 dead letters\n",
    )
    assert len(stored(blank)) == 5
    assert rig.run("ship", "--verbose") == (0, "5 created, 5 already there, 0 dead letters\n")
    assert same(rig, blank)


def test_a_cluster_without_room_for_another_index_is_waited_for(rig: Rig, limited: Any) -> None:
    limited.call("PUT", "/_cluster/settings", {"persistent": {"cluster.max_shards_per_node": 1}})
    limited.call("PUT", "/room-taken", {"settings": {"number_of_replicas": 0}})
    rig.append(*range(5))
    rig.expect(rig.live)
    daemon = rig.start("tail", "--from-beginning")
    wait_until(said(rig, "has no room for more indices"))
    limited.call("DELETE", "/room-taken")
    allow(limited)
    wait_until(lambda: same(rig, limited))
    assert stopped(daemon) < 5
    assert not (rig.folder / "state/dead-letters.ndjson").exists()


def test_a_cluster_that_must_not_be_written_is_waited_for(rig: Rig, limited: Any) -> None:
    rig.append(*range(5))
    assert rig.run("ship") == (0, "")
    limited.call("PUT", "/_cluster/settings", {"persistent": {"cluster.blocks.read_only": True}})
    rig.append(5)
    code, text = rig.run("ship")
    assert code == 3
    assert "must not be written at the moment" in text
    assert "privilege" not in text
    allow(limited)
    rig.expect(rig.live)
    assert rig.run("ship") == (0, "")
    assert same(rig, limited)
    assert not (rig.folder / "state/dead-letters.ndjson").exists()
