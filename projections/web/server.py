"""The process of an HTTP service: uvicorn around the application, until SIGTERM or Ctrl-C."""

import logging
import resource
import signal
from typing import Any, Final

import uvicorn

from projections.confirming import ANSWER_SECONDS
from projections.web.protocol import PunctualProtocol

log = logging.getLogger("drawdown")
_IDLE_SECONDS: Final = 30
_OTHER_FILES: Final = 256
"""Of clients of Kafka and Redis, and of the interpreter."""


def configured(app: Any, host: str, port: int, most_connections: int) -> uvicorn.Config:  # noqa: ANN401 - any ASGI application
    """How every service is served.

    `most_connections` is the last line: beyond it uvicorn answers a bare 503. It belongs well above
    the requests that the application takes at a time (`middleware.Bounded`), for a connection that
    waits for its client's next request has a place, too.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=PunctualProtocol,
        ws="none",
        log_config=None,  # as everything else is: `projections.logs`
        log_level="error",  # its warnings are one a bad request, so anybody could fill the disk
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=most_connections,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=int(ANSWER_SECONDS) + 1,
    )


def serve(app: Any, host: str, port: int, most_connections: int) -> None:  # noqa: ANN401
    """Serve until stopped; what is under way is answered first."""
    _allow_files(most_connections + _OTHER_FILES)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises again in the end what it caught
    uvicorn.Server(configured(app, host, port, most_connections)).run()


def _allow_files(wanted: int) -> None:
    """Each connection is a file: raise this process's own limit, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("only %d files may be open, %d are wanted: raise the limit", allowed, wanted)
