"""The saved objects are what Kibana accepts and refer to fields that exist; the import says what happened."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kibana_stand_in import ATTRIBUTES, KNOWN, LINE_KEYS, Kibana, basic, numbers

from siplogs.config import ElasticsearchSettings, KibanaSettings, Settings
from siplogs.errors import ConfigError, DeliveryError
from siplogs.outputs import schema
from siplogs.shipping import kibana

OBJECTS = kibana.objects()
FIELDS = {leaf.path for leaf in schema.leaves()}


@pytest.fixture(params=sorted(KNOWN))
def running(request: pytest.FixtureRequest) -> Iterator[Kibana]:
    with Kibana(request.param) as stand_in:
        yield stand_in


def settings(url: str, *, space: str = "default", **elasticsearch: Any) -> Settings:
    return Settings(kibana=KibanaSettings(url=url, space=space), elasticsearch=ElasticsearchSettings(**elasticsearch))


def install(url: str, **more: Any) -> list[str]:
    return list(kibana.install(settings(url, **more)))


def refusal(url: str, **more: Any) -> str:
    with pytest.raises(DeliveryError) as caught:
        install(url, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("one", OBJECTS, ids=lambda one: one["id"])
class TestObject:
    def test_has_the_keys_of_an_export_and_versions_that_8_11_knows(self, one: dict[str, Any]) -> None:
        assert set(one) == LINE_KEYS
        assert one["coreMigrationVersion"] == "8.8.0"
        assert one["managed"] is False
        assert numbers(one["typeMigrationVersion"]) <= numbers(KNOWN["8.11.4"][one["type"]])

    def test_has_no_attribute_that_the_create_schema_refuses(self, one: dict[str, Any]) -> None:
        allowed = ATTRIBUTES[one["type"]]
        assert allowed is None or set(one["attributes"]) <= allowed

    def test_references_are_named_once_used_and_shipped(self, one: dict[str, Any]) -> None:
        names = [reference["name"] for reference in one["references"]]
        assert len(names) == len(set(names))
        attributes = json.dumps(one["attributes"])
        shipped = {(other["type"], other["id"]) for other in OBJECTS}
        for reference in one["references"]:
            assert set(reference) == {"type", "id", "name"}
            assert (reference["type"], reference["id"]) in shipped
            assert reference["name"] in attributes

    def test_text_attributes_are_text_that_holds_json(self, one: dict[str, Any]) -> None:
        def check(value: Any) -> None:
            for name, inner in value.items():
                if name in kibana.FOLDED:
                    assert isinstance(inner, str)
                    json.loads(inner)
                elif isinstance(inner, dict):
                    check(inner)

        check(one["attributes"])


def by_id(name: str) -> dict[str, Any]:
    (found,) = [one for one in OBJECTS if one["id"] == name]
    return found


def test_one_file_is_one_object_and_ids_are_unique() -> None:
    files = list((Path(__file__).parents[2] / "kibana/saved_objects").glob("*.json"))
    assert len(files) == len(OBJECTS) == len({one["id"] for one in OBJECTS})


def test_data_view_sees_the_events_and_names_fields_that_exist() -> None:
    attributes = by_id("siplogs")["attributes"]
    assert attributes["title"] == "siplogs-events-*"
    assert attributes["timeFieldName"] == "@timestamp"
    assert set(json.loads(attributes["fieldAttrs"])) <= FIELDS
    assert set(json.loads(attributes["fieldFormatMap"])) <= FIELDS


def test_saved_search_shows_call_method_code_phrase_and_meaning() -> None:
    one = by_id("siplogs-search-events")
    attributes = one["attributes"]
    assert attributes["title"] == "SIP events"
    assert attributes["columns"][:5] == [
        "sip.call_id",
        "sip.method",
        "sip.code",
        "sip.status",
        "siplogs.reason.meaning",
    ]
    assert set(attributes["columns"]) | {field for field, _ in attributes["sort"]} <= FIELDS
    assert set(attributes["grid"]["columns"]) <= set(attributes["columns"])
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert "index" not in source
    assert source["indexRefName"] in {reference["name"] for reference in one["references"]}


def test_import_twice_creates_then_updates(running: Kibana) -> None:
    first = install(running.url)
    assert first[0] == f"Kibana {running.version} at {running.url}"
    assert all(line.endswith(": created") for line in first[1:])
    assert len(first) == 1 + len(OBJECTS)
    assert set(running.stored) == {("default", one["type"], one["id"]) for one in OBJECTS}
    second = install(running.url)
    assert all(line.endswith(": updated") for line in second[1:])
    assert len(running.stored) == len(OBJECTS)


def test_each_space_has_ids_of_its_own(running: Kibana) -> None:
    running.spaces |= {"voice"}
    install(running.url)
    for _ in range(2):
        install(running.url, space="voice")
    in_voice = {name for space, _, name in running.stored if space == "voice"}
    assert in_voice == {f"{one['id']}-voice" for one in OBJECTS}
    search = running.stored["voice", "search", "siplogs-search-events-voice"]
    assert [reference["id"] for reference in search["references"]] == ["siplogs-voice"]


def test_a_missing_space_and_a_bad_one(running: Kibana) -> None:
    assert "no space voice" in refusal(running.url, space="voice")
    with pytest.raises(ConfigError, match="no space id"):
        install(running.url, space="../x")


def test_credentials_are_sent_and_refusals_said(running: Kibana) -> None:
    running.authorization = "ApiKey a2V5"
    assert len(install(running.url, api_key="a2V5")) == 1 + len(OBJECTS)
    assert "refuses the credentials (401)" in refusal(running.url, api_key="d3Jvbmc=")
    assert "wants credentials" in refusal(running.url)
    running.authorization = basic("elastic", "word")
    assert len(install(running.url, username="elastic", password="word")) == 1 + len(OBJECTS)


def test_a_missing_privilege_is_named(running: Kibana) -> None:
    running.may_write = False
    assert "Unable to bulk_create index-pattern,search" in refusal(running.url)


def test_a_failed_object_fails_the_import_whatever_was_counted(running: Kibana) -> None:
    running.unsupported = {"search"}
    assert "search siplogs-search-events: this Kibana does not know the type" in refusal(running.url)


def test_objects_that_kibana_refuses_are_named(
    running: Kibana, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = [json.loads(json.dumps(one)) for one in OBJECTS]
    (search,) = [one for one in objects if one["type"] == "search"]
    monkeypatch.setattr(kibana, "objects", lambda _: objects)
    search["attributes"]["tabs"] = []
    assert "definition for this key is missing" in refusal(running.url)
    del search["attributes"]["tabs"]
    search["references"][0]["id"] = "gone"
    assert "refers to what is not there: index-pattern gone" in refusal(running.url)
    search["typeMigrationVersion"] = "10.99.0"
    assert "more recent version of Kibana [10.99.0]" in refusal(running.url)
    assert running.stored.keys() <= {("default", "index-pattern", "siplogs")}


@pytest.mark.parametrize("version", ["8.10.4", "7.17.29"])
def test_an_old_kibana_is_refused(version: str) -> None:
    with Kibana() as stand_in:
        stand_in.version = version
        assert f"is version {version}; siplogs needs 8.11 or later" in refusal(stand_in.url)
        assert not stand_in.stored


def test_a_kibana_that_is_not_up_yet(running: Kibana) -> None:
    running.level = "unavailable"
    assert "is unavailable: wait" in refusal(running.url)


def test_what_is_not_kibana_or_not_there(running: Kibana) -> None:
    running.redirect_to = "http://127.0.0.1:1/elsewhere"
    assert "is not Kibana" in refusal(running.url, api_key="secret")
    running.redirect_to = None
    assert "is not Kibana" in refusal(f"{running.url}/base")
    assert "cannot be reached" in refusal("http://127.0.0.1:1")
    assert "does not speak TLS: write http:// in kibana.url" in refusal(running.url.replace("http:", "https:"))


def test_tls_is_verified(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-subj", "/CN=localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with Kibana(certificate=(certificate, key)) as stand_in:
        message = refusal(stand_in.url)
        assert "cannot be verified" in message
        assert "kibana.ca_file" in message
        known = settings(stand_in.url, ca_file=str(certificate))
        assert len(list(kibana.install(known))) == 1 + len(OBJECTS)
        blind = msgspec.structs.replace(settings(stand_in.url), kibana=KibanaSettings(url=stand_in.url, verify=False))
        assert len(list(kibana.install(blind))) == 1 + len(OBJECTS)
    with pytest.raises(ConfigError, match=r"kibana\.ca_file: /nowhere: no such file"):
        list(kibana.install(settings("https://127.0.0.1:1", ca_file="/nowhere")))
