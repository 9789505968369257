"""What a reconciliation found: one line per invariant, its figures, and what differs.

An invariant holds when nothing differs. What could not be looked at, because retention has cut it
off, is a note beside it: never silently counted as holding.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.table import Table

SHOWN_DIFFERENCES: Final = 10
STATEMENTS: Final = {
    "I1": "every raw record has exactly one outcome; every journalled event ends",
    "I2": "an idempotency key is folded at most once inside the dedupe window",
    "I3": "conservation, per grant and per account",
    "I4": "folding the log again from zero gives identical rows, ledger and rated lines",
    "I5": "no cut of the log into batches changes a result",
    "I6": "an alert crossing yields one id, with one content",
    "I7": "more or fewer ticks change no posting and no alert",
}


@dataclass
class Invariant:
    """One invariant of architecture.md section 3, as found."""

    code: str
    figures: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    found: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Nothing differs in what was looked at."""
        return self.found == 0

    def count(self, **figures: int) -> None:
        """Add to the figures."""
        self.figures.update(figures)

    def differ(self, what: str) -> None:
        """Something differs; the first ones are kept to be shown."""
        self.found += 1
        if len(self.differences) < SHOWN_DIFFERENCES:
            self.differences.append(what)

    def note(self, what: str) -> None:
        """Something that could not be looked at."""
        self.notes.append(what)

    def merge(self, other: "Invariant") -> None:
        """Add what was found in another partition."""
        self.figures.update(other.figures)
        self.found += other.found
        room = SHOWN_DIFFERENCES - len(self.differences)
        self.differences.extend(other.differences[:room])
        self.notes.extend(other.notes)


Findings = dict[str, Invariant]


def new_findings() -> Findings:
    """An empty invariant of each code, in their order."""
    return {code: Invariant(code) for code in STATEMENTS}


@dataclass
class Report:
    """The findings of all partitions, with the lag at the time they were taken."""

    findings: Findings = field(default_factory=new_findings)
    partitions: int = 0
    lag: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Every invariant holds."""
        return all(invariant.holds for invariant in self.findings.values())

    def merge(self, findings: Findings) -> None:
        """Add one partition's findings."""
        self.partitions += 1
        for code, invariant in findings.items():
            self.findings[code].merge(invariant)

    def to_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "holds": self.holds,
            "partitions": self.partitions,
            "lag": dict(self.lag),
            "seconds": round(self.seconds, 3),
            "invariants": [
                {
                    "invariant": code,
                    "says": STATEMENTS[code],
                    "holds": invariant.holds,
                    "figures": dict(sorted(invariant.figures.items())),
                    "differences": invariant.differences,
                    "differences_found": invariant.found,
                    "notes": invariant.notes,
                }
                for code, invariant in self.findings.items()
            ],
        }


def show(report: Report, console: Console) -> None:
    """Print the table, then what differs and what could not be checked."""
    table = Table(title=f"reconciliation of {report.partitions} partitions")
    for column in ("", "invariant", "holds", "figures"):
        table.add_column(column, overflow="fold")
    for code, invariant in report.findings.items():
        figures = ", ".join(f"{name} {count:,}" for name, count in invariant.figures.items())
        verdict = "yes" if invariant.holds else f"NO ({invariant.found:,})"
        table.add_row(code, STATEMENTS[code], verdict, figures)
    console.print(table)
    for code, invariant in report.findings.items():
        for difference in invariant.differences:
            console.print(f"{code} differs: {difference}", markup=False)
        if invariant.found > len(invariant.differences):
            console.print(f"{code}: {invariant.found - len(invariant.differences):,} more")
        for note in invariant.notes:
            console.print(f"{code} not checked: {note}", markup=False)
    behind = {name: count for name, count in report.lag.items() if count}
    if behind:
        listed = ", ".join(f"{name} {count:,}" for name, count in behind.items())
        console.print(f"lag remains, compared up to the positions: {listed} records")
    outcome = "all invariants hold" if report.holds else "DIFFERENCES FOUND"
    console.print(f"{outcome} ({report.seconds:.1f} s)")
