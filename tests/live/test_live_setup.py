"""`siplogs setup` against a real Elasticsearch: repeatable, versioned, and clear when refused."""

import json
from typing import Any

import pytest
from fault_proxy import FaultProxy

from siplogs.config import ElasticsearchSettings
from siplogs.errors import ConfigError, DeliveryError
from siplogs.outputs import schema
from siplogs.outputs.elasticsearch import UnreachableError, connect
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


def test_a_server_with_lifecycle_management_gets_a_policy(blank: Any) -> None:
    policy = "/_ilm/policy/siplogs"
    missing = {"error": {"type": "resource_not_found_exception", "reason": "Lifecycle policy not found: siplogs"}}
    settings = "/_component_template/siplogs@settings"
    with FaultProxy(blank.url) as proxy:
        proxy.canned = {
            ("GET", policy): (404, missing),
            ("PUT", policy): (200, {"acknowledged": True}),
            ("GET", settings): (404, {"error": {"reason": "component template matching [x] not found"}}),
            ("PUT", settings): (200, {"acknowledged": True}),
            ("PUT", "/_index_template/siplogs-events"): (200, {"acknowledged": True}),
        }
        lines = install(proxy.url)
        sent = {(method, path): body for method, path, body in proxy.asked if method == "PUT"}
        assert lines[1].startswith("lifecycle policy siplogs: created")
        assert sent["PUT", policy]["policy"]["_meta"]["managed_by"] == "siplogs"
        assert "delete" not in sent["PUT", policy]["policy"]["phases"]
        assert sent["PUT", settings]["template"]["settings"]["index"]["lifecycle"] == {"name": "siplogs"}
        proxy.canned["GET", policy] = (200, {"siplogs": {"version": 1, "policy": {}}})
        proxy.asked.clear()
        assert install(proxy.url)[1] == "lifecycle policy siplogs: left as it is"
        assert ("PUT", policy) not in {(method, path) for method, path, _ in proxy.asked}


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
