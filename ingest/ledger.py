"""What is looked up in the ledger as a command enters, so that the folds stay pure.

A `void_usage` gets the lines of its usage, which it carries on the log (credits.md section 6). A
`backfill` is refused where the ledger has lines of its usage already: admission's claims do not
reach back that far (section 9).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import polars as pl
from pydantic import ValidationError

from projections.access import Kafka
from projections.balances.recorded import as_recorded, of_usage
from projections.fold.log import Log
from schemas.documents import Backfill, Document, VoidUsage
from schemas.errors import DocumentError, FrameError, LogError, LogUnavailable
from schemas.events import UsageEvent
from schemas.frames import LEDGER_SCHEMA, decode_ledger
from schemas.partition import partition_of
from schemas.reasons import Reason
from schemas.topics import LEDGER

_PLACE: Final = ("account", "journal_offset", "row", "ordinal")
"""Where a row stands: each partition has a journal of its own, and an account one partition."""
_USAGE: Final = ("account", "source", "id")

Key = tuple[str, str, str]
"""The account, source and id of usage."""


def look_up(documents: Sequence[Document], kafka: Kafka, topic_prefix: str = "") -> list[Document]:
    """`documents` as they enter (see `entered`).

    Reads the ledger of the accounts whose usage is named, from its beginning; nothing where none
    is. Raises DocumentError, LogUnavailable, LogError, ReleaseError.
    """
    keys = usage_named(documents)
    if not keys:
        return list(documents)
    return entered(documents, ledger_of(keys, Log(kafka, topic_prefix)))


def ledger_of(keys: Sequence[Key], log: Log) -> pl.DataFrame:
    """The ledger rows of the usage of `keys`, in log order.

    Raises LogUnavailable, LogError, ReleaseError.
    """
    try:
        return rows_of(keys, _frames(log, keys))
    except FrameError as error:
        raise LogError(f"{log.name(LEDGER.name)}: {error}") from error


def usage_named(documents: Iterable[Document]) -> list[Key]:
    """The usage that voids and backfills name.

    Raises DocumentError that names each backfill whose event is none of its account.
    """
    keys: list[Key] = []
    faults: list[tuple[str, str]] = []
    for document in documents:
        if isinstance(document, VoidUsage):
            keys.append((document.account, document.source, document.event))
        elif isinstance(document, Backfill):
            event = _event_of(document)
            if isinstance(event, str):
                faults.append((f"backfill {document.id}", event))
            else:
                keys.append((event.subject, event.source, event.id))
    if faults:
        raise DocumentError(faults)
    return keys


def rows_of(keys: Iterable[Key], frames: Iterable[bytes]) -> pl.DataFrame:
    """The ledger rows of the usage of `keys` in `frames`, each account's in log order.

    What a restarted writer wrote twice stands there once. Raises FrameError.
    """
    wanted = pl.DataFrame(list(keys), schema=dict.fromkeys(_USAGE, pl.String), orient="row")
    parts = [pl.DataFrame(schema=LEDGER_SCHEMA)]
    parts += (decode_ledger(frame).rows.join(wanted, on=_USAGE, how="semi") for frame in frames)
    return pl.concat(parts).unique(_PLACE, keep="first").sort(_PLACE)


def entered(documents: Iterable[Document], ledger: pl.DataFrame) -> list[Document]:
    """`documents`, each void with the event time and the lines that `ledger` has of its usage.

    Raises DocumentError that names each void of usage without a line there (`unknown_usage`), and
    each backfill of usage that has some (`duplicate`).
    """
    found: list[Document] = []
    faults: list[tuple[str, str]] = []
    for document in documents:
        if isinstance(document, VoidUsage):
            recorded = as_recorded(document, ledger)
            found.append(recorded)
            if not recorded.lines:
                faults.append((f"void_usage {document.id}", _unknown(document)))
            continue
        found.append(document)
        if isinstance(document, Backfill):
            (key,) = usage_named([document])
            if ledger.filter(of_usage(*key)).height:
                faults.append((f"backfill {document.id}", _duplicate(key)))
    if faults:
        raise DocumentError(faults)
    return found


def _event_of(command: Backfill) -> UsageEvent | str:
    """The event of a backfill, or what is wrong with it."""
    try:
        event = UsageEvent.model_validate_json(command.event)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, ("event", *fault["loc"])))
        return f"{place}: {fault['msg'].removeprefix('Value error, ')}"
    if event.subject != command.account:
        return f"event.subject: expected {command.account}, got {event.subject}"
    return event


def _frames(log: Log, keys: Iterable[Key]) -> Iterator[bytes]:
    count = log.partitions(LEDGER.name)
    if not count:
        raise LogUnavailable(f"no topic {log.name(LEDGER.name)}")
    partitions = sorted({partition_of(account, count) for account, _, _ in keys})
    for partition, (low, high) in log.bounds(LEDGER.name, partitions).items():
        for _, _, value, _, _ in log.read(LEDGER.name, partition, low, high):
            yield value


def _unknown(void: VoidUsage) -> str:
    return (
        f"the ledger has no line of event {void.event} of {void.source} (account {void.account}):"
        f" it was not accepted, or not drawn yet ({Reason.UNKNOWN_USAGE})"
    )


def _duplicate(key: Key) -> str:
    account, source, event = key
    return (
        f"the ledger has lines of event {event} of {source} (account {account}) already"
        f" ({Reason.DUPLICATE})"
    )
