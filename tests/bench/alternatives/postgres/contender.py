"""A ledger in PostgreSQL, as those who know it write it.

Exact by what PostgreSQL gives: usage has a unique key; usage, balances, alerts and the offsets of
Kafka are written in one transaction. Alerts go by an outbox, at least once with the same id.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.alternatives.postgres.server import PostgresServer, other_user, postgres_binary
from tests.bench.alternatives.records import create, sent_alerts
from tests.bench.contender import Command, Work
from tests.bench.job import Balance, account_name, grants_of

if TYPE_CHECKING:
    import psycopg

_PACKAGE: Final = __package__
_ROOT: Final = Path(__file__).parents[4]
_SCHEMA: Final = Path(__file__).with_name("schema.sql")


class PostgresLedger:
    """One server, `workers` consumers that share the partitions, and a relay of alerts."""

    name = "PostgreSQL"

    def __init__(self) -> None:
        self._server: PostgresServer | None = None
        self._connection: psycopg.Connection | None = None

    def missing(self) -> str | None:
        """PostgreSQL, its client, or a user to run it as."""
        if postgres_binary() is None:
            return "PostgreSQL is not installed (Debian: apt install postgresql)"
        if importlib.util.find_spec("psycopg") is None:
            return "psycopg is not installed: pip install 'drawdown[bench]'"
        if not os.geteuid() and (shutil.which("setpriv") is None or other_user() is None):
            return "PostgreSQL refuses to run as root: run the bench as another user"
        return None

    def prepare(self, work: Work) -> None:
        """A server with the schema and every account's grants, and the topic of alerts."""
        import psycopg

        create(work.kafka, work.alerts(self.name), work.partitions, {})
        self._server = PostgresServer(work.folder / "postgres.log")
        self._server.start()
        self._connection = psycopg.connect(self._server.database, autocommit=True)
        self._connection.execute(_SCHEMA.read_bytes())
        with self._connection.cursor() as cursor:
            with cursor.copy("COPY balances FROM STDIN") as copy:
                for number in range(work.accounts):
                    grants = grants_of(number)
                    copy.write_row(
                        (account_name(number), grants.issued, 0, grants.promo, grants.main, 0)
                    )
            cursor.executemany(
                "INSERT INTO positions VALUES (%s, 0)", [(n,) for n in range(work.partitions)]
            )
            cursor.execute("VACUUM ANALYZE")

    def commands(self, work: Work) -> list[Command]:
        """The consumers, each with its share of the partitions, and the relay."""
        assert self._server is not None
        database = self._server.database
        shares = [range(first, work.partitions, work.workers) for first in range(work.workers)]
        workers = [
            _command("worker", number, work.kafka, work.usage, database, *map(str, share))
            for number, share in enumerate(shares)
        ]
        relay = _command("relay", 0, work.kafka, work.alerts(self.name), database)
        return [*workers, replace(relay, intake=False)]

    def servers(self) -> dict[str, int]:
        """The postmaster; its sessions are its children."""
        if self._server is None or self._server.process.pid is None:
            return {}
        return {self.name: self._server.process.pid}

    def done(self, work: Work, ends: Mapping[int, int]) -> bool:  # noqa: ARG002 - the protocol's
        """The positions were committed with what they stand for; then the outbox is to be empty."""
        rows = self._database.execute("SELECT partition, next FROM positions").fetchall()
        at: dict[int, int] = dict(rows)
        if any(at[number] < end for number, end in ends.items()):
            return False
        return not self._database.execute("SELECT FROM outbox LIMIT 1").fetchall()

    def balances(self, work: Work) -> dict[str, Balance]:
        """The table of balances."""
        rows = self._database.execute(
            "SELECT account, consumed, promo, main, overage FROM balances"
        )
        found = {account: Balance(*amounts) for account, *amounts in rows}
        assert len(found) == work.accounts
        return found

    def alerts(self, work: Work) -> list[tuple[str, str, str]]:
        """What the relay sent."""
        return sent_alerts(work, self.name)

    def close(self) -> None:
        """End the server and delete what it held."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._server is not None:
            self._server.stop()
            self._server = None

    @property
    def _database(self) -> "psycopg.Connection":
        assert self._connection is not None
        return self._connection


def _command(module: str, number: int, *arguments: str) -> Command:
    name = f"postgres-{module}-{number}"
    python = [sys.executable, "-m", f"{_PACKAGE}.{module}"]
    return Command(name, [*python, *arguments], {"PYTHONPATH": str(_ROOT)})
