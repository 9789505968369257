"""Running seeds: one, or many over the machine's cores; what fails is named, and replays."""

import gc
import logging
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from hashlib import blake2b
from multiprocessing import get_context
from typing import NamedTuple

from tests.simulation.cluster import Between
from tests.simulation.world import World

Change = Callable[[World], AbstractContextManager[object]]


class Case(NamedTuple):
    """A seed, and between which two effects a process is surely killed, if any."""

    seed: int
    strike: Between | None = None

    def __str__(self) -> str:
        """As the command line takes it."""
        return str(self.seed) + (f' --strike "{", ".join(self.strike)}"' if self.strike else "")


@dataclass(frozen=True, slots=True)
class Result:
    """How one case ended: its faults, and a digest of everything that happened.

    `passed` counts which effect followed which, `struck` where a process was killed in between.
    """

    case: Case
    faults: list[str]
    digest: str
    trace: list[tuple[object, ...]] = field(default_factory=list, repr=False)
    passed: Counter[Between] = field(default_factory=Counter, repr=False)
    struck: Counter[Between] = field(default_factory=Counter, repr=False)


def untouched(_world: World) -> AbstractContextManager[object]:
    """The world as it is."""
    return nullcontext()


def run(case: Case, change: Change = untouched, *, trace: bool = False) -> Result:
    """One case, to its end and its audit; a crash of the pipeline's code is a fault too."""
    world = World(*case)
    try:
        with change(world):
            world.run()
            faults = list(world.faults())
    except Exception as error:  # noqa: BLE001 - whatever it is, the seed must be told
        faults = [f"{type(error).__name__}: {error}", traceback.format_exc()]
    digest = blake2b(repr((world.trace, world.broker.topics)).encode(), digest_size=8).hexdigest()
    told = world.trace if trace else []
    return Result(case, faults, digest, told, world.passed, world.struck)


def run_all(cases: Iterable[Case], workers: int | None = None) -> Iterator[Result]:
    """Many cases at once, results as they come in the order of the cases."""
    os.environ["POLARS_MAX_THREADS"] = "1"  # for the children: frames are tiny here
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=prepare) as pool:
        yield from pool.map(run, cases, chunksize=8)


def prepare() -> None:
    """The pipeline's own warnings of what it goes through are no news; what stays is not looked at.

    Collecting garbage costs a fifth of the time, most of it in looking again at what was imported.
    """
    logging.disable(logging.WARNING)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
