"""The mapping, the JSON Schema and the field reference all say what the model says."""

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from msgspec import Struct

from siplogs.model import Event, EventMeta, Explanation, Party, SipDocument, Siplogs, Uri, about
from siplogs.outputs import schema

DOCS = Path(__file__).parents[2] / "docs"


def event(**more: Any) -> Event:
    return Event(
        timestamp="2026-11-20T10:00:00.123Z",
        event=EventMeta(id="a1", kind="event", category=["network"], type=["protocol"]),
        siplogs=Siplogs(kind="message", pbx="asterisk", pack="asterisk-pjsip", rule="received", code=486, class_="4xx"),
        **more,
    )


def flat(properties: dict[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    found = {}
    for name, options in properties.items():
        if "properties" in options:
            found |= flat(options["properties"], f"{prefix}{name}.")
        else:
            found[prefix + name] = options
    return found


@pytest.mark.parametrize("name", sorted(schema.documents()))
def test_published_files_are_current(name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == schema.documents()[name], "run: python -m siplogs.outputs.schema docs"


def test_mapping_uses_the_names_of_the_documents() -> None:
    fields = flat(schema.mapping()["properties"])
    assert fields["@timestamp"] == {"type": "date"}
    assert fields["siplogs.class"]["type"] == "keyword"
    assert fields["siplogs.code"]["type"] == "short"
    assert fields["sip.from.uri.original"]["fields"] == {"text": {"type": "text"}}
    assert fields["sip.via.original"]["type"] == "keyword"
    assert fields["siplogs.headers"]["type"] == "flattened"
    assert "ignore_above" not in fields["event.original"]


def test_mapping_refuses_nothing_that_a_stranger_can_send() -> None:
    for path, options in flat(schema.mapping()["properties"]).items():
        if options["type"] in {"keyword", "flattened"} and options.get("index", True):
            assert options["ignore_above"] <= 2048, path
        if options["type"] in {"short", "integer", "long", "ip"}:
            assert options["ignore_malformed"], path


def test_mapping_has_no_field_that_could_grow() -> None:
    mapping = schema.mapping()
    assert mapping["dynamic"] is False
    assert not [path for path, options in flat(mapping["properties"]).items() if "type" not in options]


def test_every_field_is_described() -> None:
    assert not [leaf.path for leaf in schema.leaves() if not leaf.description]


def test_leaves_and_mapping_are_the_same_fields() -> None:
    assert {leaf.path for leaf in schema.leaves()} == set(flat(schema.mapping()["properties"]))


def test_json_schema_accepts_an_encoded_event_and_refuses_strangers() -> None:
    published = json.loads(schema.documents()["event.schema.json"])
    Draft202012Validator.check_schema(published)
    validator = Draft202012Validator(published)
    uri = Uri(original="sip:1001@example.com", scheme="sip", username="1001", host="example.com")
    reason = Explanation("sip.486", "Busy Here", "busy", ["in a call"], ["wait"], "RFC 3261 21.4.24", failure=True)
    whole = event(sip=SipDocument(type="response", code="486", from_=Party(uri=uri)))
    whole.siplogs.reason = reason
    encoded = json.loads(msgspec.json.encode(whole))
    validator.validate(encoded)
    assert not validator.is_valid(encoded | {"unknown": 1})
    assert not validator.is_valid({key: value for key, value in encoded.items() if key != "@timestamp"})
    encoded["sip"]["from"]["tag"] = None
    assert not validator.is_valid(encoded)


def test_json_schema_properties_are_the_mapping_fields() -> None:
    published = schema.json_schema()

    def paths(definition: dict[str, Any], prefix: str) -> set[str]:
        found = set()
        for name, field in definition["properties"].items():
            inner = field.get("items", field)
            if "$ref" in inner:
                found |= paths(published["$defs"][inner["$ref"].rpartition("/")[2]], f"{prefix}{name}.")
            else:
                found.add(prefix + name)
        return found

    assert paths(published, "") == set(flat(schema.mapping()["properties"]))


def test_a_structure_without_annotation_is_refused() -> None:
    class Inner(Struct):
        bare: str

    class Document(Struct):
        fine: Annotated[str, about("a word")]
        inner: Inner

    with pytest.raises(TypeError, match=r"inner\.bare\."):
        schema.mapping(Document)
