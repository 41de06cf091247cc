"""What was sent is found the way people ask: by call, code, user, network, and counted."""

from collections.abc import Callable
from typing import Any

import pytest

from siplogs.model import Event
from siplogs.outputs.elasticsearch import Server, document
from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.delivery import deliver

CODES = [486, 404, 503, 200]


@pytest.fixture
def filled(server: Server, letters: DeadLetters, blank: Any, make_event: Callable[..., Event]) -> Any:
    """40 events of 20 calls: requests, and responses 486, 404, 503, 200 in turn; user 1001 or 1002."""
    events = [
        make_event(number, code=CODES[number // 2 % 4] if number % 2 else None, user=f"100{1 + number // 2 % 2}")
        for number in range(40)
    ]
    report = deliver((document(event) for event in events), server, letters)
    assert report.created == 40
    blank.call("POST", "/siplogs-events-*/_refresh")
    return blank


def hits(node: Any, query: dict[str, Any]) -> list[dict[str, Any]]:
    found = node.call("POST", "/siplogs-events-*/_search", {"size": 100, "query": query, "sort": ["event.sequence"]})
    return [hit["_source"] for hit in found["hits"]["hits"]]


def test_by_call_id_in_order(filled: Any) -> None:
    found = hits(filled, {"term": {"sip.call_id": "call-3@example.com"}})
    assert [(one["sip"].get("method"), one["sip"].get("code")) for one in found] == [("INVITE", None), (None, "200")]
    assert len(hits(filled, {"prefix": {"sip.call_id": "call-1"}})) == 22


def test_by_code_class_and_range(filled: Any) -> None:
    assert len(hits(filled, {"range": {"siplogs.code": {"gte": 400, "lt": 500}}})) == 10
    assert len(hits(filled, {"term": {"siplogs.class": "4xx"}})) == 10
    assert len(hits(filled, {"terms": {"sip.code": ["486", "503"]}})) == 10
    assert len(hits(filled, {"term": {"siplogs.reason.failure": True}})) == 20


def test_by_user_and_words_of_the_uri(filled: Any) -> None:
    assert len(hits(filled, {"term": {"sip.from.uri.username": "1002"}})) == 20
    assert len(hits(filled, {"term": {"related.user": "1001"}})) == 20
    assert len(hits(filled, {"match": {"sip.from.uri.original.text": "example.com"}})) == 40


def test_by_network(filled: Any) -> None:
    assert len(hits(filled, {"term": {"source.ip": "192.0.2.0/28"}})) == 16
    assert len(hits(filled, {"term": {"related.ip": "192.0.2.7"}})) == 1


def test_by_the_meaning_in_plain_words(filled: Any) -> None:
    assert len(hits(filled, {"match": {"siplogs.reason.meaning": "callee another call"}})) == 20
    assert len(hits(filled, {"query_string": {"query": "callee"}})) == 20
    assert len(hits(filled, {"query_string": {"query": "call-3*"}})) == 2


def test_counted(filled: Any) -> None:
    aggregations = {
        "codes": {"terms": {"field": "sip.code"}},
        "calls": {"cardinality": {"field": "sip.call_id"}},
        "days": {"date_histogram": {"field": "@timestamp", "calendar_interval": "day"}},
        "worst": {
            "filter": {"range": {"siplogs.code": {"gte": 500}}},
            "aggs": {"by": {"terms": {"field": "source.ip"}}},
        },
    }
    answer = filled.call("POST", "/siplogs-events-*/_search", {"size": 0, "aggs": aggregations})["aggregations"]
    assert {bucket["key"]: bucket["doc_count"] for bucket in answer["codes"]["buckets"]} == dict.fromkeys(
        ["200", "404", "486", "503"], 5
    )
    assert answer["calls"]["value"] == 20
    assert [bucket["doc_count"] for bucket in answer["days"]["buckets"]] == [40]
    assert answer["worst"]["doc_count"] == 5
