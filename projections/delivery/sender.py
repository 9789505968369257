"""One attempt over HTTP: signed, to an address that was judged, no redirect followed.

aiohttp makes the sockets; `socket_factory` is asked for each one with the very address that it will
be connected to, so what is judged is what is called, whatever a name resolves to a moment later.
The certificate is checked against the name. No proxy, cookie or .netrc is taken from the
environment. Connections are kept by who may use them: strict subscriptions never get one that was
made for a subscription with private addresses, nor https one that was made for http.

Names are resolved in the threads of the loop's default executor: each that hangs takes one until
the system gives up, however many attempts wait for it. So there are threads enough for all names.
"""

import asyncio
import errno
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import aiohttp
from yarl import URL

from projections.delivery.addresses import is_allowed
from projections.delivery.deliveries import Delivery
from projections.delivery.signing import headers
from projections.delivery.subscriptions import MOST_SUBSCRIPTIONS, Subscription
from projections.delivery.verdict import Answer

MOST_ANSWER_BYTES: Final = 65_536
"""Of an answer's body: all but its end is of no interest."""
_IDLE_SECONDS: Final = 2.0
"""Receivers close idle connections, and a POST on one that is closing is a failed attempt."""
_MOST_NAMES: Final = MOST_SUBSCRIPTIONS
"""Resolved at a time: one of each subscription."""
_REFUSED: Final = "the address is not allowed"


class _RefusedError(OSError):
    """The address must not be called."""


class Sender:
    """Attempts deliveries. Made and closed in the event loop that it is used from.

    That loop's default executor becomes one for names: it starts a thread where none is idle.
    """

    def __init__(self, timeout_seconds: int) -> None:
        names = ThreadPoolExecutor(_MOST_NAMES, thread_name_prefix="names")
        asyncio.get_running_loop().set_default_executor(names)
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._sessions = {
            (allow, secure): self._session(allow_private=allow, secure=secure)
            for allow, secure in ((False, True), (True, True), (True, False))
        }

    async def attempt(self, subscription: Subscription, delivery: Delivery, now: int) -> Answer:
        """Send the alert; gives what came of it. Does not raise for what the outside does."""
        signed = headers(delivery.alert, delivery.body, now, subscription.signing(now))
        url = URL(subscription.url)
        session = self._sessions[subscription.allow_private, url.scheme == "https"]
        try:
            async with session.post(
                url, data=delivery.body, headers=signed, allow_redirects=False
            ) as response:
                answer = Answer(response.status, retry_after=response.headers.get("retry-after"))
                await self._finish(response)
                return answer
        except TimeoutError:
            return Answer(None, "timeout")
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
            return Answer(None, "tls")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            refused = _REFUSED in str(error)
            return Answer(None, "refused" if refused else "connection")

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()

    async def _finish(self, response: aiohttp.ClientResponse) -> None:
        """Read a short answer to its end, so that its connection can be used again."""
        try:
            await response.content.readexactly(MOST_ANSWER_BYTES)
        except asyncio.IncompleteReadError:
            return
        except (TimeoutError, aiohttp.ClientError):
            pass  # its status was told: what follows changes nothing
        response.close()

    def _session(self, *, allow_private: bool, secure: bool) -> aiohttp.ClientSession:
        def judged(info: aiohttp.AddrInfoType) -> socket.socket:
            family, kind, protocol, _, address = info
            if not is_allowed(str(address[0]), allow_private=allow_private, secure=secure):
                raise _RefusedError(errno.EACCES, _REFUSED)
            return socket.socket(family, kind, protocol)

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=_IDLE_SECONDS, socket_factory=judged
            ),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"user-agent": "Drawdown", "accept-encoding": "identity"},
            trust_env=False,
        )
