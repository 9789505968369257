"""What came of a scenario, as `--json` prints it. Pure: the same bytes for the same file.

Grants stand in the order they were issued, lines and what was refused in log order, alerts by
time, then account, then as they happened. Amounts are decimal texts without trailing zeros.
"""

import json
from typing import Any, Final

import polars as pl

from deploy.simulate.run import Outcome
from deploy.simulate.scenario import Entry
from processors.admission.envelope import Usage
from projections.balances.postings import CONSUMED, ORDINAL_BITS, OVERAGE, REOPENED
from projections.balances.summary import summarise
from schemas.documents import RateCard
from schemas.frames import RatedKind
from schemas.numbers import CREDIT_DECIMALS, QUANTITY_DECIMALS, format_units
from schemas.times import format_instant

_DRAWN: Final = (CONSUMED, REOPENED)
Place = tuple[int, int, int]


def report(entries: list[Entry], outcome: Outcome) -> dict[str, Any]:
    """The result of a scenario: accounts, lines, alerts, rejected, unrated."""
    return {
        "accounts": {name: summarise(row) for name, row in sorted(outcome.accounts.items())},
        "lines": _lines(outcome),
        "alerts": [
            {"type": alert.type, "account": alert.account, "at": format_instant(alert.at)}
            | alert.data()
            for alert in sorted(outcome.alerts, key=lambda alert: (alert.at, alert.account))
        ],
        "rejected": [
            {
                **_label(entries[index]),
                "reason": str(reason),
                "at": format_instant(entries[index].at),
            }
            for index, reason in sorted(outcome.rejected.items())
        ],
        "unrated": _unrated(outcome.rated),
    }


def to_json(result: dict[str, Any]) -> str:
    """The result with sorted keys, ASCII only, so that its bytes depend on no terminal."""
    return json.dumps(result, sort_keys=True, indent=2)


def _lines(outcome: Outcome) -> list[dict[str, Any]]:
    slices, overage = _payments(outcome.ledger)
    lines = outcome.rated.filter(pl.col("kind") == int(RatedKind.LINE))
    found = []
    for line in _units(lines, "quantity", "cost").iter_rows(named=True):
        place = (line["journal_offset"], line["row"], line["ordinal"])
        found.append(
            {
                "event": line["id"],
                "account": line["account"],
                "product": line["product"],
                "contract": None,
                "rate_card": line["rate_card"],
                "version": line["version"],
                "quantity": format_units(line["quantity"], QUANTITY_DECIMALS),
                "cost": _credits(line["cost"]),
                "slices": slices.get(place, []),
                "overage": _credits(overage.get(place, 0)),
            }
        )
    return found


def _payments(
    ledger: pl.DataFrame,
) -> tuple[dict[Place, list[dict[str, str]]], dict[Place, int]]:
    """By the rated line that they pay for: the slices in burn order, and the overage."""
    slices: dict[Place, list[dict[str, str]]] = {}
    overage: dict[Place, int] = {}
    for posting in _units(ledger, "amount").iter_rows(named=True):
        ordinal = posting["ordinal"] >> ORDINAL_BITS
        place = (posting["journal_offset"], posting["row"], ordinal)
        if posting["posting"] == OVERAGE:
            overage[place] = posting["amount"]
        elif posting["posting"] in _DRAWN and posting["grant"] is not None:
            amount = _credits(posting["amount"])
            slices.setdefault(place, []).append({"grant": posting["grant"], "amount": amount})
    return slices, overage


def _unrated(rated: pl.DataFrame) -> list[dict[str, Any]]:
    found = []
    for row in rated.filter(pl.col("kind") == int(RatedKind.UNRATED)).iter_rows(named=True):
        product = {} if row["product"] is None else {"product": row["product"]}
        event = {"event": row["id"], "account": row["account"], **product}
        found.append({**event, "reason": row["reason"], "at": format_instant(row["at"])})
    return found


def _label(entry: Entry) -> dict[str, str]:
    """What is refused, by its own id: `{"grant": "g1"}`."""
    what = entry.what
    assert what is not None, entry
    if isinstance(what, Usage):
        return {"event": what.id}
    return {"rate_card" if isinstance(what, RateCard) else what.kind.lower(): what.id}


def _units(rows: pl.DataFrame, *amounts: str) -> pl.DataFrame:
    return rows.with_columns(pl.col(name).to_physical() for name in amounts)


def _credits(units: int) -> str:
    return format_units(units, CREDIT_DECIMALS)
