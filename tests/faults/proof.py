"""What differs after a scenario: by reconciliation, by the traffic's own sums, by the alerts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from io import StringIO
from typing import Final

from rich.console import Console

from deploy.reading.reconcile import reconcile
from deploy.reading.report import Report
from tests.system.pipeline import Pipeline
from tests.system.traffic import Traffic, cost_of

SETTLE_SECONDS: Final = 180


@dataclass(frozen=True)
class Expected:
    """What was sent comes to this: credits by account, and usage records by outcome."""

    paid: Mapping[str, Decimal]
    outcomes: Mapping[str, int]


def expected(traffic: Traffic, sent: int) -> Expected:
    """Of the first `sent` records of a traffic."""
    paid = {account: cost_of(account, tokens) for account, tokens in traffic.tokens.items()}
    return Expected(paid, {"accepted": sent - traffic.repeats, "duplicate": traffic.repeats})


def prove(
    pipeline: Pipeline, wanted: Expected, seed: int, settle_seconds: float = SETTLE_SECONDS
) -> list[str]:
    """Wait until all has settled, then every difference: none, when nothing was lost or doubled."""
    pipeline.wait_until_settled(settle_seconds)
    sent = _sent(pipeline)
    report = reconcile(pipeline.settings, Console(file=StringIO()), seed)
    return [
        *_differences(report),
        *_sums(pipeline, wanted.paid),
        *_outcomes(report, wanted.outcomes),
        *_alerts(sent, report, _sent(pipeline)),
    ]


def _differences(report: Report) -> Iterator[str]:
    for code, invariant in report.findings.items():
        yield from (f"{code}: {what}" for what in invariant.differences)
        yield from (f"{code} not checked: {what}" for what in invariant.notes)


def _sums(pipeline: Pipeline, paid: Mapping[str, Decimal]) -> Iterator[str]:
    """Every token is paid once, from a grant or as overage."""
    for account, cost in paid.items():
        balance = pipeline.balance(account)
        found = Decimal(balance["consumed"]) + Decimal(balance["overage"])
        if found != cost:
            yield f"{account} paid {found}, expected {cost}"


def _outcomes(report: Report, wanted: Mapping[str, int]) -> Iterator[str]:
    figures = report.findings["I1"].figures
    for outcome, count in wanted.items():
        if figures[outcome] != count:
            yield f"{figures[outcome]} {outcome}, expected {count}"


def _sent(pipeline: Pipeline) -> int:
    """Alerts on the topic, repeats dropped by id."""
    return len({alert["id"] for alert in pipeline.alerts()})


def _alerts(before: int, report: Report, after: int) -> Iterator[str]:
    """Those of a fold without faults, of which I6 has compared every one, and what was seen here.

    Some grants end meanwhile, with a tick: alerts may come while it is reconciled, and are written
    before the position that expects them is committed.
    """
    figures = report.findings["I6"].figures
    if not before <= figures["alerts"] <= after or figures["alerts"] < figures["expected"]:
        holds = f"{figures['alerts']} that hold, {figures['expected']} expected"
        yield f"{before} to {after} alerts, {holds}"
