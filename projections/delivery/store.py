"""Deliveries that wait, in Redis: what an attempt failed for, and what no attempt was made for yet.

The position in the log of alerts stands beside them and moves in the same call, so a Redis that
comes back older has both older: the alerts are read again (architecture.md, rule 3). A delivery is
kept with the alert's bytes, not with where they are in the log: a retry then needs nothing but
Redis, outlives the log's retention, and one that is replayed is like any other.
Bounded: `most_waiting` deliveries a subscription, MOST_ALERT_BYTES each.

A delivery is claimed for a while (a lease) by whoever attempts it; if that process dies, it is due
again. All keys share one hash slot: alerts are few beside usage.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, cast

import msgspec
import redis
from redis.exceptions import ResponseError

from projections.delivery.deliveries import Delivery, Stopped
from projections.fold.position import Position, decode_position
from projections.fold.retry import Patience
from schemas.errors import Fenced, StoreError

_SCRIPT: Final = resources.files(__package__).joinpath("deliveries.lua").read_text()
MOST_SETTLED: Final = 10_000
"""Alerts of a subscription that are remembered as settled: repeats of those are not sent."""


_decoder: Final = msgspec.msgpack.Decoder(Delivery)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What is to be attempted now, and when the next is due (None: nothing waits).

    `enabled` stands for the last time that the subscription was enabled again.
    """

    deliveries: list[Delivery]
    next_due: int | None
    enabled: str = ""


class DeliveryStore:
    """Thread-safe. Waits out outages as `patience` says, then raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, prefix: str, patience: Patience) -> None:
        self._client, self._patience = client, patience
        self._script = client.register_script(_SCRIPT)
        self._base = f"{prefix}:{{webhooks}}"
        self._positions = f"{self._base}:positions"
        self._failing = f"{self._base}:failing"
        self._disabled = f"{self._base}:disabled"
        self._enabled = f"{self._base}:enabled"
        self._skipped = f"{self._base}:skipped"

    def position(self, partition: int) -> Position | None:
        """How far a partition of the log is taken in; None where it never was."""
        key, field = self._positions, str(partition)
        raw = cast("bytes | None", self._patience.run(lambda: self._client.hget(key, field)))
        return None if raw is None else decode_position(raw.decode())

    def positions(self) -> dict[int, Position]:
        """How far each partition is taken in; without those that never were."""
        raw = self._patience.run(lambda: self._client.hgetall(self._positions))
        found = cast("dict[bytes, bytes]", raw)
        return {int(number): decode_position(text.decode()) for number, text in found.items()}

    def take(
        self,
        partition: int,
        expected: Position | None,
        target: Position,
        deliveries: Mapping[str, Sequence[Delivery]],
        now: int,
    ) -> int:
        """Keep the deliveries and move the position, both or neither; gives how many are new.

        Due at once, in the order given. Raises Fenced when the position is not `expected`.
        """
        before = "" if expected is None else expected.encode()
        return self._take((str(partition), before, target.encode(), "0"), deliveries, now)

    def replay(self, subscription: str, deliveries: Sequence[Delivery], now: int) -> int:
        """Keep deliveries that may have been settled before; gives how many did not wait yet."""
        return self._take(("", "", "", "1"), {subscription: deliveries}, now)

    def _take(
        self,
        head: tuple[str, str, str, str],
        deliveries: Mapping[str, Sequence[Delivery]],
        now: int,
    ) -> int:
        keys, arguments = [self._positions], list[str | bytes | int](("take", *head))
        for subscription, several in deliveries.items():
            keys += self._keys(subscription)
            arguments.append(len(several))
            for place, each in enumerate(several):
                arguments += (each.alert, now + place, each.encode())
        return int(self._call(keys, arguments))

    def claim(self, subscription: str, now: int, lease: int, most: int) -> Claimed:
        """Take up to `most` deliveries that are due, the earliest first; none while disabled.

        Until `now + lease` nobody else is given them.
        """
        waiting, kept, _ = self._keys(subscription)
        arguments = ["claim", subscription, now, now + lease, most]
        keys = [self._disabled, self._enabled, waiting, kept]
        first, enabled, *found = self._call(keys, arguments)
        deliveries = [_decoder.decode(each) for each in found]
        return Claimed(deliveries, int(first) if first else None, enabled.decode())

    def again(self, subscription: str, delivery: Delivery, due: int, now: int) -> int | None:
        """Keep what an attempt made of it; gives since when the subscription has been failing.

        None when it was settled meanwhile.
        """
        waiting, kept, _ = self._keys(subscription)
        arguments = ["again", subscription, delivery.alert, due, delivery.encode(), now]
        since = self._call([self._failing, waiting, kept], arguments)
        return int(since) if since else None

    def settle(self, subscription: str, alert: str, now: int, *, delivered: bool) -> None:
        """It was delivered, or is a dead letter: it no longer waits."""
        waiting, kept, settled = self._keys(subscription)

        def write() -> None:
            with self._client.pipeline(transaction=True) as pipe:
                pipe.zrem(waiting, alert)
                pipe.hdel(kept, alert)
                pipe.zadd(settled, {alert: now})
                pipe.zremrangebyrank(settled, 0, -(MOST_SETTLED + 1))
                if delivered:
                    pipe.hdel(self._failing, subscription)
                pipe.execute()

        self._patience.run(write)

    def waiting(self, subscriptions: Sequence[str]) -> dict[str, int]:
        """How many deliveries of each wait."""

        def read() -> list[int]:
            with self._client.pipeline(transaction=False) as pipe:
                for each in subscriptions:
                    pipe.zcard(self._keys(each)[0])
                return cast("list[int]", pipe.execute())

        return dict(zip(subscriptions, self._patience.run(read), strict=True))

    def disable(self, subscription: str, why: str, now: int, enabled: str) -> bool:
        """Send nothing more there; the first reason stays. Gives whether this one does.

        It does not where the subscription was enabled since it was `enabled` as it was claimed:
        what its receiver answered before counts no more.
        """
        told = msgspec.json.encode(Stopped(now, why))
        keys = [self._disabled, self._enabled]
        return bool(self._call(keys, ["disable", subscription, told, enabled]))

    def disabled(self) -> dict[str, Stopped]:
        """What is disabled by what its receivers answered."""
        raw = self._patience.run(lambda: self._client.hgetall(self._disabled))
        found = cast("dict[bytes, bytes]", raw)
        return {
            name.decode(): msgspec.json.decode(told, type=Stopped) for name, told in found.items()
        }

    def skip(self, since: Mapping[str, int]) -> None:
        """Remember from when on alerts were skipped, for subscriptions that are disabled."""
        if since:
            key, first = self._skipped, dict(since)
            self._patience.run(lambda: self._client.zadd(key, first, lt=True))

    def skipped(self) -> dict[str, int]:
        """By subscription, when the first skipped alert was logged that nobody was told of."""
        key = self._skipped
        raw = self._patience.run(lambda: self._client.zrange(key, 0, -1, withscores=True))
        found = cast("list[tuple[bytes, float]]", raw)
        return {name.decode(): int(first) for name, first in found}

    def take_skipped(self, subscription: str) -> int | None:
        """Give that instant, and forget it: whoever calls tells it. None: nothing was skipped.

        An alert that is skipped later is remembered anew.
        """

        def take() -> float | None:
            with self._client.pipeline(transaction=True) as pipe:
                pipe.zscore(self._skipped, subscription)
                pipe.zrem(self._skipped, subscription)
                return cast("float | None", pipe.execute()[0])

        first = self._patience.run(take)
        return None if first is None else int(first)

    def enable(self, subscription: str) -> None:
        """Send again, what waits first. What was skipped stays remembered (`take_skipped`)."""

        def write() -> None:
            with self._client.pipeline(transaction=True) as pipe:
                pipe.hdel(self._disabled, subscription)
                pipe.hdel(self._failing, subscription)
                pipe.hset(self._enabled, subscription, secrets.token_hex(8))
                pipe.execute()

        self._patience.run(write)

    def forget(self, subscription: str) -> None:
        """Drop all that is known of a subscription."""
        keys, by_name = self._keys(subscription), (self._disabled, self._failing, self._enabled)

        def write() -> None:
            with self._client.pipeline(transaction=True) as pipe:
                for key in by_name:
                    pipe.hdel(key, subscription)
                pipe.zrem(self._skipped, subscription)
                pipe.delete(*keys)
                pipe.execute()

        self._patience.run(write)

    def forget_positions(self) -> None:
        """Begin again at the start of the log; what is remembered as settled is not sent again."""
        self._patience.run(lambda: self._client.delete(self._positions))

    def _keys(self, subscription: str) -> tuple[str, str, str]:
        base = f"{self._base}:{subscription}"
        return f"{base}:waiting", f"{base}:kept", f"{base}:settled"

    def _call(self, keys: Sequence[str], arguments: Sequence[Any]) -> Any:  # noqa: ANN401
        try:
            return self._patience.run(lambda: self._script(keys=keys, args=arguments))
        except ResponseError as error:
            if str(error).startswith("FENCED"):
                raise Fenced(f"another dispatcher took this partition: {error}") from error
            raise StoreError(str(error)) from error
