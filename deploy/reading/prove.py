"""Every invariant of one partition, out of its evidence; nothing is asked of Kafka or Redis."""

import polars as pl

from deploy.reading.alert_set import check_alerts
from deploy.reading.conservation import check_conserved
from deploy.reading.endings import check_endings
from deploy.reading.evidence import Evidence
from deploy.reading.keys import check_keys
from deploy.reading.outcomes import check_outcomes
from deploy.reading.recompute import Balanced, Rated, balance, even_cuts, rate
from deploy.reading.replay import (
    below,
    beyond,
    check_cutting,
    check_replay,
    check_ticks,
    journal_of,
)
from deploy.reading.report import Findings, new_findings


def prove(evidence: Evidence, seed: int) -> Findings:
    """Check I1 to I7. `seed` draws the cuttings and the ticks."""
    findings = new_findings()
    repeats = check_outcomes(evidence, findings["I1"])
    check_endings(evidence, findings["I1"])
    check_keys(evidence, repeats, findings["I2"])
    if cut := _cut_off(evidence):
        for code in ("I3", "I4", "I5", "I6", "I7"):
            findings[code].differ(cut)
        return findings
    journal = journal_of(evidence)
    rated = rate(journal, even_cuts(journal.height), reference=True)
    lines = below(rated.lines, evidence.balances.position.reached)
    balanced = _reference(lines)
    ahead = _ahead(evidence, rated, balanced)
    check_conserved(evidence, findings["I3"])
    check_replay(evidence, rated, balanced, findings["I4"])
    check_cutting(evidence, rated, balanced, seed, findings["I5"])
    check_alerts(evidence, balanced, ahead, findings["I6"])
    check_ticks(evidence, rated, balanced, seed, findings["I7"])
    return findings


def _cut_off(evidence: Evidence) -> str | None:
    """The journal must be there from its start: without it nothing can be folded again."""
    if evidence.journal.low:
        return (
            f"journal [{evidence.partition}] begins at {evidence.journal.low}: it was cut off, and"
            " nothing after it can be folded from zero"
        )
    return None


def _reference(lines: pl.DataFrame) -> Balanced:
    return balance(lines, even_cuts(lines.height), reference=True)


def _ahead(evidence: Evidence, rated: Rated, balanced: Balanced) -> Balanced:
    """The reference over all that is rated: outputs may be ahead of the committed position."""
    more = beyond(evidence.rated.rows, evidence.rating.position.reached)
    lines = pl.concat([rated.lines, more])
    if not beyond(lines, evidence.balances.position.reached).height:
        return balanced
    return _reference(lines)
