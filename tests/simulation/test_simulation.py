"""The pipeline survives hundreds of seeded worlds, and a clause taken out does not."""

import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from processors.admission import merge
from processors.admission.owned import Owned
from processors.rating import stage as rating
from processors.rating.columnar import rate
from projections.balances import stage as balances
from projections.balances.columnar import fold
from projections.fold import position, stage
from schemas.frames import CREDITS
from tests.protocol.mutation import mutant
from tests.protocol.test_position import JOURNAL_GAP, JOURNAL_UNSEEN, OUTPUT_UNSEEN
from tests.protocol.test_stage import DELIVERY_FIRST, NO_WAIT
from tests.simulation.run import Change, run, run_all, silence
from tests.simulation.world import World

SEEDS = range(500)
MUTANT_SEEDS = range(400)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_seed_ends_exactly() -> None:
    """I1 to I6, by an auditor that knows credits.md alone and by folding the log again."""
    failed = [result for result in run_all(SEEDS, 2) if result.faults]
    for result in failed:
        print(f"python -m tests.simulation {result.seed} --trace: {result.faults[0]}")
    assert [result.seed for result in failed] == []


def test_a_seed_replays_exactly() -> None:
    """In another process, whose hashes of texts are others, everything happens as before."""
    told = [
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "7"],
            env={"PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": "1"},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.splitlines()[0]
        for seed in ("1", "2")
    ]
    assert told[0].startswith("digest ")
    assert told[0] == told[1]


def without(clause: str) -> Change:
    """A Redis whose scripts lack a clause."""

    @contextmanager
    def change(world: World) -> Iterator[None]:
        world.state.without = frozenset({clause})
        yield

    return change


def replacing(module: Any, name: str, by: Callable[[], Any]) -> Change:
    """Another thing by that name in a module, while the world runs."""

    @contextmanager
    def change(_world: World) -> Iterator[None]:
        before = getattr(module, name)
        setattr(module, name, by())
        yield
        setattr(module, name, before)

    return change


def another_stage(line: str, by: str) -> Change:
    """`StagePartition` without a line."""

    @contextmanager
    def change(world: World) -> Iterator[None]:
        world.stage = mutant(stage, line, by)
        yield

    return change


def another_reader(module: ModuleType, name: str, line: str, by: str) -> Change:
    """A stage's reader of positions without a line."""
    return replacing(module, name, lambda: getattr(mutant(position, line, by), name))


def landed_in_any_order(owned: Owned) -> Any:
    """`Owned.landed` that takes what has landed behind what has not."""
    done = [flight for flight in owned.flights if flight.waiting == 0]
    if not done:
        return None
    while owned.flights and owned.flights[0] is not done[-1]:
        owned.flights.popleft()
    owned.flights = deque(list(owned.flights)[1:])
    return done[-1]


CLAUSES: dict[str, Change] = {
    "a claim names its owner": without("claims name owners"),
    "claims stand with their offset": without("claims through"),
    "reads are checked": without("checked reads"),
    "commits are checked": without("checked commits"),
    "outputs before the commit": another_stage(DELIVERY_FIRST, NO_WAIT),
    "repeats are skipped in the journal": another_reader(
        rating, "JournalReader", JOURNAL_UNSEEN, "pass"
    ),
    "repeats are skipped in rated": another_reader(balances, "OutputReader", OUTPUT_UNSEEN, "pass"),
    "gaps are not read over": another_reader(rating, "JournalReader", JOURNAL_GAP, "if False:"),
    "only the acknowledged prefix": replacing(Owned, "landed", lambda: landed_in_any_order),
    "what was asked before": replacing(
        merge, "writable", lambda: lambda sources, _asked: [len(each.times) for each in sources]
    ),
}


@pytest.mark.parametrize("clause", CLAUSES)
def test_without_a_clause_some_seed_fails(clause: str) -> None:
    """A simulation that finds nothing proves nothing."""
    silence()
    assert any(run(seed, CLAUSES[clause]).faults for seed in MUTANT_SEEDS)


def dearer(batch: Any, *arguments: Any) -> Any:
    """Rating whose lines cost one unit more."""
    rated, clock = rate(batch, *arguments)
    unit = pl.lit("0.000000001").cast(CREDITS)
    return rated.with_columns((pl.col("cost") + unit).cast(CREDITS)), clock


def forgetful(batch: Any, books: Any) -> Any:
    """Balances whose ledger lacks the last posting of a batch."""
    folded = fold(batch, books)
    return replace(folded, ledger=folded.ledger.head(max(0, folded.ledger.height - 1)))


def silent(batch: Any, books: Any) -> Any:
    """Balances that do not tell of overage."""
    folded = fold(batch, books)
    told = [alert for alert in folded.alerts if not alert.type.startswith("credits.overage")]
    return replace(folded, alerts=told)


@pytest.mark.parametrize(
    "change",
    [
        replacing(rating, "rate", lambda: dearer),
        replacing(balances, "fold", lambda: forgetful),
        replacing(balances, "fold", lambda: silent),
    ],
    ids=["dearer", "forgetful", "silent"],
)
def test_the_auditor_sees_what_a_replay_repeats(change: Change) -> None:
    """A fold that is wrong is wrong again when it is repeated: only the audit can tell."""
    silence()
    found = [fault for seed in range(8) for fault in run(seed, change).faults]
    assert any(not fault.startswith("I4") for fault in found)
