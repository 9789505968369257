"""What came of a scenario, as `--json` prints it. Pure: the same bytes for the same file.

Grants stand in the order they were issued, lines and what was refused in log order, alerts by
time, then account, then as they happened. Amounts are decimal texts without trailing zeros. A
line's or an alert's optional keys are there where they have a value.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from deploy.simulate.run import Outcome
from deploy.simulate.scenario import Entry
from projections.balances.recorded import RecordedLine, lines_of
from projections.balances.summary import summarise
from schemas.documents import Backfill, Command, Document, Grant, PlaceHold, RateCard
from schemas.envelope import Usage, decode_structured
from schemas.frames import RatedKind
from schemas.numbers import CREDIT_DECIMALS, QUANTITY_DECIMALS, format_units
from schemas.times import format_instant

_NAMED: Final = ("event", "grant", "contract", "pack", "hold")
"""What a refused command is shown by; one that names nothing of these, by its account.

One that places a hold is shown by the hold.
"""


def report(entries: list[Entry], outcome: Outcome) -> dict[str, Any]:
    """The result of a scenario: accounts, lines, alerts, rejected, unrated."""
    return {
        "accounts": {
            name: summarise(row, outcome.retired[name]) for name, row in outcome.accounts.items()
        },
        "lines": [_line(line) for line in _lines(outcome.ledger)],
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


def _lines(ledger: pl.DataFrame) -> list[RecordedLine]:
    """By time, then in log order: a tick that makes fees of several accounts due orders nothing."""
    return sorted(lines_of(ledger), key=lambda line: line.row["at"])


def _line(line: RecordedLine) -> dict[str, Any]:
    row = line.row
    return {
        "event": row["id"],
        "account": row["account"],
        "product": row["product"],
        "contract": row["contract"],
        "rate_card": row["rate_card"],
        "version": row["version"],
        "quantity": format_units(row["quantity"], QUANTITY_DECIMALS),
        "cost": _credits(row["cost"]),
        "slices": [{"grant": grant, "amount": _credits(amount)} for grant, amount in line.slices],
        "overage": _credits(line.overage),
    } | {
        name: True
        for name, marked in (("contract_named", "named"), ("unauthorised", "unauthorised"))
        if row[marked]
    }


def _unrated(rated: pl.DataFrame) -> list[dict[str, Any]]:
    """What still waits, as it was last found, in the order in which it began to."""
    waiting: dict[tuple[str, str, str], dict[str | None, dict[str, Any]]] = {}
    kinds = [int(RatedKind.UNRATED), int(RatedKind.LINE)]
    for row in rated.filter(pl.col("kind").is_in(kinds)).iter_rows(named=True):
        products = waiting.setdefault((row["account"], row["source"], row["id"]), {})
        product = row["product"]
        if product is not None:
            products.pop(None, None)
        if row["kind"] == RatedKind.UNRATED:
            products[product] = _wait(row)
        else:
            products.pop(product, None)
    return [entry for products in waiting.values() for entry in products.values()]


def _wait(row: Mapping[str, Any]) -> dict[str, Any]:
    product = {} if row["product"] is None else {"product": row["product"]}
    event = {"event": row["id"], "account": row["account"], **product}
    return {**event, "reason": row["reason"], "at": format_instant(row["at"])}


def _label(entry: Entry) -> dict[str, str]:
    """What is refused: a document by its own id, a command by what it names."""
    what = entry.what
    assert what is not None, entry
    if isinstance(what, Usage):
        return {"event": what.id}
    if isinstance(what, PlaceHold):
        return {"hold": what.id}
    if isinstance(what, Command):
        return _named(what) or {"account": what.account}
    own = "rate_card" if isinstance(what, RateCard) else what.kind.lower()
    return {own: what.id} | (_named(what) if isinstance(what, Grant) else {})


def _named(what: Document) -> dict[str, str]:
    if isinstance(what, Backfill):
        usage = decode_structured(what.event.encode())
        return {"event": usage.id} if isinstance(usage, Usage) else {}
    named = {name: getattr(what, name, None) for name in _NAMED}
    return {name: text for name, text in named.items() if text is not None}


def _credits(units: int) -> str:
    return format_units(units, CREDIT_DECIMALS)
