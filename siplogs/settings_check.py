"""What may be written for a setting: names, types, shapes of paths and addresses, and how a mistake is told.

A mistake is one line: where it stands, which setting it is, and what to write instead; secrets are never repeated.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from siplogs.errors import ConfigError
from siplogs.toml_lines import Key, key_lines

ENVIRONMENT: Final = "environment"

_DEFAULT_PORTS: Final = {("elasticsearch", "http"): 9200, ("kibana", "http"): 5601}
_ADDRESS: Final = re.compile(r"(?i:https?)://[\w.:\[\]-]+(?:/[^\s?#\x00-\x20\x7f-\uffff]*)?")

_WRITTEN: Final = ("delivery.state", "delivery.dead_letters", "tail.metrics_file")
_FILES: Final = (
    *(f"elasticsearch.{name}" for name in ("api_key_file", "password_file", "ca_file")),
    *("kibana.ca_file", *_WRITTEN),
)
_LOGS: Final = "input.paths"

Shape = tuple[re.Pattern[str], str]

_PATH: Final[Shape] = (
    re.compile(r"(?!~)[^\x00-\x1f\x7f]*"),
    "a path without control characters and without ~ in front, which only a shell knows",
)
_WHOLE_PATH: Final[Shape] = (re.compile(r"(?:/.*)?", re.DOTALL), "a path from / on: the service runs in /")
_LOG_PATH: Final[Shape] = (re.compile(r"[^\0]+"), "the path of a log")
_HOST_NAME: Final[Shape] = (re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*"), "a name in UTF-8 without control characters")
_SHAPES: Final = {
    **dict.fromkeys(_FILES, _PATH),
    _LOGS: _LOG_PATH,
    "host_name": _HOST_NAME,
    "input.host_name": _HOST_NAME,
    "kibana.space": (re.compile(r"[a-z0-9_-]+"), "the id of a space: small letters, digits, - and _"),
}


def require_own_files(settings: Any) -> None:
    """Raise ConfigError where a file that siplogs writes is another setting's, too: it would destroy that one."""
    known = {os.path.realpath(path): _LOGS for one in settings.input for path in one.paths}
    for name in _FILES:
        section, key = name.split(".")
        path = getattr(getattr(settings, section), key)
        other = known.setdefault(os.path.realpath(path), name) if path else name
        if other != name and name in _WRITTEN:
            raise ConfigError(f"{name} and {other} are one file, {path}: give {name} a file of its own")


class Origin(NamedTuple):
    """A layer of settings: a file with its text and mode, the environment, the command line, or systemd."""

    name: str
    text: str | None = None
    mode: int = 0

    def at(self, key: Key) -> str:
        """Return where a setting stands: file and line, or variable."""
        if self.text is not None:
            line = key_lines(self.text).get(key)
            return f"{self.name}:{line}" if line else self.name
        return f"{self.name}: SIPLOGS_{'_'.join(map(str, key)).upper()}" if self.name == ENVIRONMENT else self.name


def name_of(key: Key) -> str:
    """Return a setting's name as messages and the documentation have it."""
    if key[0] == "input" and len(key) > 1:
        return f"input {int(key[1]) + 1}: {'.'.join(map(_printable, key[2:]))}".removesuffix(": ")
    return ".".join(map(_printable, key))


def fields(kind: Any) -> dict[str, Any]:
    """Return the settings of a section, or all sections, with their types."""
    annotations = {one.name: one.type for one in msgspec.structs.fields(kind)}
    annotations.pop("warnings", None)
    return annotations


def is_section(kind: Any) -> bool:
    """Tell whether a type is that of a section."""
    return isinstance(kind, type) and issubclass(kind, Struct)


def checked(values: Mapping[str, Any], root: Any, origin: Origin) -> dict[str, Any]:
    """Return the settings of a layer converted to the types of `root`, without those that are None.

    Raises ConfigError that names place, setting and remedy.
    """
    return _Checker(root, origin).section(values, root)


class _Checker:
    """Checks one layer of settings."""

    def __init__(self, root: Any, origin: Origin) -> None:
        self._root = root
        self._origin = origin

    def section(self, values: Mapping[str, Any], kind: Any, key: Key = ()) -> dict[str, Any]:
        known = fields(kind)
        found: dict[str, Any] = {}
        for name, value in values.items():
            inner = (*key, name)
            if value is None:
                continue
            if name not in known:
                raise self._wrong(inner, f"unknown setting {name_of(inner)}; {self._suggestion(inner, known)}")
            found[name] = self._setting(inner, value, known[name])
        return found

    def _setting(self, key: Key, value: Any, expected: Any) -> Any:
        if is_section(expected):
            if not isinstance(value, Mapping):
                raise self._wrong(key, f"{key[-1]} is a section: write [{key[-1]}] and its settings below")
            return self.section(value, expected, key)
        return self._inputs(value, expected) if key == ("input",) else self._value(key, value, expected)

    def _inputs(self, value: Any, expected: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
            text = 'input is a list of sections: write [[input]] and paths = ["…"] below'
            raise self._wrong(("input",), text)
        found = []
        for place, one in enumerate(value):
            key = ("input", place)
            found.append(self.section(one, get_args(expected)[0], key))
            if not found[-1].get("paths"):
                raise self._wrong(key, f'{name_of(key)}: paths is missing; name the logs: paths = ["/var/log/…"]')
        return found

    def _value(self, key: Key, value: Any, expected: Any) -> Any:
        name = name_of(key)
        if name == "elasticsearch.url" and isinstance(value, str):
            value = [part for part in re.split(r"[,\s]+", value) if part]
        choices = _choices(name, expected)
        if choices and value not in choices:
            raise self._wrong(key, f"{name}: {value!r} is none of {', '.join(filter(None, choices))}")
        try:
            converted = msgspec.convert(value, expected, strict=self._in_file)
        except (msgspec.ValidationError, UnicodeError):  # whose texts are for programmers
            raise self._wrong(key, f"{name}: write {_wanted(expected)}") from None
        for one in converted if isinstance(converted, list) else [converted]:
            for shape, told in self._shapes(key):
                if not shape.fullmatch(one):
                    raise self._wrong(key, f"{name}: {one!r} is not {told}")
        if name == "elasticsearch.url":
            return [_address(one, key, self._origin) for one in converted]
        return _address(converted, key, self._origin) if name == "kibana.url" else converted

    @property
    def _in_file(self) -> bool:
        return self._origin.text is not None

    def _shapes(self, key: Key) -> Iterator[Shape]:
        """Yield what a text has to look like; a relative path in a file would be another one from every folder."""
        setting = ".".join(part for part in key if isinstance(part, str))
        if setting in _SHAPES:
            yield _SHAPES[setting]
        if self._in_file and setting in (*_FILES, _LOGS):
            yield _WHOLE_PATH

    def _suggestion(self, key: Key, known: Mapping[str, Any]) -> str:
        """Say which setting may be meant: of that name in another section, or of a name like it in this one."""
        name = str(key[-1])
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        prefix = name_of(key).removesuffix(_printable(name))
        elsewhere = list(self._elsewhere(name))
        if elsewhere:
            return f"did you mean {' or '.join(elsewhere)}?"
        if near:
            return f"did you mean {prefix}{near[0]}?"
        return f"known are {', '.join(prefix + one for one in sorted(known))}"

    def _elsewhere(self, name: str) -> Iterator[str]:
        """Yield the settings of this very name, with the section under which each stands."""
        for section, kind in fields(self._root).items():
            if section == name and not is_section(kind) and section != "input":
                yield f"{name} (above all sections)"
            elif is_section(kind) and name in fields(kind):
                yield f"{section}.{name} (under [{section}])"
            elif section == "input" and name in fields(get_args(kind)[0]) and name not in fields(self._root):
                yield f"{name} (under [[input]])"

    def _wrong(self, key: Key, text: str) -> ConfigError:
        return ConfigError(f"{self._origin.at(key)}: {text}")


def _printable(name: str | int) -> str:
    """Return a name, which in quotes may hold anything, so that it stays on one line."""
    text = str(name)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _wanted(expected: Any) -> str:
    """Say what is to be written for a setting of a type."""
    from msgspec import inspect

    kind = inspect.type_info(expected)
    if isinstance(kind, inspect.UnionType):
        kind = kind.types[0]
    if isinstance(kind, inspect.BoolType):
        return "true or false"
    if isinstance(kind, inspect.ListType):
        return 'a list of texts: ["…", "…"]'
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        number = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
        return f"{number} from {kind.ge}" + ("" if kind.le is None else f" to {kind.le}")
    return "a text in quotes"


def _choices(name: str, expected: Any) -> Collection[Any]:
    """Return the values that a setting may have, nothing where they cannot be counted."""
    if name == "language":
        from siplogs.knowledge.base import DATA

        return ["", *sorted(path.parent.name for path in DATA.glob("*/sip"))]
    return get_args(expected) if get_origin(expected) is Literal else ()


def _address(url: str, key: Key, origin: Origin) -> str:
    """Return an address complete with its port. Raises ConfigError, which does not repeat it."""
    name, section = name_of(key), str(key[0])
    if "@" in url:
        remedy = "elasticsearch.username and elasticsearch.password_file, or elasticsearch.api_key_file"
        raise ConfigError(f"{origin.at(key)}: {name} holds a user or password; take it out and set {remedy}")
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get((section, parts.scheme), 443)
        if not _ADDRESS.fullmatch(url) or parts.hostname is None or parts.port == 0:
            raise ValueError  # noqa: TRY301
    except ValueError:
        example = f"https://{section}.example.com:{_DEFAULT_PORTS[section, 'http']}"
        raise ConfigError(f"{origin.at(key)}: {name} holds what is no address; it looks like {example}") from None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"
