"""What the API counts: requests, those that it refuses at its door too, and no probes."""

import asyncio
from contextlib import AbstractAsyncContextManager

import httpx
import pytest
from prometheus_client import REGISTRY

from projections.api.app import build_app, guarded
from projections.api.service import Service
from projections.web.middleware import ALWAYS_SERVED


def never() -> AbstractAsyncContextManager[Service]:
    """None of these requests gets as far as to need the service."""
    raise AssertionError


def ask(path: str, most_requests: int) -> int:
    """The status of an answer of an API that serves so many requests at a time."""

    async def asked() -> int:
        transport = httpx.ASGITransport(guarded(build_app(never), 1_000_000, most_requests))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return (await client.get(path)).status_code

    return asyncio.run(asked())


def counted() -> dict[tuple[str, str], float]:
    """Requests by route and status."""
    return {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "drawdown_api_requests_total"
    }


def test_what_is_refused_at_the_door_is_counted_though_it_has_no_route() -> None:
    before = counted().get(("unknown", "503"), 0)
    assert ask("/v1/accounts", most_requests=0) == httpx.codes.SERVICE_UNAVAILABLE
    assert counted()["unknown", "503"] == before + 1


@pytest.mark.parametrize("path", sorted(ALWAYS_SERVED - {"/readyz"}))
def test_a_probe_is_not_counted(path: str) -> None:
    """Else an API that is not ready would seem to refuse; `/readyz` would ask the service."""
    before = counted()
    assert ask(path, most_requests=1) == httpx.codes.OK
    assert counted() == before
