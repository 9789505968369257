"""Hours under load and faults: memory, lag and latency must stay flat, and every credit right.

    python -m tests.soak --minutes 60 [--rate 1000] [--seed N] [--broker apache] [--report FOLDER]

Kafka, Redis and the workers run on this machine; a sender holds the rate whatever happens, and
about once a minute something is killed, paused or restarted. Ctrl-C ends it early, with all that
is proved at the end. Exit status 0 only if every check holds.
"""

import argparse
import logging
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from deploy.servers.find import best_kind
from tests.soak.report import passed, summary, write
from tests.soak.run import Course, Options, soak


def main() -> int:
    """Run it, and write what was found, also when it fails half-way."""
    arguments = _parser().parse_args()
    options = Options(
        arguments.minutes,
        arguments.rate,
        arguments.seed,
        arguments.broker or best_kind(),
        arguments.accounts,
        arguments.partitions,
        arguments.fault_seconds,
    )
    logging.disable(logging.WARNING)  # that a killed worker was restarted is no news here
    course, interrupted = Course(options), Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    with TemporaryDirectory(prefix="drawdown-soak-", ignore_cleanup_errors=True) as folder:
        try:
            soak(course, Path(folder), _tell, interrupted.is_set)
        finally:
            if course.memory:
                write(course, arguments.report)
                _plot(course, arguments.report)
                print(f"\n{summary(course)}\nwritten to {arguments.report}")
    return 0 if passed(course) else 1


def _plot(course: Course, folder: Path) -> None:
    try:
        from tests.soak.plot import draw
    except ImportError:
        print("no plot: matplotlib is not installed (extra `bench`)")
    else:
        draw(course, folder / "soak.svg")


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=int, required=True)
    parser.add_argument("--rate", type=int, default=1_000, help="events a second")
    parser.add_argument("--seed", type=int, default=1, help="draws the usage and the faults")
    parser.add_argument("--broker", choices=("apache", "embedded"), help="default: what is there")
    parser.add_argument("--accounts", type=int, default=3_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--fault-seconds", type=int, default=60, help="between faults, about")
    parser.add_argument("--report", type=Path, default=Path("soak-report"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
