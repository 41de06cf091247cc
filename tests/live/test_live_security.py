"""TLS, API keys and privileges against a real Elasticsearch with security."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from siplogs.config import ElasticsearchSettings
from siplogs.errors import ConfigError, DeliveryError
from siplogs.model import Event
from siplogs.outputs.elasticsearch import connect, document
from siplogs.shipping import templates
from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.delivery import DeliveryReport, deliver

SETUP = {"cluster": ["monitor", "manage_index_templates"]}
SHIP = {"cluster": ["monitor"], "indices": [{"names": ["siplogs-*"], "privileges": ["create_doc", "auto_configure"]}]}
MONITOR = {"cluster": ["monitor"]}


def key(node: Any, role: dict[str, Any]) -> str:
    made = node.call("POST", "/_security/api_key", {"name": "test", "role_descriptors": {"role": role}})
    encoded: str = made["encoded"]
    return encoded


def settings(node: Any, **more: Any) -> ElasticsearchSettings:
    return ElasticsearchSettings(url=[node.url], ca_file=node.ca_file, replicas=0, **more)


def test_setup_and_ship_with_keys_that_can_do_just_that(
    secure: Any, letters: DeadLetters, make_event: Callable[..., Event]
) -> None:
    lines = list(templates.install(connect(settings(secure, api_key=key(secure, SETUP)))))
    assert lines[-1] == "index template siplogs-events: created"
    server = connect(settings(secure, api_key=key(secure, SHIP)))
    templates.check(server)
    documents = [document(make_event(number)) for number in range(10)]
    assert deliver(documents, server, letters) == DeliveryReport(created=10)
    assert deliver(documents, server, letters) == DeliveryReport(present=10)
    secure.call("POST", "/siplogs-events-*/_refresh")
    query = {"query": {"term": {"sip.call_id": "call-2@example.com"}}}
    assert secure.call("POST", "/siplogs-events-*/_search", query)["hits"]["total"]["value"] == 2


def test_with_user_and_password(secure: Any) -> None:
    server = connect(settings(secure, username="elastic", password=secure.password))
    assert len(list(templates.install(server))) == 5


def refusal(settings: ElasticsearchSettings) -> str:
    with pytest.raises(DeliveryError) as caught:
        list(templates.install(connect(settings)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_setup_without_the_privilege_names_it(secure: Any) -> None:
    message = refusal(settings(secure, api_key=key(secure, MONITOR)))
    assert "component template siplogs@mappings: the credentials lack a privilege (403)" in message
    assert "manage_index_templates" in message


@pytest.mark.parametrize("indices", [[], [{"names": ["other-*"], "privileges": ["create_doc", "auto_configure"]}]])
def test_ship_without_the_privilege_stops_and_loses_nothing(
    secure: Any, letters: DeadLetters, make_event: Callable[..., Event], indices: list[Any]
) -> None:
    server = connect(settings(secure, api_key=key(secure, MONITOR | {"indices": indices})))
    with pytest.raises(DeliveryError, match=r"the credentials lack a privilege.*create") as caught:
        deliver([document(make_event(1))], server, letters)
    assert "\n" not in str(caught.value)
    assert not letters.path.exists()


@pytest.mark.parametrize(
    "credentials",
    [
        {"api_key": base64.b64encode(b"id:key").decode()},
        {"api_key": "nonsense"},
        {"username": "elastic", "password": "wrong"},
    ],
)
def test_wrong_credentials(secure: Any, credentials: dict[str, str]) -> None:
    message = refusal(settings(secure, **credentials))
    assert "refuses the credentials (401): check elasticsearch.api_key_file" in message
    assert not any(secret in message for name, secret in credentials.items() if name != "username")


def test_no_credentials(secure: Any) -> None:
    assert "wants credentials (401)" in refusal(settings(secure))


def test_the_certificate_is_verified(secure: Any) -> None:
    message = refusal(ElasticsearchSettings(url=[secure.url], username="elastic", password=secure.password))
    assert (
        "cannot be verified (certificate verify failed: self-signed certificate): set elasticsearch.ca_file" in message
    )
    assert "SIPLOGS_ELASTICSEARCH_CA_FILE" in message
    with pytest.raises(ConfigError, match=r"elasticsearch\.ca_file: /nowhere/ca\.crt: no such file"):
        connect(ElasticsearchSettings(url=[secure.url], ca_file="/nowhere/ca.crt"))
    with pytest.raises(ConfigError, match="no PEM certificate"):
        connect(ElasticsearchSettings(url=[secure.url], ca_file=__file__))


def test_verification_can_be_switched_off(secure: Any) -> None:
    blind = ElasticsearchSettings(url=[secure.url], verify=False, username="elastic", password=secure.password)
    assert connect(blind).version


def test_plain_http_to_a_server_with_tls(secure: Any) -> None:
    assert "https://" in refusal(ElasticsearchSettings(url=[secure.url.replace("https:", "http:")]))
