"""What an event costs when there are more accounts, and when two workers a stage share the work."""

from tests.bench.drawdown import Drawdown
from tests.bench.session import Row, Section, Session
from tests.bench.speed import Speed, speed_of


def run(session: Session) -> Section:
    """A hundredth, a tenth and as many accounts as events; the first again with two workers."""
    scale = [session.events // 100, session.events // 10, session.events]
    plans = [(accounts, 1) for accounts in scale] + [(scale[0], 2)]
    rows: list[Row] = []
    first: Speed | None = None
    for accounts, workers in plans:
        speed = _measure(session, accounts, workers)
        first = first or speed
        ratio = speed.cpu_seconds_per_million / first.cpu_seconds_per_million
        rows.append(
            {
                "accounts": accounts,
                "workers a stage": workers,
                "CPU to that of the first": f"{ratio:.2f}",
                **speed.row(),
            }
        )
    return Section("growth", "Growth", "The plain load.", rows)


def _measure(session: Session, accounts: int, workers: int) -> Speed:
    path = session.usage(accounts=accounts)
    session.say(f"growth: {accounts:,} accounts, {workers} workers a stage")
    with session.open_broker() as broker:
        speed, _ = speed_of(
            Drawdown("plain", durable=session.durable),
            broker,
            session.folder,
            path,
            accounts=accounts,
            partitions=session.partitions,
            workers=workers,
        )
    return speed
