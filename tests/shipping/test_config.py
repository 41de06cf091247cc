"""Settings: who wins, what is refused and how it is said, and where secrets may come from."""

import json
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

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
    ("variable", "value", "said"),
    [
        ("SIPLOGS_ORIGINAL", "\udcff", "original: write true or false"),
        ("SIPLOGS_ELASTICSEARCH_VERIFY", "maybe", "elasticsearch.verify: write true or false"),
        ("SIPLOGS_ELASTICSEARCH_SHARDS", "\udcff", "elasticsearch.shards: write a whole number from 1 to 1024"),
        ("SIPLOGS_DELIVERY_STATE", "~/x.db", "delivery.state: '~/x.db' is not a path without control characters and"),
    ],
)
def test_a_variable_of_the_wrong_type_is_refused(configure: Any, variable: str, value: str, said: str) -> None:
    assert refusal(configure, "", {variable: value}).startswith(f"environment: {variable}: {said}")


def test_a_relative_path_is_taken_from_who_has_a_folder(configure: Any) -> None:
    assert configure("", {"SIPLOGS_DELIVERY_STATE": "x.db"}).delivery.state == "x.db"
    assert configure("[delivery]\nstate = ''\n", None, delivery={"state": "y.db"}).delivery.state == "y.db"


@pytest.mark.parametrize(
    ("text", "first", "other"),
    [
        ('[delivery]\nstate = "/x/s"\ndead_letters = "/x/./s"', "delivery.dead_letters", "delivery.state"),
        ('[delivery]\nstate = "/x/s"\n[tail]\nmetrics_file = "/x/s"', "tail.metrics_file", "delivery.state"),
        ('[tail]\nmetrics_file = "/x/full"\n[[input]]\npaths = ["/y", "/x/full"]', "tail.metrics_file", "input.paths"),
        ('[kibana]\nca_file = "/x/c"\n[tail]\nmetrics_file = "/x/c"', "tail.metrics_file", "kibana.ca_file"),
        (
            '[elasticsearch]\napi_key_file = "/x/s"\n[delivery]\ndead_letters = "/x/s"',
            "delivery.dead_letters",
            "elasticsearch.api_key_file",
        ),
    ],
)
def test_a_file_that_is_written_is_for_one_thing_alone(
    tmp_path: Path, configure: Any, text: str, first: str, other: str
) -> None:
    (tmp_path / "s").write_text("a2V5OnNlY3JldA==")
    (tmp_path / "s").chmod(0o600)
    said = refusal(configure, text.replace("/x/", f"{tmp_path}/"))
    assert said.startswith(f"{first} and {other} are one file, {tmp_path}/")
    assert said.endswith(f": give {first} a file of its own")


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b'timezone = "UTC"\n# ma\xf1ana\n', 2, "byte 0xf1 is no UTF-8"),
        (b"\xf1", 1, "byte 0xf1 is no UTF-8"),
        (b'\n[elasticsearch]\n# nodes\n\nurl = [\n "a",\n # more\n', 5, "at end of document"),
        (b'[[input]]\npaths = ["/x"]\npack = """\n\n', 3, "Unterminated string"),
        (b"timezone", 1, "at end of document"),
        (b"a = 1\nb = = 2\n", 2, "Invalid value"),
        (b"a = 1\n\nb = " + b"9" * 5000 + b"\nc = 1", 3, "a number is too long"),
        (b"a = [\n" + b"[" * 3000 + b"]" * 3000 + b"\n]\nc = 1", 2, "nested too deeply"),
    ],
    ids=range(8),
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
        ("elasticsearch = 'http://a:1'", ":1: elasticsearch is a section: write [elasticsearch]"),
        ("original = true\n[[elasticsearch]]", ":2: elasticsearch is a section: write [elasticsearch]"),
        ("[[kibana]]\nurl = 'http://a:1'", ":1: kibana is a section: write [kibana]"),
        ("[input]\npaths = ['/x']", ":1: input is a list of sections: write [[input]]"),
        ("\n'time\u2028zone' = 'UTC'", ":2: unknown setting time\\u2028zone; did you mean timezone?"),
        ('[tail]\nmetrics_file = "a\\nb"', r":2: tail.metrics_file: 'a\nb' is not a path without control characters"),
        ("[elasticsearch]\nshards = 'three'", "elasticsearch.shards: write a whole number from 1 to 1024"),
        ("[elasticsearch]\nshards = 0", "elasticsearch.shards: write a whole number from 1 to 1024"),
        ("[elasticsearch]\nperiod = 'hour'", "elasticsearch.period: 'hour' is none of day, week, month, year"),
        ("[elasticsearch]\nurl = 'pbx:9200'", "https://elasticsearch.example.com:9200"),
        ("[kibana]\nurl = 'ftp://a'", "https://kibana.example.com:5601"),
        ("[elasticsearch", "is not TOML"),
        ("[elasticsearch]\napi_key = 'a'\nusername = 'b'\npassword = 'c'", "keep one way to authenticate"),
        ("[elasticsearch]\napi_key = 'a'\napi_key_file = '/b'", "keep one of them"),
        ("[elasticsearch]\nusername = 'b'", "elasticsearch.username needs elasticsearch.password_file"),
        ("[elasticsearch]\npassword = 'b'", "elasticsearch.password needs elasticsearch.username"),
        ("[elasticsearch]\nshards = 1025", "elasticsearch.shards: write a whole number from 1 to 1024"),
        (
            "[elasticsearch]\nretention_days = 36501",
            "elasticsearch.retention_days: write a whole number from 0 to 36500",
        ),
        ("[kibana]\nspace = 'Bad Space'", "kibana.space: 'Bad Space' is not the id of a space"),
        ("language = 'xx'", "language: 'xx' is none of en, es"),
        ('[[input]]\npaths = ["/var/log/\\u0000"]', r"input 1: paths: '/var/log/\x00' is not the path of a log"),
        ('[[input]]\npaths = [""]', "input 1: paths: '' is not the path of a log"),
        ('[[input]]\npaths = "/var/log/full"', 'input 1: paths: write a list of texts: ["…", "…"]'),
        ('[[input]]\npaths = ["full"]', ":2: input 1: paths: 'full' is not a path from / on: the service runs in /"),
        ('[[input]]\npaths = ["-"]', "input 1: paths: '-' is not a path from / on"),
        ('[[input]]\npaths = ["~/full"]', "input 1: paths: '~/full' is not a path from / on"),
        ("[delivery]\nstate = 'x.db'", ":2: delivery.state: 'x.db' is not a path from / on: the service runs in /"),
        ("[delivery]\nstate = '~/x.db'", "delivery.state: '~/x.db' is not a path without control characters and "),
        ('[elasticsearch]\nca_file = "\\u0000"', r"elasticsearch.ca_file: '\x00' is not a path"),
        (
            "url = 'http://a:1'",
            "did you mean elasticsearch.url (under [elasticsearch]) or kibana.url (under [kibana])?",
        ),
        ("\n[tail]\nretention_days = 9", ":3: unknown setting tail.retention_days; did you mean elasticsearch.ret"),
        ("[elasticsearch]\ntimezone = 'UTC'", "elasticsearch.timezone; did you mean timezone (above all sections)?"),
        ("[tail]\npaths = ['/x']", "unknown setting tail.paths; did you mean paths (under [[input]])?"),
        ("[elasticsearch]\nverify = 'yes'", "elasticsearch.verify: write true or false"),
        ("[kibana]\nverify = 3", "kibana.verify: write true or false"),
        ("[elasticsearch]\npassword = 31415", ":2: elasticsearch.password: write a text in quotes"),
        ("[tail]\npoll_seconds = nan", "tail.poll_seconds: write a number from 0.05 to 60"),
        ("[caps]\nheader_bytes = 1.5", "caps.header_bytes: write a whole number from 1"),
        ("[elasticsearch]\napi_key_file = '/nowhere/key'", "elasticsearch.api_key_file: cannot read /nowhere/key"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(configure: Any, tmp_path: Path, text: str, said: str) -> None:
    message = refusal(configure, text)
    assert said in message
    assert "is not TOML" not in message or str(tmp_path) in message


NAMES = {
    "": sorted(one.name for one in msgspec.structs.fields(Settings)),
    **{
        one.name: sorted(inner.name for inner in msgspec.structs.fields(one.type))
        for one in msgspec.structs.fields(Settings)
        if isinstance(one.type, type) and issubclass(one.type, msgspec.Struct)
    },
    "input": sorted(one.name for one in msgspec.structs.fields(config.InputSettings)),
}
texts = st.text(st.characters(codec="utf-8"), max_size=12)
# A JSON string is a basic string of TOML, but for the one control character that JSON leaves as it is.
strings = texts.map(lambda text: json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f"))
scalars = st.one_of(
    strings,
    st.integers(-(10**30), 10**30).map(str),
    st.floats().map(lambda number: repr(number) if number == number else "nan"),
    st.sampled_from(["true", "false", "1979-05-27", "07:32:00.5", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00"]),
    st.sampled_from(['"http://[::1"', '"http://a:b"', '"https://user:word@a"', '"https://[v1.x]/"', '"day"', '"es"']),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda found: f"[{', '.join(found)}]")
        | st.dictionaries(strings, inner, max_size=3).map(
            lambda found: f"{{{', '.join(f'{name} = {value}' for name, value in found.items())}}}"
        )
    ),
    max_leaves=6,
)


@st.composite
def tomls(draw: st.DrawFn) -> str:
    """One setting of any name in a section of any name, written in any of TOML's ways, with any value."""
    section = draw(st.sampled_from([*NAMES, "odd"]))
    name = draw(st.sampled_from(NAMES.get(section, ["odd"])) | strings)
    form = draw(
        st.sampled_from(["[{0}]\n{1} = {2}", "[[{0}]]\n{1} = {2}", "{0}.{1} = {2}", "{0} = {2}", "[[{0}.{1}]]"])
    )
    return form.format(section, name, draw(values)) if section else f"{name} = {draw(values)}"


@given(tomls())
@limits(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_the_file_gives_settings_or_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "siplogs.toml"
    file.write_bytes(text.encode())
    for secrets in (True, False):
        try:
            assert isinstance(load(file, environment={}, secrets=secrets), Settings)
        except ConfigError as error:
            assert str(error).isprintable()
            assert str(error).startswith((f"{file}:1: ", f"{file}:2: ", "elasticsearch."))


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


def test_who_has_no_state_is_told_whose_the_service_has(state_folder: Path) -> None:
    home = state_folder.parent / "home"
    own = home / "siplogs/state.db"
    environment = {"XDG_STATE_HOME": str(home)}
    assert config.service_user(own, environment) == ""
    state_folder.mkdir()
    user = pwd.getpwuid(state_folder.stat().st_uid).pw_name
    assert f"run this as {user} (sudo -u {user} siplogs" in config.service_user(own, environment)
    assert config.service_user(state_folder / "state.db", environment) == ""
    own.parent.mkdir(parents=True)
    assert config.service_user(own, environment) == ""
