"""Limits: budgets of an account or an entity, by the day, week or month (credits.md section 5)."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from tests.simulation.audit.lines import Line
from tests.simulation.audit.terms import Fields, Terms, text_of

REACHED: Final = "credits.limit.reached"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Events = Mapping[tuple[str, str, str], Fields]
Key = tuple[Any, ...]


class Budgets:
    """What was spent of each limit, by scope, period and entity; `events` has those of lines."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._spent: dict[Key, Fraction] = {}
        self._reached: set[Key] = set()

    def passed(self, line: Line, terms: Terms) -> bool:
        """Whether a line would pass a limit; one that costs nothing passes none."""
        return line.cost > 0 and any(
            self._spent.get(key, 0) + line.cost > Fraction(limit["amount"])
            for limit, key in self._of(line, terms)
        )

    def count(self, line: Line, terms: Terms) -> Iterator[Fields]:
        """Add a line that was drawn; the limits that it reaches, as they are to be told."""
        for limit, key in list(self._of(line, terms)):
            spent = self._spent[key] = self._spent.get(key, Fraction(0)) + line.cost
            if spent < Fraction(limit["amount"]):
                self._reached.discard(key)
            elif key not in self._reached:
                self._reached.add(key)
                about = {"rule": limit["id"], "threshold": limit["amount"], "entity": key[-1]}
                yield {"type": REACHED, "contract": line.contract, "amount": spent} | about

    def _of(self, line: Line, terms: Terms) -> Iterator[tuple[Fields, Key]]:
        """The limits that a line counts towards, of the revision in force at event time."""
        zone = terms.accounts[line.account].get("time_zone", "UTC")
        for limit in line.terms(terms).get("limits") or ():
            if limit.get("products") and line.product not in limit["products"]:
                continue
            entity = None
            if limit["by"] != "account" and (entity := self._entity(line, limit["by"])) is None:
                continue
            start = _start(line.time, limit["period"], zone)
            yield limit, (line.account, line.contract, limit["id"], start, entity)

    def _entity(self, line: Line, path: str) -> str | None:
        """A fee and a capture have no data, and so no entity."""
        if line.source is None:
            return None
        value: Any = self._events[line.account, line.source, line.id]["data"]
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return text_of(value)


def _start(time: int, period: str, time_zone: str) -> date:
    """The local day on which the budget of event time begins: it, its Monday, its month's first."""
    day = (_EPOCH + timedelta(microseconds=time)).astimezone(ZoneInfo(time_zone)).date()
    if period == "weekly":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "monthly" else day
