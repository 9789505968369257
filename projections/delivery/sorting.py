"""What becomes of each alert of a batch: to whom it goes, and what cannot go. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from projections.delivery.deliveries import NOBODY, DeadLetter, Delivery
from projections.delivery.subscriptions import (
    MOST_ALERT_BYTES,
    Subscription,
    head_of,
)


@dataclass(frozen=True, slots=True)
class Logged:
    """A record of the log of alerts, and when the log took it (microseconds)."""

    body: bytes
    at: int


@dataclass(slots=True)
class Sorted:
    """By subscription: what is `taken`, in the log's order; when what is `skipped` was logged."""

    taken: dict[str, list[Delivery]] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)
    skipped: dict[str, list[int]] = field(default_factory=dict)


def sort(
    batch: Iterable[Logged],
    subscriptions: Sequence[Subscription],
    stopped: AbstractSet[str],
    waiting: Mapping[str, int],
    most_waiting: int,
    now: int,
) -> Sorted:
    """Sort a batch at `now`. `stopped` are disabled; `waiting` says how many of each wait already.

    Alerts for a disabled subscription stay in the log, from where they can be replayed.
    """
    found = Sorted()
    for record in batch:
        head = head_of(record.body)
        if head is None:
            nobodys = Delivery("", "", record.body, record.at)
            found.dead.append(DeadLetter(NOBODY, nobodys, "invalid", now))
            continue
        delivery = Delivery(head.id, head.subject, record.body, record.at, taken=now)
        for each in subscriptions:
            if not each.wants(head, record.at):
                continue
            if each.id in stopped:
                found.skipped.setdefault(each.id, []).append(record.at)
                continue
            taken = found.taken.setdefault(each.id, [])
            cause = _hindrance(delivery, waiting.get(each.id, 0) + len(taken), most_waiting)
            if cause is None:
                taken.append(delivery)
            else:
                found.dead.append(DeadLetter(each.id, delivery, cause, now))
    return found


def _hindrance(delivery: Delivery, waiting: int, most_waiting: int) -> str | None:
    if len(delivery.body) > MOST_ALERT_BYTES:
        return "too_large"
    return "overflow" if waiting >= most_waiting else None
