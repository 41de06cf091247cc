"""A proxy before a real Elasticsearch that answers bulk requests wrongly on demand; all else passes through."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HEADERS = {"content-type": "application/json", "X-elastic-product": "Elasticsearch"}


class FaultProxy:
    """Each fault in `faults` is used up by one bulk request, in order; an empty queue passes requests through.

    Faults: an HTTP status (the whole request is refused, `retry_after` goes with it), "reset" (the connection is cut
    before the request is passed on), "lost-answer" (the server does its work, the answer is cut), "half-answer"
    (likewise, with half of the answer sent), "hang" (no answer until `released`), "half-hang" (likewise, with half of
    the answer sent), "slow" (the answer comes in pieces), bytes (a whole answer of another kind), (status, bytes) (something in between answers
    by itself) and ("items", status): every second document is refused with that status. While `down`, every connection is cut. `canned` maps (method, path) to a status and body to answer with; `asked` notes what came for those,
    `asked_at` when anything came, `refused_at` when a request was refused.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.faults: deque[Any] = deque()
        self.retry_after: str | None = None
        self.canned: dict[tuple[str, str], tuple[int, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.bulks = 0
        self.refused_at: list[float] = []
        self.asked_at: list[float] = []
        self.down = False
        self.released = threading.Event()
        self.encodings: set[str | None] = set()
        self.headers = dict(HEADERS)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:  # noqa: C901, N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                proxy.asked_at.append(time.monotonic())
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                path = self.path.partition("?")[0]
                if proxy.down:
                    self.cut()
                elif (self.command, path) in proxy.canned:
                    proxy.asked.append((self.command, path, json.loads(body) if body else None))
                    status, answer = proxy.canned[self.command, path]
                    self.reply(status, json.dumps(answer).encode(), {})
                elif path == "/_bulk":
                    self.bulk(body)
                else:
                    self.reply(*proxy.passed_on(self, body), {})

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_any  # noqa: N815

            def bulk(self, body: bytes) -> None:
                proxy.bulks += 1
                proxy.encodings.add(self.headers.get("content-encoding"))
                fault = proxy.faults.popleft() if proxy.faults else None
                if isinstance(fault, int):
                    self.refuse(fault)
                elif isinstance(fault, bytes):
                    self.reply(200, fault, {})
                elif isinstance(fault, str):
                    self.fail(fault, body)
                elif fault and isinstance(fault[0], int):
                    self.reply(*fault, {"content-type": "text/html", "X-elastic-product": ""})
                elif fault:
                    self.reply(200, proxy.every_second(self, body, fault[1]), {})
                else:
                    self.reply(*proxy.passed_on(self, body), {})

            def refuse(self, status: int) -> None:
                extra = {"retry-after": proxy.retry_after} if proxy.retry_after else {}
                reason = {"error": {"type": "made_up", "reason": f"made up {status}"}, "status": status}
                proxy.refused_at.append(time.monotonic())
                self.reply(status, json.dumps(reason).encode(), extra)

            def fail(self, fault: str, body: bytes) -> None:
                answer = b"" if fault in {"reset", "hang"} else proxy.passed_on(self, body)[1]
                if fault in {"half-answer", "half-hang", "slow"}:
                    self.send_response(200)
                    for name, value in {**proxy.headers, "content-length": str(len(answer))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    step = len(answer) // 2 + 1
                    self.wfile.write(answer[:step])
                if fault == "slow":
                    time.sleep(0.5)
                    self.wfile.write(answer[step:])
                    return
                if fault in {"hang", "half-hang"}:
                    proxy.released.wait(90)
                self.cut()

            def cut(self) -> None:
                self.close_connection = True
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)

            def reply(self, status: int, body: bytes, extra: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**proxy.headers, **extra, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def passed_on(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        headers = {
            name: value
            for name, value in handler.headers.items()
            if name.lower() in {"content-type", "content-encoding", "accept", "authorization"}
        }
        request = urllib.request.Request(self.target + handler.path, body or None, headers, method=handler.command)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def every_second(self, handler: BaseHTTPRequestHandler, body: bytes, status: int) -> bytes:
        """Pass on the first, third, … document only and refuse the others."""
        lines = body.splitlines()
        pairs = [lines[place : place + 2] for place in range(0, len(lines), 2)]
        kept = b"".join(line + b"\n" for pair in pairs[::2] for line in pair)
        answered = iter(json.loads(self.passed_on(handler, kept)[1])["items"])
        refusal = {"create": {"status": status, "error": {"type": "made_up_rejection", "reason": "made up"}}}
        items = [refusal if place % 2 else next(answered) for place in range(len(pairs))]
        return json.dumps({"errors": True, "items": items}).encode()
