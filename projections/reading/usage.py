"""Usage that commands name, and what the ledger has of it, so that the folds stay pure. Pure.

A `void_usage` gets the lines of its usage, which it carries on the log (credits.md section 6). A
`backfill` is refused where the ledger has lines of its usage already: admission's claims do not
reach back that far (section 9).
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import polars as pl

from projections.balances.recorded import as_recorded, of_usage
from schemas.documents import Backfill, Document, Replay, VoidUsage
from schemas.envelope import Usage, decode_structured
from schemas.errors import LogUnavailable
from schemas.frames import LEDGER_SCHEMA, Vector, decode_ledger, ledger_ids
from schemas.reasons import Reason, Refusal

_PLACE: Final = ("account", "journal_offset", "row", "ordinal")
"""Where a row stands: each partition has a journal of its own, and an account one partition."""
_USAGE: Final = ("account", "source", "id")

Key = tuple[str, str, str]
"""The account, source and id of usage."""


def faults_in(document: Document) -> list[Refusal]:
    """What is wrong with a void or a backfill, whatever the ledger has.

    A void that brings what the ledger is to say, a backfill whose event is none of its account.
    """
    if isinstance(document, VoidUsage) and (document.lines or document.time is not None):
        detail = "expected neither time nor lines: the ledger has them"
        return [Refusal(Reason.INVALID_DOCUMENT, detail, "lines" if document.lines else "time")]
    if isinstance(document, Backfill):
        event = _event_of(document)
        return [event] if isinstance(event, Refusal) else []
    return []


def usage_of(document: Document) -> Key | None:
    """The usage that a void or a backfill names, in which `faults_in` finds nothing."""
    if isinstance(document, VoidUsage):
        return document.account, document.source, document.event
    if isinstance(document, Backfill):
        event = _event_of(document)
        assert isinstance(event, Usage), event
        return event.account, event.source, event.id
    return None


def source_of(document: Document) -> str | None:
    """The source whose usage a document adds, voids or prices, if any does."""
    if isinstance(document, Replay):
        return document.source
    usage = usage_of(document)
    return None if usage is None else usage[1]


def usage_named(documents: Iterable[Document]) -> list[Key]:
    """The usage that each void and backfill names (see `usage_of`)."""
    return [key for document in documents if (key := usage_of(document)) is not None]


def rows_of(keys: Iterable[Key], frames: Iterable[bytes]) -> pl.DataFrame:
    """The ledger rows of the usage of `keys` in one partition's `frames`, in log order.

    What a restarted writer wrote twice stands there once. Frames are cut anywhere, so the ledger
    may end, for a moment, within the rows of one usage: LogUnavailable is raised then, for a void
    would take back a part of it. Raises FrameError, ReleaseError.
    """
    wanted = pl.DataFrame(list(keys), schema=dict.fromkeys(_USAGE, pl.String), orient="row")
    ids = frozenset(wanted.get_column("id"))
    reached: Vector = (0, 0, 0)
    parts = [pl.DataFrame(schema=LEDGER_SCHEMA)]
    for value in frames:
        header, found = ledger_ids(value)
        reached = max(reached, header.upto)
        if not ids.isdisjoint(found):  # of few frames: the others are not decoded
            parts.append(decode_ledger(value).rows.join(wanted, on=_USAGE, how="semi"))
    rows = pl.concat(parts).unique(_PLACE, keep="first").sort(_PLACE)
    _check_whole(rows, reached)
    return rows


def entered(documents: Iterable[Document], ledger: pl.DataFrame) -> list[Document | Refusal]:
    """Each document as it enters, or why it does not; `ledger` has the rows of all they name.

    A void gets the event time and the lines of its usage, and is refused (`unknown_usage`) where
    there are none; a backfill is refused (`duplicate`) where there are some.
    """
    return [_entered(document, ledger) for document in documents]


def _entered(document: Document, ledger: pl.DataFrame) -> Document | Refusal:
    if isinstance(document, VoidUsage):
        recorded = as_recorded(document, ledger)
        return recorded if recorded.lines else _unknown(document)
    if isinstance(document, Backfill):
        key = usage_of(document)
        assert key is not None
        return _duplicate(key) if ledger.filter(of_usage(*key)).height else document
    return document


def _event_of(command: Backfill) -> Usage | Refusal:
    """The event of a backfill as rating reads it, or what is wrong with it."""
    event = decode_structured(command.event.encode())
    if isinstance(event, Refusal):
        return replace(event, path=f"event.{event.path}" if event.path else "event")
    if event.account != command.account:
        detail = f"expected {command.account}, got {event.account}"
        return Refusal(Reason.INVALID_DOCUMENT, detail, "event.subject")
    return event


def _check_whole(rows: pl.DataFrame, reached: Vector) -> None:
    """Raises LogUnavailable where the next frame goes on with the usage of one of these rows."""
    offset, row, _ = reached
    cut = rows.filter((pl.col("journal_offset") == offset) & (pl.col("row") == row))
    if cut.height:
        account, source, event = cut.select(_USAGE).row(0)
        message = (
            f"the ledger ends within the lines of event {event} of {source} (account {account}),"
            " which is being drawn: ask again"
        )
        raise LogUnavailable(message)


def _unknown(void: VoidUsage) -> Refusal:
    detail = (
        f"the ledger has no line of event {void.event} of {void.source} (account {void.account}):"
        " it was not accepted, or not drawn yet"
    )
    return Refusal(Reason.UNKNOWN_USAGE, detail, "event")


def _duplicate(key: Key) -> Refusal:
    account, source, event = key
    detail = f"the ledger has lines of event {event} of {source} (account {account}) already"
    return Refusal(Reason.DUPLICATE, detail, "event")
