"""What is written in one turn of the loop leaves at once, in order, and before the end."""

import asyncio
from typing import Any, Final, cast

from projections.web.gathering import Gathering

_PATIENCE: Final = 60.0


class Noting(asyncio.Transport):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def write(self, data: Any) -> None:
        """Note the bytes."""
        self.told.append(bytes(data))

    def close(self) -> None:
        """Note it."""
        self.told.append("close")

    def abort(self) -> None:
        """Note it."""
        self.told.append("abort")

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return "close" in self.told


def test_writes_of_one_turn_leave_together() -> None:
    async def write() -> list[Any]:
        noting = Noting()
        transport = Gathering(noting, asyncio.get_running_loop())
        transport.write(b"head")
        transport.write(b"body")
        assert noting.told == []
        await asyncio.sleep(0)
        transport.write(b"next")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return noting.told

    assert asyncio.run(write()) == [b"headbody", b"next"]


def test_what_is_held_is_written_before_the_end_and_dropped_by_an_abort() -> None:
    async def write() -> tuple[list[Any], list[Any]]:
        closed, aborted = Noting(), Noting()
        loop = asyncio.get_running_loop()
        transport = Gathering(closed, loop)
        transport.write(b"last")
        transport.close()
        assert transport.is_closing()
        other = Gathering(aborted, loop)
        other.write(b"never")
        other.abort()
        await asyncio.sleep(0)
        return closed.told, aborted.told

    assert asyncio.run(write()) == ([b"last", "close"], ["abort"])


def test_a_large_answer_comes_whole_through_a_real_connection() -> None:
    wanted = [bytes([number]) * 100_000 for number in range(50)]

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            gathering = Gathering(cast("asyncio.Transport", transport), asyncio.get_running_loop())
            for piece in wanted:
                gathering.write(piece)
            gathering.close()

    async def exchange() -> bytes:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            async with asyncio.timeout(_PATIENCE):
                found = await reader.read()
            writer.close()
            return found

    assert asyncio.run(exchange()) == b"".join(wanted)
