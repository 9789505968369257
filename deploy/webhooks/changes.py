"""What `drawdown subscriptions` does: changes to the file, and to what is kept in Redis beside it.

All raise ConfigurationError for what is not there or not valid, StoreUnavailable when Redis is not.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from deploy.settings import Settings
from deploy.webhooks.dispatcher import file_of, store_of
from projections.delivery.files import load_subscriptions, save_subscriptions
from projections.delivery.settings import IN_FORCE_SECONDS
from projections.delivery.subscriptions import (
    Subscription,
    Subscriptions,
    new_secret,
    new_subscription,
)
from projections.files import locked
from schemas.errors import ConfigurationError, faults_of
from schemas.times import TimeError, format_instant, parse_duration

T = TypeVar("T")


def add(
    settings: Settings,
    identity: str,
    url: str,
    types: Sequence[str],
    accounts: Sequence[str],
    contracts: Sequence[str],
    *,
    allow_private: bool,
) -> str:
    """Subscribe from now on; gives the secret, which is not shown again."""
    path = file_of(settings)
    one, secret = _checked(
        lambda: new_subscription(
            identity, url, _now(), types, accounts, contracts, allow_private=allow_private
        )
    )
    with locked(path):
        known = _known(path)
        if known.find(identity) is not None:
            raise ConfigurationError(f"there is a subscription {identity} already")
        store_of(settings).forget(identity)  # what another of this id may have left
        save_subscriptions(path, _checked(lambda: known.with_one(one)))
    return secret


def describe(settings: Settings) -> list[str]:
    """A line for each: where, whether it is disabled, what waits, since when it misses alerts."""
    found = _known(file_of(settings)).subscriptions
    held = store_of(settings)
    waiting, stopped = held.waiting([each.id for each in found]), held.disabled()
    missed = held.skipped()
    lines = []
    for each in found:
        filters = [f"type {name}" for name in sorted(each.types or ())]
        filters += [f"account {name}" for name in sorted(each.accounts or ())]
        filters += [f"contract {name}" for name in sorted(each.contracts or ())]
        why = each.disabled or stopped.get(each.id)
        state = "enabled" if why is None else f"disabled {format_instant(why.at)}: {why.why}"
        held_back = [f"{waiting[each.id]} waiting"]
        if each.id in missed:
            held_back.append(f"skipped since {format_instant(missed[each.id])}")
        lines.append("  ".join([each.id, each.url, state, *held_back, *filters]))
    return lines


def rotate(settings: Settings, identity: str, keep: str) -> str:
    """Give it a new secret, which is told; the old one signs, too, for as long as `keep`."""
    path, fresh = file_of(settings), new_secret()
    with locked(path):
        known = _known(path)
        one = _find(known, identity)
        changed = _checked(lambda: one.rotated(fresh, _now(), parse_duration(keep).microseconds))
        save_subscriptions(path, known.with_one(changed))
    return fresh


def disable(settings: Settings, identity: str, why: str) -> None:
    """Send nothing more; what waits is kept."""
    path = file_of(settings)
    with locked(path):
        known = _known(path)
        stopped = _checked(lambda: _find(known, identity).stopped(_now(), why))
        save_subscriptions(path, known.with_one(stopped))


def enable(settings: Settings, identity: str) -> None:
    """Send again, what waits first; `skipped` tells what came meanwhile."""
    path = file_of(settings)
    with locked(path):
        known = _known(path)
        one = _find(known, identity)
        save_subscriptions(path, known.with_one(one.changed(disabled=None)))
        store_of(settings).enable(identity)


def skipped(settings: Settings, identity: str) -> str | None:
    """Since when alerts were skipped that nobody was told of, None for none; once.

    Waits first until dispatchers have read the file again: they go on skipping until then.
    """
    time.sleep(IN_FORCE_SECONDS)
    held = store_of(settings)
    seen = held.skipped().get(identity)  # told also where the answer to what takes it is lost
    taken = held.take_skipped(identity)
    since = seen if taken is None else taken
    return None if since is None else format_instant(since)


def remove(settings: Settings, identity: str) -> None:
    """Forget it, and what waits for it."""
    path = file_of(settings)
    with locked(path):  # until all is forgotten: another of this id may be added then
        known = _known(path)
        _find(known, identity)
        save_subscriptions(path, known.without(identity))
        store_of(settings).forget(identity)


def _now() -> int:
    return time.time_ns() // 1_000


def _known(path: Path) -> Subscriptions:
    return load_subscriptions(path) if path.exists() else Subscriptions()


def _find(known: Subscriptions, identity: str) -> Subscription:
    found = known.find(identity)
    if found is None:
        raise ConfigurationError(f"no subscription {identity}")
    return found


def _checked(make: Callable[[], T]) -> T:
    try:
        return make()
    except ValidationError as error:
        raise ConfigurationError(faults_of(error)) from None
    except TimeError as error:
        raise ConfigurationError(str(error)) from error
