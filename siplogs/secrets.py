"""The secrets that settings hold or point to: read, checked, never shown."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from siplogs.errors import ConfigError

if TYPE_CHECKING:
    from siplogs.config import ElasticsearchSettings, KibanaSettings

_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
_SECRETS: Final = ("api_key", "password")
_SYSTEMD_CREDENTIALS: Final = {"elasticsearch-api-key": "api_key_file", "elasticsearch-password": "password_file"}
_API_KEY: Final = re.compile(r"[A-Za-z0-9_+/=:.-]+")
_NOT_SENT: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def systemd_credentials(environment: Mapping[str, str], *, user: bool) -> dict[str, str]:
    """Return where systemd put secrets, as settings; of a key and a password the latter where there is a user."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    found = {
        key: str(Path(folder, name))
        for name, key in _SYSTEMD_CREDENTIALS.items()
        if folder and os.path.exists(Path(folder, name))  # noqa: PTH110 (False where the folder must not be read)
    }
    if len(found) > 1:
        found.pop("api_key_file" if user else "password_file")
    return found


def with_secrets(settings: "ElasticsearchSettings") -> "ElasticsearchSettings":
    """Return the settings with the secrets that they point to, checked; ConfigError never repeats one."""
    for secret in _SECRETS:
        file = getattr(settings, f"{secret}_file")
        if file and getattr(settings, secret):
            raise ConfigError(f"elasticsearch.{secret} and elasticsearch.{secret}_file are both set; keep one of them")
        if file:
            settings = msgspec.structs.replace(
                settings, **{secret: _secret(Path(file), f"elasticsearch.{secret}_file")}
            )
    _check_secrets(settings)
    if settings.api_key and (settings.username or settings.password):
        raise ConfigError("elasticsearch.api_key and elasticsearch.username are both set; keep one way to authenticate")
    if bool(settings.username) != bool(settings.password):
        there, missing = ("username", "password_file") if settings.username else ("password", "username")
        raise ConfigError(f"elasticsearch.{there} needs elasticsearch.{missing}: a user and a password belong together")
    return settings


def _check_secrets(settings: "ElasticsearchSettings") -> None:
    """Refuse what cannot be sent: keys are base64, users and passwords without control characters (RFC 7617 2)."""
    key, password = (f"elasticsearch.{one}{'_file' * bool(getattr(settings, f'{one}_file'))}" for one in _SECRETS)
    if settings.api_key and not _API_KEY.fullmatch(settings.api_key):
        raise ConfigError(
            f"{key} holds no API key: give what Elasticsearch called 'encoded' in its answer, on one line"
        )
    if settings.password and _NOT_SENT.search(settings.password):
        raise ConfigError(f"{password} holds no password: one line of UTF-8 text, without control characters")
    if settings.username and (_NOT_SENT.search(settings.username) or ":" in settings.username):
        raise ConfigError("elasticsearch.username holds no user name: UTF-8 text without : and control characters")


def _secret(file: Path, name: str) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{name}: cannot read {file}: {(error.strerror or str(error)).lower()}") from error
    except ValueError:
        raise ConfigError(f"{name}: {file} is not UTF-8 text; write the secret into it, on one line") from None
    if not text:
        raise ConfigError(f"{name}: {file} is empty; write the secret into it")
    return text


def unsafe(elasticsearch: "ElasticsearchSettings", kibana: "KibanaSettings") -> Iterator[str]:
    """Yield what is to be said loudly of settings by which others could read or change what is sent."""
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
