"""Looking usage up as commands enter: the ledger is read from its beginning to its end.

No less would do. A usage may have lines at several places (a product that was priced later by a
`replay`), and that it has none is only known at the end. Where it ends is asked for as the command
enters: usage that is accepted but not drawn by then is not there.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing

import polars as pl

from projections.access import Kafka
from projections.fold.log import Log
from projections.reading.usage import Key, entered, faults_in, rows_of, usage_named
from schemas.documents import Document
from schemas.errors import DocumentError, FrameError, LogError, LogUnavailable
from schemas.frames import LEDGER_SCHEMA
from schemas.partition import partition_of
from schemas.reasons import Refusal
from schemas.topics import LEDGER

Stretches = Mapping[int, tuple[int, int]]
"""Of partitions of the ledger, the first offset held and the end."""


def look_up(documents: Sequence[Document], kafka: Kafka, topic_prefix: str = "") -> list[Document]:
    """`documents` as they enter (see `entered`); reads nothing where no usage is named.

    Raises DocumentError that names each that is refused, LogUnavailable, LogError, ReleaseError.
    """
    _check((f"{_name(each)}: {why.path}", why) for each in documents for why in faults_in(each))
    keys = usage_named(documents)
    if not keys:
        return list(documents)
    found = entered(documents, ledger_of(keys, Log(kafka, topic_prefix)))
    together = zip(documents, found, strict=True)
    _check((_name(each), why) for each, why in together if isinstance(why, Refusal))
    return [each for each in found if not isinstance(each, Refusal)]


def ledger_of(keys: Sequence[Key], log: Log) -> pl.DataFrame:
    """The ledger rows of the usage of `keys`, each account's in log order.

    Raises LogUnavailable, LogError, ReleaseError.
    """
    return read_stretches(stretches_of(keys, log), keys, log, lambda: None)


def stretches_of(keys: Sequence[Key], log: Log) -> Stretches:
    """The whole ledger of the accounts of `keys`. Raises LogUnavailable."""
    count = log.partitions(LEDGER.name)
    if not count:
        raise LogUnavailable(f"no topic {log.name(LEDGER.name)}")
    return log.bounds(LEDGER.name, sorted({partition_of(account, count) for account, _, _ in keys}))


def read_stretches(
    stretches: Stretches, keys: Sequence[Key], log: Log, before: Callable[[], None]
) -> pl.DataFrame:
    """The ledger rows of the usage of `keys` in these stretches, each account's in log order.

    `before` is called before each record; what it raises ends the reading. Raises LogUnavailable,
    LogError, ReleaseError.
    """
    found = [pl.DataFrame(schema=LEDGER_SCHEMA)]
    for partition, (low, high) in stretches.items():
        with closing(_frames(log, partition, low, high, before)) as frames:
            try:
                found.append(rows_of(keys, frames))
            except FrameError as error:
                raise LogError(f"{log.name(LEDGER.name)} [{partition}]: {error}") from error
    return pl.concat(found)


def _frames(
    log: Log, partition: int, low: int, high: int, before: Callable[[], None]
) -> Generator[bytes, None, None]:
    for _, _, value, _, _ in log.read(LEDGER.name, partition, low, high):
        before()
        yield value


def _name(document: Document) -> str:
    return f"{document.kind} {document.id}"


def _check(refused: Iterable[tuple[str, Refusal]]) -> None:
    """Raises DocumentError that holds each refusal, at its place."""
    if faults := [(place, f"{why.detail} ({why.reason})") for place, why in refused]:
        raise DocumentError(faults)
