"""Delivery to a real Elasticsearch: exactly once, each document judged by itself, whatever goes wrong on the way."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from fault_proxy import FaultProxy

from siplogs.config import ElasticsearchSettings
from siplogs.errors import ConfigError, DeliveryError
from siplogs.model import Event
from siplogs.outputs.elasticsearch import Document, Server, connect, document
from siplogs.shipping.dead_letters import DeadLetters
from siplogs.shipping.delivery import DeliveryReport, Limits, deliver, resend

INDEX = "siplogs-events-2026.11"
MakeEvent = Callable[..., Event]


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    """A proxy before a server that is set up."""
    with FaultProxy(server.name) as running:
        yield running


@pytest.fixture
def documents(make_event: MakeEvent) -> list[Document]:
    return [document(make_event(number)) for number in range(20)]


class Pauses(list[float]):
    """Stands in for sleeping: notes how long it was to be."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def through(proxy: FaultProxy, **more: Any) -> Server:
    return connect(ElasticsearchSettings(url=[proxy.url], replicas=0, **more))


def ids(node: Any, index: str = "siplogs-events-*") -> list[str]:
    node.call("POST", f"/{index}/_refresh")
    hits = node.call("POST", f"/{index}/_search", {"size": 1000, "_source": False})["hits"]["hits"]
    return sorted(hit["_id"] for hit in hits)


def ids_of(documents: list[Document]) -> list[str]:
    return sorted(one.id for one in documents)


def test_a_second_run_changes_nothing(
    server: Server, letters: DeadLetters, blank: Any, documents: list[Document]
) -> None:
    assert deliver(documents, server, letters) == DeliveryReport(created=20)
    assert deliver(documents, server, letters) == DeliveryReport(present=20)
    assert deliver([*documents[:5], Document(INDEX, "new", documents[0].body)], server, letters) == DeliveryReport(
        created=1, present=5
    )
    assert ids(blank) == sorted([*ids_of(documents), "new"])
    assert not letters.path.exists()


def test_documents_arrive_unchanged_in_the_index_of_their_own_time(
    server: Server, letters: DeadLetters, blank: Any, make_event: MakeEvent
) -> None:
    old, new = make_event(1, time="2019-02-28T23:59:59.999Z"), make_event(2, code=486)
    deliver([document(old), document(new, "day"), document(new, "week"), document(new, "year")], server, letters)
    found = {index: [hit] for index in blank.call("GET", "/siplogs-events-*") for hit in [index]}
    assert sorted(found) == [f"siplogs-events-{name}" for name in ("2019.02", "2026", "2026.11.20", "2026.w47")]
    blank.call("POST", "/siplogs-events-*/_refresh")
    source = blank.call("GET", "/siplogs-events-2026/_doc/00000002")["_source"]
    assert source == json.loads(msgspec.json.encode(new))


def test_batches_keep_to_their_limits_and_settle_in_order(
    proxy: FaultProxy, letters: DeadLetters, documents: list[Document]
) -> None:
    settled: list[list[str]] = []
    note = lambda batch: settled.append([one.id for one in batch])  # noqa: E731
    report = deliver(documents, through(proxy), letters, Limits(documents=8), settled=note)
    assert report.created == 20
    assert [len(batch) for batch in settled] == [8, 8, 4]
    assert [name for batch in settled for name in batch] == [one.id for one in documents]
    proxy.bulks = 0
    size = len(documents[0].body) + 100
    deliver(documents, through(proxy), letters, Limits(octets=5 * size))
    assert proxy.bulks >= 4
    proxy.bulks = 0
    deliver(documents[:3], through(proxy), letters, Limits(octets=1))
    assert proxy.bulks == 3


def test_compressed_on_the_wire(proxy: FaultProxy, letters: DeadLetters, blank: Any, documents: list[Document]) -> None:
    assert deliver(documents, through(proxy, compress=True), letters).created == 20
    assert proxy.encodings == {"gzip"}
    assert ids(blank) == ids_of(documents)


def test_a_refused_document_is_kept_and_the_rest_goes_on(
    server: Server, letters: DeadLetters, blank: Any, documents: list[Document]
) -> None:
    wrong = Document(INDEX, "wrong", documents[0].body.replace(b'"2026-11-20T10', b'"some day T10'))
    report = deliver([*documents[:10], wrong, *documents[10:]], server, letters)
    assert report == DeliveryReport(created=20, dead=1)
    assert str(report) == "20 created, 0 already there, 1 dead letters"
    (line,) = letters.path.read_text(encoding="utf-8").splitlines()
    letter = json.loads(line)
    assert (letter["index"], letter["id"]) == (INDEX, "wrong")
    assert letter["error"]["status"] == 400
    assert letter["error"]["type"] == "document_parsing_exception"
    assert "@timestamp" in letter["error"]["reason"]
    assert letter["document"] == json.loads(wrong.body)
    assert ids(blank) == ids_of(documents)


def test_a_closed_index_does_not_stop_the_others_and_its_letters_arrive_later(
    server: Server, letters: DeadLetters, blank: Any, make_event: MakeEvent, documents: list[Document]
) -> None:
    old = document(make_event(90, time="2025-01-01T00:00:00.000Z"))
    deliver([old], server, letters)
    blank.call("POST", f"/{old.index}/_close")
    late = document(make_event(91, time="2025-01-02T00:00:00.000Z"))
    assert deliver([*documents, late], server, letters) == DeliveryReport(created=20, dead=1)
    assert "index_closed_exception" in letters.path.read_text(encoding="utf-8")
    assert resend(server, letters) == DeliveryReport(dead=1)
    blank.call("POST", f"/{old.index}/_open?wait_for_active_shards=1")
    assert resend(server, letters) == DeliveryReport(created=1)
    assert resend(server, letters) == DeliveryReport()
    assert ids(blank) == sorted([*ids_of(documents), old.id, late.id])


def test_hostile_values_never_make_a_document_refused(
    server: Server, letters: DeadLetters, blank: Any, make_event: MakeEvent
) -> None:
    event = json.loads(msgspec.json.encode(make_event(1, code=486)))
    event["siplogs"]["headers"] = {"x-long": "a" * 100_000, "": "empty name", "a.b": {"c": "d"}, "a": "text"}
    event["siplogs"]["details"] = {"k" * 2000: "v" * 40_000}
    event["siplogs"]["code"] = 99_999
    event["siplogs"]["cause"] = [{"protocol": "Q.850", "code": -5_000_000_000, "text": "x" * 40_000}]
    event["sip"] |= {"content_length": 10**18 * 99, "call_id": "é" * 40_000, "max_forwards": "seventy"}
    event["sip"]["sdp"] = {"owner": {"ip": "pbx.example.com"}, "media": [{"port": 4_000_000_000_000}]}
    event["source"] |= {"ip": "not-an-address", "port": 10**30}
    event["event"]["original"] = "INVITE " * 20_000
    event["message"] = "m" * 100_000
    event["unknown"] = {"deep": {"er": 1}}
    report = deliver([Document(INDEX, "hostile", json.dumps(event).encode())], server, letters)
    assert report == DeliveryReport(created=1), letters.path.read_text(encoding="utf-8")
    fields = blank.call("GET", f"/{INDEX}/_mapping")[INDEX]["mappings"]["properties"]
    assert "unknown" not in fields


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 504, "reset", "lost-answer", "half-answer"])
def test_a_passing_fault_of_a_whole_request(
    proxy: FaultProxy, letters: DeadLetters, blank: Any, documents: list[Document], fault: Any
) -> None:
    proxy.faults.extend([fault, fault])
    pauses = Pauses()
    report = deliver(documents, through(proxy), letters, sleep=pauses)
    assert (report.created + report.present, report.dead) == (20, 0)
    assert report.present == (20 if fault in {"lost-answer", "half-answer"} else 0)
    assert len(pauses) == report.pauses == 2
    assert 0.5 <= pauses[0] <= 1 <= pauses[1] <= 2
    assert ids(blank) == ids_of(documents)


@pytest.mark.parametrize("status", [429, 503])
def test_only_the_refused_documents_are_sent_again(
    proxy: FaultProxy, letters: DeadLetters, blank: Any, documents: list[Document], status: int
) -> None:
    proxy.faults.extend([("items", status)] * 3)
    pauses = Pauses()
    report = deliver(documents, through(proxy), letters, sleep=pauses)
    assert (report.created, report.present, report.dead) == (20, 0, 0)
    assert len(pauses) == 3
    assert max(pauses) <= 1
    assert ids(blank) == ids_of(documents)


def test_no_more_than_three_batches_are_read_while_the_server_is_overloaded(
    proxy: FaultProxy, letters: DeadLetters, documents: list[Document]
) -> None:
    read: list[str] = []
    settled: list[str] = []
    ahead: list[int] = []

    def pause(_: float) -> None:
        time.sleep(0.3)
        ahead.append(len(read) - len(settled))

    def reading() -> Iterator[Document]:
        for one in documents:
            read.append(one.id)
            yield one

    proxy.faults.extend([429, 429, 429])
    note = lambda batch: settled.extend(one.id for one in batch)  # noqa: E731
    deliver(reading(), through(proxy), letters, Limits(documents=4), settled=note, sleep=pause)
    assert len(ahead) == 3
    assert max(ahead) <= 3 * 4 + 1


def test_the_servers_wish_for_a_pause_is_honoured(
    proxy: FaultProxy, letters: DeadLetters, documents: list[Document]
) -> None:
    for wish, least in (("7", 7), ("Fri, 31 Dec 2100 23:59:59 GMT", 600), ("nonsense", 0.5), ("0", 0.5)):
        proxy.retry_after = wish
        proxy.faults.append(429)
        pauses = Pauses()
        deliver(documents[:1], through(proxy), letters, sleep=pauses)
        assert pauses[0] >= least
        assert pauses[0] <= max(least, 1)


def test_what_was_found_is_sent_while_the_next_document_is_looked_for(
    server: Server, letters: DeadLetters, blank: Any, documents: list[Document]
) -> None:
    ticks: list[Callable[[], None]] = []
    settled: list[str] = []

    def reading() -> Iterator[Document]:
        yield documents[0]
        yield documents[1]
        end = time.monotonic() + 60
        while not settled:  # what a log without SIP in it takes
            assert time.monotonic() < end
            time.sleep(0.01)
            ticks[0]()
        assert ids(blank) == ids_of(documents[:2])
        yield from documents[2:]

    note = lambda batch: settled.extend(one.id for one in batch)  # noqa: E731
    report = deliver(reading(), server, letters, Limits(seconds=0.1), settled=note, reading=ticks.append)
    assert report == DeliveryReport(created=20)
    assert settled == [one.id for one in documents]


def test_an_address_that_turns_out_to_be_of_another_cluster_gets_nothing(
    proxy: FaultProxy, letters: DeadLetters, blank: Any, documents: list[Document]
) -> None:
    both = ElasticsearchSettings(url=[proxy.url, blank.url], replicas=0)
    proxy.down = True
    found = connect(both)
    proxy.down = False
    proxy.canned["GET", "/"] = (200, {**blank.call("GET", "/"), "cluster_uuid": "another"})
    assert deliver(documents, found, letters, Limits(documents=1)) == DeliveryReport(created=20)
    assert proxy.bulks == 0
    with pytest.raises(ConfigError, match="different clusters"):
        connect(both)


def test_a_node_that_hangs_is_left_alone(
    proxy: FaultProxy,
    letters: DeadLetters,
    blank: Any,
    documents: list[Document],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("siplogs.outputs.elasticsearch._TIMEOUT", 1.0)
    proxy.faults.extend(["hang"] * 100)
    server = connect(ElasticsearchSettings(url=[proxy.url, blank.url], replicas=0))
    pauses = Pauses()
    report = deliver(documents, server, letters, Limits(documents=1), sleep=pauses)
    assert report.created == 20
    assert 1 <= proxy.bulks <= 5
    assert pauses == []
    assert ids(blank) == ids_of(documents)


@pytest.mark.parametrize("fault", [429, 503, "reset"])
def test_a_lasting_fault_ends_with_an_error_and_nothing_lost(
    proxy: FaultProxy, letters: DeadLetters, blank: Any, documents: list[Document], fault: Any
) -> None:
    settled: list[str] = []
    pauses = Pauses()

    def pause(seconds: float) -> None:
        pauses(seconds)
        time.sleep(0.4)  # for the one request that is let through

    server = through(proxy)
    proxy.faults.extend([None, *[fault] * 100])
    with pytest.raises(DeliveryError, match="nothing is lost, run again") as caught:
        deliver(
            documents,
            server,
            letters,
            Limits(documents=10, pauses=5),
            settled=lambda batch: settled.extend(one.id for one in batch),
            sleep=pause,
        )
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3
    assert 5 <= len(pauses) <= 10
    first, second = ids_of(documents[:10]), ids_of(documents[10:])
    either_goes_first = [(first, first), ([], second)]
    assert (sorted(settled), ids(blank)) in either_goes_first
    proxy.faults.clear()
    report = deliver(documents, server, letters)
    assert report.created + report.present == 20
    assert ids(blank) == ids_of(documents)


@pytest.mark.parametrize(("error", "kept"), [('"no such thing"', "no such thing"), ("null", ""), ("[]", "")])
def test_an_error_of_another_shape_is_kept_with_its_words(
    proxy: FaultProxy, letters: DeadLetters, documents: list[Document], error: str, kept: str
) -> None:
    proxy.faults.append(b'{"errors":true,"items":[{"create":{"status":400,"error":%s}}]}' % error.encode())
    assert deliver(documents[:1], through(proxy), letters) == DeliveryReport(dead=1)
    (letter,) = letters.letters()
    assert (letter.error.status, letter.error.type, letter.error.reason) == (400, "", kept)


NGINX = b"""<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n<body>\r\n
<center><h1>400 Bad Request</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"""
STRANGERS = {
    "nginx": (400, NGINX, "(400: 400 The plain HTTP request was sent to HTTPS port 400 Bad Request nginx): see"),
    "firewall": (403, b'{"message": "Forbidden \\u001b[31m"}', '(403: {"message": "Forbidden \\u001b[31m"}): see'),
    "gateway": (404, b'{"error": {"code": 404}}', '(404: {"error": {"code": 404}}): see'),
    "text": (405, b"not\x1b[31m\n allowed" + b"!" * 200, f"(405: not [31m allowed{'!' * 84}…): see"),
    "elsewhere": (301, b"", "(301): see"),
    "overloaded": (503, b"<h1>503</h1>no server", "(503: 503 no server): see"),
    "sign-in page": (200, b"<title>Sign in</title>", "(200: Sign in): see"),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_an_answer_that_is_not_elasticsearchs_is_an_outage(
    proxy: FaultProxy, letters: DeadLetters, blank: Any, documents: list[Document], case: str
) -> None:
    *fault, said = STRANGERS[case]
    server = through(proxy)
    proxy.faults.extend([tuple(fault)] * 100)
    pauses, limits = Pauses(), Limits(documents=20, pauses=3)  # one request, so that none goes on afterwards
    with pytest.raises(DeliveryError, match="; nothing is lost, run again$") as caught:
        deliver(documents, server, letters, limits, sleep=pauses)
    assert str(caught.value).startswith(f"what answers at {proxy.url} is not Elasticsearch {said}")
    assert str(caught.value).isprintable()
    assert 3 <= proxy.bulks <= 8
    proxy.faults.clear()
    proxy.faults.append(tuple(fault))
    assert deliver(documents, server, letters, limits, sleep=pauses) == DeliveryReport(created=20, pauses=1)
    assert not letters.path.exists()
    assert ids(blank) == ids_of(documents)


def test_a_request_too_large_is_halved_until_it_fits(
    proxy: FaultProxy, letters: DeadLetters, blank: Any, documents: list[Document]
) -> None:
    proxy.faults.extend([413, 413, None, None, None])
    assert deliver(documents, through(proxy), letters) == DeliveryReport(created=20)
    assert ids(blank) == ids_of(documents)
    proxy.faults.append(413)
    other = Document(INDEX, "alone", documents[0].body)
    assert deliver([other], through(proxy), letters) == DeliveryReport(dead=1)


def test_a_document_that_spoils_the_whole_request_is_singled_out(
    server: Server, letters: DeadLetters, blank: Any, documents: list[Document]
) -> None:
    spoiler = Document(INDEX, "x" * 600, documents[0].body)
    assert deliver([*documents, spoiler], server, letters) == DeliveryReport(created=20, dead=1)
    assert ids(blank) == ids_of(documents)


def test_indices_that_may_not_be_made_stop_delivery(
    server: Server, letters: DeadLetters, blank: Any, documents: list[Document]
) -> None:
    blank.call("PUT", "/_cluster/settings", {"persistent": {"action.auto_create_index": "-siplogs-*,+*"}})
    try:
        with pytest.raises(DeliveryError, match=r"allow siplogs-\* in action\.auto_create_index"):
            deliver(documents, server, letters)
    finally:
        blank.call("PUT", "/_cluster/settings", {"persistent": {"action.auto_create_index": None}})
    assert not letters.path.exists()
