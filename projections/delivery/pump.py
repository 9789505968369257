"""One task a subscription: claims what is due, attempts it, keeps what came of it.

What waits was wanted when it was taken; what is posted is wanted by the subscription that gives URL
and secrets, so that nothing goes to another one of the same name.
A slow receiver fills its own places only. The order of a subscription's alerts is that of the log
as far as attempts succeed at once, and is not promised: `data.position` orders an account's.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from msgspec.structs import replace

from projections.delivery.dead import write_dead
from projections.delivery.deliveries import DeadLetter, Delivery
from projections.delivery.sender import Sender
from projections.delivery.settings import IN_FORCE_SECONDS, STAGE, DeliverySettings
from projections.delivery.store import DeliveryStore
from projections.delivery.subscriptions import Subscription, head_of
from projections.delivery.verdict import Answer, Kind, Verdict, judge
from projections.fold.outbox import Outbox
from projections.metrics import (
    WEBHOOK_ATTEMPT_SECONDS,
    WEBHOOK_ATTEMPTS,
    WEBHOOK_DELIVERY_SECONDS,
    WEBHOOKS,
)
from schemas.times import SECOND, format_instant

logger = logging.getLogger("drawdown")
T = TypeVar("T")
_LEASE_MARGIN: Final = 5 * SECOND
"""Beyond an attempt's time-out: to keep what came of it."""
_LOOK_SECONDS: Final = 1.0
"""What another process put into the store, or left there, is seen after this."""
_draw: Final = random.SystemRandom()


@dataclass(frozen=True)
class Tools:
    """What every pump works with; calls that block run in `threads`."""

    settings: DeliverySettings
    store: DeliveryStore
    sender: Sender
    outbox: Outbox
    threads: ThreadPoolExecutor

    async def run(self, call: Callable[[], T]) -> T:
        """The call's answer, from a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, call)


def clock() -> int:
    """Now, microseconds."""
    return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One that was made: what it brought, at an instant. `enabled` is as it was claimed."""

    delivery: Delivery
    enabled: str
    answer: Answer
    verdict: Verdict
    at: int


class Pump:
    """Runs until `find` gives no subscription; then waits for what is under way.

    `find` gives the subscription as it is now, None when it is gone, disabled, or all stops.
    """

    def __init__(
        self, identity: str, find: Callable[[], Subscription | None], tools: Tools
    ) -> None:
        self._identity, self._find, self._tools = identity, find, tools
        self._changed = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._held_until = self._in_doubt = 0

    def wake(self) -> None:
        """There may be something new."""
        self._changed.set()

    async def run(self) -> None:
        """Raises what the store and the dead letters raise."""
        async with asyncio.TaskGroup() as group:
            while (subscription := self._find()) is not None:
                self._changed.clear()
                pause = await self._round(subscription, group)
                try:
                    await asyncio.wait_for(self._changed.wait(), pause)
                except TimeoutError:
                    continue

    async def _round(self, subscription: Subscription, group: asyncio.TaskGroup) -> float:
        """Start attempts where there are free places; gives the seconds until it may be again."""
        settings, now = self._tools.settings, clock()
        free = settings.concurrency - len(self._under_way)
        if free <= 0 or self._in_doubt or now < self._held_until:
            return _LOOK_SECONDS
        lease = settings.timeout_seconds * SECOND + _LEASE_MARGIN
        claimed = await self._tools.run(
            lambda: self._tools.store.claim(self._identity, now, lease, free)
        )
        for delivery in claimed.deliveries:
            task = group.create_task(self._deliver(subscription, delivery, claimed.enabled))
            self._under_way.add(task)
            task.add_done_callback(self._ended)
        if claimed.next_due is None:
            return _LOOK_SECONDS
        return min(max(claimed.next_due - clock(), 0) / SECOND, _LOOK_SECONDS)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._changed.set()

    async def _deliver(self, subscription: Subscription, delivery: Delivery, enabled: str) -> None:
        if not _matches(subscription, delivery):
            await self._leave(delivery)
            return
        tools = self._tools
        with WEBHOOK_ATTEMPT_SECONDS.labels(STAGE).time():
            answer = await tools.sender.attempt(subscription, delivery, clock())
        WEBHOOK_ATTEMPTS.labels(answer.result).inc()
        made, now = replace(delivery, made=delivery.made + 1), clock()
        verdict = judge(answer, made.made, now, tools.settings.delays, _draw.randrange)
        WEBHOOKS.labels(verdict.kind.value).inc()
        self._held_until = max(self._held_until, verdict.hold)
        attempt = _Attempt(made, enabled, answer, verdict, now)
        await tools.run(lambda: self._keep(attempt))
        if verdict.kind is Kind.GONE:
            await self._gone(subscription, enabled)

    async def _leave(self, delivery: Delivery) -> None:
        """Settle, unsent, what was taken for other filters, or for another one of this name.

        Not what was taken just now: whoever took it may have read a newer file than this process
        has. What that file wants is due again when its lease ends.
        """
        age_seconds = (clock() - delivery.taken) / SECOND
        await asyncio.sleep(max(0.0, min(IN_FORCE_SECONDS, IN_FORCE_SECONDS - age_seconds)))
        present = self._find()
        if present is None or _matches(present, delivery):
            return
        name, alert, now = self._identity, delivery.alert, clock()
        await self._tools.run(lambda: self._tools.store.settle(name, alert, now, delivered=False))
        WEBHOOKS.labels("unwanted").inc()
        logger.info("%s: alert %s is not sent: its filters do not want it", name, alert)

    async def _gone(self, asked: Subscription, enabled: str) -> None:
        """Disable it, if it is still the one that was asked once its file was read again."""
        self._in_doubt += 1  # the verdict's hold is over before the store knows
        await asyncio.sleep(IN_FORCE_SECONDS)
        present, now = self._find(), clock()
        if present is not None and present.receiver == asked.receiver:
            await self._tools.run(lambda: self._disable("410 Gone", now, enabled))
        self._in_doubt -= 1

    def _keep(self, attempt: _Attempt) -> None:
        """What came of it, in the store; runs in a thread."""
        store, name, told = self._tools.store, self._identity, attempt.answer.told
        delivery, verdict, now = attempt.delivery, attempt.verdict, attempt.at
        match verdict.kind:
            case Kind.DELIVERED:
                WEBHOOK_DELIVERY_SECONDS.labels(STAGE).observe(
                    max(now - delivery.logged, 0) / SECOND
                )
                store.settle(name, delivery.alert, now, delivered=True)
            case Kind.DEAD:
                letter = DeadLetter(name, delivery, "exhausted", now, told)
                write_dead(self._tools.outbox, [letter])
                store.settle(name, delivery.alert, now, delivered=False)
                logger.warning("%s: alert %s is a dead letter: %s", name, delivery.alert, told)
            case Kind.GONE:
                store.again(name, delivery, verdict.due, now)
            case Kind.RETRY:
                since = store.again(name, delivery, verdict.due, now)
                logger.info("%s: attempt %d failed: %s", name, delivery.made, told)
                if since is not None and now - since >= self._tools.settings.disable_after:
                    why = f"nothing but failures since {format_instant(since)}"
                    self._disable(why, now, attempt.enabled)

    def _disable(self, why: str, now: int, enabled: str) -> None:
        """Unless it was enabled since, by who knows of what its receiver answered before."""
        if self._tools.store.disable(self._identity, why, now, enabled):
            logger.warning("%s is disabled: %s", self._identity, why)


def _matches(subscription: Subscription, delivery: Delivery) -> bool:
    """By its filters only: what is replayed may be older than the subscription."""
    head = head_of(delivery.body)
    return head is not None and subscription.matches(head)
