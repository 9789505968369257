"""Who takes part, by the names of the command line; imported when asked, as each needs its own."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from tests.bench.contender import Contender


@dataclass(frozen=True)
class Entrant:
    """Where a contender's class is, and the processes with which it is fastest on two cores."""

    place: str
    workers: int

    def contender(self) -> Contender:
        """A new instance. Raises ImportError."""
        module, _, kind = self.place.partition(":")
        made = cast("Callable[[], Contender]", getattr(import_module(module), kind))
        return made()


_OTHERS: Final = "tests.bench.alternatives"
OURS: Final = "drawdown"
FIELD: Final[dict[str, Entrant]] = {
    OURS: Entrant("tests.bench.drawdown:Drawdown", 1),
    "faust": Entrant(f"{_OTHERS}.faust_tables.contender:FaustTables", 1),
    "quix": Entrant(f"{_OTHERS}.quix.contender:QuixStreams", 2),
    "postgres": Entrant(f"{_OTHERS}.postgres.contender:PostgresLedger", 2),
    "kafka-streams": Entrant(f"{_OTHERS}.kafka_streams.contender:KafkaStreams", 1),
}
"""Drawdown's worker is one process for each of three stages."""
