"""`drawdown backfill`: what of a file is new, and what it would change, before anything is sent.

What is there already is found in the ledger (usage with a line) and in rating's rows (usage that
waits for a price, was backfilled, or was voided).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.corrections.candidates import Candidate, Candidates
from deploy.corrections.effects import AccountEffects, effects_of
from deploy.reading.surroundings import Surroundings
from projections.balances.stage import STAGE as BALANCES
from projections.rates.rows import STAGE as RATING
from projections.rates.rows import event_key
from projections.reading.fixed import FixedRows, read_whole
from projections.reading.lookup import ledger_of
from projections.reading.usage import Key
from schemas.documents import Backfill
from schemas.reasons import Reason

_KNOWN_TO_RATING = ("n", "b", "v")


@dataclass
class Review:
    """What would be sent, its effects by account, and the positions that they were found at."""

    candidates: Candidates
    effects: list[AccountEffects] = field(default_factory=list)
    positions: dict[int, dict[str, list[int]]] = field(default_factory=dict)

    @property
    def commands(self) -> list[Backfill]:
        """What is to be sent: not what rating would refuse."""
        refused = {name for effects in self.effects for name in effects.refused}
        taken = (each.command for each in self.candidates.taken)
        return [command for command in taken if command.id not in refused]

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "events": len(self.commands),
            "accounts": [effects.to_dict() for effects in self.effects],
            "refused": [each._asdict() for each in self.candidates.refused],
            "known": [each._asdict() for each in self.candidates.known],
            "positions": {str(number): places for number, places in self.positions.items()},
        }


def review(around: Surroundings, candidates: Candidates) -> Review:
    """Leave out what is there already, and fold the rest over copies of the rows.

    Raises ConfigurationError where the topics do not exist, LogUnavailable, StoreUnavailable.
    """
    keys = [each.key for each in candidates.taken]
    if not keys:
        return Review(candidates)
    drawn = ledger_of(keys, around.log).select("account", "source", "id").unique().rows()
    left = candidates.without(drawn, f"the ledger has lines of it ({Reason.DUPLICATE})")
    found = Review(left)
    by_partition: dict[int, list[Candidate]] = {}
    for each in left.taken:
        by_partition.setdefault(around.partition_of(each.command.account), []).append(each)
    for number, own in sorted(by_partition.items()):
        rating, balances = read_whole(around.snapshots, number, (RATING, BALANCES))
        known = _known(rating, own)
        why = f"it waits for a price, was backfilled or voided ({Reason.DUPLICATE})"
        found.candidates = found.candidates.without(known, why)
        new = [each.command for each in own if each.key not in known]
        found.effects += effects_of(new, rating, balances, rating.position.clock)
        found.positions[number] = {
            RATING: list(rating.position.reached),
            BALANCES: list(balances.position.reached),
        }
    return found


def _known(rating: FixedRows, candidates: Sequence[Candidate]) -> set[Key]:
    """The usage that rating has a row of."""
    found = set()
    for each in candidates:
        rows = rating.read([event_key(prefix, *each.key) for prefix in _KNOWN_TO_RATING])
        if any(row is not None for row in rows):
            found.add(each.key)
    return found
