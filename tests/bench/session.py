"""One session of measurements: what is common to all sections, and what a section gives."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.load import write_usage
from tests.bench.servers import Broker, Kind, open_broker

FULL: Final = 1_000_000
Row = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A table of figures; `note` says how they were taken."""

    name: str
    title: str
    note: str
    rows: list[Row]


@dataclass
class Session:
    """`events` scales every section; `folder` is for what is thrown away in the end."""

    folder: Path
    broker: Kind = "embedded"
    events: int = FULL
    accounts: int = 10_000
    partitions: int = 4
    seed: int = 1
    _files: dict[tuple[int, int], Path] = field(default_factory=dict)

    @property
    def quick(self) -> bool:
        """Fewer events than the figures that are published."""
        return self.events < FULL

    @property
    def durable(self) -> bool:
        """Whether Redis keeps an append-only file: where the broker keeps its log on disk too."""
        return self.broker == "apache"

    @contextmanager
    def open_broker(self) -> Iterator[Broker]:
        """A new broker, on a folder of its own."""
        folder = self.folder / f"broker-{time.monotonic_ns()}"
        with open_broker(self.broker, folder) as broker:
            yield broker

    def usage(self, events: int | None = None, accounts: int | None = None) -> Path:
        """The file of usage of that size: written once, read by every run of the session."""
        size = events or self.events, accounts or self.accounts
        if size not in self._files:
            path = self.folder / f"usage-{size[0]}-{size[1]}.tsv"
            self.say(f"writing {size[0]:,} events of {size[1]:,} accounts")
            write_usage(path, *size, time.time_ns() // 1_000, self.seed)
            self._files[size] = path
        return self._files[size]

    def say(self, what: str) -> None:
        """Progress, on standard error."""
        sys.stderr.write(f"bench: {what}\n")
        sys.stderr.flush()
