"""A stand-in for Kibana's HTTP interface: the part that `siplogs setup --kibana` uses, as strict as the real one.

The rules are those of Kibana's own source: routes and importer of saved objects (src/core/packages/saved-objects/
import-export-server-internal, server-internal/src/routes), document migrator, and the create schemas of each type.
"""

import base64
import json
import ssl
import threading
import uuid
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

# The newest version of each type that a release knows.
KNOWN = {
    "8.11.4": {"index-pattern": "8.0.0", "search": "8.0.0", "visualization": "8.5.0", "lens": "8.9.0",
               "dashboard": "8.9.0", "tag": "8.0.0"},
    "9.2.3": {"index-pattern": "8.0.0", "search": "10.9.0", "visualization": "8.5.0", "lens": "10.1.0",
              "dashboard": "10.3.0", "tag": "8.0.0"},
}  # fmt: skip

# Attributes that the create schemas of the declared versions accept; all others are refused. None: no schema.
ATTRIBUTES: dict[str, set[str] | None] = {
    "search": {
        "title", "description", "columns", "sort", "grid", "rowHeight", "rowsPerPage", "hideChart", "breakdownField",
        "kibanaSavedObjectMeta", "isTextBasedQuery", "usesAdHocDataView", "timeRestore", "timeRange",
        "refreshInterval", "viewMode", "hideAggregatedPreview", "hits", "version",
    },
    "dashboard": {
        "title", "description", "kibanaSavedObjectMeta", "timeRestore", "timeFrom", "timeTo", "refreshInterval",
        "controlGroupInput", "panelsJSON", "optionsJSON", "hits", "version",
    },
    "visualization": {
        "title", "description", "version", "kibanaSavedObjectMeta", "uiStateJSON", "visState", "savedSearchRefName",
    },
    "index-pattern": None,
    "lens": None,
    "tag": None,
}  # fmt: skip

LINE_KEYS = {"id", "type", "attributes", "references", "coreMigrationVersion", "typeMigrationVersion", "managed"}


class Kibana:
    """A running stand-in. `stored` maps (space, type, id) to the object; change the switches to make it refuse."""

    def __init__(self, version: str = "9.2.3", certificate: tuple[Path, Path] | None = None) -> None:
        self.version = version
        self.level = "available"
        self.authorization: str | None = None
        self.may_write = True
        self.spaces = {"default"}
        self.unsupported: set[str] = set()
        self.redirect_to: str | None = None
        self.stored: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(kibana) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(*kibana.answer("GET", self.path, self.headers, b""))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                self.answer(*kibana.answer("POST", self.path, self.headers, body))

            def answer(self, status: int, body: Any) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json; charset=utf-8")
                if status == 401:
                    self.send_header("www-authenticate", 'Basic realm="security"')
                if status == 302:
                    self.send_header("location", str(kibana.redirect_to))
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Any]:
        url = urlsplit(target)
        given = headers.get("authorization")
        known = self.authorization is None or given == self.authorization
        if self.redirect_to:
            return 302, {}
        if (method, url.path) == ("GET", "/api/status"):
            return self.status(known, anonymous=given is None)
        if not known:
            return 401, error(401, "Unauthorized", "[security_exception]: unable to authenticate")
        if method != "GET" and not headers.get("kbn-xsrf"):
            return 400, error(400, "Bad Request", "Request must contain a kbn-xsrf header.")
        space, path = "default", url.path
        if path.startswith("/s/"):
            _, _, space, rest = path.split("/", 3)
            path = f"/{rest}"
        if space in self.spaces and (method, path) == ("POST", "/api/saved_objects/_export"):
            return self.exporting(space, json.loads(body))
        if space not in self.spaces or (method, path) != ("POST", "/api/saved_objects/_import"):
            return 404, error(404, "Not Found", "Not Found")
        return self.importing(space, parse_qs(url.query), headers, body)

    def status(self, known: bool, *, anonymous: bool) -> tuple[int, Any]:
        overall = {"overall": {"level": self.level}}
        code = 200 if self.level in {"available", "degraded"} else 503
        if not known and not anonymous:
            return 401, error(401, "Unauthorized", "[security_exception]: unable to authenticate")
        if not known:
            return code, {"status": overall}
        version = {"number": self.version, "build_flavor": "traditional"}
        return code, {"name": "kibana", "version": version, "status": overall}

    def exporting(self, space: str, wanted: dict[str, Any]) -> tuple[int, Any]:
        """Objects that are named must all be there, else those that are not are told (export/errors.ts, routes)."""
        keys = [(space, one["type"], one["id"]) for one in wanted["objects"]]
        gone = [{"type": kind, "id": name, "error": error(404, "Not Found", "Saved object not found")}
                for _, kind, name in keys if (space, kind, name) not in self.stored]  # fmt: skip
        if gone:
            refusal = error(400, "Bad Request", "Error fetching objects to export")
            return 400, refusal | {"attributes": {"objects": gone}}
        return 200, [self.stored[key] for key in keys]

    def importing(self, space: str, query: dict[str, list[str]], headers: Any, body: bytes) -> tuple[int, Any]:
        kind = headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            return 415, error(415, "Unsupported Media Type", "Unsupported Media Type")
        message = BytesParser().parsebytes(f"content-type: {kind}\r\n\r\n".encode() + body)
        parts = [
            part for part in message.get_payload() if part.get_param("name", header="content-disposition") == "file"
        ]
        name = str(parts[0].get_filename())
        if not name.endswith(".ndjson"):
            return 400, error(400, "Bad Request", f"Invalid file extension {Path(name).suffix}")
        try:
            lines = [json.loads(line) for line in parts[0].get_payload(decode=True).splitlines() if line.strip()]
        except ValueError as mistake:
            return 400, error(400, "Bad Request", str(mistake))
        objects = [line for line in lines if "exportedCount" not in line]
        names = [f"{one['type']}:{one['id']}" for one in objects]
        twice = sorted({one for one in names if names.count(one) > 1})
        if twice:
            return 400, error(400, "Bad Request", f"Non-unique import objects detected: [{','.join(twice)}]")
        if not self.may_write:
            types = ",".join(sorted({one["type"] for one in objects}))
            return 403, error(403, "Forbidden", f"Unable to bulk_create {types}")
        return self.migrated(objects) or self.judged(space, objects, overwrite=query.get("overwrite") == ["true"])

    def migrated(self, objects: list[dict[str, Any]]) -> tuple[int, Any] | None:
        for one in objects:
            known = KNOWN[self.version].get(one["type"])
            if known is None:
                continue
            if not one.get("typeMigrationVersion"):
                if one["type"] == "lens":
                    return 500, error(500, "Internal Server Error", "Migration function for version 7.10.0 threw")
                continue
            if numbers(one["typeMigrationVersion"]) > numbers(known):
                text = f'Document "{one["id"]}" belongs to a more recent version of Kibana'
                text += f" [{one['typeMigrationVersion']}] when the last known version is [{known}]."
                return 422, error(422, "Unprocessable Entity", text)
            core = one.get("coreMigrationVersion", "8.8.0")
            if numbers(core) > numbers(self.version):
                text = f'Document "{one["id"]}" has a "coreMigrationVersion" which belongs to a more recent version'
                text += f" of Kibana [{core}]. The current version is [{self.version}]."
                return 422, error(422, "Unprocessable Entity", text)
        return None

    def judged(self, space: str, objects: list[dict[str, Any]], *, overwrite: bool) -> tuple[int, Any]:
        errors, blocking, fine = [], False, []
        for one in objects:
            problem = self.problem(space, one, objects, overwrite=overwrite)
            if problem is None:
                fine.append(one)
                continue
            blocking = blocking or problem["type"] in {"conflict", "ambiguous_conflict", "missing_references"}
            errors.append({"type": one["type"], "id": one["id"], "meta": meta(one), "error": problem})
        results = [self.result(space, one, write=not blocking) for one in fine]
        body = {"successCount": len(results), "success": not errors, "warnings": []}
        return 200, body | ({"successResults": results} if results else {}) | ({"errors": errors} if errors else {})

    def problem(
        self, space: str, one: dict[str, Any], objects: list[dict[str, Any]], *, overwrite: bool
    ) -> dict[str, Any] | None:
        if one["type"] not in KNOWN[self.version] or one["type"] in self.unsupported:
            return {"type": "unsupported_type"}
        if (space, one["type"], one["id"]) in self.stored and not overwrite:
            return {"type": "conflict"}
        there = {(other["type"], other["id"]) for other in objects} | {
            key[1:] for key in self.stored if key[0] == space
        }
        references = [(reference["type"], reference["id"]) for reference in one["references"]]
        gone = [name for name in references if name[0] in {"index-pattern", "search"} and name not in there]
        if gone:
            return {"type": "missing_references", "references": [{"type": kind, "id": name} for kind, name in gone]}
        unknown = set(one["attributes"]) - (ATTRIBUTES[one["type"]] or set(one["attributes"]))
        if unknown or ("title" not in one["attributes"] and one["type"] != "tag"):
            text = f"[attributes.{min(unknown, default='title')}]: definition for this key is missing"
            return {"type": "unknown", "statusCode": 400, "error": "Bad Request", "message": text}
        return None

    def result(self, space: str, one: dict[str, Any], *, write: bool) -> dict[str, Any]:
        """Ids are unique over all spaces: an object that lives elsewhere gets a new id here."""
        elsewhere = any(key[0] != space and key[1:] == (one["type"], one["id"]) for key in self.stored)
        destination = str(uuid.uuid4()) if elsewhere else one["id"]
        overwritten = (space, one["type"], destination) in self.stored
        if write:
            self.stored[space, one["type"], destination] = one
        item = {"type": one["type"], "id": one["id"], "meta": meta(one), "managed": one.get("managed", False)}
        item |= {"destinationId": destination} if elsewhere else {}
        return item | ({"overwrite": True} if overwritten else {})


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def meta(one: dict[str, Any]) -> dict[str, str]:
    attributes = one["attributes"]
    icon = {"index-pattern": "indexPatternApp", "search": "discoverApp"}.get(one["type"], "tag")
    return {"title": attributes.get("name") or attributes.get("title", ""), "icon": icon}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def error(status: int, name: str, message: str) -> dict[str, Any]:
    return {"statusCode": status, "error": name, "message": message}
