"""Apache Kafka killed under traffic, and met by a full disk."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.servers.apache import ApacheKafka
from tests.faults.disturbed import on_own_kafka, strike_under_traffic
from tests.faults.scenario import LeftOut, Outcome, Run, scenario
from tests.faults.waiting import until
from tests.system.pipeline import Pipeline

DISK_MEGABYTES: Final = 256
NOTICED_SECONDS: Final = 120
_FULL: Final = b"No space left on device"
_PIECE: Final = bytes(1_000_000)


@scenario("broker killed", "kill -9 of Apache Kafka, and started again", needs="apache")
def broker_killed(run: Run) -> Outcome:
    """Producers wait and send again, in order and once; readers go on where they stood."""
    with on_own_kafka(run) as (servers, broker):

        def strike(_pipeline: Pipeline, _number: int) -> None:
            broker.kill()
            broker.start()

        return strike_under_traffic(
            run, servers, strike, times=run.pick(10, 1), seconds_between=(0.5, 5)
        )


@scenario(
    "disk full",
    "no space for Apache Kafka's log, until it is given back",
    quick=False,
    needs="apache",
)
def disk_full(run: Run) -> Outcome:
    """The broker dies or refuses; what it had acknowledged is there when it is started again."""
    with (
        small_disk(run.folder / "disk", DISK_MEGABYTES) as disk,
        on_own_kafka(run, disk / "kafka") as (servers, broker),
    ):
        ballast = disk / "ballast"

        def strike(pipeline: Pipeline, _number: int) -> None:
            told = broker.process.log.stat().st_size
            fill(ballast)
            until(pipeline, "the disk is full", lambda: noticed(broker, told), NOTICED_SECONDS)
            ballast.unlink()
            broker.kill()
            broker.start()

        return strike_under_traffic(
            run, servers, strike, times=run.pick(3, 1), seconds_between=(2, 6)
        )


def noticed(broker: ApacheKafka, told: int) -> bool:
    """Has the broker ended, or complained after the first `told` bytes of its log?"""
    with broker.process.log.open("rb") as log:
        log.seek(told)
        return broker.process.pid is None or _FULL in log.read()


def fill(ballast: Path) -> None:
    """Take all the space that is left: a write takes what there is before one fails."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(_PIECE)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system in memory of so many megabytes. Raises LeftOut where none may be mounted."""
    folder.mkdir(parents=True)
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    options = f"size={megabytes}m,uid={os.geteuid()},gid={os.getegid()}"
    mount = [*as_root, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LeftOut(str(error)) from error
    if done.returncode:
        raise LeftOut(f"no file system may be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([*as_root, "umount", "-l", str(folder)], check=True)
