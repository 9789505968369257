"""The part of the auditor that follows holds: by their commands and by postings alone.

A hold is what is `held` under its name when it is placed; it ends once, as a whole, by its own time
to the microsecond or by a command that names it; and no more is ever consumed for it than it held.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from projections.balances.books import Books
from projections.balances.postings import Posting
from projections.balances.step import Step
from schemas.numbers import Credits
from schemas.times import DAY, parse_duration

_ENDING: Final = {"capture_hold", "release_hold"}
Name = tuple[str, str]


@dataclass
class _Open:
    """A hold that has not ended: what it holds of each grant, in order, and when it ends."""

    slices: dict[str, int]
    placed_at: int
    ends: int
    product: str


@dataclass
class HoldsAuditor:
    """The open holds by account and name; `ended` is when each of the others did."""

    open: dict[Name, _Open] = field(default_factory=dict)
    ended: dict[Name, int] = field(default_factory=dict)
    met: set[str] = field(default_factory=set)

    def check(self, step: Step, books: Books) -> None:
        """After one rated row."""
        command = _command(step.rated)
        of_holds = [one for one in step.postings if one.posting in ("held", "released")]
        for name in dict.fromkeys((one.account, one.reference or "") for one in of_holds):
            mine = [one for one in step.postings if (one.account, one.reference) == name]
            placed = [one for one in mine if one.posting == "held"]
            if len(placed) < len(mine):  # a hold of long ago may end where its name comes again
                self._ended(name, [one for one in mine if one.posting != "held"], command)
            if placed:
                self._placed(name, placed, command, step.rated["at"])
        self._compare(step.rated, books)

    def _placed(
        self, name: Name, postings: Sequence[Posting], command: Mapping[str, Any], clock: int
    ) -> None:
        """All of the amount, by the command of that name, at its own place in the log."""
        assert (command["kind"], command["account"], command["id"]) == ("place_hold", *name)
        assert name not in self.open, name
        assert self.ended.get(name, clock - DAY) <= clock - DAY, name
        assert {one.at for one in postings} == {clock}, name
        slices = {one.grant or "": one.amount for one in postings}
        assert len(slices) == len(postings), name
        assert sum(slices.values()) == Credits.parse(command["amount"]).units, name
        ends = clock + parse_duration(command.get("expires_in", "PT15M")).microseconds
        if name in self.ended:
            self.met.add("an id used again")
        self.open[name] = _Open(slices, clock, ends, command["product"])

    def _ended(self, name: Name, postings: Sequence[Posting], command: Mapping[str, Any]) -> None:
        """Released as a whole, and then perhaps captured."""
        hold = self.open.pop(name)
        released = {one.grant: one.amount for one in postings if one.posting == "released"}
        captured = [one for one in postings if one.posting == "consumed"]
        assert released == hold.slices, name
        at = {one.at for one in postings}
        named = command.get("kind") in _ENDING
        named = named and (command["account"], command["hold"]) == name
        if at == {hold.ends}:
            self.met.add("a hold expires")
            assert not captured, name
        else:
            assert named, name
            assert max(at) < hold.ends, name
        self.ended[name] = max(at)
        if captured:
            self._captured(hold, name, captured, command)

    def _captured(
        self, hold: _Open, name: Name, captured: Sequence[Posting], command: Mapping[str, Any]
    ) -> None:
        """In the order in which it was held, each slice to its end before the next."""
        assert command["kind"] == "capture_hold", name
        total = sum(one.amount for one in captured)
        whole = sum(hold.slices.values())
        asked = command.get("amount")
        assert total == (whole if asked is None else Credits.parse(asked).units), name
        self.met.add("all captured" if total == whole else "a part captured")
        left, expected = total, {}
        for grant, amount in hold.slices.items():
            if left:
                expected[grant] = min(left, amount)
                left -= expected[grant]
        assert {one.grant: one.amount for one in captured} == expected, name
        for one in captured:
            assert one.line is not None, name
            said = (one.line["id"], one.line["time"], one.line["product"], one.line["cost"])
            assert said == (name[1], hold.placed_at, hold.product, total), name
            assert one.unauthorised is None, name

    def _compare(self, rated: Mapping[str, Any], books: Books) -> None:
        """What is due happens first: of those concerned, no hold is open beyond its end."""
        mine: dict[str, list[tuple[int, str]]] = {}
        reserved: dict[str, Counter[str]] = {}
        for (account, name), hold in self.open.items():
            mine.setdefault(account, []).append((hold.ends, name))
            reserved.setdefault(account, Counter()).update(hold.slices)
            if rated["account"] in (None, account):
                assert hold.ends > rated["at"], (account, name)
        for account in {account for account, _ in (*self.open, *self.ended)}:
            row = books.account(account)
            assert row is not None
            ends = sorted(mine.get(account, []))
            assert books.open_holds(account).ends == ends, account
            assert row.holds_until == (ends[0][0] if ends else None), account
            held = {grant.id: grant.held for grant in row.grants if grant.held}
            assert held == dict(reserved.get(account, {})), account


def _command(rated: Mapping[str, Any]) -> dict[str, Any]:
    """The command that a rated row passes on; nothing where it is none."""
    if rated["data"] is None:
        return {}
    found: dict[str, Any] = json.loads(rated["data"])
    return found
