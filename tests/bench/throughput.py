"""Events per second end to end, CPU of all processes, and peak memory: two loads of one usage.

*plain*: a grant an account, unit prices. *rich*: five grants, a contract with an override,
graduated prices, thresholds on every account, one account in ten depleted.
"""

from collections.abc import Sequence
from typing import Final

from tests.bench.drawdown import Drawdown, Load
from tests.bench.session import Row, Section, Session
from tests.bench.speed import speed_of

LOADS: Final[Sequence[Load]] = ("plain", "rich")


def run(session: Session, loads: Sequence[Load] = LOADS) -> Section:
    """Each load on a broker of its own."""
    rows = [{"load": load, **_row(session, load)} for load in loads]
    note = f"{session.accounts:,} accounts, {session.partitions} partitions, one worker a stage."
    return Section("throughput", "Throughput, end to end", note, rows)


def _row(session: Session, load: Load) -> Row:
    path = session.usage()
    session.say(f"throughput: {load}")
    with session.open_broker() as broker:
        speed, _ = speed_of(
            Drawdown(load, durable=session.durable),
            broker,
            session.folder,
            path,
            accounts=session.accounts,
            partitions=session.partitions,
        )
    return speed.row()
