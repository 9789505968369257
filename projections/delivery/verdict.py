"""What follows from an attempt: delivered, once more, dead, or the end of a subscription. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import Final

from projections.delivery.settings import IN_FORCE_SECONDS
from schemas.times import DAY, SECOND

MOST_RETRY_AFTER: Final = DAY
"""A receiver may ask for this much patience at most."""
_JITTER: Final = 5
"""Up to a fifth of a delay is added, so that what failed together does not come back together."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_THROTTLED: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class Kind(Enum):
    """What becomes of a delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an attempt brought: a status, or why there is none. `retry_after` as it came."""

    status: int | None
    why: str = ""
    retry_after: str | None = None

    @property
    def result(self) -> str:
        """For metrics: 2xx … 5xx, or a word."""
        return self.why if self.status is None else f"{self.status // 100}xx"

    @property
    def told(self) -> str:
        """For people."""
        return self.why if self.status is None else f"status {self.status}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`due` is when to try again; nothing else goes to the receiver before `hold`. Instants."""

    kind: Kind
    due: int = 0
    hold: int = 0


def judge(
    answer: Answer, made: int, now: int, delays: Sequence[int], below: Callable[[int], int]
) -> Verdict:
    """The verdict on attempt number `made`, whose answer came at `now`.

    After 410 nothing is sent until it is known whether that receiver is still the one to call.

    `delays` are what is waited after each attempt, in microseconds: one more attempt than there
    are delays. `below(n)` draws an integer of [0, n). Redirects are failures like any other.
    """
    if answer.status is not None and HTTPStatus(200) <= answer.status < 300:
        return Verdict(Kind.DELIVERED)
    if answer.status == HTTPStatus.GONE:
        known = now + int(IN_FORCE_SECONDS * SECOND)
        return Verdict(Kind.GONE, due=known, hold=known)
    if made > len(delays):
        return Verdict(Kind.DEAD)
    delay = delays[made - 1]
    jittered = delay + below(delay // _JITTER + 1)
    asked = retry_after(answer.retry_after, now)
    hold = now + asked if answer.status in _THROTTLED else 0
    return Verdict(Kind.RETRY, now + max(jittered, asked), hold)


def retry_after(text: str | None, now: int) -> int:
    """What a Retry-After header asks for (RFC 9110, 10.2.3), in microseconds; 0 for nonsense."""
    if text is None:
        return 0
    text = text.strip()
    if text.isascii() and text.isdigit():
        asked = int(text) * SECOND if len(text) < 18 else MOST_RETRY_AFTER
    else:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return 0
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        asked = (at - _EPOCH) // timedelta(microseconds=1) - now
    return min(max(asked, 0), MOST_RETRY_AFTER)
