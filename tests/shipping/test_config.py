"""Settings: who wins, what is refused and how it is said, and where secrets may come from."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from siplogs import config
from siplogs.config import Settings, load
from siplogs.errors import ConfigError

NOBODY = 65534


@pytest.fixture
def configure(tmp_path: Path) -> Any:
    def load_text(text: str = "", environment: dict[str, str] | None = None, **overrides: Any) -> Settings:
        file = tmp_path / "siplogs.toml"
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
        return load(file, overrides, environment or {})

    return load_text


def refusal(configure: Any, *arguments: Any, **overrides: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        configure(*arguments, **overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_anything_the_defaults_hold(configure: Any) -> None:
    settings = configure()
    assert settings.elasticsearch.period == "month"
    assert settings.elasticsearch.verify is True
    assert settings.original is True
    assert settings.host_name
    assert settings.delivery.dead_letters.endswith("dead-letters.ndjson")
    assert settings.warnings == ()


def test_command_line_beats_environment_beats_file(configure: Any) -> None:
    text = 'timezone = "UTC"\n[elasticsearch]\nurl = "http://a:1"\nperiod = "day"\nshards = 3'
    environment = {"SIPLOGS_ELASTICSEARCH_PERIOD": "year", "SIPLOGS_ELASTICSEARCH_URL": "http://b:1, http://c:2"}
    settings = configure(text, environment, elasticsearch={"url": ["http://d:1"], "period": None})
    assert settings.elasticsearch.url == ["http://d:1"]
    assert settings.elasticsearch.period == "year"
    assert settings.elasticsearch.shards == 3
    assert settings.timezone == "UTC"
    assert configure(text, environment).elasticsearch.url == ["http://b:1", "http://c:2"]


INPUTS = """
timezone = "Europe/Madrid"
[[input]]
paths = ["/var/log/asterisk/full"]
timezone = "Asia/Tokyo"
host_name = "pbx1"
"""


def ways(settings: Settings) -> list[tuple[str, str]]:
    return [(one.timezone, one.host_name) for one in settings.input]


def test_environment_and_command_line_beat_what_the_file_says_of_one_input(configure: Any) -> None:
    assert ways(configure(INPUTS)) == [("Asia/Tokyo", "pbx1")]
    assert ways(configure(INPUTS, {"SIPLOGS_TIMEZONE": "UTC"})) == [("", "pbx1")]
    assert ways(configure(INPUTS, {"SIPLOGS_HOST_NAME": "pbx2"}, timezone="UTC")) == [("", "")]
    assert ways(configure(INPUTS, timezone=None)) == [("Asia/Tokyo", "pbx1")]
    settings = configure(INPUTS, {"SIPLOGS_TIMEZONE": "UTC"}, timezone="America/Lima")
    assert (settings.timezone, ways(settings)) == ("America/Lima", [("", "pbx1")])


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("SIPLOGS_TIMEZON", "did you mean SIPLOGS_TIMEZONE?"),
        ("SIPLOGS_ELASTICSERCH_URL", "did you mean SIPLOGS_ELASTICSEARCH_URL?"),
        ("SIPLOGS_TAIL_POLL", "did you mean SIPLOGS_TAIL_POLL_SECONDS?"),
        ("SIPLOGS_TAIL", "unset it; settings are called as in the file"),
        ("SIPLOGS_INPUT", "unset it; settings are called as in the file"),
        ("SIPLOGS_WARNINGS", "unset it; settings are called as in the file"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused(configure: Any, variable: str, said: str) -> None:
    assert refusal(configure, "", {variable: "1"}) == f"environment: {variable}: unknown variable; {said}"
    assert configure("", {variable: ""}) == configure()


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b'timezone = "UTC"\n# ma\xf1ana\n', 2, "byte 0xf1 is no UTF-8"),
        (b"\xf1", 1, "byte 0xf1 is no UTF-8"),
        (b'\n[elasticsearch]\n# nodes\n\nurl = [\n "a",\n # more\n', 5, "at end of document"),
        (b'[[input]]\npaths = ["/x"]\npack = """\n\n', 3, "Unterminated string"),
        (b"timezone", 1, "at end of document"),
        (b"a = 1\nb = = 2\n", 2, "Invalid value"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path, data: bytes, line: int, said: str) -> None:
    file = tmp_path / "siplogs.toml"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=said) as caught:
        load(file, environment={})
    assert str(caught.value).startswith(f"{file}:{line}: is not TOML: ")


def test_the_mark_that_windows_puts_before_a_text_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "siplogs.toml"
    file.write_bytes(b'\xef\xbb\xbftimezone = "UTC"\r\n[tail]\r\npoll = 1\r\n')
    with pytest.raises(ConfigError, match=r"siplogs.toml:3: unknown setting tail\.poll; "):
        load(file, environment={})


def test_a_name_of_the_host_that_no_event_could_hold_is_refused(configure: Any) -> None:
    message = refusal(configure, "", {"SIPLOGS_HOST_NAME": "pbx\udcff"})
    assert (
        message
        == r"environment: SIPLOGS_HOST_NAME: host_name: 'pbx\udcff' is not a name in UTF-8 without control characters"
    )


def test_environment_values_get_their_types(configure: Any) -> None:
    environment = {
        "SIPLOGS_ELASTICSEARCH_VERIFY": "false",
        "SIPLOGS_ELASTICSEARCH_SHARDS": "4",
        "SIPLOGS_HOST_NAME": "pbx1",
        "SIPLOGS_ORIGINAL": "0",
        "SIPLOGS_TEST_SOMETHING": "not ours to judge",
        "SIPLOGS_ELASTICSEARCH_API_KEY": "",
    }
    settings = configure("", environment)
    assert (settings.elasticsearch.verify, settings.elasticsearch.shards) == (False, 4)
    assert (settings.host_name, settings.original) == ("pbx1", False)
    assert settings.elasticsearch.api_key is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[elasticsearch]\nurll = 'http://a:1'", "unknown setting elasticsearch.urll; did you mean elasticsearch.url?"),
        ("[elastic]\nurl = 'http://a:1'", "unknown setting elastic; did you mean elasticsearch?"),
        ("warnings = ['x']", "unknown setting warnings"),
        ("zzz = 1", "known are caps, delivery, elasticsearch,"),
        ("elasticsearch = 'http://a:1'", "write [elasticsearch]"),
        ("[elasticsearch]\nshards = 'three'", "elasticsearch.shards: expected int, got str"),
        ("[elasticsearch]\nshards = 0", "elasticsearch.shards: expected int >= 1"),
        ("[elasticsearch]\nperiod = 'hour'", "elasticsearch.period: 'hour' is none of day, week, month, year"),
        ("[elasticsearch]\nurl = 'pbx:9200'", "https://elasticsearch.example.com:9200"),
        ("[kibana]\nurl = 'ftp://a'", "https://kibana.example.com:5601"),
        ("[elasticsearch", "is not TOML"),
        ("[elasticsearch]\napi_key = 'a'\nusername = 'b'\npassword = 'c'", "keep one way to authenticate"),
        ("[elasticsearch]\napi_key = 'a'\napi_key_file = 'b'", "keep one of them"),
        ("[elasticsearch]\nusername = 'b'", "elasticsearch.username needs elasticsearch.password_file"),
        ("[elasticsearch]\npassword = 'b'", "elasticsearch.password needs elasticsearch.username"),
        ("[elasticsearch]\nshards = 1025", "elasticsearch.shards: expected int <= 1024"),
        ("[elasticsearch]\nretention_days = 36501", "elasticsearch.retention_days: expected int <= 36500"),
        ("[kibana]\nspace = 'Bad Space'", "kibana.space: 'Bad Space' is not the id of a space"),
        ("language = 'xx'", "language: 'xx' is none of en, es"),
        ('[[input]]\npaths = ["/var/log/\\u0000"]', "input 1: paths: expected str matching regex"),
        ('[[input]]\npaths = [""]', "input 1: paths: expected str matching regex"),
        ("[elasticsearch]\napi_key_file = '/nowhere/key'", "elasticsearch.api_key_file: cannot read /nowhere/key"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(configure: Any, tmp_path: Path, text: str, said: str) -> None:
    message = refusal(configure, text)
    assert said in message
    assert "is not TOML" not in message or str(tmp_path) in message


def test_the_origin_of_a_mistake_is_named(configure: Any, tmp_path: Path) -> None:
    assert refusal(configure, "zzz = 1").startswith(str(tmp_path / "siplogs.toml"))
    assert refusal(configure, "", {"SIPLOGS_ELASTICSEARCH_SHARDS": "x"}).startswith("environment")
    assert refusal(configure, "", None, elasticsearch={"url": ["nonsense"]}).startswith("command line")


def test_a_missing_file_is_refused_only_when_it_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.toml", environment={})
    with pytest.raises(ConfigError, match="no such file"):
        load(environment={"SIPLOGS_CONFIG": str(tmp_path / "none.toml")})


@pytest.mark.parametrize("section", ["elasticsearch", "kibana"])
def test_credentials_inside_an_address_are_refused_and_not_repeated(configure: Any, section: str) -> None:
    message = refusal(configure, f'[{section}]\nurl = "https://elastic:geheim@example.com:9200"')
    assert "geheim" not in message
    assert "elasticsearch.password_file" in message


@pytest.mark.parametrize(
    "url",
    [
        "elastic:geheim@example.com:9200",
        "https://[geheim",
        "https://es.example.com/?key=geheim",
        "https://es.example.com/geheim\x01",
        "https://es.example.com:0/geheim",
        "https://es.example.com:99999/geheim",
        "geheim",
    ],
)
@pytest.mark.parametrize("section", ["elasticsearch", "kibana"])
def test_what_is_no_address_is_refused_and_not_repeated(configure: Any, section: str, url: str) -> None:
    message = refusal(configure, "", None, **{section: {"url": url}})
    assert message.startswith(f"command line: {section}.url holds ")
    assert "geheim" not in message


@pytest.mark.parametrize("secret", ["geheim\nnoch eins", "geheimä", '{"encoded": "geheim"}', "ge heim", "geheim\x00"])
def test_what_is_no_api_key_is_refused_and_not_repeated(configure: Any, tmp_path: Path, secret: str) -> None:
    message = refusal(configure, "", {"SIPLOGS_ELASTICSEARCH_API_KEY": secret})
    assert message.startswith("elasticsearch.api_key holds no API key: ")
    assert "heim" not in message
    key = tmp_path / "key"
    key.write_text(secret, encoding="utf-8")
    message = refusal(configure, f'[elasticsearch]\napi_key_file = "{key}"')
    assert message.startswith("elasticsearch.api_key_file holds no API key: ")
    assert "heim" not in message


@pytest.mark.parametrize(
    ("user", "password", "named"),
    [
        ("elastic", "geheim\nnoch eins", "elasticsearch.password"),
        ("elastic", "geheim\udce4", "elasticsearch.password"),
        ("elastic:geheim", "geheim", "elasticsearch.username"),
        ("geheim\x7f", "geheim", "elasticsearch.username"),
    ],
)
def test_what_is_no_user_or_password_is_refused_and_not_repeated(
    configure: Any, user: str, password: str, named: str
) -> None:
    environment = {"SIPLOGS_ELASTICSEARCH_USERNAME": user, "SIPLOGS_ELASTICSEARCH_PASSWORD": password}
    message = refusal(configure, "", environment)
    assert message.startswith(f"{named} holds no ")
    assert "geheim" not in message


def test_a_secret_in_a_file_that_is_no_text_is_not_repeated(configure: Any, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"geheim\xe4")
    message = refusal(configure, f'[elasticsearch]\napi_key_file = "{key}"')
    assert message == (f"elasticsearch.api_key_file: {key} is not UTF-8 text; write the secret into it, on one line")


def test_who_speaks_to_no_server_needs_no_secrets(tmp_path: Path) -> None:
    file = tmp_path / "siplogs.toml"
    file.write_text(
        'timezone = "UTC"\n[elasticsearch]\napi_key_file = "/nowhere/key"\nverify = false', encoding="utf-8"
    )
    settings = load(file, environment={}, secrets=False)
    assert (settings.timezone, settings.elasticsearch.api_key, settings.warnings) == ("UTC", None, ())
    with pytest.raises(ConfigError, match="cannot read /nowhere/key: no such file"):
        load(file, environment={})


def test_a_default_file_that_cannot_be_read_stops_only_who_needs_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "DEFAULT_FILE", tmp_path)  # a folder: not even root can read it
    (warning,) = load(environment={}, secrets=False).warnings
    assert warning == f"{tmp_path}: cannot be read (Is a directory); going on without its settings"
    with pytest.raises(ConfigError, match="cannot be read"):
        load(environment={})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, environment={}, secrets=False)


def test_the_language_is_a_setting(configure: Any) -> None:
    assert configure().language == ""
    assert configure('language = "es"').language == "es"
    assert configure('language = "es"', {"SIPLOGS_LANGUAGE": "en"}).language == "en"


@pytest.mark.parametrize(
    ("url", "full"),
    [
        ("http://es.example.com", "http://es.example.com:9200"),
        ("https://es.example.com/", "https://es.example.com:443"),
        ("https://es.example.com:9243/behind/proxy/", "https://es.example.com:9243/behind/proxy"),
        ("http://[2001:db8::1]", "http://[2001:db8::1]:9200"),
    ],
)
def test_addresses_are_completed(configure: Any, url: str, full: str) -> None:
    assert configure(f'[elasticsearch]\nurl = "{url}"').elasticsearch.url == [full]


def test_secrets_come_from_files_and_from_systemd(configure: Any, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("abc=\n", encoding="utf-8")
    assert configure(f'[elasticsearch]\napi_key_file = "{key}"').elasticsearch.api_key == "abc="

    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "elasticsearch-password").write_text("word", encoding="utf-8")
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert configure('[elasticsearch]\nusername = "u"', environment).elasticsearch.password == "word"
    (credentials / "elasticsearch-api-key").write_text("key", encoding="utf-8")
    assert configure("", environment).elasticsearch.api_key == "key"
    both = configure('[elasticsearch]\nusername = "u"', environment).elasticsearch
    assert (both.username, both.password, both.api_key) == ("u", "word", None)


def test_a_stronger_layer_replaces_the_way_to_authenticate(configure: Any) -> None:
    text = '[elasticsearch]\nusername = "u"\npassword = "p"'
    with_key = configure(text, {"SIPLOGS_ELASTICSEARCH_API_KEY": "key"}).elasticsearch
    assert (with_key.api_key, with_key.username, with_key.password) == ("key", None, None)
    with_password = configure(text, {"SIPLOGS_ELASTICSEARCH_PASSWORD": "other"}).elasticsearch
    assert (with_password.username, with_password.password) == ("u", "other")


def test_dangerous_settings_are_said_loudly(configure: Any, tmp_path: Path) -> None:
    settings = configure('[elasticsearch]\nurl = "https://es.example.com"\nverify = false')
    assert "elasticsearch.verify is off" in settings.warnings[0]
    settings = configure('[elasticsearch]\nurl = "http://es.example.com"\napi_key = "k"')
    assert "without encryption" in settings.warnings[0]
    assert configure('[elasticsearch]\nurl = "http://127.0.0.1"\napi_key = "k"').warnings == ()
    (tmp_path / "siplogs.toml").chmod(0o644)
    (warning,) = load(tmp_path / "siplogs.toml", environment={}).warnings
    assert "chmod o-r" in warning


def test_state_lies_where_systemd_says(configure: Any) -> None:
    assert configure("", {"STATE_DIRECTORY": "/srv/state"}).delivery.dead_letters == "/srv/state/dead-letters.ndjson"


@pytest.fixture
def state_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In the place of /var/lib/siplogs, seen by a user without rights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "siplogs")
        Path(name).chmod(0o755)
        monkeypatch.setattr(config, "STATE_FOLDER", folder)
        root = os.geteuid() == 0
        if root:
            os.chown(name, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)


def test_state_is_the_same_for_everybody_who_may_write_it(state_folder: Path) -> None:
    environment = {"XDG_STATE_HOME": "/home/alice/state"}

    def state(**more: str) -> str:
        return load(environment={**environment, **more}).delivery.state

    assert state() == "/home/alice/state/siplogs/state.db"
    state_folder.mkdir()
    assert state() == f"{state_folder}/state.db"
    assert state(STATE_DIRECTORY="/srv/state") == "/srv/state/state.db"
    state_folder.chmod(0o555)
    assert state() == "/home/alice/state/siplogs/state.db"
