"""The gateway's process, for whoever tests or measures it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.servers.find import Servers
from deploy.servers.process import answers, free_port
from schemas.errors import LogUnavailable

_START_SECONDS: Final = 120.0
_READY: Final = b"GET /readyz HTTP/1.0\r\n\r\n"


@contextmanager
def gateway(
    kafka: str,
    prefix: str = "",
    keys: Path | None = None,
    port: int = 0,
    given: Mapping[str, str] | None = None,
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A gateway that answers, and its port on loopback; killed with the context."""
    port = port or free_port()
    environment = {
        **os.environ,
        **(given or {}),
        "DRAWDOWN_KAFKA": kafka,
        "DRAWDOWN_TOPIC_PREFIX": prefix,
        "DRAWDOWN_GATEWAY_PORT": str(port),
        **({} if keys is None else {"DRAWDOWN_GATEWAY_KEYS": str(keys)}),
    }
    command = [sys.executable, "-m", "deploy.cli", "gateway"]
    process = subprocess.Popen(command, env=environment)
    give_up = time.monotonic() + _START_SECONDS
    try:
        while not answers(port, _READY, b"HTTP/1.1 200"):
            if process.poll() == LogUnavailable.exit_code:  # as whoever supervises it would
                process = subprocess.Popen(command, env=environment)
            assert process.poll() is None, "the gateway ended"
            assert time.monotonic() < give_up, "the gateway does not answer"
            time.sleep(0.05)
        yield process, port
    finally:
        process.kill()
        process.wait()


@contextmanager
def broker_stopped(own: Servers) -> Iterator[None]:
    """SIGSTOP to a broker that is the test's own; SIGCONT at the end."""
    assert own.broker is not None
    pid = own.broker.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
