"""`python -m tests.simulation SEED [--trace]`, `python -m tests.simulation --seeds 0..5000`."""

import argparse
import sys
import time
from collections.abc import Iterator

from tests.simulation.run import Result, run, run_all, silence


def main() -> int:
    """Run what was asked for; 1 when a seed fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="one seed, replayed exactly")
    parser.add_argument("--seeds", help="a range, FROM..TO, TO left out")
    parser.add_argument("--trace", action="store_true", help="what happened, step by step")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    given = parser.parse_args()
    silence()
    if given.seeds is None and given.seed is None:
        parser.error("a seed, or --seeds FROM..TO")
    started = time.perf_counter()
    count = failed = 0
    for result in _results(given):
        count += 1
        failed += bool(result.faults)
        _tell(result)
    seconds = time.perf_counter() - started
    print(f"{count} seeds, {failed} failed, {seconds:.1f} s, {count / seconds:.1f} seeds/s")
    return 1 if failed else 0


def _results(given: argparse.Namespace) -> Iterator[Result]:
    if given.seeds is None:
        result = run(given.seed, trace=given.trace)
        print(f"digest {result.digest}")
        yield result
        return
    start, _, stop = given.seeds.partition("..")
    yield from run_all(range(int(start), int(stop)), given.workers)


def _tell(result: Result) -> None:
    for at, *what in result.trace:
        print(f"{int(str(at)) / 1e6:14.6f}", *what)
    for fault in result.faults[:10]:
        print(f"seed {result.seed}: {fault}")
    if result.faults:
        print(f"replay: python -m tests.simulation {result.seed} --trace")


if __name__ == "__main__":
    sys.exit(main())
