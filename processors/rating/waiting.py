"""Events of a batch that wait for a price: rows of their own, as `EventRating.wait` keeps them."""

import polars as pl

from processors.rating.known import Known
from processors.rating.lines import Lines
from projections.rates.rows import WaitingRow, event_key
from schemas.frames import RatedKind
from schemas.tables import gathered


def keep_waiting(lines: Lines, batch: pl.DataFrame, known: Known) -> None:
    """Keep what of the batch's usage is unrated, by event."""
    decisions = known.decisions.values
    unrated = {code for code in set(lines.codes) if decisions[code].kind == RatedKind.UNRATED}
    if not unrated:
        return
    products: dict[int, list[str] | None] = {}
    for event, code in zip(lines.events, lines.codes, strict=True):
        if code in unrated:
            product = decisions[code].product
            waiting = products.setdefault(event, None if product is None else [])
            if waiting is not None and product is not None:
                waiting.append(product)
    names = ("account", "source", "id", "type", "time", "contract", "data")
    events = gathered(batch.select_seq(names), list(products)).iter_rows()
    kept: dict[str, WaitingRow] = {}
    for waiting, (account, source, identity, kind, time, contract, raw) in zip(
        products.values(), events, strict=True
    ):
        data = None if raw is None else raw.decode()
        key = event_key("n", account, source, identity)
        kept[key] = WaitingRow(kind, time, contract, data, waiting)
    known.rows.load(kept)
    for key, row in kept.items():
        known.rows.put(key, row)
