"""uvicorn's protocol, with bounds to what a client may keep a connection's place for.

uvicorn limits how long a connection is idle after an answer, and nothing else. One that sends no
head, or sends it byte by byte, or takes no answer, would keep its place for ever, and needs no key
for that.
"""

import asyncio
from http import HTTPStatus
from typing import Final, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from projections.web.gathering import Gathering
from projections.web.problem import CONTENT_TYPE, Problem

HEAD_SECONDS: Final = 10.0
"""From a connection's start, or the first bytes after an answer, to the end of a request's head."""
MOST_HEAD_BYTES: Final = 65_536
TAKE_SECONDS: Final = 30.0
"""Between two looks at what of an answer its client has not taken."""
LEAST_BYTES: Final = 65_536
"""What a client takes between them, or all of it, unless it stands still."""


class Untaken(NamedTuple):
    """Bytes that wait in this process for the client to take them, and the answer they are of."""

    answer: object
    size: int


def stands_still(before: Untaken | None, now: Untaken) -> bool:
    """Whether the client took next to nothing since `before`, None where it had taken all."""
    if before is None or before.answer is not now.answer:
        return False
    return now.size > max(0, before.size - LEAST_BYTES)


class PunctualProtocol(HttpToolsProtocol):
    """Drops a connection whose head is late, or whose answer is not taken within two looks.

    A head that is too large, or no HTTP at all, is answered.
    """

    _look: asyncio.TimerHandle | None = None
    _untaken: Untaken | None = None
    _late: asyncio.TimerHandle | None = None
    _in_head = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The head of the first request is due from now on; and it is looked at now and then."""
        super().connection_made(Gathering(transport, self.loop))  # type: ignore[arg-type]
        self._expect_head()
        self._look = self.loop.call_later(TAKE_SECONDS, self._look_at_untaken)

    def data_received(self, data: bytes) -> None:
        """Bytes that end no head and are of no request's body are the beginning of the next."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]
            self._expect_head()
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
                detail = f"the head of the request is larger than {MOST_HEAD_BYTES} bytes"
                self._refuse(Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail))

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It came in time."""
        self._in_head = False
        self._expect_no_head()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is expected any more."""
        self._expect_no_head()
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """The client has taken most of what waited: what waits from now on is another matter."""
        self._untaken = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP is told so as everything else is told."""
        self._refuse(Problem(HTTPStatus.BAD_REQUEST, msg))

    def _look_at_untaken(self) -> None:
        """A look now and then, by connection: no request is held up for it."""
        now = Untaken(self.cycle, self.transport.get_write_buffer_size())
        if stands_still(self._untaken, now):
            self.transport.abort()  # to close it would wait for the client, too
            return
        self._untaken = now if now.size else None
        self._look = self.loop.call_later(TAKE_SECONDS, self._look_at_untaken)

    def _expect_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _expect_no_head(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, problem: Problem) -> None:
        """Answer outside of any request, and hear no more."""
        head = (
            f"HTTP/1.1 {problem.status.value} {problem.status.phrase}\r\n"
            f"content-type: {CONTENT_TYPE}\r\ncontent-length: {len(problem.body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + problem.body)
        self.transport.close()
