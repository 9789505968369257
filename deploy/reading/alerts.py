"""The alerts as they happened, each once: what `drawdown alerts` shows."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from projections.fold.log import Log
from schemas.times import parse_instant
from schemas.topics import ALERTS

POLL_SECONDS: Final = 0.5
MOST_REMEMBERED: Final = 1_000_000
_LISTED: Final = (
    "contract",
    "rule",
    "threshold",
    "entity",
    "grant",
    "request",
    "amount",
    "available",
    "issued",
)


class Seen:
    """Ids seen before: of a crossing written again, all but the first are repeats."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_new(self, identity: str) -> bool:
        """Whether this id was not seen before; remembers it."""
        if identity in self._ids:
            return False
        self._ids[identity] = None
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)
        return True


def read_alerts(log: Log, account: str | None = None, *, follow: bool) -> Iterator[dict[str, Any]]:
    """CloudEvents, by time, then account; with `follow`, then for ever whatever comes.

    Raises LogUnavailable.
    """
    partitions = range(log.partitions(ALERTS.name))
    bounds = log.bounds(ALERTS.name, partitions)
    read_to = {number: low for number, (low, _) in bounds.items()}
    seen = Seen()
    while True:
        ends = log.ends(ALERTS.name, partitions)
        arrived = []
        for number in partitions:
            for record in log.read(ALERTS.name, number, read_to[number], ends[number]):
                event = msgspec.json.decode(record[2])
                if seen.is_new(event["id"]) and account in (None, event["subject"]):
                    arrived.append(event)
            read_to[number] = max(read_to[number], ends[number])
        yield from sorted(
            arrived, key=lambda event: (parse_instant(event["time"]), event["subject"])
        )
        if not follow:
            return
        time.sleep(POLL_SECONDS)


def one_line(event: dict[str, Any]) -> str:
    """An alert for people."""
    data = event.get("data") or {}
    details = " ".join(f"{name}={data[name]}" for name in _LISTED if data.get(name) is not None)
    return f"{event['time']}  {event['type']:28} {event['subject']}  {details}".rstrip()
