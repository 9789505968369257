"""`python -m tests.simulation.search [CLAUSE ...]`: the seed that finds each sabotage.

A clause is taken out, and seeds run until one fails: first the one that found it when it was last
looked for (`FOUND_AT`), for speed, then the range from its start. 1 when a clause is not found.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from tests.simulation.run import Case, prepare, run
from tests.simulation.sabotage import DOMAIN, FOUND_AT, PROTOCOL


class Found(NamedTuple):
    """The first fault that tells that a clause is missing; no seed where none of them does."""

    clause: str
    seed: int | None = None
    fault: str = ""


def search(clause: str, seeds: Iterable[int]) -> Found:
    """Take a clause out until a seed tells.

    What is wrong in a fold is wrong again when it is repeated: of a clause of the domain, a replay
    that differs (I4) does not count, the auditor must tell.
    """
    change = (PROTOCOL | DOMAIN)[clause]
    for seed in seeds:
        for fault in run(Case(seed), change).faults:
            if clause in PROTOCOL or not fault.startswith("I4"):
                return Found(clause, seed, fault)
    return Found(clause)


def search_all(
    clauses: Iterable[str], seeds: Sequence[int], workers: int | None = None, *, known: bool = True
) -> Iterator[Found]:
    """Each of `clauses`, in their order; where `known`, first where it was found before."""
    os.environ["POLARS_MAX_THREADS"] = "1"  # for the children: frames are tiny here
    names = list(clauses)
    first = [[FOUND_AT[name]] if known and name in FOUND_AT else [] for name in names]
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=prepare) as pool:
        yield from pool.map(search, names, [[*each, *seeds] for each in first])


def main(arguments: Sequence[str] | None = None) -> int:
    """Search for what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.search", description=__doc__)
    parser.add_argument("clauses", nargs="*", default=[*PROTOCOL, *DOMAIN], metavar="CLAUSE")
    parser.add_argument("--seeds", help="only these: a range, FROM..TO, TO left out")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    given = parser.parse_args(arguments)
    start, _, stop = (given.seeds or "0..500").partition("..")
    seeds = range(int(start), int(stop))
    missed = 0
    for found in search_all(given.clauses, seeds, given.workers, known=not given.seeds):
        missed += found.seed is None
        print(f"{found.clause}: {found.seed}  {found.fault}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
