"""Measures Drawdown, and others at the same job; reports, and does not judge.

    python -m tests.bench [SECTION ...] [--events N] [--broker embedded|apache] [--report FOLDER]

Sections: throughput (the default), latency, keys, recovery, growth, gateway, api, alternatives, or
all. With fewer events each takes less than a minute or so. `alternatives` is of use on Apache Kafka
only: the others need transactions. Figures are printed as tables; `--report` keeps them, with a
plot.
"""

import argparse
import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.bench import api, comparison, gateway, growth, keys, latency, recovery, throughput
from tests.bench.environment import environment
from tests.bench.field import FIELD
from tests.bench.report import markdown, write
from tests.bench.session import FULL, Section, Session

SECTIONS: Final[dict[str, Callable[[Session], Section]]] = {
    "throughput": throughput.run,
    "latency": latency.run,
    "keys": keys.run,
    "recovery": recovery.run,
    "growth": growth.run,
    "gateway": gateway.run,
    "api": api.run,
    "alternatives": comparison.run,
}


def main() -> None:
    """Measure the sections asked for, one after the other."""
    given = _arguments()
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, format="%(message)s")
    runs: dict[str, Callable[[Session], Section]] = {
        **SECTIONS,
        "alternatives": partial(comparison.run, names=given.only),
    }
    names = list(SECTIONS) if "all" in given.sections else given.sections
    around = environment(given.broker)
    with TemporaryDirectory(prefix="drawdown-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # for servers that run as another user
        session = Session(
            Path(folder), given.broker, given.events, given.accounts, given.partitions, given.seed
        )
        done = []
        for name in names:
            done.append(runs[name](session))
            if given.report is not None:
                write(given.report, done[-1:], around)
    sys.stdout.write(markdown(done, around))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    choices = [*SECTIONS, "all"]
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(choices))
    parser.add_argument("--events", type=int, default=FULL)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--broker", choices=("embedded", "apache"), default="embedded")
    parser.add_argument("--report", type=Path, help="a folder for results.json, .md and .svg")
    parser.add_argument(
        "--only", nargs="+", choices=tuple(FIELD), default=tuple(FIELD), help="of the alternatives"
    )
    given = parser.parse_args()
    given.sections = given.sections or ["throughput"]
    if unknown := set(given.sections) - set(choices):
        parser.error(f"no section {', '.join(sorted(unknown))}: expected {', '.join(choices)}")
    return given


if __name__ == "__main__":
    main()
