"""`siplogs setup` against a real Elasticsearch: repeatable, versioned, and clear when refused."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from fault_proxy import FaultProxy
from typer.testing import CliRunner

from siplogs.cli import make_app
from siplogs.config import ElasticsearchSettings, Period
from siplogs.errors import ConfigError, DeliveryError
from siplogs.model import Event
from siplogs.outputs import schema
from siplogs.outputs.elasticsearch import UnreachableError, connect, document, index_name
from siplogs.shipping import templates

PARTS = ["component template siplogs@mappings", "component template siplogs@settings", "index template siplogs-events"]
NO_LIFECYCLE = "lifecycle policy siplogs: skipped, this server has no index lifecycle management"


def install(url: str, **more: Any) -> list[str]:
    return list(templates.install(connect(ElasticsearchSettings(url=[url], **more))))


def test_first_creates_then_changes_nothing(blank: Any) -> None:
    version = blank.call("GET", "/")["version"]["number"]
    first = install(blank.url)
    assert first[0] == f"Elasticsearch {version} at {blank.url}"
    assert first[1] == NO_LIFECYCLE
    prune = "; let cron run siplogs prune --yes daily, which deletes what is older than 90 days"
    assert install(blank.url, retention_days=90)[1] == NO_LIFECYCLE + prune
    assert first[2:] == [f"{part}: created" for part in PARTS]
    assert install(blank.url)[2:] == [f"{part}: already current" for part in PARTS]


def test_what_differs_is_updated_and_nothing_else(blank: Any) -> None:
    install(blank.url)
    changed = install(blank.url, shards=3, replicas=2)
    assert [line.partition(": ")[2].split(";")[0] for line in changed[2:]] == [
        "already current",
        "updated",
        "already current",
    ]
    made = blank.call("POST", "/_index_template/_simulate_index/siplogs-events-2026.11")["template"]
    assert made["settings"]["index"]["number_of_shards"] == "3"
    assert made["settings"]["index"]["number_of_replicas"] == "2"


def test_the_template_that_holds_is_the_generated_one(blank: Any) -> None:
    install(blank.url)
    blank.call("PUT", "/_component_template/siplogs@custom", {"template": {"settings": {"refresh_interval": "9s"}}})
    made = blank.call("POST", "/_index_template/_simulate_index/siplogs-events-2026.11")["template"]
    wanted = schema.mapping()
    assert made["mappings"]["properties"] == wanted["properties"]
    assert str(made["mappings"]["dynamic"]).lower() == "false"
    assert made["settings"]["index"]["refresh_interval"] == "9s"
    template = blank.call("GET", "/_index_template/siplogs-events")["index_templates"][0]["index_template"]
    assert template["version"] > 0
    assert template["_meta"]["managed_by"] == "siplogs"
    assert template["priority"] == 350


def test_parts_of_a_newer_siplogs_are_left_alone(blank: Any) -> None:
    install(blank.url)
    body = {"template": {"mappings": {"properties": {}}}, "version": 999_000_000}
    blank.call("PUT", "/_component_template/siplogs@mappings", body)
    assert install(blank.url)[2] == f"{PARTS[0]}: left as it is, a newer siplogs made it"
    templates.check(connect(ElasticsearchSettings(url=[blank.url])))


def test_check_wants_the_template_and_its_mapping(blank: Any) -> None:
    server = connect(ElasticsearchSettings(url=[blank.url]))
    with pytest.raises(DeliveryError, match=r"siplogs-events at .* is missing: run siplogs setup"):
        templates.check(server)
    install(blank.url, shards=2)
    templates.check(server)
    blank.call("PUT", "/_component_template/siplogs@mappings", {"template": {"mappings": {}}, "version": 1})
    with pytest.raises(DeliveryError, match="is outdated: run siplogs setup"):
        templates.check(server)


def test_a_rival_template_is_reported_in_the_servers_words(blank: Any) -> None:
    blank.call("PUT", "/_index_template/siplogs-rival", {"index_patterns": ["siplogs-*"], "priority": 350})
    with pytest.raises(DeliveryError, match=r"index template siplogs-events: .* 400: .*siplogs-rival"):
        install(blank.url)


OUTWEIGHED = {"index_patterns": ["pbx-*", "siplogs-*"], "priority": 9999, "template": {}}


def test_a_template_that_outweighs_siplogs_own_is_refused(blank: Any) -> None:
    assert install(blank.url)
    server = connect(ElasticsearchSettings(url=[blank.url]))
    blank.call("PUT", "/_index_template/siplogs-heavy", OUTWEIGHED)
    text = (
        f"the index template siplogs-heavy (pbx-*, siplogs-*) at {blank.url} outweighs siplogs-events by its priority"
        " 9999, so that events would be indexed with a wrong mapping: give it one below 350 or other index_patterns, or"
        " compose it of siplogs@mappings"
    )
    with pytest.raises(DeliveryError) as caught:
        templates.check(server)
    assert str(caught.value) == text
    lines = templates.install(server)
    said = [next(lines) for _ in range(5)]
    assert said[2:] == [f"{part}: already current" for part in PARTS]
    with pytest.raises(DeliveryError) as caught:
        next(lines)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "change",
    [
        {"composed_of": ["siplogs@mappings"]},
        {"priority": 349},
        {"priority": None},
        {"index_patterns": ["siplogs-events", "siplogs-calls-*", "siplogs-events-mine*", "-events-*", "*-events"]},
    ],
)
def test_a_template_that_takes_nothing_away_is_no_fault(blank: Any, change: dict[str, Any]) -> None:
    install(blank.url)
    body = {key: value for key, value in {**OUTWEIGHED, **change}.items() if value is not None}
    blank.call("PUT", "/_index_template/siplogs-other", body)
    templates.check(connect(ElasticsearchSettings(url=[blank.url])))
    assert len(install(blank.url)) == 5


@pytest.mark.parametrize("period", get_args(Period))
def test_what_siplogs_calls_outweighing_is_what_the_server_takes(blank: Any, period: Period) -> None:
    install(blank.url)
    server = connect(ElasticsearchSettings(url=[blank.url], period=period))
    name = index_name(datetime.now(UTC).isoformat(), period)
    patterns = ("*", "siplogs*", "s*e*20*", f"{name}", f"{name}*", f"{name[:-1]}", "siplogs-events-1*", "*-events-*.*")
    for priority, pattern in enumerate(patterns, start=400):
        blank.call("PUT", "/_index_template/siplogs-any", {"index_patterns": [pattern], "priority": priority})
        made = blank.call("POST", f"/_index_template/_simulate_index/{name}")["template"]
        assert ("properties" in made.get("mappings", {})) == (templates.rival(server) == ""), pattern


def test_addresses_of_two_clusters_are_refused(blank: Any) -> None:
    here = blank.call("GET", "/")
    with FaultProxy(blank.url) as same, FaultProxy(blank.url) as other:
        urls = [blank.url, "http://127.0.0.1:1", same.url, other.url]
        assert connect(ElasticsearchSettings(url=urls)).version
        for cluster in ("_na_", None):
            other.canned["GET", "/"] = (200, {**here, "cluster_uuid": cluster})
            assert connect(ElasticsearchSettings(url=urls)).version
        other.canned["GET", "/"] = (200, {**here, "cluster_uuid": "another"})
        for order, named in ((urls, (blank.url, other.url)), (urls[::-1], (other.url, same.url))):
            with pytest.raises(ConfigError) as caught:
                connect(ElasticsearchSettings(url=order))
            assert str(caught.value) == (
                f"elasticsearch.url: {named[0]} and {named[1]} are different clusters, each would get a part of the"
                " events: name addresses of one cluster only"
            )


class Managed:
    """A server whose lifecycle management is acted, for the build that tests run has none; the rest of it is real."""

    def __init__(self, proxy: FaultProxy, *indices: str) -> None:
        self.proxy, self.indices = proxy, indices
        self.policy: Any = None
        self.settings: Any = None
        self.puts: list[str] = []

    def setup(self, given: set[str] | None = None, **more: Any) -> list[str]:
        """Run `siplogs setup` with these settings; keep what it put, return what it said."""
        policy, settings = "/_ilm/policy/siplogs", "/_component_template/siplogs@settings"
        done = (200, {"acknowledged": True})
        there = {"name": "siplogs@settings", "component_template": self.settings}
        self.proxy.asked.clear()
        self.proxy.canned = {
            ("GET", policy): (200, {"siplogs": {"policy": self.policy}}) if self.policy else (404, {"error": "none"}),
            ("GET", settings): (200, {"component_templates": [there]})
            if self.settings
            else (404, {"error": {"reason": "component template matching [siplogs@settings] not found"}}),
            **{("PUT", path): done for path in (policy, settings, "/_index_template/siplogs-events")},
            **{("PUT", f"/{name}/_settings"): done for name in self.indices},
        }
        server = connect(ElasticsearchSettings(url=[self.proxy.url], **more))
        lines = list(templates.install(server, set(more) if given is None else given))
        put = {path: body for method, path, body in self.proxy.asked if method == "PUT"}
        self.policy = put[policy]["policy"] if policy in put else self.policy
        self.settings = put.get(settings, self.settings)
        self.puts = list(put)
        return lines

    @property
    def age(self) -> str:
        """The age at which an index is deleted."""
        age: str = self.policy["phases"]["delete"]["min_age"]
        return age


POLICY = "lifecycle policy siplogs:"


@pytest.fixture
def managed(blank: Any) -> Iterator[Managed]:
    with FaultProxy(blank.url) as proxy:
        yield Managed(proxy)


def test_a_server_with_lifecycle_management_gets_a_policy(managed: Managed) -> None:
    assert managed.setup()[1].startswith(f"{POLICY} created (siplogs lets nothing be deleted")
    assert managed.policy["_meta"]["managed_by"] == "siplogs"
    assert "delete" not in managed.policy["phases"]
    assert managed.settings["template"]["settings"]["index"]["lifecycle"] == {"name": "siplogs"}
    assert managed.setup()[1].startswith(f"{POLICY} already current")
    assert managed.puts == ["/_index_template/siplogs-events"]


def test_retention_becomes_a_phase_of_the_policy(managed: Managed, blank: Any) -> None:
    lines = managed.setup(retention_days=90)
    kept = "an index is deleted 121d after it was made, 90 days or more after its period's end"
    assert lines[1:3] == [f"{POLICY} created ({kept})", "indices that were not under the lifecycle policy: none"]
    assert managed.policy["phases"]["delete"] == {"min_age": "121d", "actions": {"delete": {}}}
    managed.policy["phases"]["cold"] = {"min_age": "50d", "actions": {}}
    managed.policy["phases"]["delete"]["actions"]["wait_for_snapshot"] = {"policy": "mine"}
    assert managed.setup(retention_days=90)[1] == f"{POLICY} already current ({kept})"
    assert managed.setup(retention_days=30)[1].startswith(f"{POLICY} updated (an index is deleted 61d and not 121d ")
    assert "cold" in managed.policy["phases"]
    assert "wait_for_snapshot" in managed.policy["phases"]["delete"]["actions"]
    assert managed.setup(retention_days=0)[1].startswith(f"{POLICY} updated (siplogs lets nothing be deleted")
    assert "delete" not in managed.policy["phases"]
    managed.policy["phases"]["delete"] = {"min_age": "500d", "actions": {"delete": {}}}
    assert managed.setup(retention_days=0)[1].startswith(f"{POLICY} already current")
    assert managed.age == "500d"


def test_the_policy_waits_for_the_longest_period_that_there_is_or_will_be(managed: Managed, blank: Any) -> None:
    managed.setup(retention_days=90, period="day")
    assert managed.age == "91d"
    assert "deleted 456d and not 91d after it was made" in managed.setup(retention_days=90, period="year")[1]
    assert managed.age == "456d"
    managed.setup(retention_days=90, period="week")
    assert managed.age == "97d"
    managed.indices = tuple(f"siplogs-events-{name}" for name in ("2026.11", "2026.w48", "2026.12.01"))
    for name in managed.indices:
        blank.call("PUT", f"/{name}", {})
    managed.setup(retention_days=90, period="week")
    assert managed.age == "121d"
    blank.call("DELETE", "/siplogs-events-2026.11")
    managed.setup(retention_days=90, period="day")
    assert managed.age == "97d"
    managed.policy["phases"]["delete"]["min_age"] = "1d"
    managed.setup(retention_days=90, period="day")
    assert managed.age == "97d"


@pytest.mark.parametrize("period", get_args(Period))
def test_the_period_of_an_index_is_known_by_its_name(period: Period, make_event: Callable[..., Event]) -> None:
    assert templates._period_of(document(make_event(1), period).index) == period


def test_an_index_of_another_name_or_behind_an_alias_is_not_put_under_the_policy(managed: Managed, blank: Any) -> None:
    managed.indices = ("siplogs-events-2026.11", "siplogs-events-2027")
    foreign = (
        "siplogs-events-mine",
        "siplogs-events-2020.05-reindexed",
        "siplogs-events-2020.02.30",
        "siplogs-mine2020",
    )
    for name in (*managed.indices, *foreign):
        blank.call("PUT", f"/{name}", {})
    blank.call("PUT", "/siplogs-mine2020/_alias/siplogs-events-2019.01")
    lines = managed.setup(retention_days=90)
    assert lines[2] == f"indices that were not under the lifecycle policy: {', '.join(managed.indices)}"
    assert {path for path in managed.puts if path.endswith("/_settings")} == {
        f"/{name}/_settings" for name in managed.indices
    }


def test_nothing_is_put_under_a_policy_that_siplogs_did_not_make(managed: Managed, blank: Any) -> None:
    blank.call("PUT", "/siplogs-events-2026.11", {})
    managed.policy = {"phases": {"delete": {"min_age": "7d", "actions": {"delete": {}}}}}
    lines = managed.setup(retention_days=90)
    assert lines[1] == f"{POLICY} left as it is, siplogs did not make it and puts no index under it"
    assert lines[2] == f"{PARTS[0]}: created"
    assert managed.age == "7d"
    assert "lifecycle" not in managed.settings["template"]["settings"]["index"]


def test_what_is_not_given_stays_as_an_earlier_setup_put_it(managed: Managed, blank: Any) -> None:
    managed.setup(retention_days=90, period="year", shards=3, replicas=0)
    managed.settings["template"]["settings"]["index"] |= {"number_of_shards": "3", "number_of_replicas": "0"}
    lines = managed.setup()
    assert [line.partition(": ")[2].split(" (")[0] for line in (lines[1], *lines[3:5])] == ["already current"] * 3
    assert managed.age == "456d"
    managed.setup(replicas=1)
    index = managed.settings["template"]["settings"]["index"]
    assert (str(index["number_of_shards"]), str(index["number_of_replicas"])) == ("3", "1")
    assert index["lifecycle"] == {"name": "siplogs"}
    del managed.policy["phases"]["delete"]
    managed.setup()
    assert "delete" not in managed.policy["phases"]


def test_the_command_knows_what_is_given(blank: Any, tmp_path: Path) -> None:
    def shards_after_setup(text: str, **environment: str) -> tuple[str, str]:
        file = tmp_path / "siplogs.toml"
        file.write_text(f'timezone = "UTC"\n[elasticsearch]\nurl = "{blank.url}"\n{text}', encoding="utf-8")
        done = CliRunner().invoke(make_app(), ["setup", "--config", str(file)], env=environment)
        assert done.exit_code == 0, done.output
        made = blank.call("POST", "/_index_template/_simulate_index/siplogs-events-2026.11")["template"]
        index = made["settings"]["index"]
        return index["number_of_shards"], index["number_of_replicas"]

    assert shards_after_setup("") == ("1", "1")
    assert shards_after_setup("shards = 3\n", SIPLOGS_ELASTICSEARCH_REPLICAS="0") == ("3", "0")
    assert shards_after_setup("") == ("3", "0")
    assert shards_after_setup("shards = 1\n") == ("1", "0")


def test_no_choice_of_an_admin_makes_a_template_outdated(blank: Any) -> None:
    install(blank.url, shards=3, replicas=0)
    server = connect(ElasticsearchSettings(url=[blank.url]))
    assert set(templates.states(server).values()) == {"current"}
    settings = blank.call("GET", "/_component_template/siplogs@settings")["component_templates"][0][
        "component_template"
    ]
    settings["template"]["settings"]["index"]["codec"] = "default"
    blank.call(
        "PUT", "/_component_template/siplogs@settings", {name: settings[name] for name in ("template", "version")}
    )
    assert templates.states(server)[PARTS[1]] == "outdated"


@pytest.mark.parametrize("version", ["8.10.4", "7.17.29"])
def test_an_old_server_is_refused(blank: Any, version: str) -> None:
    with FaultProxy(blank.url) as proxy:
        proxy.canned["GET", "/"] = (200, {"version": {"number": version}})
        with pytest.raises(DeliveryError, match=f"is version {version}; siplogs needs 8.11 or later"):
            install(proxy.url)


@pytest.mark.parametrize("status", [200, 404])
def test_a_server_that_is_something_else_is_refused(blank: Any, status: int) -> None:
    with FaultProxy(blank.url) as proxy:
        proxy.headers = {"content-type": "application/json"}
        proxy.canned["GET", "/"] = (status, {"version": {"number": "9.9.9", "distribution": "other"}})
        with pytest.raises(DeliveryError, match=r"is not Elasticsearch: check elasticsearch\.url"):
            install(proxy.url)
        proxy.headers = {"content-type": "text/html"}
        with pytest.raises(DeliveryError, match="is not Elasticsearch"):
            install(proxy.url)


def test_nobody_there() -> None:
    with pytest.raises(UnreachableError) as caught:
        install("http://127.0.0.1:1")
    assert "cannot be reached at http://127.0.0.1:1" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3
    with pytest.raises(ConfigError, match="SIPLOGS_ELASTICSEARCH_URL"):
        connect(ElasticsearchSettings())


def test_a_second_node_answers_when_the_first_is_away(blank: Any) -> None:
    for urls in (["http://127.0.0.1:1", blank.url], [blank.url, "http://127.0.0.1:1"]):
        assert connect(ElasticsearchSettings(url=urls)).version


def test_plain_http_server_addressed_with_https(blank: Any) -> None:
    with pytest.raises(DeliveryError, match=r"does not speak TLS: write http:// in elasticsearch\.url"):
        install(blank.url.replace("http:", "https:"))


def test_setup_files_are_data_alone() -> None:
    folder = templates.data_folder("kibana") / "elasticsearch"
    assert sorted(file.name for file in folder.iterdir()) == ["events.json", "lifecycle.json", "settings.json"]
    for file in folder.iterdir():
        assert isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
