"""The pipeline survives hundreds of seeded worlds, and without any of its clauses it does not."""

import gc
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.simulation.__main__ import main
from tests.simulation.coverage import Coverage
from tests.simulation.run import Case, prepare, run, run_all
from tests.simulation.sabotage import DOMAIN, PROTOCOL
from tests.simulation.search import search_all

SEEDS = range(500)
PASSED_BY_ANY = {
    ("admission", "redis claim applied", "send journal"),
    ("admission", "sent journal", "acknowledged journal"),
    ("admission", "acknowledged journal", "redis acknowledge"),
    ("admission", "redis acknowledge", "redis acknowledge applied"),
    ("admission", "redis acknowledge applied", "commit offsets"),
    ("admission", "send tick", "sent tick"),
    ("admission", "sent tick", "acknowledged tick"),
    ("rating", "sent rated", "acknowledged rated"),
    ("rating", "acknowledged rated", "redis commit"),
    ("balances", "redis read applied", "send ledger"),
    ("balances", "sent ledger", "send alerts"),
    ("balances", "acknowledged alerts", "redis commit"),
    ("balances", "redis commit", "redis commit applied"),
    ("balances", "redis commit applied", "commit offsets"),
}
"""Some of the pairs of effects between which a crash could lose or double something."""


@pytest.fixture(autouse=True)
def prepared() -> Iterator[None]:
    """As a process of the simulation is, until the test ends: others look at what is logged."""
    thresholds, disabled = gc.get_threshold(), logging.root.manager.disable
    prepare()
    yield
    logging.disable(disabled)
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_every_seed_ends_exactly_whatever_effects_a_crash_comes_between() -> None:
    """I1 to I7, by an auditor that knows credits.md alone and by folding the log again."""
    coverage, failed = Coverage(), []
    for cases in (map(Case, SEEDS), None):
        for result in run_all(coverage.missing() if cases is None else cases, 2):
            coverage.add(result)
            if result.faults:
                failed.append(str(result.case))
                print(f"python -m tests.simulation {result.case} --trace: {result.faults[0]}")
    assert failed == []
    assert coverage.missing() == []
    assert set(coverage.passed) >= PASSED_BY_ANY


def test_a_seed_replays_exactly() -> None:
    """In another process, whose hashes of texts are others, everything happens as before."""
    told = [
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "7", "--trace"],
            env={"PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": "1"},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.splitlines()[:-1]  # the last line says how long it took
        for seed in ("1", "2")
    ]
    assert told[0][0].startswith("digest ")
    assert told[0] == told[1]


def test_a_seed_is_the_same_world_each_time() -> None:
    """In one process too: where few rows are cached, even the order of reading them shows."""
    assert [len({run(Case(seed)).digest for _ in range(8)}) for seed in (48, 55)] == [1, 1]


def test_a_seed_that_fails_is_printed_and_replays_byte_for_byte(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The bug is found, the seed told, and the command that is told gives the same trace."""
    change = PROTOCOL["a claim names its owner"]
    found = next(result for seed in SEEDS if (result := run(Case(seed), change)).faults)
    assert main([str(found.case)], change) == 1
    told = capsys.readouterr().out.splitlines()
    prefix = "replay: python -m tests.simulation "
    (command,) = (line.removeprefix(prefix) for line in told if line.startswith(prefix))
    assert f"digest {found.digest}" in told
    assert f"seed {found.case}: {found.faults[0]}" in told
    traces = []
    for _ in range(2):
        assert main(command.split(), change) == 1
        traces.append(capsys.readouterr().out.splitlines()[:-1])
    assert traces[0] == traces[1]
    assert len(traces[0]) > len(told)
    assert told[0] == traces[0][0]
    assert main([str(found.case)]) == 0, "the seed holds for the product as it is"


def test_a_strike_is_where_it_was_asked_for() -> None:
    """Until then the seed is what it was; there the process dies."""
    (strike, *_) = sorted(set((free := run(Case(11))).passed) - set(free.struck))
    struck = run(Case(11, strike))
    assert struck.struck[strike] == 1
    assert struck.faults == []
    assert struck.digest != free.digest


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_without_any_of_its_clauses_some_seed_fails() -> None:
    """What is lost or doubled the audit or the replay tells, what is folded wrongly the audit."""
    found = list(search_all([*PROTOCOL, *DOMAIN], SEEDS, 2))
    print(*found, sep="\n")
    assert [each.clause for each in found if each.seed is None] == []
