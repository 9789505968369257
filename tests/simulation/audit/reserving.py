"""Holds: what is held, for how long, and what becomes of it (credits.md section 10)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from schemas.frames import RatedKind
from schemas.times import DAY, format_instant
from tests.simulation.audit.burning import able_at_least, audit_burning
from tests.simulation.audit.holding import Holdings
from tests.simulation.audit.lives import Lives
from tests.simulation.audit.reading import Row
from tests.simulation.audit.terms import Fields, Terms, span

_ENDING: Final = {"capture_hold", "release_hold"}
_ACTS: Final = {int(RatedKind.LINE), int(RatedKind.TICK), int(RatedKind.DOCUMENT)}
Name = tuple[str, str]


@dataclass
class _Hold:
    """An open hold: what it holds of each grant in its order, for what, and when it ends."""

    slices: dict[str, Fraction]
    product: str
    contract: str | None
    placed_at: int
    ends: int


class Reserving:
    """The open holds as of the rated rows so far; `ended` is when the others did."""

    def __init__(self) -> None:
        self.open: dict[Name, _Hold] = {}
        self.ended: dict[Name, int] = {}

    def ends(self, rated: Row, postings: Sequence[Row], document: Fields) -> Iterator[str]:
        """What a rated row releases, by `document` or by time; then none is open beyond its end."""
        released: dict[Name, dict[str, Fraction]] = {}
        for row in postings:
            if row["posting"] == "released":
                name = (row["account"], row["reference"])
                released.setdefault(name, {})[row["grant"]] = Fraction(row["amount"])
        for name, slices in released.items():
            mine = [row for row in postings if (row["account"], row["reference"]) == name]
            mine = [row for row in mine if row["posting"] in {"released", "consumed"}]
            yield from (f"hold {name} {fault}" for fault in self._end(name, slices, mine, document))
        if rated["kind"] not in _ACTS:
            return
        for name, hold in self.open.items():
            if rated["account"] in {None, name[0]} and hold.ends <= rated["at"]:
                yield f"hold {name} is open beyond its end"

    def _end(
        self, name: Name, slices: dict[str, Fraction], mine: list[Row], document: Fields
    ) -> Iterator[str]:
        hold = self.open.pop(name, None)
        if hold is None:
            yield "is released, and was not open"
            return
        at = max(row["at"] for row in mine)
        self.ended[name] = at
        captured = [row for row in mine if row["posting"] == "consumed"]
        named = document.get("kind") in _ENDING and (document["account"], document["hold"]) == name
        if slices != hold.slices:
            yield f"holds {hold.slices}, {slices} is released"
        if at > hold.ends or (at < hold.ends and not named):
            yield f"ends at {at}, its time is {hold.ends}, by {document}"
        by_capture = at < hold.ends and document.get("kind") == "capture_hold"
        if by_capture != bool(captured):
            yield f"is captured by {document}: {captured}"
        elif captured:
            yield from _captured(hold, name, captured, document)

    def placed(
        self,
        rated: Row,
        held: Sequence[Row],
        document: Fields,
        holdings: Holdings,
        lives: Lives,
        terms: Terms,
    ) -> Iterator[str]:
        """A hold that is asked for holds all of its amount as a line would, or nothing."""
        name, at = (document["account"], document["id"]), rated["at"]
        amount = Fraction(document["amount"])
        event = {
            "subject": name[0],
            "time": format_instant(at),
            "contract": document.get("contract"),
        }
        contract, _ = terms.covering(event, document["product"])
        line = {
            "account": name[0],
            "product": document["product"],
            "contract": contract,
            "time": at,
            "at": at,
        }
        known = name in self.open or at < self.ended.get(name, at - DAY) + DAY
        if not held:
            if not known and able_at_least(line, holdings, lives, terms) >= amount:
                yield f"hold {name} of {amount} is refused, there is as much"
            return
        if known:
            yield f"hold {name} is placed twice"
        slices = {row["grant"]: Fraction(row["amount"]) for row in held}
        if sum(slices.values()) != amount or {row["reference"] for row in held} != {name[1]}:
            yield f"hold {name} of {amount} holds {slices}"
        faults = audit_burning(line, held, holdings, lives, terms)
        yield from (f"hold {name}: {fault}" for fault in faults)
        ends = at + span(document.get("expires_in", "PT15M"))
        self.open[name] = _Hold(slices, document["product"], contract, at, ends)


def _captured(hold: _Hold, name: Name, rows: list[Row], document: Fields) -> Iterator[str]:
    """What was asked for, slice after slice, as a line of when the hold was placed."""
    asked = Fraction(document.get("amount") or sum(hold.slices.values()))
    left, expected = asked, {}
    for grant, amount in hold.slices.items():
        if left > 0:
            expected[grant] = min(left, amount)
            left -= amount
    drawn = {row["grant"]: Fraction(row["amount"]) for row in rows}
    if left > 0 or drawn != expected:
        yield f"is captured as {drawn}, expected {expected} and {max(left, Fraction(0))}"
    told: tuple[Any, ...] = (name[1], hold.product, hold.contract, hold.placed_at, asked, 0, None)
    for row in rows:
        fields = ("id", "product", "contract", "time", "cost", "quantity", "unauthorised")
        if tuple(row[field] for field in fields) != told:
            yield f"is captured as a line of {[row[field] for field in fields]}, expected {told}"
