"""Raw records over the whole domain of credits.md: documents, usage, corrections, and bad ones.

Made as the history goes, from the seed: a void names usage that the ledger holds by then.
"""

import json
from collections.abc import Callable
from random import Random
from typing import Any, Final

from projections.reading.usage import entered, rows_of
from schemas.documents import VoidUsage, canonical, parse_document
from schemas.partition import partition_of
from schemas.reasons import Refusal
from schemas.times import DAY, SECOND, format_instant, parse_instant
from schemas.topics import CATALOG, CREDITS, LEDGER, USAGE
from tests.simulation import commands, documents, terms
from tests.simulation.clock import HOUR, MINUTE
from tests.simulation.log import Broker
from tests.simulation.odds import pick, swarm

START: Final = parse_instant("2026-03-01T00:00:00Z")
GAPS: Final = (
    (0, 30),
    (3 * SECOND, 30),
    (5 * MINUTE, 16),
    (3 * HOUR, 14),
    (2 * DAY, 5),
    (9 * DAY, 1),
)
Note = Callable[..., None]
Fields = dict[str, Any]


class Traffic:
    """`send` writes one more record; `left` is how many are still to come."""

    def __init__(self, chance: Random, broker: Broker, partitions: int) -> None:
        self._chance, self._broker, self._partitions = chance, broker, partitions
        self.accounts = chance.sample(terms.ACCOUNTS, chance.randint(1, 3))
        opening = documents.opening(chance, self.accounts)
        self.left = len(opening) + chance.randint(15, 45)
        self._opening = opening[::-1]
        self._sent: list[Fields] = []
        self._number = 0
        self._ends: list[tuple[str, int]] = []
        self._holds: list[tuple[str, str]] = []
        self._kinds = swarm(
            chance,
            {
                self._usage: 56,
                self._again: 15,
                self._changed: 4,
                self._poison: 5,
                self._command: 16,
                self._void: 8,
                self._missed: 6,
                self._hold: 14,
                self._update: 4,
            },
        )

    def send(self, note: Note) -> None:
        """Time passes, and a record comes."""
        if not self.left:
            return
        self.left -= 1
        spans, weights = zip(*GAPS, strict=True)
        span = self._chance.choices(spans, weights)[0]
        if self._opening and span >= DAY:
            span = SECOND
        self._broker.clock.advance(self._chance.randint(0, span))
        if self._opening:
            self._document(self._opening.pop(), note)
            return
        pick(self._chance, self._kinds)(note)

    def storm(self, note: Note) -> None:
        """Clients that saw an outage send once more what they are not sure of."""
        recent = self._sent[-12:]
        for event in self._chance.sample(recent, self._chance.randint(0, len(recent))):
            self._event(event, note)

    @property
    def _now(self) -> int:
        return self._broker.clock.now

    def _id(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}{self._number}"

    def _document(self, fields: Fields, note: Note) -> None:
        value = json.dumps(fields).encode()
        parsed = parse_document(value)
        assert not isinstance(parsed, list), (parsed, fields)
        note("document", fields)
        if fields["kind"] == "Grant" and fields.get("expires_at"):
            self._ends.append((fields["account"], parse_instant(fields["expires_at"])))
        if fields["kind"] in {"Product", "RateCard", "Pack"}:
            self._broker.append((CATALOG.name, 0), fields["id"].encode(), value, None)
        else:
            self._credits(str(fields.get("account", fields["id"])), value)

    def _credits(self, account: str, value: bytes) -> None:
        number = partition_of(account, self._partitions)
        self._broker.append((CREDITS.name, number), account.encode(), value, None)

    def _usage(self, note: Note) -> None:
        late = self._chance.choices(
            (0, MINUTE, 5 * HOUR, 3 * DAY, 4 * DAY, -3 * MINUTE, -HOUR), (50, 15, 15, 6, 1, 4, 1)
        )[0]
        if late > 0:
            late = self._chance.randint(0, late)
        self._new(self._chance.choice(self.accounts), self._now - late, note)

    def _missed(self, note: Note) -> None:
        """Usage of a grant's last minutes, that comes after its end."""
        ended = [each for each in self._ends if self._now - 3 * DAY < each[1] <= self._now]
        if not ended:
            return self._usage(note)
        account, end = self._chance.choice(ended)
        return self._new(account, end - self._chance.randint(1, 10 * MINUTE), note)

    def _new(self, account: str, time: int, note: Note) -> None:
        event: Fields = {
            "specversion": "1.0",
            "id": self._id("e"),
            "source": self._chance.choice(("api", "sdk")),
            "type": self._chance.choice(documents.EVENT_TYPES),
            "subject": account,
            "time": format_instant(time),
            "data": documents.data(self._chance),
        }
        if self._chance.random() < 0.1:
            event["contract"] = self._chance.choice(("c1", "c2", "nowhere"))
        self._sent.append(event)
        self._event(event, note)

    def _event(self, event: Fields, note: Note) -> None:
        account = event["subject"]
        number = partition_of(account, self._partitions)
        if self._partitions > 1 and self._chance.random() < 0.08:
            number = self._chance.randrange(self._partitions)
        note("usage", number, event)
        value = json.dumps(event).encode()
        self._broker.append((USAGE.name, number), account.encode(), value, None)

    def _again(self, note: Note) -> None:
        """The same event once more, perhaps with a new time; soon, or a window later."""
        if not self._sent:
            return self._usage(note)
        recent = self._sent[-10:] if self._chance.random() < 0.8 else self._sent
        event = self._chance.choice(recent)
        if self._chance.random() < 0.3:
            event = event | {"time": format_instant(self._now)}
        return self._event(event, note)

    def _changed(self, note: Note) -> None:
        """The same key with other content."""
        if not self._sent:
            return self._usage(note)
        event = self._chance.choice(self._sent[-10:])
        return self._event(event | {"data": documents.data(self._chance)}, note)

    def _poison(self, note: Note) -> None:
        number = self._chance.randrange(self._partitions)
        value = self._chance.choice(documents.POISON)
        note("poison", value)
        match self._chance.randint(0, 5):
            case 0:
                self._broker.append((CATALOG.name, 0), None, value, None)
            case 1:
                self._broker.append((CREDITS.name, number), None, value, None)
            case _:
                self._broker.append((USAGE.name, number), None, value, None)

    def _command(self, note: Note) -> None:
        account = self._chance.choice(self.accounts)
        sent = [event for event in self._sent if event["subject"] == account]
        fields = commands.command(self._chance, account, self._id("d"), self._now, sent)
        self._document(fields, note)

    def _hold(self, note: Note) -> None:
        account = self._chance.choice(self.accounts)
        placed = [name for of, name in self._holds if of == account]
        fields = commands.hold(self._chance, account, self._id("h"), placed)
        if fields["kind"] == "place_hold":
            self._holds.append((account, fields["id"]))
        self._document(fields, note)

    def _update(self, note: Note) -> None:
        account = self._chance.choice(self.accounts)
        self._document(terms.account(self._chance, account, self._now), note)

    def _void(self, note: Note) -> None:
        """Usage is voided as the ledger has it by now; twice, at times."""
        if not self._sent:
            return self._usage(note)
        event = self._chance.choice(self._sent)
        account, source, name = event["subject"], event["source"], event["id"]
        void = VoidUsage(id=self._id("v"), account=account, source=source, event=name)
        number = partition_of(account, self._partitions)
        frames = (stored.value or b"" for stored in self._broker.partition((LEDGER.name, number)))
        (found,) = entered([void], rows_of([(account, source, name)], frames))
        if isinstance(found, Refusal):
            return self._usage(note)
        note("void", found)
        return self._credits(account, canonical(found))
