"""Attempts over real sockets; names are resolved as each test says."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from projections.delivery.deliveries import Delivery
from projections.delivery.sender import Sender
from projections.delivery.subscriptions import Subscription, new_subscription
from projections.delivery.verdict import Answer

NOW: Final = 1_800_000_000_000_000
RESOLVE: Final = socket.getaddrinfo
Resolving = Callable[[dict[str, str]], threading.Event]


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolving]:
    """Names lead to the addresses that it is given, `hangs…` to nothing until the event is set."""
    over = threading.Event()

    def give(names: dict[str, str]) -> threading.Event:
        def resolve(host: Any, *rest: Any, **more: Any) -> Any:
            if str(host).startswith("hangs"):
                over.wait()
                raise socket.gaierror(socket.EAI_AGAIN, "no name server answers")
            return RESOLVE(names.get(host, host), *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        return over

    yield give
    over.set()


def to(url: str) -> Subscription:
    """A subscription to it."""
    return new_subscription("crm", url, NOW, allow_private=True)[0]


async def attempted(sender: Sender, url: str) -> Answer:
    """What an attempt brings."""
    return await sender.attempt(to(url), Delivery("alert", "acme", b"{}", NOW), NOW)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n{}")
    writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


async def answers(over: threading.Event, *urls: str) -> list[Answer]:
    """Of attempts that begin one after the other; PORT stands for a server that answers 204."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    sender = Sender(timeout_seconds=10)  # of a busy machine, too
    try:
        tasks = []
        for url in urls:
            tasks.append(asyncio.create_task(attempted(sender, url.replace("PORT", port))))
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks)
    finally:
        over.set()  # the loop waits for its threads
        await sender.close()
        server.close()


def test_http_goes_to_private_addresses_only(resolving: Resolving) -> None:
    """Whatever the name: without TLS, anybody on the way to a public one reads the alert."""
    over = resolving({"public.example": "93.184.216.34", "private.example": "127.0.0.1"})
    urls = "http://private.example:PORT/", "http://public.example:PORT/"
    found = asyncio.run(answers(over, *urls))
    assert found == [Answer(204), Answer(None, "refused")]


def test_a_name_that_hangs_holds_up_no_other(resolving: Resolving) -> None:
    """More of them than the loop's own threads are on any machine, and each is of another's."""
    over = resolving({"private.example": "127.0.0.1"})
    hanging = [f"https://hangs-{number}.example/" for number in range(40)]
    found = asyncio.run(answers(over, *hanging, "http://private.example:PORT/"))
    assert found == [Answer(None, "timeout")] * 40 + [Answer(204)]
