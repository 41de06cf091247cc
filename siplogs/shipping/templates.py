"""What Elasticsearch has to know before the first event: mapping, settings, index template, lifecycle policy.

The mapping is generated from the model; the rest is data in `kibana/elasticsearch/`.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from siplogs import __version__
from siplogs.errors import DeliveryError
from siplogs.outputs import schema
from siplogs.outputs.elasticsearch import EVENTS, Answer, Server, reason
from siplogs.resources import data_folder

MAPPINGS: Final = "siplogs@mappings"
SETTINGS: Final = "siplogs@settings"
TEMPLATE: Final = "siplogs-events"
POLICY: Final = "siplogs"

_PATHS: Final = {
    MAPPINGS: ("component template", f"/_component_template/{MAPPINGS}", "component_templates", "component_template"),
    SETTINGS: ("component template", f"/_component_template/{SETTINGS}", "component_templates", "component_template"),
    TEMPLATE: ("index template", f"/_index_template/{TEMPLATE}", "index_templates", "index_template"),
}


def install(server: Server) -> Iterator[str]:
    """Put everything in place and yield a line on each part: created, updated, or already current.

    Parts of a newer siplogs are left as they are, and of an existing lifecycle policy all but the phase that deletes.
    Raises DeliveryError.
    """
    yield f"Elasticsearch {server.version} at {server.name}"
    lifecycle, line = _lifecycle(server)
    yield line
    if lifecycle and server.settings.retention_days:
        yield _apply_policy(server)
    wanted = {MAPPINGS: _mappings(), SETTINGS: _settings(server, lifecycle=lifecycle), TEMPLATE: _data("events")}
    for name, body in wanted.items():
        kind = _PATHS[name][0]
        state = _state(server, name, body)
        if state in {"missing", "outdated"}:
            answer = server.request("PUT", _PATHS[name][1], body | _signature())
            server.expect(answer, f"{kind} {name}")
        yield f"{kind} {name}: {_SAID[state]}"


def states(server: Server) -> dict[str, str]:
    """Return of each template, as "index template siplogs-events", whether it is missing, outdated, current or newer.

    Raises DeliveryError.
    """
    installed = _installed(server, SETTINGS) or {}
    lifecycle = "lifecycle" in installed.get("template", {}).get("settings", {}).get("index", {})
    wanted = {MAPPINGS: _mappings(), SETTINGS: _settings(server, lifecycle=lifecycle), TEMPLATE: _data("events")}
    return {f"{_PATHS[name][0]} {name}": _state(server, name, body) for name, body in wanted.items()}


def check(server: Server) -> None:
    """Raise DeliveryError when events sent now would be indexed without the right mapping."""
    template = _installed(server, TEMPLATE)
    state = _state(server, MAPPINGS, _mappings()) if template else "missing"
    if state in {"missing", "outdated"}:
        raise DeliveryError(
            f"the index template {TEMPLATE} at {server.name} is {state}: run siplogs setup --elasticsearch URL first"
        )


# A policy counts from an index's making, which is at the earliest the beginning of its period.
_PERIOD_DAYS: Final = {"day": 1, "week": 7, "month": 31, "year": 366}
_DELETING: Final[dict[str, Any]] = {"actions": {"delete": {}}}
_NEVER: Final = "nothing is deleted; elasticsearch.retention_days limits retention"

_SAID: Final = {
    "missing": "created",
    "outdated": "updated; it holds for indices made from now on",
    "current": "already current",
    "newer": "left as it is, a newer siplogs made it",
}


def _lifecycle(server: Server) -> tuple[bool, str]:
    """Make the policy or, in one that siplogs made, let deletion follow the setting; the rest of it is the admin's."""
    path, days = f"/_ilm/policy/{POLICY}", server.settings.retention_days
    found = server.request("GET", path)
    if found.status not in {200, 401, 403, 404}:
        return False, f"lifecycle policy {POLICY}: skipped, this server has no index lifecycle management"
    if found.status == 200:
        policy = found.body[POLICY]["policy"]
        meta = policy.get("_meta", {})
        if meta.get("managed_by") != "siplogs" or meta.get("retention_days", 0) == days:
            return True, f"lifecycle policy {POLICY}: left as it is"
    elif found.status == 404:
        policy = _data("lifecycle")["policy"]
    else:
        raise server.refusal(found, f"lifecycle policy {POLICY}")
    policy["phases"].pop("delete", None)
    if days:
        policy["phases"]["delete"] = {"min_age": f"{days + _PERIOD_DAYS[server.settings.period]}d"} | _DELETING
    policy["_meta"] = _signature()["_meta"] | {"retention_days": days}
    put = server.request("PUT", path, {"policy": policy})
    server.expect(put, f"lifecycle policy {POLICY}")
    kept = f"an index is deleted {days} days after its period's end" if days else _NEVER
    return True, f"lifecycle policy {POLICY}: {'updated' if found.status == 200 else 'created'} ({kept})"


def _apply_policy(server: Server) -> str:
    """Put the indices under the policy that were made before there was one."""
    fields = "*.settings.index.uuid,*.settings.index.lifecycle.name"
    query = {"expand_wildcards": "all", "filter_path": fields}
    found = server.expect(server.request("GET", f"/{EVENTS}-*/_settings", query=query), "reading the indices' settings")
    without = sorted(name for name, body in found.items() if "lifecycle" not in body["settings"]["index"])
    for name in without:
        put = server.request("PUT", f"/{name}/_settings", {"index.lifecycle.name": POLICY})
        server.expect(put, f"putting {name} under the lifecycle policy {POLICY}")
    return f"indices that were not under the lifecycle policy: {', '.join(without) or 'none'}"


def _state(server: Server, name: str, body: dict[str, Any]) -> str:
    installed = _installed(server, name)
    if installed is None:
        return "missing"
    if installed.get("version", 0) > _signature()["version"]:
        return "newer"
    ours = _flat({key: value for key, value in installed.items() if key in body})  # the server adds dates of its own
    current = ours == _flat(body) and installed.get("version") == _signature()["version"]
    return "current" if current else "outdated"


def _installed(server: Server, name: str) -> dict[str, Any] | None:
    kind, path, many, one = _PATHS[name]
    answer: Answer = server.request("GET", path)
    if answer.status == 404 and "not found" in reason(answer.body):
        return None
    found: dict[str, Any] = server.expect(answer, f"reading {kind} {name}")[many][0][one]
    return found


def _mappings() -> dict[str, Any]:
    return {"template": {"mappings": schema.mapping()}}


def _settings(server: Server, *, lifecycle: bool) -> dict[str, Any]:
    body = _data("settings")
    index = body["template"]["settings"]["index"]
    index["number_of_shards"] = server.settings.shards
    index["number_of_replicas"] = server.settings.replicas
    if lifecycle:
        index["lifecycle"] = {"name": POLICY}
    return body


def _data(name: str) -> dict[str, Any]:
    text = (data_folder("kibana") / "elasticsearch" / f"{name}.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def _signature() -> dict[str, Any]:
    major, minor, patch, *_ = (int(part) if part.isdecimal() else 0 for part in f"{__version__}.0.0".split("."))
    meta = {"managed_by": "siplogs", "siplogs_version": __version__}
    return {"version": major * 1_000_000 + minor * 1_000 + patch, "_meta": meta}


def _flat(value: Any, path: str = "") -> dict[str, str]:
    """Return the leaves as text: Elasticsearch gives settings back as strings and drops what is empty."""
    if isinstance(value, dict):
        return {key: leaf for name, inner in value.items() for key, leaf in _flat(inner, f"{path}.{name}").items()}
    if isinstance(value, list):
        return {
            key: leaf for place, inner in enumerate(value) for key, leaf in _flat(inner, f"{path}[{place}]").items()
        }
    return {path: str(value).lower()}
