"""Fixtures that several rooms use: a real Elasticsearch and real Asterisks, started on first use and ended again."""

import base64
import fcntl
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest

from tests.live.asterisk import MAKE, ROOTS, Asterisk, Driver

hypothesis.settings.register_profile("siplogs", deadline=None)  # no test asserts on the clock
hypothesis.settings.load_profile("siplogs")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background: commands under test would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).parents[1]
START = REPOSITORY / "tools/elasticsearch/start-elasticsearch"
VERSION = os.environ.get("SIPLOGS_TEST_ELASTICSEARCH_VERSION", "9.4.3")
PASSWORD = "only-for-tests"


class Node(NamedTuple):
    """A running Elasticsearch; `ca_file` and the password are empty without security."""

    url: str
    ca_file: str = ""
    password: str = ""

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Ask the server something without the code under test."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json", **headers})
        request.method = method
        if self.password and "authorization" not in headers:
            pair = base64.b64encode(f"elastic:{self.password}".encode()).decode()
            request.add_header("authorization", f"Basic {pair}")
        context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        with urllib.request.urlopen(request, timeout=60, context=context) as response:
            return json.loads(response.read() or b"{}")


@pytest.fixture(scope="session")
def elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A node without security: SIPLOGS_TEST_ELASTICSEARCH, or one that this test run starts."""
    given = os.environ.get("SIPLOGS_TEST_ELASTICSEARCH", "").rstrip("/")
    return Node(given) if given else started(tmp_path_factory, "plain")


@pytest.fixture
def elasticsearch_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No other test of this run uses Elasticsearch meanwhile."""
    with alone(tmp_path_factory, "elasticsearch"):
        yield


@pytest.fixture(scope="session")
def secure_elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A node with TLS and users; always one that this test run starts."""
    node = started(tmp_path_factory, "secure", PASSWORD)
    for _ in range(60):  # the first requests after the start are refused while the security index is being made
        try:
            node.call("GET", "/_security/_authenticate")
            break
        except urllib.error.HTTPError:
            time.sleep(0.5)
    return node


@pytest.fixture(scope="module")
def start_asterisk() -> Iterator[Callable[..., Asterisk]]:
    """Call it with a version and a driver for a running Asterisk, which ends after the module's tests."""
    with ExitStack() as stack:

        def start(version: str, driver: Driver = "pjsip") -> Asterisk:
            asterisk = Asterisk(asterisk_root(version), driver)
            stack.callback(asterisk.remove)
            return stack.enter_context(asterisk)

        yield start


def asterisk_root(version: str) -> Path:
    """Return the folder of an Asterisk, 16 or 22, when all that running it takes is there."""
    if not (ROOTS / version / ".made").exists():
        missing(f"no Asterisk {version} in {ROOTS}: {MAKE} {version}")
    if os.geteuid() != 0:
        missing("Asterisk runs in a root folder of its own: run these tests as root")
    for program in ("sipp", "tcpdump", "setpriv"):
        if shutil.which(program) is None:
            missing(f"no {program}: {REPOSITORY / 'tools/install-test-packages'}")
    return ROOTS / version


@contextmanager
def alone(tmp_path_factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """Hold a lock that all workers of this test run share; yield the folder that they share."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def started(tmp_path_factory: pytest.TempPathFactory, name: str, password: str = "") -> Node:
    """Start a node once for all workers of the test run; it ends with the run (ES_OWNER of the script)."""
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    with alone(tmp_path_factory, f"start-{name}") as folder:
        note = folder / f"elasticsearch-{name}.json"
        if not note.exists():
            note.write_text(json.dumps(_start(owner, password)), encoding="utf-8")
        return Node(*json.loads(note.read_text(encoding="utf-8")))


def _start(owner: int, password: str) -> Node:
    port = _free_port()
    environment = os.environ | {"ES_VERSION": VERSION, "ES_PORT": str(port), "ES_OWNER": str(owner)}
    if password:
        environment["ES_PASSWORD"] = password
    cache = Path(environment.get("ES_CACHE", REPOSITORY / ".elasticsearch"))
    if not (cache / VERSION).exists():
        missing(f"no Elasticsearch {VERSION} in {cache}: ES_VERSION={VERSION} {START} install")
    done = subprocess.run([START], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        missing(f"Elasticsearch {VERSION} does not start: {done.stderr.strip()[-500:]}")
    ca_file = cache / f"run-{VERSION}-{port}/config/ca.crt"
    return Node(f"https://127.0.0.1:{port}", str(ca_file), password) if password else Node(f"http://127.0.0.1:{port}")


def _free_port() -> int:
    while True:
        with socket.socket() as http, socket.socket() as transport:
            http.bind(("127.0.0.1", 0))
            port: int = http.getsockname()[1]
            try:
                transport.bind(("127.0.0.1", port + 100))
            except (OSError, OverflowError):
                continue
            return port


def missing(what: str) -> None:
    """A part that a test needs is not there: a failure in CI, a skipped test elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
