"""`drawdown send`: the rows of a file, sent as CloudEvents, confirmed, and counted.

The file is read once for its digest (ids derive from it), once more for the latest time where
`--rebase-time` is given, and once to be sent. A row that cannot be sent is reported with its number
and reason and counted as failed; its neighbours are sent. What is not confirmed by the broker is
not counted as sent: a broker that refuses or does not answer ends the run with an exception, and
`--resume` continues from the confirmed rows.
"""

import base64
import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from ingest.encode import Encoder, Event, Fault, Row
from ingest.mapping import EventMapping
from ingest.producer import Producer
from ingest.progress import (
    Prefix,
    SendProgress,
    load_progress,
    progress_path,
    save_progress,
)
from ingest.rebase import Rebase
from ingest.sources import Format, Source, Spooled, contents_of, open_source
from projections.access import Kafka
from schemas.errors import ConfigurationError

STDIN: Final = "-"
_TELL_EVERY: Final = 1_000
_SAVE_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Sending:
    """What to send and how. `file` is a path or `-`; `failed` is where failed rows are written."""

    file: str
    mapping: EventMapping = field(default_factory=EventMapping)
    format: Format | None = None
    rebase: Rebase | None = None
    failed: Path | None = None
    resume: bool = False
    patience_seconds: float = _PATIENCE_SECONDS


@dataclass(frozen=True, slots=True)
class SendReport:
    """Rows read, confirmed by the broker and failed in this run, and the shift in microseconds.

    `sent_before` and `failed_before` are those of the runs that this one resumed.
    """

    read: int
    sent: int
    failed: int
    sent_before: int
    failed_before: int
    shift: int
    seconds: float


Tell = Callable[[int, int, int], None]
"""Is told, now and then, how many rows are done, how many failed, and about how many there are."""
TellFault = Callable[[int, str], None]
"""Is told the number and the reason of each row that failed."""


def send_file(
    sending: Sending,
    kafka: Kafka,
    topic_prefix: str = "",
    *,
    tell: Tell = lambda _done, _failed, _total: None,
    tell_fault: TellFault = lambda _number, _reason: None,
) -> SendReport:
    """Send every row, wait until all are confirmed, and say what happened.

    Raises ConfigurationError before anything is sent; DeliveryError or LogUnavailable when the
    broker refuses a record or does not answer.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        prepared = _prepare(sending, stack)
        producer = stack.enter_context(
            Producer(kafka, topic_prefix, patience_seconds=sending.patience_seconds)
        )
        producer.connect()
        failed = _failed_file(sending, prepared, stack)
        run = _Run(prepared, producer, failed, tell, tell_fault)
        progress = run.all()
    before = prepared.progress
    return SendReport(
        read=run.read,
        sent=progress.sent - before.sent,
        failed=progress.failed - before.failed,
        sent_before=before.sent,
        failed_before=before.failed,
        shift=before.shift,
        seconds=time.monotonic() - started,
    )


def _failed_file(sending: Sending, prepared: "_Prepared", stack: ExitStack) -> BinaryIO | None:
    if sending.failed is None:
        return None
    mode = "ab" if prepared.progress.confirmed else "wb"
    try:
        return stack.enter_context(cast("BinaryIO", sending.failed.open(mode)))
    except OSError as error:
        message = f"{sending.failed}: {error}"
        raise ConfigurationError(message) from error


def preview(sending: Sending, out: BinaryIO, tell_fault: TellFault) -> int:
    """`--dry-run`: write the events to `out`, one per line; gives how many rows failed."""
    failed = 0
    with ExitStack() as stack:
        prepared = _prepare(sending, stack)
        for row in prepared.source.rows(prepared.encoder):
            if isinstance(row.result, Fault):
                failed += 1
                tell_fault(row.number, row.result.reason)
            else:
                out.write(row.result.value + b"\n")
    return failed


@dataclass(frozen=True, slots=True)
class _Prepared:
    source: Source
    encoder: Encoder
    progress: SendProgress
    progress_path: Path | None
    total: int


def _prepare(sending: Sending, stack: ExitStack) -> _Prepared:
    from_stdin = sending.file == STDIN
    if from_stdin and sending.resume:
        message = "standard input cannot be resumed: save it as a file"
        raise ConfigurationError(message)
    path = stack.enter_context(Spooled()) if from_stdin else Path(sending.file)
    source = open_source(path, sending.format or ("jsonl" if from_stdin else None))
    mapping = source.checked(sending.mapping)
    digest, lines = contents_of(path)
    kept_at = progress_path(path) if sending.resume else None
    summary = mapping_digest(mapping)
    kept = load_progress(kept_at, digest, summary) if kept_at else None
    encoder = Encoder(mapping, source.kind, digest)
    if kept is None:
        shift = _shift(source, encoder, sending.rebase)
        kept = SendProgress(digest, summary, shift, confirmed=0, sent=0, failed=0)
        if kept_at:
            save_progress(kept_at, kept)
    shifted = Encoder(mapping, source.kind, digest, kept.shift)
    return _Prepared(source, shifted, kept, kept_at, source.total(lines))


def mapping_digest(mapping: EventMapping) -> str:
    """What tells two mappings apart, in hexadecimal."""
    return hashlib.blake2b(repr(mapping).encode(), digest_size=16).hexdigest()


def _shift(source: Source, encoder: Encoder, rebase: Rebase | None) -> int:
    if rebase is None:
        return 0
    earliest: int | None = None
    latest: int | None = None
    for row in source.rows(encoder):
        if isinstance(row.result, Event):
            at = row.result.time
            earliest = at if earliest is None else min(earliest, at)
            latest = at if latest is None else max(latest, at)
    if earliest is None or latest is None:
        return 0
    return rebase.shift(earliest, latest)


class _Run:
    """One pass over the rows that sends them."""

    def __init__(
        self,
        prepared: _Prepared,
        producer: Producer,
        failed: BinaryIO | None,
        tell: Tell,
        tell_fault: TellFault,
    ) -> None:
        self._prepared, self._producer, self._failed_file = prepared, producer, failed
        self._tell, self._tell_fault = tell, tell_fault
        self._prefix = Prefix()
        self._progress = prepared.progress
        self._saved_at = time.monotonic()
        self.read = self._failed = 0

    def all(self) -> SendProgress:
        try:
            for row in self._prepared.source.rows(
                self._prepared.encoder, self._prepared.progress.confirmed
            ):
                self._row(row)
            self._prefix.end()
            self._producer.flush()
        finally:
            self._save()
        self._tell_counts()
        return self._progress

    def _row(self, row: Row) -> None:
        self.read += 1
        chunk = self._prefix.current()
        if isinstance(row.result, Event):
            chunk.row(row.number, failed=False)
            self._producer.send_encoded(row.result.account, row.result.value, chunk.confirm)
        else:
            chunk.row(row.number, failed=True)
            self._failed += 1
            self._tell_fault(row.number, row.result.reason)
            if self._failed_file is not None:
                self._failed_file.write(failed_row(row.number, row.result, row.raw))
        if self.read % _TELL_EVERY == 0:
            self._producer.poll()
            self._tell_counts()
            if time.monotonic() - self._saved_at > _SAVE_SECONDS:
                self._save()

    def _tell_counts(self) -> None:
        before = self._prepared.progress
        done = before.sent + before.failed + self.read
        self._tell(done, before.failed + self._failed, self._prepared.total)

    def _save(self) -> None:
        self._progress = self._prefix.advance(self._progress)
        if self._prepared.progress_path is not None:
            save_progress(self._prepared.progress_path, self._progress)
        self._saved_at = time.monotonic()


def failed_row(number: int, fault: Fault, raw: bytes) -> bytes:
    """One line of the file of failed rows: number, reason and bytes, as text where they are."""
    shown: dict[str, str | int] = {"row": number, "reason": fault.reason}
    try:
        shown["raw"] = raw.decode()
    except UnicodeDecodeError:
        shown["raw_base64"] = base64.b64encode(raw).decode()
    return msgspec.json.encode(shown) + b"\n"
