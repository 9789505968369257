"""The gateway's process, for whoever tests or measures it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.servers.find import Servers
from deploy.servers.process import answers, free_port

_START_SECONDS: Final = 120.0
_READY: Final = b"GET /readyz HTTP/1.0\r\n\r\n"


@contextmanager
def gateway(
    kafka: str, prefix: str = "", keys: Path | None = None, port: int = 0
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A gateway that answers, and its port on loopback; killed with the context."""
    port = port or free_port()
    given = {
        "DRAWDOWN_KAFKA": kafka,
        "DRAWDOWN_TOPIC_PREFIX": prefix,
        "DRAWDOWN_GATEWAY_PORT": str(port),
        **({} if keys is None else {"DRAWDOWN_GATEWAY_KEYS": str(keys)}),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "gateway"], env={**os.environ, **given}
    )
    give_up = time.monotonic() + _START_SECONDS
    try:
        while not answers(port, _READY, b"HTTP/1.1 200"):
            assert process.poll() is None, "the gateway ended"
            assert time.monotonic() < give_up, "the gateway does not answer"
            time.sleep(0.05)
        yield process, port
    finally:
        process.kill()
        process.wait()


def broker_pid(own: Servers) -> int:
    """The process of a broker that the test has started for itself."""
    assert own.broker is not None
    found = own.broker.process.pid
    assert found is not None
    return found
