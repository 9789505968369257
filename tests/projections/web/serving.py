"""An application on a real port, served as every service is, in a thread of the test."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from deploy.servers.process import answers, free_port
from projections.web.server import configured

_START_SECONDS = 60.0
MANY = 1_000


@contextmanager
def served(app: ASGIApp, most_connections: int = MANY) -> Iterator[int]:
    """The port on loopback where it answers."""
    port = free_port()
    server = uvicorn.Server(configured(app, "127.0.0.1", port, most_connections))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    give_up = time.monotonic() + _START_SECONDS
    while not answers(port):
        assert time.monotonic() < give_up, "the server does not answer"
        time.sleep(0.02)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join()
