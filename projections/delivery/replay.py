"""Sending again: dead letters of a subscription, or every alert that it wanted since an instant.

What is replayed waits like any other delivery, with all its attempts before it, and the running
dispatchers send it. Receivers drop by `webhook-id` what they have already.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from msgspec.structs import replace

from projections.delivery.dead import read_dead
from projections.delivery.deliveries import DeadLetter, Delivery
from projections.delivery.store import DeliveryStore
from projections.delivery.subscriptions import MOST_ALERT_BYTES, Subscription, head_of
from projections.fold.log import Log
from schemas.topics import ALERTS

_CHUNK: Final = 500
_MILLISECOND: Final = 1_000


def dead_deliveries(
    log: Log, subscription: str, since: int, alert: str | None
) -> Iterator[Delivery]:
    """Of its dead letters since an instant, all or one alert's; each alert once.

    Too large ones stay dead. Raises LogUnavailable.
    """

    def wanted(letter: DeadLetter) -> bool:
        return (
            letter.subscription == subscription
            and letter.at >= since
            and letter.cause != "too_large"
            and alert in (None, letter.delivery.alert)
        )

    return _once(letter.delivery for letter in read_dead(log, wanted))


def logged_deliveries(log: Log, subscription: Subscription, since: int) -> Iterator[Delivery]:
    """Of the alerts logged since an instant, what it wants. Raises LogUnavailable."""
    return _once(_logged(log, subscription, since))


def replay(
    store: DeliveryStore,
    subscription: str,
    deliveries: Iterable[Delivery],
    most_waiting: int,
    now: int,
    wait: Callable[[], None],
) -> int:
    """Let `deliveries`, chosen at `now`, wait to be sent; gives how many did not wait yet.

    `wait` is called while as many wait already as may.
    """
    added, rest = 0, iter(deliveries)
    while chunk := list(islice(rest, min(_CHUNK, most_waiting))):
        while store.waiting([subscription])[subscription] + len(chunk) > most_waiting:
            wait()
        added += store.replay(subscription, [replace(each, taken=now) for each in chunk], now)
    return added


def _logged(log: Log, subscription: Subscription, since: int) -> Iterator[Delivery]:
    partitions = range(log.partitions(ALERTS.name))
    for number, (low, high) in log.bounds(ALERTS.name, partitions).items():
        for _, milliseconds, body, _, _ in log.read(ALERTS.name, number, low, high):
            logged, head = milliseconds * _MILLISECOND, head_of(body)
            if head is None or logged < since or len(body) > MOST_ALERT_BYTES:
                continue
            if subscription.matches(head):
                yield Delivery(head.id, head.subject, body, logged)


def _once(deliveries: Iterable[Delivery]) -> Iterator[Delivery]:
    seen: set[str] = set()
    for each in deliveries:
        if each.alert not in seen:
            seen.add(each.alert)
            yield Delivery(each.alert, each.account, each.body, each.logged)
