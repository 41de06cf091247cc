"""What `siplogs.model` says of a document, for others: Elasticsearch mapping, JSON Schema and field reference.

The annotations of the model are the only definition. `python -m siplogs.outputs.schema docs` writes
`docs/fields.md` and `docs/event.schema.json` anew; a test keeps them equal to the model.
"""

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, inspect

from siplogs.model import Event

SCHEMA_ID: Final = "urn:siplogs:event:1"

# What a PBX logs is written by strangers: no value of theirs may make Elasticsearch refuse a document.
_HARDENED: Final[dict[str, dict[str, Any]]] = {
    "flattened": {"ignore_above": 1024, "depth_limit": 4},
    "short": {"ignore_malformed": True},
    "integer": {"ignore_malformed": True},
    "long": {"ignore_malformed": True},
    "ip": {"ignore_malformed": True},
}

_REFERENCE: Final = """# Fields of an event

Generated from `siplogs/model.py` by `python -m siplogs.outputs.schema docs`; do not edit.

One event is one record of the log. Names follow the Elastic Common Schema (ECS) and Packetbeat's `sip.*` wherever the
meaning is the same; what is ours alone is under `siplogs.*`. A field that says nothing is left out. `[]` marks fields
that may have several values. The same list as JSON Schema: [event.schema.json](event.schema.json). Elasticsearch maps
these fields and no others (`dynamic: false`). What the ids in `siplogs.reason.id` stand for: [codes.md](codes.md).
"""


class Leaf(Struct, frozen=True):
    """One field that has a value: its dotted path, Elasticsearch options (`type` among them), text and plurality."""

    path: str
    options: dict[str, Any]
    description: str
    many: bool


class _Plain(Struct, frozen=True):
    """A field's type without its wrappers: the innermost type, its notes, and whether a list stood around it."""

    type: inspect.Type
    options: dict[str, Any]
    description: str
    many: bool


def leaves(document: type[Struct] = Event) -> Iterator[Leaf]:
    """Yield every field of a document type in the model's order, structures dissolved into dotted paths."""
    yield from _leaves(inspect.type_info(document), "", many=False)


def mapping(document: type[Struct] = Event) -> dict[str, Any]:
    """Return the explicit Elasticsearch mapping of a document type, as a template's `mappings` takes it."""
    properties: dict[str, Any] = {}
    for leaf in leaves(document):
        *parents, name = leaf.path.split(".")
        level = properties
        for parent in parents:
            level = level.setdefault(parent, {"properties": {}})["properties"]
        level[name] = _mapped(leaf.options)
    return {"dynamic": False, "date_detection": False, "numeric_detection": False, "properties": properties}


def json_schema(document: type[Struct] = Event) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the documents as they are written: absent fields are left out."""
    schema = msgspec.json.schema(document, ref_template="#/$defs/{name}")
    definitions = {name: _published(definition) for name, definition in sorted(schema["$defs"].items())}
    root = definitions.pop(document.__name__)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **root,
        "title": f"siplogs {document.__name__.lower()}",
        "$defs": definitions,
    }


def field_reference(document: type[Struct] = Event) -> str:
    """Return the field reference as Markdown: one table a family of fields."""
    purposes = _purposes(document)
    parts = [_REFERENCE]
    for family, members in groupby(sorted(leaves(document), key=_family_order), key=_family):
        rows = [f"| `{leaf.path}` | {_type_text(leaf)} | {_escaped(leaf.description)} |" for leaf in members]
        purpose = [_escaped(purposes[family]), ""] if family in purposes else []
        lines = [f"## {family}", "", *purpose, "| field | type | meaning |", "|---|---|---|", *rows, ""]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def documents() -> dict[str, str]:
    """Return the published files by name: what the folder `docs` has to hold."""
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    return {"fields.md": field_reference(), "event.schema.json": schema + "\n"}


def _leaves(node: inspect.Type, prefix: str, *, many: bool) -> Iterator[Leaf]:
    if not isinstance(node, inspect.StructType):
        raise TypeError(f"{prefix or node} is no structure and carries no Elasticsearch type: annotate it with about()")
    for member in node.fields:
        plain = _plain(member.type)
        path = f"{prefix}{member.encode_name}"
        if plain.options:
            yield Leaf(path, plain.options, plain.description, many or plain.many)
        else:
            yield from _leaves(plain.type, f"{path}.", many=many or plain.many)


def _plain(node: inspect.Type) -> _Plain:
    options: dict[str, Any] = {}
    description = ""
    many = False
    while True:
        if isinstance(node, inspect.Metadata):
            options = (node.extra or {}).get("elasticsearch", options)
            description = (node.extra_json_schema or {}).get("description", description)
            node = node.type
        elif isinstance(node, inspect.UnionType):
            node = next(member for member in node.types if not isinstance(member, inspect.NoneType))
        elif isinstance(node, inspect.ListType):
            node, many = node.item_type, True
        else:
            return _Plain(node, options, description, many)


def _mapped(options: dict[str, Any]) -> dict[str, Any]:
    hardened = _HARDENED.get(options["type"], {}) | options
    if options.get("index") is False:
        hardened.pop("ignore_above", None)
    return hardened


def _published(definition: dict[str, Any]) -> dict[str, Any]:
    required = definition.get("required", [])
    properties = {
        name: field if name in required else _never_null(field) for name, field in definition["properties"].items()
    }
    return definition | {"properties": properties, "additionalProperties": False}


def _never_null(field: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in field.items() if key not in {"anyOf", "default"}}
    choices: list[dict[str, Any]] = [choice for choice in field.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        return rest | choices[0]
    return rest | {"anyOf": choices} if choices else rest


def _purposes(document: type[Struct]) -> dict[str, str]:
    root = inspect.type_info(document)
    kinds = {field.encode_name: _plain(field.type).type for field in getattr(root, "fields", ())}
    return {
        name: (kind.cls.__doc__ or "").partition("\n")[0]
        for name, kind in kinds.items()
        if isinstance(kind, inspect.StructType)
    }


def _family(leaf: Leaf) -> str:
    return leaf.path.partition(".")[0] if "." in leaf.path else "Base"


def _family_order(leaf: Leaf) -> bool:
    return "." in leaf.path


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|")


def _type_text(leaf: Leaf) -> str:
    text = str(leaf.options["type"]) + ("[]" if leaf.many else "")
    extra = "".join(f" + {options['type']}" for options in leaf.options.get("fields", {}).values())
    return text + extra + (", not searchable" if leaf.options.get("index") is False else "")


def main(folder: str = "docs") -> None:
    """Write the published files into a folder."""
    for name, text in documents().items():
        Path(folder, name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
