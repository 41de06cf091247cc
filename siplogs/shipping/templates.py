"""What Elasticsearch has to know before the first event: mapping, settings, index template, lifecycle policy.

The mapping is generated from the model; the rest is data in `kibana/elasticsearch/`.
"""

import json
import re
from collections.abc import Collection, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Final

from siplogs import __version__
from siplogs.errors import DeliveryError
from siplogs.outputs import schema
from siplogs.outputs.elasticsearch import EVENTS, Answer, Server, index_name, reason
from siplogs.resources import data_folder
from siplogs.shipping.retention import period_end

MAPPINGS: Final = "siplogs@mappings"
SETTINGS: Final = "siplogs@settings"
TEMPLATE: Final = "siplogs-events"
POLICY: Final = "siplogs"

_PATHS: Final = {
    MAPPINGS: ("component template", f"/_component_template/{MAPPINGS}", "component_templates", "component_template"),
    SETTINGS: ("component template", f"/_component_template/{SETTINGS}", "component_templates", "component_template"),
    TEMPLATE: ("index template", f"/_index_template/{TEMPLATE}", "index_templates", "index_template"),
}


# What an admin chooses. What is not given stays in the server as an earlier setup put it there.
CHOICES: Final = frozenset({"shards", "replicas", "period", "retention_days"})


def install(server: Server, given: Collection[str] = CHOICES) -> Iterator[str]:
    """Put everything in place and yield a line on each part: created, updated, or already current.

    `given` names the settings that somebody chose, of `CHOICES`. Parts of a newer siplogs are left as they are, and of
    an existing lifecycle policy all but the age at which it deletes. Raises DeliveryError; at last also where another
    template outweighs what is in place now.
    """
    yield f"Elasticsearch {server.version} at {server.name}"
    lifecycle, lines = _lifecycle(server, given)
    yield from lines
    for name, body in _wanted(server, given, lifecycle=lifecycle).items():
        kind = _PATHS[name][0]
        state = _state(server, name, body)
        if state in {"missing", "outdated"}:
            answer = server.request("PUT", _PATHS[name][1], body | _signature())
            server.expect(answer, f"{kind} {name}")
        yield f"{kind} {name}: {_SAID[state]}"
    _require_effect(server)


def states(server: Server) -> dict[str, str]:
    """Return of each template, as "index template siplogs-events", whether it is missing, outdated, current or newer.

    An admin's choices make none outdated, whatever they are. Raises DeliveryError.
    """
    return {f"{_PATHS[name][0]} {name}": _state(server, name, body) for name, body in _wanted(server).items()}


def check(server: Server) -> None:
    """Raise DeliveryError when events sent now would be indexed without the right mapping."""
    template = _installed(server, TEMPLATE)
    state = _state(server, MAPPINGS, _mappings()) if template else "missing"
    if state in {"missing", "outdated"}:
        raise DeliveryError(
            f"the index template {TEMPLATE} at {server.name} is {state}: run siplogs setup --elasticsearch URL first"
        )
    _require_effect(server)


def rival(server: Server) -> str:
    """Say which index template the server would take for an index made now instead of siplogs', "" for none.

    One that is composed of siplogs' mapping does as well as siplogs' own. Raises DeliveryError.
    """
    name, own = index_name(datetime.now(UTC).isoformat(), server.settings.period), _data("events")["priority"]
    answer = server.request("GET", "/_index_template", query={"filter_path": _RANKED})
    found = server.expect(answer, "reading the index templates").get("index_templates", ())
    matching = [one for one in found if any(_matches(pattern, name) for pattern in _patterns(one))]
    taken = max(matching, key=_priority, default=None)
    if taken is None or _priority(taken) <= own or MAPPINGS in taken["index_template"].get("composed_of", ()):
        return ""
    return (
        f"the index template {taken['name']} ({', '.join(_patterns(taken))}) at {server.name} outweighs {TEMPLATE} by"
        f" its priority {_priority(taken)}, so that events would be indexed with a wrong mapping: give it one below"
        f" {own} or other index_patterns, or compose it of {MAPPINGS}"
    )


_RANK: Final = ("index_patterns", "priority", "composed_of")
_RANKED: Final = ",".join(("index_templates.name", *(f"index_templates.index_template.{key}" for key in _RANK)))

_POLICY_PATH: Final = f"/_ilm/policy/{POLICY}"
_DELETING: Final[dict[str, Any]] = {"actions": {"delete": {}}}

# The days of each period, and the period by the length of what it adds to an index's name.
_PERIOD_DAYS: Final = {"day": 1, "week": 7, "month": 31, "year": 366}
_NAMED: Final = {len("2026.11.21"): "day", len("2026.w47"): "week", len("2026.11"): "month", len("2026"): "year"}

_SAID: Final = {
    "missing": "created",
    "outdated": "updated; it holds for indices made from now on",
    "current": "already current",
    "newer": "left as it is, a newer siplogs made it",
}


def _require_effect(server: Server) -> None:
    if outweighs := rival(server):
        raise DeliveryError(outweighs)


def _patterns(template: dict[str, Any]) -> list[str]:
    patterns: list[str] = template["index_template"]["index_patterns"]
    return patterns


def _priority(template: dict[str, Any]) -> int:
    return int(template["index_template"].get("priority", 0))


def _matches(pattern: str, name: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def _lifecycle(server: Server, given: Collection[str]) -> tuple[bool, list[str]]:
    """Make the policy or bring siplogs' own up to date; return whether there is one of its own, and what to say."""
    found = server.request("GET", _POLICY_PATH)
    if found.status in {401, 403}:
        raise server.refusal(found, f"lifecycle policy {POLICY}")
    if found.status not in {200, 404}:
        days = server.settings.retention_days
        remedy = f"; let cron run siplogs prune --yes daily, which deletes what is older than {days} days" * bool(days)
        return False, [f"lifecycle policy {POLICY}: skipped, this server has no index lifecycle management{remedy}"]
    there = found.body[POLICY]["policy"] if found.status == 200 else None
    if there is not None and there.get("_meta", {}).get("managed_by") != "siplogs":
        return False, [f"lifecycle policy {POLICY}: left as it is, siplogs did not make it and puts no index under it"]
    choice = _retention(server, given, there or {})
    if not choice["retention_days"]:
        return True, [_put_policy(server, there, choice, None)]
    indices = _indices(server)
    longest = max(_PERIOD_DAYS.get(period, 366) for period in (choice["period"], *map(_period_of, indices)))
    line = _put_policy(server, there, choice, f"{choice['retention_days'] + longest}d")
    return True, [line, _apply_policy(server, indices)]


def _retention(server: Server, given: Collection[str], there: dict[str, Any]) -> dict[str, Any]:
    """Return what the age of deletion is made from: what is given, else what an earlier setup noted in the policy."""
    settings = {"retention_days": server.settings.retention_days, "period": server.settings.period}
    taken_out = there and "delete" not in there["phases"]
    earlier = there.get("_meta", {}) | ({"retention_days": 0} if taken_out else {})
    kept = {name for name, value in settings.items() if isinstance(earlier.get(name), type(value))} - set(given)
    return settings | {name: earlier[name] for name in kept}


def _put_policy(server: Server, there: dict[str, Any] | None, choice: dict[str, Any], age: str | None) -> str:
    """Let the policy delete an index of this age, which counts from its making; all else in it is the admin's."""
    policy = deepcopy(there) or _data("lifecycle")["policy"]
    phases, noted = policy["phases"], policy.get("_meta", {})
    before = phases.get("delete", {}).get("min_age")
    if age:
        phases["delete"] = _DELETING | phases.get("delete", {}) | {"min_age": age}
    elif noted.get("retention_days"):
        phases.pop("delete", None)
    policy["_meta"] = noted | _signature()["_meta"] | choice
    if policy != there:
        server.expect(server.request("PUT", _POLICY_PATH, {"policy": policy}), f"lifecycle policy {POLICY}")
    done = "created" if there is None else "already current" if policy == there else "updated"
    return f"lifecycle policy {POLICY}: {done} ({_deletion(choice, age, before)})"


def _deletion(choice: dict[str, Any], age: str | None, before: str | None) -> str:
    if age is None:
        return "siplogs lets nothing be deleted; elasticsearch.retention_days limits retention"
    until_now = f" and not {before}" if before not in {None, age} else ""
    days = choice["retention_days"]
    return f"an index is deleted {age}{until_now} after it was made, {days} days or more after its period's end"


def _indices(server: Server) -> dict[str, bool]:
    """Return the indices whose names siplogs gives, and whether each is under a lifecycle policy."""
    fields = "*.settings.index.uuid,*.settings.index.lifecycle.name"
    query = {"expand_wildcards": "all", "filter_path": fields}
    found = server.expect(server.request("GET", f"/{EVENTS}-*/_settings", query=query), "reading the indices' settings")
    return {name: "lifecycle" in found[name]["settings"]["index"] for name in sorted(found) if period_end(name)}


def _period_of(index: str) -> str:
    return _NAMED[len(index.removeprefix(f"{EVENTS}-"))]


def _apply_policy(server: Server, indices: dict[str, bool]) -> str:
    """Put the indices under the policy that were made before there was one."""
    without = [name for name, managed in indices.items() if not managed]
    for name in without:
        put = server.request("PUT", f"/{name}/_settings", {"index.lifecycle.name": POLICY})
        server.expect(put, f"putting {name} under the lifecycle policy {POLICY}")
    return f"indices that were not under the lifecycle policy: {', '.join(without) or 'none'}"


def _wanted(server: Server, given: Collection[str] = (), *, lifecycle: bool = False) -> dict[str, dict[str, Any]]:
    """Return the templates as they should be: siplogs' part, what is given, and for the rest what is there."""
    return {
        MAPPINGS: _mappings(),
        SETTINGS: _settings(server, given, lifecycle=lifecycle),
        TEMPLATE: _data("events"),
    }


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


def _settings(server: Server, given: Collection[str], *, lifecycle: bool) -> dict[str, Any]:
    body = _data("settings")
    index = body["template"]["settings"]["index"]
    installed = _installed(server, SETTINGS)
    there = (installed or {}).get("template", {}).get("settings", {}).get("index", {})
    for name, key in (("shards", "number_of_shards"), ("replicas", "number_of_replicas")):
        if installed is None or name in given:
            index[key] = getattr(server.settings, name)
        elif key in there:
            index[key] = there[key]
    if lifecycle or "lifecycle" in there:
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
