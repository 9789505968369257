"""Whether rows contain a write: read-your-writes, exact and never optimistic. Pure.

A write is confirmed at an offset of the credits (or catalog) topic. Rating's position in Redis says
of the same place in the journal both which source vector the journal has covered (`vector`) and how
far rating's outputs are written (`reached`). So, in this order:

1. Rating's vector has passed the write's offset. Then the write stands in the journal, or was
   refused there, below rating's `reached` of that moment, which is remembered.
2. Balances' `reached` is at least what was remembered. Then its rows hold all that the journal
   holds below it, the write too.

Rows and position are committed together, so rows that are read with such a position contain the
write. Neither step looks at a clock, an end of a log or what was only sent. Redis that comes back
older can only make it wait longer.
"""

from dataclasses import dataclass

from projections.fold.position import Position
from schemas.frames import Vector


@dataclass(slots=True)
class Coverage:
    """Of one partition: what must be reached of the catalog and of credits (0: nothing)."""

    catalog: int = 0
    credits: int = 0
    remembered: Vector | None = None
    """Rating's `reached` when its vector covered the write."""

    def rated(self, rating: Position) -> bool:
        """Whether rating's rows contain the write."""
        if self.remembered is None:
            catalog, credits_, _ = rating.vector
            if catalog < self.catalog or credits_ < self.credits:
                return False
            self.remembered = rating.reached
        return rating.reached >= self.remembered

    def folded(self, rating: Position, balances: Position) -> bool:
        """Whether rating's rows and those of balances contain the write."""
        if self.remembered is None and not self.rated(rating):
            return False
        assert self.remembered is not None
        return balances.reached >= self.remembered
