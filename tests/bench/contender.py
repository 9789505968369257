"""Whoever does the job of `tests.bench.job`: Drawdown, and each alternative to it.

The harness makes the topic of usage, calls `prepare`, loads the topic, starts what `commands`
names, kills and restarts it, asks `done`, and reads `balances` and `alerts` when all of it is.
Each run has an instance of its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from deploy.supervisor import Child
from schemas.topics import USAGE
from tests.bench.job import Balance


@dataclass(frozen=True)
class Work:
    """What a contender gets to work with.

    `kafka` is the address of the broker, `prefix` that of all its topics, groups and state;
    `folder` is its own, for state, what it builds, and logs. `workers` processes (or instances of
    each of its processes) share `partitions` partitions and `accounts` accounts.
    """

    kafka: str
    prefix: str
    folder: Path
    partitions: int
    workers: int
    accounts: int

    @property
    def usage(self) -> str:
        """The topic of usage: made and filled by the harness."""
        return self.prefix + USAGE.name

    def alerts(self, name: str) -> str:
        """The topic that the contender of this name sends alerts to; its `prepare` makes it."""
        return f"{self.prefix}alerts.{slug(name)}"


@dataclass(frozen=True)
class Command:
    """One process of a contender, which the harness starts, SIGKILLs and starts again.

    `name` is unique among them; `arguments` begin with the full path of a program; `environment`
    is added to this process's own. It must end by SIGTERM. `intake` says that it reads the topic
    of usage: such a process is down while the topic is being loaded.
    """

    name: str
    arguments: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    intake: bool = True

    def child(self, logs: Path) -> Child:
        """The process, to be supervised; what it says goes to a file in `logs`."""
        return Child(self.name, self.arguments, self.environment, logs / f"{self.name}.log")


class Contender(Protocol):
    """One way of doing the job."""

    name: str

    def missing(self) -> str | None:
        """Why it cannot run here, in words that a person can act on; None when it can."""
        ...

    def prepare(self, work: Work) -> None:
        """What an operator would do before: topics, tables, grants, building. Not measured."""
        ...

    def commands(self, work: Work) -> list[Command]:
        """Its processes."""
        ...

    def servers(self) -> dict[str, int]:
        """Process ids of servers of its own, whose CPU and memory count too, by name."""
        ...

    def done(self, work: Work, ends: Mapping[int, int]) -> bool:
        """Has all usage below these offsets been applied, durably?

        `ends` may name some of the partitions. Asked every tenth of a second, so it must be cheap;
        it must never say so too early.
        """
        ...

    def balances(self, work: Work) -> dict[str, Balance]:
        """Every account's balance, by its name; accounts without usage may be left out."""
        ...

    def alerts(self, work: Work) -> list[tuple[str, str, str]]:
        """(id, account, type) of every alert in its topic, in their order, repeats with them."""
        ...

    def close(self) -> None:
        """End its servers, and forget what it opened. May be called twice."""
        ...


def slug(name: str) -> str:
    """A contender's name as part of a topic's or a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
