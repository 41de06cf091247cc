"""What answers in Elasticsearch's place when siplogs connects: a web server, a proxy, a firewall."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from siplogs.config import ElasticsearchSettings
from siplogs.errors import DeliveryError
from siplogs.outputs.elasticsearch import Server, UnreachableError, connect

Told = tuple[int, str, bytes]


class Stranger(ThreadingHTTPServer):
    """Answers everything alike."""

    told: Told = (200, "text/html", b"")

    @property
    def settings(self) -> ElasticsearchSettings:
        return ElasticsearchSettings(url=[f"http://127.0.0.1:{self.server_port}"])


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Stranger)
        status, kind, body = self.server.told
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ((400, "text/html", b"<title>400 plain HTTP</title><h1>to HTTPS</h1>"), "(400: 400 plain HTTP to HTTPS): see"),
        ((403, "application/json", b'{"message":"no"}'), '(403: {"message": "no"}): see what stands between, and'),
        ((405, "text/plain", b"\x1b]0;x\x07" + b"y" * 300), f"(405: ]0;x {'y' * 95}…): see"),
        ((302, "text/html", b""), "(302): see"),
        ((404, "text/html", b"<h1>Not found</h1>"), ": check elasticsearch.url"),
        ((200, "text/html", b"<h1>Sign in</h1>"), ": check elasticsearch.url"),
    ],
)
def test_what_is_not_elasticsearch_is_refused_with_its_first_words(stranger: Stranger, told: Told, said: str) -> None:
    stranger.told = told
    with pytest.raises(DeliveryError) as caught:
        connect(stranger.settings)
    assert f"is not Elasticsearch {said}".replace(" :", ":") in str(caught.value)
    assert str(caught.value).isprintable()
    assert not isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_proxy_whose_elasticsearch_is_away_is_an_outage(stranger: Stranger, status: int) -> None:
    stranger.told = (status, "text/html", b"<html><head><title>No server</title></head></html>")
    with pytest.raises(UnreachableError, match=rf"is not Elasticsearch \({status}: No server\): see what stands"):
        connect(stranger.settings)


def test_the_one_of_several_addresses_that_is_no_elasticsearch_is_named(stranger: Stranger) -> None:
    """Requests go to all of them in turn: it would spoil every other one."""
    wrong = stranger.settings.url[0]
    settings = ElasticsearchSettings(url=["http://127.0.0.1:1", wrong])
    for told in ((200, "text/html", b"<h1>Welcome</h1>"), (404, "text/html", b""), (400, "text/html", b"")):
        stranger.told = told
        with pytest.raises(DeliveryError, match=f"at {wrong} is not Elasticsearch") as caught:
            connect(settings)
        assert not isinstance(caught.value, UnreachableError)
    stranger.told = (503, "text/html", b"")
    with pytest.raises(UnreachableError):
        connect(settings)


def test_a_proxy_that_wants_credentials_gets_those_of_elasticsearch(stranger: Stranger) -> None:
    stranger.told = (401, "text/html", b"<h1>401 Authorization Required</h1>")
    with pytest.raises(DeliveryError, match=r"wants credentials \(401\)"):
        connect(stranger.settings)


def test_a_page_where_an_answer_was_asked_for_is_an_outage(stranger: Stranger) -> None:
    stranger.told = (200, "text/html", b"<h1>Sign in</h1>")
    server = Server(stranger.settings)
    server._client._verified_elasticsearch = True  # as after a first answer of the real one
    with pytest.raises(UnreachableError, match=r"listing: what answers at .* is not Elasticsearch \(200: Sign in\)"):
        server.expect(server.request("GET", "/_cat/indices"), "listing")
