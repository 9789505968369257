"""What a `void_usage` takes back: the lines of its usage, looked up in the ledger as it enters.

The command on the log carries them, so that the fold stays pure (credits.md section 6).
"""

from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from projections.balances.recorded import as_recorded
from projections.fold.log import Log
from schemas.documents import Document, VoidUsage
from schemas.errors import DocumentError, LogError, LogUnavailable
from schemas.frames import LEDGER_SCHEMA, FrameError, decode_ledger
from schemas.partition import partition_of
from schemas.reasons import Reason
from schemas.topics import LEDGER

_PLACE = ("journal_offset", "row", "ordinal")
_USAGE = ("account", "source", "id")


def with_recorded_lines(
    documents: Sequence[Document], kafka: str, topic_prefix: str = ""
) -> list[Document]:
    """`documents`, each void with the event time and the lines of its usage.

    Reads the ledger of the accounts that are named, from its beginning; nothing where no document
    is a void. Raises DocumentError that names each void whose usage has no line there
    (`unknown_usage`), LogUnavailable, and LogError for a ledger of another release.
    """
    voids = [document for document in documents if isinstance(document, VoidUsage)]
    if not voids:
        return list(documents)
    return filled(documents, _ledger(voids, Log(kafka, topic_prefix)))


def filled(documents: Iterable[Document], ledger: pl.DataFrame) -> list[Document]:
    """`documents`, each void with what `ledger` recorded of its usage. Raises DocumentError."""
    found: list[Document] = []
    faults: list[tuple[str, str]] = []
    for document in documents:
        if not isinstance(document, VoidUsage):
            found.append(document)
            continue
        recorded = as_recorded(document, ledger)
        found.append(recorded)
        if not recorded.lines:
            faults.append((f"void_usage {document.id}", _unknown(document)))
    if faults:
        raise DocumentError(faults)
    return found


def named_in(voids: Iterable[VoidUsage], frames: Iterable[bytes]) -> pl.DataFrame:
    """The ledger rows of the usages that `voids` name, of `frames` in log order.

    What a restarted writer wrote twice stands there once. Raises FrameError.
    """
    names = [(void.account, void.source, void.event) for void in voids]
    wanted = pl.DataFrame(names, schema=dict.fromkeys(_USAGE, pl.String), orient="row")
    parts = [pl.DataFrame(schema=LEDGER_SCHEMA)]
    parts += (decode_ledger(frame).rows.join(wanted, on=_USAGE, how="semi") for frame in frames)
    return pl.concat(parts).unique(_PLACE, keep="first").sort(_PLACE)


def _ledger(voids: Sequence[VoidUsage], log: Log) -> pl.DataFrame:
    count = log.partitions(LEDGER.name)
    if not count:
        raise LogUnavailable(f"no topic {log.name(LEDGER.name)}")
    partitions = sorted({partition_of(void.account, count) for void in voids})
    try:
        return named_in(voids, _frames(log, partitions))
    except FrameError as error:
        raise LogError(f"{log.name(LEDGER.name)}: {error}") from error


def _frames(log: Log, partitions: Sequence[int]) -> Iterator[bytes]:
    for partition, (low, high) in log.bounds(LEDGER.name, partitions).items():
        for _, _, value, _, _ in log.read(LEDGER.name, partition, low, high):
            yield value


def _unknown(void: VoidUsage) -> str:
    return (
        f"the ledger has no line of event {void.event} of {void.source} (account {void.account}):"
        f" it was not accepted, or not drawn yet ({Reason.UNKNOWN_USAGE})"
    )
