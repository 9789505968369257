"""CPU and memory of whole processes and their children, from /proc (Linux)."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PARENT: Final = 1
_TIMES: Final = (11, 12, 13, 14)
"""Of the fields behind the name: utime, stime, and those of children that were waited for."""


def tree(pid: int) -> Iterator[int]:
    """The process, and all that descend from it and run."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(path.name)):
            children[int(fields[_PARENT])].append(int(path.name))
    found = [pid]
    for one in found:
        found += children[one]
    yield from found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process tree, of ended children too; 0 once it is gone."""
    stats = filter(None, map(_stat, tree(pid)))
    return sum(int(fields[at]) for fields in stats for at in _TIMES) / _TICKS


def memory_bytes(pid: int) -> int:
    """Resident memory of a process tree; a page that several share is counted once (PSS)."""
    return sum(map(_proportional, tree(pid)))


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []  # it has ended


def _proportional(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0  # it has ended
    _, _, rest = rollup.partition("\nPss:")
    return int(rest.split()[0]) * 1024 if rest else 0


@dataclass
class Meter:
    """What processes use from `start` on; `pids` are by what they are.

    Memory is sampled: call `sample` about once a second.
    """

    pids: Mapping[str, int]
    peak: dict[str, int] = field(default_factory=dict)
    _before: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        """CPU counts from now on."""
        self._before = {name: cpu_seconds(pid) for name, pid in self.pids.items()}

    def sample(self) -> None:
        """Note how much memory each uses."""
        for name, pid in self.pids.items():
            self.peak[name] = max(self.peak.get(name, 0), memory_bytes(pid))

    def cpu(self) -> dict[str, float]:
        """CPU-seconds of each since `start`."""
        return {name: cpu_seconds(pid) - self._before[name] for name, pid in self.pids.items()}

    def megabytes(self) -> dict[str, int]:
        """The most memory that each was seen with."""
        return {name: used // 1_000_000 for name, used in self.peak.items()}
