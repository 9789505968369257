"""`python -m tests.simulation SEED [--trace]`, `python -m tests.simulation --seeds 0..5000`.

`--coverage` then kills between those effects, too, between which no seed has killed a process.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

from tests.simulation.coverage import Coverage
from tests.simulation.run import Case, Change, Result, prepare, run, run_all, untouched


def main(arguments: Sequence[str] | None = None, change: Change = untouched) -> int:
    """Run what was asked for; 1 when a seed fails. `change` is made to a world that runs alone."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="one seed, replayed exactly")
    parser.add_argument("--strike", help="kill there for sure: STAGE, EFFECT, NEXT EFFECT")
    parser.add_argument("--seeds", help="a range, FROM..TO, TO left out")
    parser.add_argument("--trace", action="store_true", help="what happened, step by step")
    parser.add_argument("--coverage", action="store_true", help="between which effects was killed")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    given = parser.parse_args(arguments)
    prepare()
    if given.seeds is None and given.seed is None:
        parser.error("a seed, or --seeds FROM..TO")
    started = time.perf_counter()
    count = failed = 0
    coverage = Coverage()
    for result in _results(given, coverage, change):
        count += 1
        failed += bool(result.faults)
        coverage.add(result)
        _tell(result, trace=given.trace)
    if given.coverage:
        print(*coverage.lines(), sep="\n")
    seconds = time.perf_counter() - started
    print(f"{count} seeds, {failed} failed, {seconds:.1f} s, {count / seconds:.1f} seeds/s")
    return 1 if failed else 0


def _results(given: argparse.Namespace, coverage: Coverage, change: Change) -> Iterator[Result]:
    if given.seeds is None:
        strike = None
        if given.strike:
            stage, before, after = given.strike.split(", ")
            strike = (stage, before, after)
        result = run(Case(given.seed, strike), change, trace=given.trace)
        print(f"digest {result.digest}")
        yield result
        return
    start, _, stop = given.seeds.partition("..")
    yield from run_all(map(Case, range(int(start), int(stop))), given.workers)
    if given.coverage:
        yield from run_all(coverage.missing(), given.workers)


def _tell(result: Result, *, trace: bool) -> None:
    if trace:
        for at, *what in result.trace:
            print(f"{int(str(at)) / 1e6:14.6f}", *what)
    for fault in result.faults[:10]:
        print(f"seed {result.case}: {fault}")
    if result.faults:
        print(f"replay: python -m tests.simulation {result.case} --trace")


if __name__ == "__main__":
    sys.exit(main())
