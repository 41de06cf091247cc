"""What goes over the wire to prove who siplogs is, as a listener on loopback sees it."""

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from siplogs.config import ElasticsearchSettings
from siplogs.outputs.elasticsearch import connect


class Listener(ThreadingHTTPServer):
    """Answers as Elasticsearch does at / and notes the credentials that came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.seen: list[str | None] = []


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Listener)
        self.server.seen.append(self.headers["authorization"])
        body = b'{"version": {"number": "9.4.3"}}'
        self.send_response(200)
        self.send_header("x-elastic-product", "Elasticsearch")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("password", ["word", "wörd €", "a:b"])
def test_user_and_password_are_sent_as_utf_8(listener: Listener, password: str) -> None:
    url = f"http://127.0.0.1:{listener.server_port}"
    assert connect(ElasticsearchSettings(url=[url], username="elé", password=password)).version == "9.4.3"
    (seen,) = listener.seen
    assert seen == "Basic " + base64.b64encode(f"elé:{password}".encode()).decode()


def test_api_key_is_sent_as_it_is(listener: Listener) -> None:
    connect(ElasticsearchSettings(url=[f"http://127.0.0.1:{listener.server_port}"], api_key="a2V5OnNlY3JldA=="))
    assert listener.seen == ["ApiKey a2V5OnNlY3JldA=="]
