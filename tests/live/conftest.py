"""What the tests against real servers share: events by hand, a server set up, an empty slate."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import msgspec
import pytest

from siplogs.config import ElasticsearchSettings
from siplogs.model import (
    CSeq,
    Endpoint,
    Event,
    EventMeta,
    Explanation,
    Party,
    Related,
    SipDocument,
    Siplogs,
    Uri,
)
from siplogs.outputs.elasticsearch import Server, connect
from siplogs.shipping import templates
from siplogs.shipping.dead_letters import DeadLetters


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            names = getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.asterisk if "start_asterisk" in names else pytest.mark.elasticsearch)


@pytest.fixture
def blank(elasticsearch: Any, elasticsearch_alone: None) -> Any:
    """The server without anything of siplogs, for this test alone."""
    _clear(elasticsearch)
    return elasticsearch


@pytest.fixture
def secure(secure_elasticsearch: Any, elasticsearch_alone: None) -> Any:
    """The server with TLS and users, without anything of siplogs, for this test alone."""
    _clear(secure_elasticsearch)
    return secure_elasticsearch


@pytest.fixture
def server(blank: Any) -> Server:
    """The server after `siplogs setup`."""
    connected = connect(settings(blank.url))
    for _ in templates.install(connected):
        pass
    return connected


@pytest.fixture
def letters(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "state" / "dead-letters.ndjson")


@pytest.fixture
def make_event() -> Callable[..., Event]:
    return event


def _clear(node: Any) -> None:
    node.call("PUT", "/_cluster/settings", {"persistent": {"action.destructive_requires_name": "false"}})
    node.call("DELETE", "/siplogs-*?expand_wildcards=all")
    for path in ("/_index_template/siplogs-*", "/_component_template/siplogs@*"):
        with suppress(HTTPError):  # 404: nothing there
            node.call("DELETE", path)


def settings(url: str, **more: Any) -> ElasticsearchSettings:
    return ElasticsearchSettings(url=[url], replicas=0, **more)


def event(number: int, *, code: int | None = None, user: str = "1001", time: str = "2026-11-20T10:00:00.123Z") -> Event:
    """An INVITE from 192.0.2.<number> or a response to it."""
    address = f"192.0.2.{number % 250}"
    made = Event(
        timestamp=time,
        event=EventMeta(id=f"{number:08}", kind="event", category=["network"], type=["protocol"], sequence=number),
        siplogs=Siplogs(kind="message", pbx="asterisk", pack="asterisk-pjsip", rule="received-request"),
        sip=SipDocument(
            type="response" if code else "request",
            method=None if code else "INVITE",
            call_id=f"call-{number // 2}@example.com",
            cseq=CSeq(code="1", method="INVITE"),
            from_=Party(uri=Uri(original=f"sip:{user}@example.com", scheme="sip", username=user, host="example.com")),
        ),
        source=Endpoint(address=address, ip=address, port=5060),
        related=Related(ip=[address], user=[user]),
    )
    if code and made.sip:
        made.sip.code, made.sip.status = str(code), "Busy Here"
        made.siplogs.code, made.siplogs.class_ = code, f"{code // 100}xx"
        made.siplogs.reason = Explanation(
            id=f"sip.{code}",
            phrase="Busy Here",
            meaning="the callee is in another call",
            causes=["in a call"],
            fixes=["try later"],
            rfc="RFC 3261 21.4.24",
            failure=True,
        )
    return msgspec.convert(msgspec.to_builtins(made), Event)
