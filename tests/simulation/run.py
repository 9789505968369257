"""Running seeds: one, or many over the machine's cores; what fails is named, and replays."""

import logging
import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from multiprocessing import get_context

from tests.simulation.world import World

Change = Callable[[World], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Result:
    """How one seed ended: its faults, and a digest of everything that happened."""

    seed: int
    faults: list[str]
    digest: str
    trace: list[tuple[object, ...]] = field(default_factory=list, repr=False)


def untouched(_world: World) -> AbstractContextManager[object]:
    """The world as it is."""
    return nullcontext()


def run(seed: int, change: Change = untouched, *, trace: bool = False) -> Result:
    """One seed, to its end and its audit; a crash of the pipeline's code is a fault too."""
    world = World(seed)
    try:
        with change(world):
            world.run()
            faults = list(world.faults())
    except Exception as error:  # noqa: BLE001 - whatever it is, the seed must be told
        faults = [f"{type(error).__name__}: {error}", traceback.format_exc()]
    digest = blake2b(repr((world.trace, world.broker.topics)).encode(), digest_size=8).hexdigest()
    return Result(seed, faults, digest, world.trace if trace else [])


def run_all(seeds: Iterable[int], workers: int | None = None) -> Iterator[Result]:
    """Many seeds at once, results as they come in the order of the seeds."""
    os.environ["POLARS_MAX_THREADS"] = "1"  # for the children: frames are tiny here
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=silence) as pool:
        yield from pool.map(partial(run), seeds, chunksize=8)


def silence() -> None:
    """The pipeline's own warnings of what it goes through are no news here."""
    logging.disable(logging.WARNING)
