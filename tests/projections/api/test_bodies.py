"""Bodies of documents: taken apart beside the event loop."""

import asyncio
import threading
from typing import Any

import pytest
from starlette.requests import Request

from projections.api import bodies
from projections.web.budget import SHARE, Budget, Share


def request(body: bytes, media: str) -> Request:
    """One request, with its whole body."""
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"content-type", media.encode())],
        SHARE: Share(Budget(1_000_000)),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    return Request(scope, receive)


@pytest.mark.parametrize(
    ("media", "body", "parser"),
    [
        ("application/yaml", b"kind: Grant", "load_yaml"),
        ("application/json", b'{"kind": "Grant"}', "load_json"),
    ],
)
def test_nobody_waits_for_another_ones_documents(
    monkeypatch: pytest.MonkeyPatch, media: str, body: bytes, parser: str
) -> None:
    """A large one takes seconds."""
    threads = []
    real = getattr(bodies, parser)

    def parse(given: Any) -> Any:
        threads.append(threading.current_thread())
        return real(given)

    monkeypatch.setattr(bodies, parser, parse)
    assert asyncio.run(bodies.read_documents(request(body, media))) == [{"kind": "Grant"}]
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()
