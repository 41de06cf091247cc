"""Settings from command line, environment and `/etc/siplogs/siplogs.toml`, in this order of precedence.

Every setting has one name everywhere: `elasticsearch.ca_file` stands in the file as `ca_file` under `[elasticsearch]`
and in the environment as `SIPLOGS_ELASTICSEARCH_CA_FILE`. Secrets come from the environment, from the file, from a file
that they name, or from systemd (`elasticsearch-api-key`, `elasticsearch-password`), never from the command line.
"""

import os
import re
import socket
import stat
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from siplogs.errors import ConfigError

DEFAULT_FILE: Final = Path("/etc/siplogs/siplogs.toml")

Period = Literal["day", "week", "month", "year"]
Count = Annotated[int, msgspec.Meta(ge=1)]

_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
_DEFAULT_PORTS: Final = {("elasticsearch", "http"): 9200, ("kibana", "http"): 5601}
_SYSTEMD_CREDENTIALS: Final = {"elasticsearch-api-key": "api_key_file", "elasticsearch-password": "password_file"}

# A way to authenticate that a stronger layer sets puts those of weaker layers out of force.
_REPLACES: Final = {
    "api_key": {"api_key_file", "username", "password", "password_file"},
    "api_key_file": {"api_key", "username", "password", "password_file"},
    "username": {"api_key", "api_key_file"},
    "password": {"api_key", "api_key_file", "password_file"},
    "password_file": {"api_key", "api_key_file", "password"},
}


class ElasticsearchSettings(Struct, frozen=True):
    """Where events go, how siplogs proves who it is, and how the indices are cut."""

    url: list[str] = []
    api_key: str | None = None
    api_key_file: str | None = None
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    verify: bool = True
    compress: bool = False
    period: Period = "month"
    shards: Count = 1
    replicas: Annotated[int, msgspec.Meta(ge=0)] = 1


class KibanaSettings(Struct, frozen=True):
    """Where the views go; credentials are those of Elasticsearch, CA and verification too unless given here."""

    url: str | None = None
    space: str = "default"
    ca_file: str | None = None
    verify: bool | None = None


class DeliverySettings(Struct, frozen=True):
    """How documents are sent: limits of one bulk request, and the file that keeps what Elasticsearch refuses."""

    dead_letters: str = ""
    batch_documents: Count = 2000
    batch_bytes: Count = 5_000_000


class CapSettings(Struct, frozen=True):
    """How much of one hostile message is read: its bytes, its header lines, the bytes of one of them."""

    message_bytes: Count = 262_144
    header_count: Count = 256
    header_bytes: Count = 8192


class Settings(Struct, frozen=True):
    """All settings. `warnings` are sentences that the command has to print."""

    host_name: str = ""
    timezone: str | None = None
    original: bool = True
    elasticsearch: ElasticsearchSettings = field(default_factory=ElasticsearchSettings)
    kibana: KibanaSettings = field(default_factory=KibanaSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    caps: CapSettings = field(default_factory=CapSettings)
    warnings: tuple[str, ...] = ()


def load(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Read all settings and the secrets that they point to.

    `path` is the file of `--config` (else SIPLOGS_CONFIG, else /etc/siplogs/siplogs.toml where it exists). `overrides`
    are the command line's values, nested by section; None means not given. Raises ConfigError.
    """
    merged: dict[str, Any] = {}
    file, warnings = _file(path, environment)
    for origin, layer in (
        ("systemd credentials", _systemd_credentials(environment)),
        file,
        ("environment (SIPLOGS_…)", _environment(environment)),
        ("command line", overrides or {}),
    ):
        checked = _checked(layer, Settings, origin, strict=origin == file[0])
        _merge(merged, checked)
    settings = msgspec.convert(merged, Settings)
    elasticsearch = _with_secrets(settings.elasticsearch)
    delivery = settings.delivery
    if not delivery.dead_letters:
        state = _state_folder(environment) / "dead-letters.ndjson"
        delivery = msgspec.structs.replace(delivery, dead_letters=str(state))
    return msgspec.structs.replace(
        settings,
        host_name=settings.host_name or socket.gethostname(),
        elasticsearch=elasticsearch,
        delivery=delivery,
        warnings=(*warnings, *_warnings(elasticsearch, settings.kibana)),
    )


def _file(path: Path | None, environment: Mapping[str, str]) -> tuple[tuple[str, dict[str, Any]], list[str]]:
    chosen = path or (Path(environment["SIPLOGS_CONFIG"]) if environment.get("SIPLOGS_CONFIG") else None)
    source = chosen or DEFAULT_FILE
    try:
        with source.open("rb") as opened:
            values = tomllib.load(opened)
            mode = os.fstat(opened.fileno()).st_mode
    except FileNotFoundError:
        if chosen is None:
            return (str(source), {}), []
        raise ConfigError(f"{source}: no such file; give an existing one to --config") from None
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read ({error.strerror}); its reader needs permission") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: is not TOML: {error}; mend that place") from error
    secret = {"api_key", "password"} & set(values.get("elasticsearch") or ())
    exposed = secret and mode & stat.S_IROTH
    warning = f"{source} holds {' and '.join(sorted(secret))} and every user can read it: chmod o-r {source}"
    return (str(source), values), [warning] if exposed else []


def _systemd_credentials(environment: Mapping[str, str]) -> dict[str, Any]:
    folder = environment.get("CREDENTIALS_DIRECTORY")
    found = (
        {key: str(Path(folder, name)) for name, key in _SYSTEMD_CREDENTIALS.items() if Path(folder, name).exists()}
        if folder
        else {}
    )
    if len(found) > 1:
        found.pop("password_file")
    return {"elasticsearch": found}


def _environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    sections = {name for name, kind in _fields(Settings).items() if _is_section(kind)}
    for variable, value in environment.items():
        name = variable.removeprefix("SIPLOGS_").lower()
        section, _, key = name.partition("_")
        if not value or not variable.startswith("SIPLOGS_"):
            continue
        if section in sections:
            values.setdefault(section, {})[key] = value
        elif name in _fields(Settings):
            values[name] = value
    return values


def _checked(values: Mapping[str, Any], kind: Any, origin: str, *, strict: bool, prefix: str = "") -> dict[str, Any]:
    known = _fields(kind)
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        if name not in known:
            raise ConfigError(f"{origin}: unknown setting {prefix}{name}{_suggestion(name, known, prefix)}")
        expected = known[name]
        if _is_section(expected):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{origin}: {name} is a section: write [{name}] and its settings below")
            checked[name] = _checked(value, expected, origin, strict=strict, prefix=f"{name}.")
        else:
            checked[name] = _value(prefix + name, value, expected, origin, strict=strict)
    return checked


def _value(name: str, value: Any, expected: Any, origin: str, *, strict: bool) -> Any:
    if name == "elasticsearch.url" and isinstance(value, str):
        value = [part for part in re.split(r"[,\s]+", value) if part]
    choices = get_args(expected) if get_origin(expected) is Literal else ()
    if choices and value not in choices:
        raise ConfigError(f"{origin}: {name}: {value!r} is none of {', '.join(choices)}")
    try:
        converted = msgspec.convert(value, expected, strict=strict)
    except msgspec.ValidationError as error:
        reason = str(error).partition(" - at")[0].replace("`", "")
        raise ConfigError(f"{origin}: {name}: {reason[:1].lower()}{reason[1:]}") from None
    if name == "elasticsearch.url":
        return [_address(one, name, origin) for one in converted]
    if name == "kibana.url":
        return _address(converted, name, origin)
    return converted


def _address(url: str, name: str, origin: str) -> str:
    parts = urlsplit(url)
    section = name.partition(".")[0]
    if parts.username is not None or parts.password is not None:
        remedy = "elasticsearch.username and elasticsearch.password_file, or elasticsearch.api_key_file"
        raise ConfigError(f"{origin}: {name} holds a user or password; take it out and set {remedy}")
    try:
        port = parts.port or _DEFAULT_PORTS.get((section, parts.scheme), 443)
    except ValueError:
        port = 0
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port or parts.query or parts.fragment:
        raise ConfigError(
            f"{origin}: {name}: {url!r} is no address; it looks like https://{section}.example.com:{_port(section)}"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"


def _port(section: str) -> int:
    return _DEFAULT_PORTS[section, "http"]


def _merge(weaker: dict[str, Any], stronger: Mapping[str, Any]) -> None:
    for name, value in stronger.items():
        if isinstance(value, dict):
            below = weaker.setdefault(name, {})
            for replaced in {old for key in value for old in _REPLACES.get(key, ())} - set(value):
                below.pop(replaced, None)
            below.update(value)
        else:
            weaker[name] = value


def _with_secrets(settings: ElasticsearchSettings) -> ElasticsearchSettings:
    for secret in ("api_key", "password"):
        file = getattr(settings, f"{secret}_file")
        if file and getattr(settings, secret):
            raise ConfigError(f"elasticsearch.{secret} and elasticsearch.{secret}_file are both set; keep one of them")
        if file:
            settings = msgspec.structs.replace(
                settings, **{secret: _secret(Path(file), f"elasticsearch.{secret}_file")}
            )
    if settings.api_key and (settings.username or settings.password):
        raise ConfigError("elasticsearch.api_key and elasticsearch.username are both set; keep one way to authenticate")
    if bool(settings.username) != bool(settings.password):
        missing = "password_file" if settings.username else "username"
        raise ConfigError(f"elasticsearch.{missing} is missing: a user name and a password belong together")
    return settings


def _secret(file: Path, name: str) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: cannot read {file}: {error}") from error
    if not text:
        raise ConfigError(f"{name}: {file} is empty; write the secret into it")
    return text


def _warnings(elasticsearch: ElasticsearchSettings, kibana: KibanaSettings) -> Iterator[str]:
    verified = {"elasticsearch": elasticsearch.verify, "kibana": kibana.verify is not False}
    for section, verify in verified.items():
        if not verify:
            yield (
                f"WARNING: {section}.verify is off: anyone on the way can read and change what is sent, credentials"
                f" included; set {section}.ca_file to the CA certificate and verify = true"
            )
    if elasticsearch.api_key or elasticsearch.password:
        for url in filter(None, (*elasticsearch.url, kibana.url)):
            if url.startswith("http:") and urlsplit(url).hostname not in _LOOPBACK:
                yield f"WARNING: credentials go to {url} without encryption; use https"


def _state_folder(environment: Mapping[str, str]) -> Path:
    if environment.get("STATE_DIRECTORY"):
        return Path(environment["STATE_DIRECTORY"].partition(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/siplogs")
    return Path(environment.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "siplogs"


def _fields(kind: Any) -> dict[str, Any]:
    annotations = {one.name: one.type for one in msgspec.structs.fields(kind)}
    annotations.pop("warnings", None)
    return annotations


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _suggestion(name: str, known: Mapping[str, Any], prefix: str) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return (
        f"; did you mean {prefix}{near[0]}?"
        if near
        else f"; known are {', '.join(prefix + one for one in sorted(known))}"
    )
