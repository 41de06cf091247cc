"""Settings from command line, environment and `/etc/siplogs/siplogs.toml`, in this order of precedence.

Every setting has one name everywhere: `elasticsearch.ca_file` stands in the file as `ca_file` under `[elasticsearch]`
and in the environment as `SIPLOGS_ELASTICSEARCH_CA_FILE`. Secrets come from the environment, from the file, from a file
that they name, or from systemd (`elasticsearch-api-key`, `elasticsearch-password`), never from the command line.
"""

import os
import re
import socket
import stat
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Struct, field

from siplogs.errors import ConfigError
from siplogs.secrets import systemd_credentials, unsafe, with_secrets
from siplogs.settings_check import ENVIRONMENT, Origin, checked, fields, is_section, require_own_files
from siplogs.toml_lines import Key, NotTomlError, parsed

DEFAULT_FILE: Final = Path("/etc/siplogs/siplogs.toml")
STATE_FOLDER: Final = Path("/var/lib/siplogs")

Period = Literal["day", "week", "month", "year"]
Count = Annotated[int, msgspec.Meta(ge=1)]

# Variables that are read elsewhere, or belong to this program's own tests.
_NO_SETTING: Final = re.compile(r"config|patterns|test_.*")

# Settings that a section [[input]] may have, too, for its own logs.
_GENERAL: Final = ("timezone", "host_name")

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
    shards: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1
    replicas: Annotated[int, msgspec.Meta(ge=0)] = 1
    retention_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 0


class KibanaSettings(Struct, frozen=True):
    """Where the views go; credentials are those of Elasticsearch, CA and verification too unless given here."""

    url: str | None = None
    space: str = "default"
    ca_file: str | None = None
    verify: bool | None = None


class DeliverySettings(Struct, frozen=True):
    """How documents are sent: limits of one bulk request, the file of what was refused, and that of the checkpoint."""

    dead_letters: str = ""
    state: str = ""
    batch_documents: Count = 2000
    batch_bytes: Count = 5_000_000
    batch_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 1.0


class InputSettings(Struct, frozen=True):
    """Logs that `ship` and `tail` read: paths, globs or folders, and how these logs are to be read.

    What is left empty, or given by environment or command line, which outweigh the file, is as for all logs.
    """

    paths: Annotated[list[str], msgspec.Meta(min_length=1)]
    pack: str = ""
    timezone: str = ""
    host_name: str = ""


class TailSettings(Struct, frozen=True):
    """How the daemon follows logs, in seconds: looks, searches for new files, and takes what is unfinished as cut."""

    poll_seconds: Annotated[float, msgspec.Meta(ge=0.05, le=60)] = 0.5
    search_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 10.0
    idle_seconds: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 5.0
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_file: str = ""


class CapSettings(Struct, frozen=True):
    """How much of one hostile message is read: its bytes, its header lines, the bytes of one of them."""

    message_bytes: Count = 262_144
    header_count: Count = 256
    header_bytes: Count = 8192


class Settings(Struct, frozen=True):
    """All settings. `warnings` are sentences that the command has to print. `language` is "" where nobody chose one."""

    host_name: str = ""
    timezone: str | None = None
    language: str = ""
    original: bool = True
    elasticsearch: ElasticsearchSettings = field(default_factory=ElasticsearchSettings)
    kibana: KibanaSettings = field(default_factory=KibanaSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    tail: TailSettings = field(default_factory=TailSettings)
    caps: CapSettings = field(default_factory=CapSettings)
    input: list[InputSettings] = []
    warnings: tuple[str, ...] = ()


def load(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    secrets: bool = True,
) -> Settings:
    """Read all settings and, with `secrets`, the secrets that they point to.

    `path` is the file of `--config` (else SIPLOGS_CONFIG, else /etc/siplogs/siplogs.toml where it exists). `overrides`
    are the command line's values, nested by section; None means not given. Who speaks to no server does without
    `secrets`: a default file that must not be read is then a warning, for it may be closed because of them.

    Raises ConfigError, which never repeats an address or a secret.
    """
    merged: dict[str, Any] = {}
    layers, warnings = _layers(path, overrides, environment, secrets=secrets)
    for _, layer in layers:
        _merge(merged, layer)
    settings = msgspec.convert(merged, Settings)
    elasticsearch = with_secrets(settings.elasticsearch) if secrets else settings.elasticsearch
    delivery, folder = settings.delivery, _state_folder(environment)
    delivery = msgspec.structs.replace(
        delivery,
        dead_letters=delivery.dead_letters or str(folder / "dead-letters.ndjson"),
        state=delivery.state or str(folder / "state.db"),
    )
    require_own_files(msgspec.structs.replace(settings, delivery=delivery))
    return msgspec.structs.replace(
        settings,
        host_name=settings.host_name or socket.gethostname(),
        elasticsearch=elasticsearch,
        delivery=delivery,
        warnings=(*warnings, *(unsafe(elasticsearch, settings.kibana) if secrets else ())),
    )


def service_user(file: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Say as whom to ask for a file that only the service keeps, "" for one that may be one's own."""
    folder = _own_folder(environment)
    own = file.parent != folder or os.path.exists(folder)  # noqa: PTH110 (False where one must not look)
    if own or not STATE_FOLDER.is_dir():
        return ""
    try:
        user = STATE_FOLDER.owner()
    except KeyError:
        user = f"#{STATE_FOLDER.stat().st_uid}"
    return f"{file}: not there; siplogs works in {STATE_FOLDER} here: run this as {user} (sudo -u {user} siplogs …)"


def origins(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> dict[Key, str]:
    """Return where each setting that is not left at its default comes from: file and line, variable, or command line.

    A setting is known by section and name, one of `[[input]]` by ("input", place, name). Raises ConfigError.
    """
    merged: dict[str, Any] = {}
    for origin, layer in _layers(path, overrides, environment, secrets=False)[0]:
        _merge(merged, _marked(layer, origin))
    return dict(_flat(merged))


def _layers(
    path: Path | None,
    overrides: Mapping[str, Any] | None,
    environment: Mapping[str, str],
    *,
    secrets: bool,
) -> tuple[list[tuple[Origin, dict[str, Any]]], list[str]]:
    """Return the checked layers, the weakest first, and warnings about the file."""
    file, values, warnings = _file(path, environment, secrets=secrets)
    layers = (
        (file, values),
        (Origin(ENVIRONMENT), _environment(environment)),
        (Origin("command line"), overrides or {}),
    )
    proven = [(origin, checked(layer, Settings, origin)) for origin, layer in layers]
    if secrets:
        warnings += _exposed(*proven[0])
    user = any("username" in layer.get("elasticsearch", ()) for _, layer in proven)
    credentials = {"elasticsearch": systemd_credentials(environment, user=user)}
    return [(Origin("systemd credentials"), credentials), *proven], warnings


def _marked(value: Any, origin: Origin, key: Key = ()) -> Any:
    """Return settings with their origin in place of each value."""
    if isinstance(value, dict):
        return {name: _marked(inner, origin, (*key, name)) for name, inner in value.items()}
    if key == ("input",):
        return [_marked(inner, origin, (*key, place)) for place, inner in enumerate(value)]
    return origin.at(key)


def _flat(value: Any, key: Key = ()) -> Iterator[tuple[Key, str]]:
    if isinstance(value, str):
        yield key, value
    else:
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flat(inner, (*key, name))


def _file(
    path: Path | None, environment: Mapping[str, str], *, secrets: bool
) -> tuple[Origin, dict[str, Any], list[str]]:
    chosen = path or (Path(environment["SIPLOGS_CONFIG"]) if environment.get("SIPLOGS_CONFIG") else None)
    source = chosen or DEFAULT_FILE
    try:
        with source.open("rb") as opened:
            text, values = parsed(opened.read())
            return Origin(str(source), text, os.fstat(opened.fileno()).st_mode), values, []
    except FileNotFoundError:
        if chosen is None:
            return Origin(str(source)), {}, []
        raise ConfigError(f"{source}: no such file; give an existing one to --config") from None
    except OSError as error:
        if chosen is None and not secrets:
            warning = f"{source}: cannot be read ({error.strerror}); going on without its settings"
            return Origin(str(source)), {}, [warning]
        raise ConfigError(f"{source}: cannot be read ({error.strerror}); its reader needs permission") from error
    except NotTomlError as error:
        raise ConfigError(f"{source}:{error.line}: is not TOML: {error}; mend that place") from error


def _exposed(file: Origin, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is to be said of a file with secrets that everybody may read."""
    held = {"api_key", "password"} & set(values.get("elasticsearch", ()))
    if held and file.mode & stat.S_IROTH:
        yield f"{file.name} holds {' and '.join(sorted(held))} and every user can read it: chmod o-r {file.name}"


def _environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    known = dict(_variables())
    for variable, value in environment.items():
        if not value or not variable.startswith("SIPLOGS_"):
            continue
        name = variable.removeprefix("SIPLOGS_").lower()
        if name in known:
            *section, key = known[name]
            (values.setdefault(section[0], {}) if section else values)[key] = value
        elif not _NO_SETTING.fullmatch(name):
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            remedy = (
                f"did you mean SIPLOGS_{near[0].upper()}?" if near else "unset it; settings are called as in the file"
            )
            raise ConfigError(f"{ENVIRONMENT}: {variable}: unknown variable; {remedy}")
    return values


def _variables() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the name of each variable, in small letters and without what is before all, and the setting that it is."""
    for name, kind in fields(Settings).items():
        if is_section(kind):
            yield from ((f"{name}_{key}", (name, key)) for key in fields(kind))
        elif name != "input":
            yield name, (name,)


def _merge(weaker: dict[str, Any], stronger: Mapping[str, Any]) -> None:
    for one in weaker.get("input", ()):
        for name in filter(stronger.get, _GENERAL):
            one.pop(name, None)
    for name, value in stronger.items():
        if isinstance(value, dict):
            below = weaker.setdefault(name, {})
            for replaced in {old for key in value for old in _REPLACES.get(key, ())} - set(value):
                below.pop(replaced, None)
            below.update(value)
        else:
            weaker[name] = value


def _state_folder(environment: Mapping[str, str]) -> Path:
    if environment.get("STATE_DIRECTORY"):
        return Path(environment["STATE_DIRECTORY"].partition(":")[0])
    if os.geteuid() == 0 or os.access(STATE_FOLDER, os.W_OK | os.X_OK, effective_ids=True):
        return STATE_FOLDER
    return _own_folder(environment)


def _own_folder(environment: Mapping[str, str]) -> Path:
    """Return a user's own folder; one who has no home, as in some containers, shares that of the service."""
    if environment.get("XDG_STATE_HOME"):
        return Path(environment["XDG_STATE_HOME"], "siplogs")
    try:
        return Path.home() / ".local/state/siplogs"
    except RuntimeError:
        return STATE_FOLDER
