"""The commands that keep a shipper in good health, with a real Elasticsearch: status, doctor, dead letters, retention."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fault_proxy import FaultProxy
from msgspec.structs import replace
from test_live_security import MONITOR, SETUP, SHIP, key
from test_live_tail import Rig, stored, wait_until

from siplogs.config import ElasticsearchSettings
from siplogs.outputs.elasticsearch import connect, index_name
from siplogs.shipping import templates
from siplogs.shipping.state import State
from tests.cli.command import siplogs


@pytest.fixture
def rig(server: Any, blank: Any, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, blank.url)
    yield made
    made.end()


def told(rig: Rig, *arguments: str, **more: str) -> tuple[int, Any]:
    """Exit code and JSON of a command."""
    state = str(rig.folder / "state")
    more = {"SIPLOGS_CONFIG": str(rig.configuration), "STATE_DIRECTORY": state, **more}
    done = siplogs(*arguments, "--format", "json", **more)
    return done.returncode, json.loads(done.stdout)


def status(rig: Rig) -> Any:
    return told(rig, "status")[1]


def created(rig: Rig) -> int:
    """How many events were created, by the state; -1 before there is one."""
    return int(status(rig)["created"]) if (rig.folder / "state/state.db").exists() else -1


def links(rig: Rig, **more: str) -> dict[str, list[str]]:
    """What the doctor says, "verdict text" by link."""
    found: dict[str, list[str]] = {}
    for one in told(rig, "doctor", **more)[1]:
        found.setdefault(one["link"], []).append(f"{one['verdict']} {one['text']}")
    return found


def test_status_of_a_running_tail(rig: Rig) -> None:
    metrics = rig.folder / "siplogs.prom"
    rig.configure(section=f'metrics_file = "{metrics}"')
    rig.append(*range(5))
    daemon = rig.start("tail", "--from-beginning")
    wait_until(lambda: metrics.exists() and 'result="created"} 5' in metrics.read_text())
    wait_until(lambda: status(rig)["tail"]["events"] == 5)
    found = status(rig)
    assert found["holder"] == f"process {daemon.pid} (siplogs tail)"
    assert (found["created"], found["dead"], found["waiting"], found["failing"]) == (5, 0, 0, False)
    (log,) = found["logs"]
    assert (log["state"], log["lag_bytes"], log["size"]) == ("read", 0, rig.live.stat().st_size)
    series = dict(re.findall(r"^(siplogs_\S+) (\S+)$", metrics.read_text(), re.MULTILINE))
    assert float(series["siplogs_working"]) == 1
    assert float(series["siplogs_tail_events_total"]) == 5
    rig.append(5)
    wait_until(lambda: status(rig)["created"] == 6)
    daemon.terminate()
    daemon.wait()
    assert "\nsiplogs_working 0\n" in metrics.read_text()
    found = status(rig)
    assert (found["holder"], found["tail"], found["logs"][0]["lag_bytes"]) == ("", None, 0)
    rig.append(6)
    assert status(rig)["logs"][0]["state"] == "behind"


def test_metrics_that_cannot_be_written_are_said_and_delivery_goes_on(rig: Rig, blank: Any) -> None:
    metrics = rig.folder / "none/siplogs.prom"
    rig.configure(section=f'metrics_file = "{metrics}"')
    rig.append(*range(3))
    daemon = rig.start("tail", "--from-beginning")
    wait_until(lambda: f"{metrics}: no such file" in rig.log.read_text().lower())
    rig.append(3)
    wait_until(lambda: len(stored(blank)) == 4)
    assert daemon.poll() is None
    assert rig.log.read_text().count("tail.metrics_file") == 1


def test_status_says_that_the_server_is_away_and_that_it_is_back(rig: Rig, blank: Any) -> None:
    with FaultProxy(blank.url) as proxy:
        rig.url = proxy.url
        rig.configure()
        rig.append(0)
        rig.start("tail", "--from-beginning")
        wait_until(lambda: created(rig) == 1)
        proxy.faults.extend([429, 503])
        rig.append(1, 2)
        wait_until(lambda: created(rig) == 3)
        wait_until(lambda: not status(rig)["failing"])
        found = status(rig)
        assert found["tail"]["pauses"] == 2
        assert "overloaded (503: made up 503)" in found["tail"]["error"]
        assert found["logs"][0]["lag_bytes"] == 0
        proxy.faults.extend([503] * 50)
        rig.append(3)
        wait_until(lambda: status(rig)["failing"])
        code, found = told(rig, "status")
        assert (code, found["logs"][0]["state"]) == (1, "behind")
        assert "broken the daemon waits: Elasticsearch is overloaded (503" in links(rig)["shipping"][0]


def test_status_while_the_daemon_waits_for_its_first_server(rig: Rig) -> None:
    rig.url = "http://127.0.0.1:1"
    rig.configure()
    rig.append(0)
    rig.start("tail", "--from-beginning")
    wait_until(lambda: (rig.folder / "state/state.db").exists() and status(rig)["failing"])
    assert "cannot be reached" in status(rig)["tail"]["error"]


def test_the_doctor_finds_a_chain_that_is_whole(rig: Rig, blank: Any) -> None:
    rig.append(1)
    assert rig.run("ship")[0] == 0
    found = links(rig)
    assert found["state"][0].startswith("ok ")
    assert found["shipping"] == ["ok 1 event delivered, 0 bytes behind"]
    for link in ("configuration", "logs", "pack", "sip", "dead letters", "elasticsearch", "credentials", "privileges"):
        assert all(one.startswith("ok ") for one in found[link]), (link, found[link])
    assert found["templates"] == ["ok present and current"], "made without replicas, which this host does not know"
    path = "/_component_template/siplogs@settings"
    (made,) = blank.call("GET", path)["component_templates"]
    blank.call("PUT", path, {"template": made["component_template"]["template"], "version": 1})
    outdated = "warning outdated: component template siplogs@settings; run siplogs setup --elasticsearch URL"
    assert links(rig)["templates"] == [outdated]
    assert rig.run("setup")[0] == 0
    assert links(rig)["templates"] == ["ok present and current"]


def test_the_doctor_on_templates_and_events_that_are_missing(rig: Rig, blank: Any) -> None:
    assert links(rig)["last event"][0].startswith("warning there is none yet")
    blank.call("DELETE", "/_index_template/siplogs-events")
    blank.call("DELETE", "/_component_template/siplogs@mappings")
    assert links(rig)["templates"][0].startswith(
        "broken missing: component template siplogs@mappings, index template siplogs-events; run siplogs setup"
    )


def put_event(node: Any, index: str, host: str, moment: object) -> None:
    """Index an event by hand, "now" and what Elasticsearch computes from it included."""
    document = {"host": {"name": host}} | ({"@timestamp": moment} if moment else {})
    node.call("POST", f"/siplogs-events-{index}/_doc?refresh=true", document)


def test_the_doctor_compares_the_last_event_of_this_host_with_its_logs(rig: Rig, blank: Any) -> None:
    rig.append(1)
    now = datetime.now(UTC)
    put_event(blank, "2026.11", "other", now.isoformat())
    blank.call("PUT", "/siplogs-events-odd", {"mappings": {"properties": {"@timestamp": {"type": "keyword"}}}})
    put_event(blank, "odd", "other", "soon")
    put_event(blank, "odd", "pbx", None)
    assert links(rig)["last event"] == [
        "warning there is none yet of pbx; run siplogs ship, and look at the logs above"
    ]
    put_event(blank, "2026.11", "pbx", (now - timedelta(hours=3, minutes=1)).isoformat())
    assert re.match("warning 20.*Z, 3 h before the last change of the logs; see", links(rig)["last event"][0])
    put_event(blank, "2026.11", "pbx", int(now.timestamp() * 1000) - 60_000)
    assert links(rig)["last event"] == [f"ok {now - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"]
    put_event(blank, "2026.11", "pbx", (now + timedelta(days=1)).isoformat())
    assert "lies ahead of this host's clock; check the timezone of the logs" in links(rig)["last event"][0]
    put_event(blank, "2026.11", "pbx", 4e14)
    assert links(rig)["last event"][0].startswith("warning 400000000000 s after 1970, lies ahead of")


def test_the_doctor_on_an_answer_that_is_no_time(rig: Rig, blank: Any) -> None:
    with FaultProxy(blank.url) as proxy:
        hit = {"_index": "siplogs-events-odd", "sort": ["soon"]}
        proxy.canned["POST", "/siplogs-events-*/_search"] = (200, {"hits": {"hits": [hit]}})
        (said,) = links(rig, SIPLOGS_ELASTICSEARCH_URL=proxy.url)["last event"]
    assert said.startswith("warning not looked at: siplogs-events-odd has another mapping than siplogs' own; run")


def test_the_doctor_on_a_disk_that_was_full(rig: Rig, blank: Any) -> None:
    rig.append(1)
    assert rig.run("ship")[0] == 0
    assert links(rig)["indices"] == ["ok take documents"]
    (index,) = blank.call("GET", "/siplogs-events-*")
    blank.call("PUT", f"/{index}/_settings", {"index.blocks.read_only_allow_delete": True})
    said = links(rig)["indices"]
    blank.call("PUT", f"/{index}/_settings", {"index.blocks.read_only_allow_delete": None})
    assert len(said) == 1
    assert said[0].startswith(f"broken {index}: take no documents, for a disk of Elasticsearch is nearly full")


BLOCKED = (
    "take no documents, so that events become dead letters; set index.blocks.write and index.blocks.read_only to null"
)


def test_the_doctor_on_indices_that_were_closed_or_write_blocked(rig: Rig, blank: Any) -> None:
    now = datetime.now(UTC)
    month, day, year = (index_name(now.isoformat(), period) for period in ("month", "day", "year"))
    for name in (month, day, year, "siplogs-events-2019", "siplogs-events-2020.01", "siplogs-events-mine"):
        blank.call("PUT", f"/{name}", {"settings": {"number_of_replicas": 0}})
    for name in ("siplogs-events-2020.01", "siplogs-events-mine"):
        blank.call("POST", f"/{name}/_close")
    blank.call("PUT", "/siplogs-events-2019/_settings", {"index.blocks.write": True})
    blank.call("PUT", f"/{year}/_settings", {"index.blocks.read": True})
    over = "siplogs-events-2019, siplogs-events-2020.01"
    assert links(rig)["indices"] == [f"ok take documents; those of periods that are over and take none: {over}"]
    blank.call("POST", f"/{month}/_close")
    closed = (
        f"broken {month}: closed, so that events become dead letters; POST /INDEX/_open, then run siplogs dead-letters"
    )
    assert [one.startswith(closed) for one in links(rig)["indices"]] == [True]
    for block in ("write", "read_only"):
        blank.call("PUT", f"/{day}/_settings", {f"index.blocks.{block}": True})
        said = links(rig)["indices"]
        blank.call("PUT", f"/{day}/_settings", {f"index.blocks.{block}": None})
        assert len(said) == 2
        assert any(one.startswith(f"broken {day}: {BLOCKED}") for one in said)
    blank.call("POST", f"/{month}/_open")
    assert links(rig)["indices"][0].startswith("ok take documents")


def test_the_doctor_on_addresses_of_two_clusters(rig: Rig, blank: Any) -> None:
    rig.append(1)
    with FaultProxy(blank.url) as proxy:
        proxy.canned["GET", "/"] = (200, {**blank.call("GET", "/"), "cluster_uuid": "another"})
        both = {"SIPLOGS_ELASTICSEARCH_URL": f"{blank.url},{proxy.url}"}
        found = links(rig, **both)
        text = f"elasticsearch.url: {blank.url} and {proxy.url} are different clusters"
        assert [one.split()[0] for one in found["elasticsearch"]] == ["ok", "ok", "broken"]
        assert found["elasticsearch"][2].startswith(f"broken {text}")
        assert "credentials" not in found
        done = siplogs("ship", **both, SIPLOGS_CONFIG=str(rig.configuration), STATE_DIRECTORY=str(rig.folder / "state"))
        assert done.returncode == 2
        assert text in done.stderr.decode()
        assert proxy.bulks == 0
    assert stored(blank) == []
    assert rig.run("ship") == (0, "")
    assert len(stored(blank)) == 1


def test_the_doctor_on_an_address_that_does_not_answer_as_elasticsearch(rig: Rig, blank: Any) -> None:
    rig.append(1)
    with FaultProxy(blank.url) as proxy:
        proxy.canned["GET", "/"] = (503, {"message": "no upstream"})
        both = {"SIPLOGS_ELASTICSEARCH_URL": f"{proxy.url},{blank.url}"}
        found = links(rig, **both)["elasticsearch"]
        assert [one.split()[0] for one in found] == ["ok", "ok", "warning"]
        assert found[2].startswith(
            f"warning {proxy.url} does not answer as Elasticsearch; the other addresses do its work"
        )
        where = {"SIPLOGS_CONFIG": str(rig.configuration), "STATE_DIRECTORY": str(rig.folder / "state")}
        assert siplogs("ship", **both, **where).returncode == 0
    assert len(stored(blank)) == 1


def test_a_template_that_outweighs_siplogs_own_stops_shipping(rig: Rig, blank: Any) -> None:
    rig.append(1)
    blank.call("PUT", "/_index_template/siplogs-heavy", {"index_patterns": ["siplogs-*"], "priority": 9999})
    text = f"the index template siplogs-heavy (siplogs-*) at {blank.url} outweighs siplogs-events by its priority 9999"
    (said,) = links(rig)["templates"]
    assert said.startswith(f"broken {text}")
    assert said.endswith("give it one below 350 or other index_patterns, or compose it of siplogs@mappings")
    for command in ("ship", "setup"):
        code, said = rig.run(command)
        assert (code, text in said) == (3, True), command
    assert stored(blank) == []
    blank.call("DELETE", "/_index_template/siplogs-heavy")
    assert rig.run("ship") == (0, "")
    assert links(rig)["templates"] == ["ok present and current"]


def test_runs_from_cron_that_find_nothing_new_are_a_sign_of_life(rig: Rig) -> None:
    rig.append(1)
    assert rig.run("ship")[0] == 0
    night = 40_000
    with State(rig.folder / "state/state.db") as state:
        places, pulse = state.places(), state.pulse()
        assert pulse is not None
        for place in places:
            place.last_seen -= night
            place.acknowledged -= night
        state.save(places)
        state.beat(replace(pulse, passed=pulse.passed - night, beat=pulse.beat - night))
    assert rig.run("ship")[0] == 0
    rig.append(2)
    code, found = told(rig, "status")
    assert (code, found["trouble"], found["logs"][0]["state"]) == (0, "", "behind")


def test_the_doctor_passes_over_a_node_that_is_down(rig: Rig, blank: Any) -> None:
    found = links(rig, SIPLOGS_ELASTICSEARCH_URL=f"http://127.0.0.1:1,{blank.url}")
    assert [one.split()[0] for one in found["elasticsearch"]] == ["warning", "ok"]
    assert found["credentials"][0].startswith("ok ")


@pytest.fixture
def secured(secure: Any, tmp_path: Path) -> Iterator[tuple[Rig, Callable[..., dict[str, list[str]]]]]:
    """A rig, and the doctor's words for it with a key of some role for the server with TLS and users."""
    made = Rig(tmp_path, secure.url)
    list(templates.install(connect(ElasticsearchSettings(
        url=[secure.url], ca_file=secure.ca_file, api_key=key(secure, SETUP)))))  # fmt: skip
    made.append(1)

    def ask(role: Any, **more: str) -> dict[str, list[str]]:
        given = {"SIPLOGS_ELASTICSEARCH_CA_FILE": secure.ca_file} if "SIPLOGS_ELASTICSEARCH_VERIFY" not in more else {}
        return links(made, **given, **({"SIPLOGS_ELASTICSEARCH_API_KEY": key(secure, role)} if role else {}), **more)

    yield made, ask
    made.end()


def test_the_doctor_on_credentials_and_privileges(secured: Any, secure: Any) -> None:
    rig, ask = secured
    found = ask(SHIP)
    assert "TLSv1" in found["elasticsearch"][0]
    assert found["credentials"][0].endswith("accepts them")
    assert found["privileges"] == ["ok monitor on the cluster, create_doc and auto_configure on siplogs-*"]
    assert found["templates"] == ["ok present and current"]
    unseen = " by the state, for the credentials may not read siplogs-*"
    assert found["last event"][0].startswith(f"warning there is none yet of pbx{unseen}")
    assert found["indices"] == ["ok take documents"]
    more = {"SIPLOGS_ELASTICSEARCH_CA_FILE": secure.ca_file, "SIPLOGS_ELASTICSEARCH_API_KEY": key(secure, SHIP)}
    shipped = siplogs("ship", **more, SIPLOGS_CONFIG=str(rig.configuration), STATE_DIRECTORY=str(rig.folder / "state"))
    assert (shipped.returncode, shipped.stderr) == (0, b"")
    assert re.fullmatch(rf"ok 20\S+Z{re.escape(unseen)}", ask(SHIP)["last event"][0])
    assert ask(MONITOR)["privileges"][0].startswith("broken auto_configure, create_doc lacking; give monitor")
    assert ask(None)["credentials"][0].startswith("broken Elasticsearch at ")
    assert "wants credentials (401)" in ask(None)["credentials"][0]
    wrong = ask(None, SIPLOGS_ELASTICSEARCH_USERNAME="elastic", SIPLOGS_ELASTICSEARCH_PASSWORD="geheim")
    assert "refuses the credentials (401)" in wrong["credentials"][0]
    assert "geheim" not in str(wrong)


def test_the_shipping_key_sees_what_hinders_documents(secured: Any, secure: Any) -> None:
    _, ask = secured
    index = index_name(datetime.now(UTC).isoformat(), "month")
    secure.call("PUT", f"/{index}", {"settings": {"number_of_replicas": 0}})
    secure.call("POST", f"/{index}/_close")
    secure.call("PUT", "/_index_template/siplogs-heavy", {"index_patterns": ["siplogs-*"], "priority": 9999})
    found = ask(SHIP)
    assert found["indices"][0].startswith(f"broken {index}: closed, so that events become dead letters; POST /")
    assert found["templates"][0].startswith("broken the index template siplogs-heavy (siplogs-*) at ")
    unseen = ask({"cluster": [], "indices": SHIP["indices"]})
    assert "indices" not in unseen


def test_the_doctor_on_tls(secured: Any, secure: Any) -> None:
    rig, ask = secured
    blind = ask(SHIP, SIPLOGS_ELASTICSEARCH_VERIFY="false")
    assert blind["configuration"][0].startswith("warning WARNING: elasticsearch.verify is off")
    assert blind["elasticsearch"][0].startswith("ok ")
    unknown = links(rig)
    assert "set elasticsearch.ca_file" in unknown["elasticsearch"][0]
    assert "credentials" not in unknown
    plain = links(rig, SIPLOGS_ELASTICSEARCH_URL=secure.url.replace("https:", "http:"))
    assert plain["credentials"][0].startswith("broken ")


def test_dead_letters_are_listed_and_sent_again(rig: Rig, blank: Any) -> None:
    rig.append(*range(3))
    assert rig.run("ship")[0] == 0
    (index,) = blank.call("GET", "/siplogs-events-*")
    blank.call("POST", f"/{index}/_close")
    rig.append(3, 4)
    code, said = rig.run("ship")
    assert (code, "2 dead letters" in said) == (1, True)
    rows = told(rig, "dead-letters", "list")[1]
    assert [(row["index"], row["error"]["type"]) for row in rows] == [(index, "index_closed_exception")] * 2
    assert status(rig)["waiting"] == 2
    assert rig.run("dead-letters", "send")[0] == 1
    assert status(rig)["waiting"] == 2
    blank.call("POST", f"/{index}/_open?wait_for_active_shards=1")
    assert rig.run("dead-letters", "send", "--elasticsearch", blank.url) == (0, "")
    assert status(rig)["waiting"] == 0
    assert {row["id"] for row in rows} < set(stored(blank))


OLD = ("2019", "2020.01", "2020.w07", "2021.03.04", "2021.03.05")
KEPT = ("2021.13", "2020.01-restored", "2020.00", "2020.05.00", "2020.w00")


def named(node: Any) -> set[str]:
    return {name.removeprefix("siplogs-events-") for name in node.call("GET", "/siplogs-events-*?expand_wildcards=all")}


def test_prune_deletes_what_it_said(rig: Rig, blank: Any) -> None:
    now = datetime.now(UTC)
    young = (f"{now:%Y}", f"{now:%Y.%m}", f"{now - timedelta(days=20):%Y.%m.%d}")
    for name in (*OLD, *KEPT, *young):
        blank.call("PUT", f"/siplogs-events-{name}", {"settings": {"number_of_replicas": 0}})
    blank.call("PUT", "/siplogs-calls-2019", {})
    blank.call("POST", "/siplogs-events-2020.01/_close")
    everything = named(blank)
    environment = {"SIPLOGS_CONFIG": str(rig.configuration)}
    dry = siplogs("prune", "--older-than", "30d", **environment)
    assert (dry.returncode, dry.stderr) == (0, b"")
    lines = dry.stdout.decode().splitlines()
    would = [line.split(":")[0].removeprefix("would delete siplogs-events-") for line in lines[:-1]]
    assert would == ["2019", "2020.01", "2020.w07", "2021.03.04", "2021.03.05"]
    assert lines[0].startswith("would delete siplogs-events-2019: ended 2020-01-01, 0 events, ")
    assert lines[-1] == "nothing was deleted; --yes deletes"
    assert named(blank) == everything
    done = siplogs("prune", "--older-than", "30d", "--yes", **environment)
    assert done.returncode == 0
    assert done.stdout.decode() == dry.stdout.decode().replace("would delete", "deleted").rpartition("nothing")[0]
    assert named(blank) == everything - set(OLD)
    assert "siplogs-calls-2019" in blank.call("GET", "/siplogs-*")
    again = siplogs("prune", SIPLOGS_ELASTICSEARCH_RETENTION_DAYS="30", **environment)
    assert again.stdout == b"no index is older than 30 days\n"


def test_prune_does_with_the_privileges_that_the_readme_names(secured: Any, secure: Any) -> None:
    rig, _ = secured
    secure.call("PUT", "/siplogs-events-2019", {})
    more = {"SIPLOGS_CONFIG": str(rig.configuration), "SIPLOGS_ELASTICSEARCH_CA_FILE": secure.ca_file}
    role = MONITOR | {"indices": [{"names": ["siplogs-*"], "privileges": ["monitor", "delete_index"]}]}
    done = siplogs("prune", "--older-than", "1y", "--yes", SIPLOGS_ELASTICSEARCH_API_KEY=key(secure, role), **more)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "siplogs-events-2019" not in secure.call("GET", "/siplogs-*")


def test_prune_without_the_privilege_deletes_nothing(secured: Any, secure: Any) -> None:
    rig, _ = secured
    secure.call("PUT", "/siplogs-events-2019", {})
    more = {"SIPLOGS_CONFIG": str(rig.configuration), "SIPLOGS_ELASTICSEARCH_CA_FILE": secure.ca_file}
    role = MONITOR | {"indices": [{"names": ["siplogs-*"], "privileges": ["monitor"]}]}
    done = siplogs("prune", "--older-than", "1y", "--yes", SIPLOGS_ELASTICSEARCH_API_KEY=key(secure, role), **more)
    assert done.returncode == 3
    assert b"deleting siplogs-events-2019: the credentials lack a privilege (403)" in done.stderr
    assert "siplogs-events-2019" in secure.call("GET", "/siplogs-*")
    role = MONITOR | {"indices": [{"names": ["siplogs-*"], "privileges": ["monitor", "delete_index"]}]}
    done = siplogs("prune", "--older-than", "1y", "--yes", SIPLOGS_ELASTICSEARCH_API_KEY=key(secure, role), **more)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "siplogs-events-2019" not in secure.call("GET", "/siplogs-*")
