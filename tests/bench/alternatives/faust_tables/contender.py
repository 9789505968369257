"""Plain Faust: tables for keys and wallets, RocksDB below them, `exactly_once`, one worker.

Exact when nothing fails, and after four SIGKILLs of a worker that did little between them; under
load it has not been shown. Its transactions hold the changelogs, alerts and offsets, but RocksDB is
written at once and not taken back with them, and what waits in Faust's own buffer is not in the
transaction that commits its offsets. Two workers never finished. `at_least_once`, Faust's default,
costs about the same and works with two, but lost usage after the same kills.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.bench.alternatives.records import ByGroup, create, records, sent_alerts
from tests.bench.alternatives.wallet import balance
from tests.bench.contender import Command, Work
from tests.bench.job import Balance

_APP: Final = "tests.bench.alternatives.faust_tables.app"
_ROOT: Final = Path(__file__).parents[4]


class FaustTables(ByGroup):
    """One worker a process; balances are what its changelog topic holds."""

    name = "plain Faust"

    def __init__(self, store: str = "rocksdb://", guarantee: str = "exactly_once") -> None:
        super().__init__(_group)
        self._store = store
        self._guarantee = guarantee

    def missing(self) -> str | None:
        """The packages of the extra `bench`."""
        wanted = [name for name in ("rocksdict", "uvloop") if find_spec(name) is None]
        return f"pip install {' '.join(wanted)}" if wanted else None

    def prepare(self, work: Work) -> None:
        """The topic of alerts, and those of the tables, compacted."""
        create(work.kafka, work.alerts(self.name), work.partitions, {})
        for table in ("seen", "wallets"):
            create(
                work.kafka,
                _changelog(work, table),
                work.partitions,
                {"cleanup.policy": "compact"},
            )

    def commands(self, work: Work) -> list[Command]:
        """`workers` Faust workers."""
        names = [f"faust-{number}" for number in range(work.workers)]
        shared = [work.kafka, work.usage, work.alerts(self.name), _group(work), str(work.folder)]
        own = [str(work.partitions), self._store, self._guarantee]
        environment = {"PYTHONPATH": str(_ROOT)}
        return [
            Command(name, [sys.executable, "-m", _APP, *shared, name, *own], environment)
            for name in names
        ]

    def balances(self, work: Work) -> dict[str, Balance]:
        """The last wallet of each account in the changelog: what a new worker would restore."""
        found = dict(records(work.kafka, _changelog(work, "wallets")))
        return {key.decode(): balance(packed) for key, packed in found.items() if packed}

    def alerts(self, work: Work) -> list[tuple[str, str, str]]:
        """Those that consumers of committed records see."""
        return sent_alerts(work, self.name)


def _group(work: Work) -> str:
    return f"{work.prefix}faust"


def _changelog(work: Work, table: str) -> str:
    return f"{_group(work)}-{table}-changelog"
