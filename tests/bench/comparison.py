"""Drawdown and the alternatives: the same job, file, broker and cores, the same kills and auditor.

Speed is that of a run without kills. A shorter run, a fifth of the file, is killed. Both are
audited: `exact` is what the auditor found after the kills.
"""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench.audit import Expected, Verdict, expected_of
from tests.bench.field import FIELD, Entrant
from tests.bench.kills import Killed, killed
from tests.bench.servers import Broker
from tests.bench.session import Row, Section, Session
from tests.bench.speed import Speed, speed_of

KILLS: Final = 8
_KILLED_SHARE: Final = 5
_LIMIT_SECONDS: Final = 600.0


@dataclass(frozen=True)
class _Task:
    """The two runs of every contender: what they read, and what that comes to."""

    session: Session
    broker: Broker
    whole: Expected
    part: Expected
    kills: int

    def speed(self, entrant: Entrant) -> tuple[Speed, Verdict | None]:
        session = self.session
        return speed_of(
            entrant.contender(),
            self.broker,
            session.folder,
            session.usage(),
            accounts=session.accounts,
            partitions=session.partitions,
            workers=entrant.workers,
            limit=_LIMIT_SECONDS,
            expected=self.whole,
        )

    def killed(self, entrant: Entrant) -> Killed:
        session = self.session
        return killed(
            entrant.contender(),
            self.broker,
            session.folder,
            session.usage(events=self.part.events),
            self.part,
            accounts=session.accounts,
            partitions=session.partitions,
            workers=entrant.workers,
            kills=self.kills,
            seed=session.seed,
        )


def run(session: Session, names: Sequence[str] = tuple(FIELD), kills: int = KILLS) -> Section:
    """All of `names` that can run here, on one broker; one that fails says so and ends no other."""
    part = max(session.events // _KILLED_SHARE, 1)
    whole, fifth = (
        expected_of(session.usage(events=events), session.accounts)
        for events in (session.events, part)
    )
    rows = []
    with session.open_broker() as broker:
        task = _Task(session, broker, whole, fifth, kills)
        for name in names:
            rows.append(_row(task, name))
            session.say(f"{name}: {rows[-1]}")
    note = (
        f"{session.broker} broker, {session.accounts:,} accounts, {session.partitions} partitions."
        f" Exactness after SIGKILLs at the same moments while {part:,} events are sent."
    )
    return Section("alternatives", "The same job by others", note, _with_ratios(rows))


def _row(task: _Task, name: str) -> Row:
    entrant = FIELD[name]
    named = entrant.contender()
    row: Row = {"contender": named.name}
    if (missing := named.missing()) is not None:
        return {**row, "exact after kills": f"left out: {missing}"}
    try:
        task.session.say(f"{name}: speed")
        speed, quiet = task.speed(entrant)
        row |= speed.row()
        row["exact"] = _said(quiet) if speed.finished else "not finished in time"
        task.session.say(f"{name}: kills")
        after = task.killed(entrant)
    except Exception as error:  # noqa: BLE001 - of others' code; the table says it
        traceback.print_exception(error)
        return {**row, "exact after kills": f"failed: {str(error).splitlines()[0][:100]}"}
    return {
        **row,
        "exact after kills": _said(after.verdict),
        "kills": after.kills,
        "repeated alerts": after.verdict.repeated_alerts,
    }


def _with_ratios(rows: list[Row]) -> list[Row]:
    ours = next((row for row in rows if row["contender"] == "Drawdown"), {}).get("events/s")
    for row in rows:
        if ours and row.get("events/s"):
            row["Drawdown is faster by"] = f"{ours / row['events/s']:.1f}"
    return rows


def _said(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    if verdict.exact:
        return "yes"
    off = f"consumed {verdict.consumed_nano:+,} nano"
    return f"NO: {verdict.wrong_balances} balances ({off}), {verdict.wrong_alerts} alerts"
