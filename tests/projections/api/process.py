"""The API's process, for whoever tests or measures it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.servers.process import answers, free_port

_START_SECONDS: Final = 240.0
_READY: Final = b"GET /readyz HTTP/1.0\r\n\r\n"


def environment(kafka: str, redis_url: str, prefix: str) -> dict[str, str]:
    """What a deployment of its own is told on shared servers."""
    return {
        "DRAWDOWN_KAFKA": kafka,
        "DRAWDOWN_REDIS_URL": redis_url,
        "DRAWDOWN_TOPIC_PREFIX": prefix,
        "DRAWDOWN_KEY_PREFIX": prefix or "drawdown",
    }


@contextmanager
def api(
    given: Mapping[str, str], keys: Path | None = None, port: int = 0
) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """An API that answers, and its address; killed with the context."""
    port = port or free_port()
    own = {"DRAWDOWN_API_PORT": str(port)}
    if keys is not None:
        own["DRAWDOWN_GATEWAY_KEYS"] = str(keys)
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "api"], env={**os.environ, **given, **own}
    )
    give_up = time.monotonic() + _START_SECONDS
    try:
        while not answers(port, _READY, b"HTTP/1.1 200"):
            assert process.poll() is None, "the API ended"
            assert time.monotonic() < give_up, "the API does not answer"
            time.sleep(0.05)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
