"""The views of `kibana/saved_objects/`, imported into Kibana over its HTTP interface.

The files hold one saved object each, with the JSON that Kibana keeps as text written out as JSON; `objects` folds it.
Object ids are unique over all spaces of a Kibana, so every space but the default one gets ids of its own.
"""

import base64
import json
import re
import ssl
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from siplogs.config import Settings
from siplogs.errors import ConfigError, DeliveryError
from siplogs.outputs.elasticsearch import OLDEST, Answer, UnreachableError, ca_file, plain, tls_refusal
from siplogs.resources import data_folder

FOLDER: Final = "saved_objects"
DEFAULT_SPACE: Final = "default"

# Attributes that Kibana stores as JSON inside a string.
FOLDED: Final = {
    *("fieldAttrs", "fieldFormatMap", "fields", "runtimeFieldMap", "sourceFilters", "typeMeta"),
    *("ignoreParentSettingsJSON", "optionsJSON", "panelsJSON", "searchSourceJSON", "uiStateJSON", "visState"),
}

_SPACE: Final = re.compile(r"[a-z0-9_-]+")
_TIMEOUT: Final = 60.0
_BOUNDARY: Final = "siplogs-saved-objects"
_FORM: Final = f"multipart/form-data; boundary={_BOUNDARY}"


def objects(space: str = DEFAULT_SPACE, folder: Path | None = None) -> list[dict[str, Any]]:
    """Return the saved objects as Kibana takes them, with the ids of a space."""
    files = sorted((folder or data_folder("kibana") / FOLDER).glob("*.json"))
    read = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    ids = {one["id"]: one["id"] if space == DEFAULT_SPACE else f"{one['id']}-{space}" for one in read}
    for one in read:
        one["id"] = ids[one["id"]]
        one["attributes"] = _folded(one["attributes"])
        one["references"] = [reference | {"id": ids[reference["id"]]} for reference in one["references"]]
    return read


def install(settings: Settings) -> Iterator[str]:
    """Import all views into the space of the settings, over those of an earlier import, and yield a line on each.

    Raises ConfigError for a bad address or space, DeliveryError when Kibana refuses anything, is too old or not Kibana.
    """
    kibana, prefix = _Kibana(settings), _prefix(settings.kibana.space)
    yield f"Kibana {_version(kibana)} at {kibana.url}"
    wanted = objects(settings.kibana.space)
    answer = kibana.request("POST", f"{prefix}/api/saved_objects/_import?overwrite=true", _multipart(wanted), _FORM)
    yield from _imported(kibana.expect(answer, "importing the saved objects", settings.kibana.space), kibana.url)


def missing(settings: Settings) -> tuple[str, list[str]]:
    """Return Kibana's version, and type and id of each view that the space of the settings lacks.

    Raises ConfigError and DeliveryError as `install` does.
    """
    kibana, prefix = _Kibana(settings), _prefix(settings.kibana.space)
    version = _version(kibana)
    wanted = [{"type": one["type"], "id": one["id"]} for one in objects(settings.kibana.space)]
    body = json.dumps({"objects": wanted, "excludeExportDetails": True}).encode()
    answer = kibana.request("POST", f"{prefix}/api/saved_objects/_export", body, "application/json")
    if answer.status == 200:
        return version, []
    told = answer.body.get("attributes", {}) if isinstance(answer.body, dict) and answer.status == 400 else {}
    if told.get("objects"):
        return version, [f"{one['type']} {one['id']}" for one in told["objects"]]
    kibana.expect(answer, "looking for the saved objects", settings.kibana.space)
    raise kibana.other()


def _prefix(space: str) -> str:
    if not _SPACE.fullmatch(space):
        raise ConfigError(f"kibana.space: {space!r} is no space id: lower-case letters, digits, - and _ only")
    return "" if space == DEFAULT_SPACE else f"/s/{quote(space)}"


def _folded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        name: json.dumps(inner, separators=(",", ":"), ensure_ascii=False)
        if name in FOLDED and not isinstance(inner, str)
        else _folded(inner)
        for name, inner in value.items()
    }


def _imported(body: Any, url: str) -> Iterator[str]:
    failed = [f"{one['type']} {one['id']}: {_why(one['error'])}" for one in body.get("errors", ())]
    if not body.get("success"):
        raise DeliveryError(
            f"Kibana at {url} did not import the saved objects: {'; '.join(failed) or 'no reason given'}"
        )
    for one in body.get("successResults", ()):
        done = "updated" if one.get("overwrite") else "created"
        yield f"{one['type']} {one.get('destinationId', one['id'])} ({one['meta']['title']}): {done}"


def _why(error: dict[str, Any]) -> str:
    kind = str(error.get("type", "unknown"))
    if kind == "missing_references":
        missing = ", ".join(f"{one['type']} {one['id']}" for one in error["references"])
        return f"refers to what is not there: {missing}"
    remedies = {
        "conflict": "exists already",
        "ambiguous_conflict": "exists several times; delete the copies",
        "unsupported_type": "this Kibana does not know the type",
    }
    return remedies.get(kind) or str(error.get("message") or kind)


def _version(kibana: "_Kibana") -> str:
    answer = kibana.request("GET", "/api/status")
    if answer.status == 404:
        raise kibana.other()
    if answer.status not in {200, 503} or not isinstance(answer.body, dict) or "status" not in answer.body:
        kibana.expect(answer, "asking for the version")
        raise kibana.other()
    level = answer.body["status"].get("overall", {}).get("level")
    if answer.status == 503 or level in {"unavailable", "critical"}:
        raise DeliveryError(f"Kibana at {kibana.url} is {level}: wait until it is up")
    number = str(answer.body.get("version", {}).get("number", ""))
    if not number:
        raise DeliveryError(f"Kibana at {kibana.url} wants credentials: set elasticsearch.api_key_file or a user")
    major, minor, *_ = (int(part) if part.isdecimal() else 0 for part in f"{number}.0.0".split("."))
    if (major, minor) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise DeliveryError(f"Kibana at {kibana.url} is version {number}; siplogs needs {oldest} or later")
    return number


def _multipart(wanted: list[dict[str, Any]]) -> bytes:
    lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in wanted)
    head = 'Content-Disposition: form-data; name="file"; filename="siplogs.ndjson"\r\nContent-Type: application/ndjson'
    return f"--{_BOUNDARY}\r\n{head}\r\n\r\n{lines}\n\r\n--{_BOUNDARY}--\r\n".encode()


class _NoRedirect(HTTPRedirectHandler):
    """Makes a redirect an answer: following it would carry the credentials to another host."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


class _Kibana:
    """HTTP with Kibana: the headers that it wants, and its refusals in words."""

    def __init__(self, settings: Settings) -> None:
        if not settings.kibana.url:
            raise ConfigError("no Kibana address: give --kibana URL, or set SIPLOGS_KIBANA_URL or kibana.url")
        self.url = settings.kibana.url
        self._headers = {"kbn-xsrf": "siplogs", "accept": "application/json"} | _authorization(settings)
        self._opener = build_opener(ProxyHandler({}), _NoRedirect(), HTTPSHandler(context=_context(settings)))

    def request(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Answer:
        headers = self._headers | ({"content-type": kind} if kind else {})
        request = Request(self.url + path, data=body, headers=headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                return Answer(response.status, _decoded(response.read()))
        except HTTPError as error:
            with error:
                return Answer(error.code, _decoded(error.read()))
        except URLError as error:
            if isinstance(error.reason, ssl.SSLError):
                raise tls_refusal(self.url, str(error.reason), "kibana") from error
            raise self._unreachable(error.reason) from error
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from error

    def expect(self, answer: Answer, doing: str, space: str = "") -> Any:
        if answer.status == 200 and isinstance(answer.body, dict):
            return answer.body
        if answer.status == 404 and space:
            raise DeliveryError(
                f"Kibana at {self.url} has no space {space}: create it in Kibana, or give another --space"
            )
        words = answer.body.get("message") if isinstance(answer.body, dict) else None
        if answer.status == 401:
            remedy = "check elasticsearch.api_key_file, or elasticsearch.username and elasticsearch.password_file"
            raise DeliveryError(f"Kibana at {self.url} refuses the credentials (401): {remedy}")
        if answer.status == 403:
            raise DeliveryError(f"{doing}: the credentials lack a Kibana privilege (403): {words or 'no reason given'}")
        if isinstance(answer.body, dict) and words:
            raise DeliveryError(f"{doing}: Kibana at {self.url} answers {answer.status}: {words}")
        raise self.other()

    def other(self) -> DeliveryError:
        return DeliveryError(f"the server at {self.url} is not Kibana: check kibana.url and its base path")

    def _unreachable(self, why: object) -> UnreachableError:
        return UnreachableError(
            f"Kibana cannot be reached at {self.url} ({plain(str(why))}): check that it runs, and kibana.url"
        )


def _authorization(settings: Settings) -> dict[str, str]:
    elasticsearch = settings.elasticsearch
    if elasticsearch.api_key:
        return {"authorization": f"ApiKey {elasticsearch.api_key}"}
    if elasticsearch.username:
        pair = f"{elasticsearch.username}:{elasticsearch.password}".encode()
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def _context(settings: Settings) -> ssl.SSLContext:
    kibana, elasticsearch = settings.kibana, settings.elasticsearch
    file = kibana.ca_file or elasticsearch.ca_file
    context = ssl.create_default_context(cafile=ca_file(file, "kibana") if file else None)
    verify = elasticsearch.verify if kibana.verify is None else kibana.verify
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
