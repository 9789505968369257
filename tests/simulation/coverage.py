"""Crashes between every pair of effects: where the seeds killed a process, and where not yet.

An effect is a read, a send, its acknowledgement, a call of Redis before and after it was applied,
or a commit of offsets. A pair that processes passed, and at which none was killed, is struck by one
more run of a seed that passed it: up to there the run is the same, so it surely comes there.
"""

from collections import Counter
from collections.abc import Iterator

from tests.simulation.cluster import Between
from tests.simulation.run import Case, Result


class Coverage:
    """What was passed and struck in the results that were added."""

    def __init__(self) -> None:
        self.passed: Counter[Between] = Counter()
        self.struck: Counter[Between] = Counter()
        self._first: dict[Between, int] = {}

    def add(self, result: Result) -> None:
        """One more result. What comes after a kill on purpose does not count."""
        self.struck += result.struck
        if result.case.strike is None:
            self.passed += result.passed
            for between in result.passed:
                self._first.setdefault(between, result.case.seed)

    def missing(self) -> list[Case]:
        """A case for each pair that was passed and never struck."""
        return [
            Case(self._first[each], each) for each in sorted(set(self.passed) - set(self.struck))
        ]

    def lines(self) -> Iterator[str]:
        """A table: how often each pair was passed, and struck."""
        for between, count in sorted(self.passed.items()):
            stage, before, after = between
            yield f"{count:8} {self.struck[between]:6}  {stage:10} {before} > {after}"
        struck = len(self.passed) - len(self.missing())
        yield f"{len(self.passed)} pairs of effects, {struck} of them struck"
