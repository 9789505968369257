"""Posts over many connections, on schedule or one after the other: a client that costs little."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

_HEAD_END: Final = b"\r\n\r\n"
_AGAIN_SECONDS: Final = 1.0
Body = Callable[[int], tuple[str, dict[str, Any]]]
"""The path and the body of the n-th request."""


@dataclass
class Taken:
    """Milliseconds of each request: from when it was due, and as the server says."""

    waits: list[float] = field(default_factory=list)
    served: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    again: int = 0
    """Answered 503, and so sent again: that is part of its wait."""

    def percentile(self, of: list[float], per_mille: int) -> float:
        """The smallest that so many of a thousand do not exceed."""
        ordered = sorted(of)
        return round(ordered[min(len(ordered) * per_mille // 1_000, len(ordered) - 1)], 2)


async def at_rate(port: int, body: Body, rate: int, seconds: float, connections: int) -> Taken:
    """`rate` requests a second, each due at its time whatever happened to those before."""
    taken, due = Taken(), asyncio.Queue[tuple[int, float] | None]()
    clients = [asyncio.create_task(_serve(port, body, due, taken)) for _ in range(connections)]
    start, count = time.perf_counter() + 0.1, round(rate * seconds)
    for number in range(count):
        when = start + number / rate
        if (early := when - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        due.put_nowait((number, when))
    for _ in clients:
        due.put_nowait(None)
    await asyncio.gather(*clients)
    return taken


async def all_at_once(port: int, body: Body, count: int, connections: int) -> Taken:
    """`count` requests, as many at a time as there are connections."""
    taken, due = Taken(), asyncio.Queue[tuple[int, float] | None]()
    for number in range(count):
        due.put_nowait((number, 0.0))
    for _ in range(connections):
        due.put_nowait(None)
    await asyncio.gather(*(_serve(port, body, due, taken) for _ in range(connections)))
    return taken


async def _serve(
    port: int, body: Body, due: "asyncio.Queue[tuple[int, float] | None]", taken: Taken
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (item := await due.get()) is not None:
        number, when = item
        path, content = body(number)
        raw = json.dumps(content).encode()
        request = (
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            f"content-length: {len(raw)}\r\n\r\n".encode()
            + raw
        )
        began = when or time.perf_counter()
        writer.write(request)
        while (answered := await _answer(reader))[0] == HTTPStatus.SERVICE_UNAVAILABLE:
            taken.again += 1
            await asyncio.sleep(_AGAIN_SECONDS)
            writer.write(request)
        status, served = answered
        taken.waits.append(1_000 * (time.perf_counter() - began))
        taken.served.append(served)
        taken.statuses[status] = taken.statuses.get(status, 0) + 1
    writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, float]:
    """The status, and the milliseconds that the server tells of."""
    head = await reader.readuntil(_HEAD_END)
    lines = head.lower().split(b"\r\n")
    named = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
    await reader.readexactly(int(named[b"content-length"]))
    return int(lines[0].split(b" ")[1]), float(named[b"server-timing"].partition(b"dur=")[2])
