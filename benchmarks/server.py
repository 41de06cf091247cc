"""A real Elasticsearch for measuring: the one of SIPLOGS_TEST_ELASTICSEARCH, else one that is started for it."""

import os
import socket
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from benchmarks.measure import ROOT

_START = ROOT / "tools" / "elasticsearch" / "start-elasticsearch"


@contextmanager
def running(cores: Collection[int] = ()) -> Iterator[str]:
    """Yield the address of a server; with `cores` it is always one of its own, which runs on these alone.

    Raises OSError when it does not start (`make elasticsearch` installs it).
    """
    given = os.environ.get("SIPLOGS_TEST_ELASTICSEARCH", "").rstrip("/")
    if given and not cores:
        yield given
        return
    port = _free_port()
    pinned = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
    environment = os.environ | {"ES_PORT": str(port), "ES_OWNER": str(os.getpid())}
    done = subprocess.run([*pinned, _START], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"Elasticsearch does not start ({done.stderr.strip()[-200:]}); make elasticsearch")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        subprocess.run([_START, "stop"], env=environment, capture_output=True, check=False)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
