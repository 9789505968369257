"""What a release left behind: every log and row of a partition, written once and never again.

`python -m tests.deploy.reading.released FILE`, run with the code of that release.
"""

import gzip
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from processors.admission.record import RawRecord
from projections.fold.position import Position
from projections.fold.snapshot import Snapshot
from tests.deploy.reading import pipeline
from tests.deploy.reading.contracts import contract_traffic
from tests.deploy.reading.pipeline import Logs, Traffic, admit, fold

FOLDER: Final = Path(__file__).parents[2] / "schemas" / "golden"
_RECORDS: Final = 20
"""To a journal frame: some frames of each kind, and not too many bytes."""


class _Rows(msgspec.Struct):
    position: Position
    rows: dict[str, bytes]
    due: list[tuple[int, str]]


class _Released(msgspec.Struct):
    raw: tuple[list[tuple[int, bytes | None, list[tuple[str, bytes]]]], ...]
    acknowledged: tuple[int, int, int]
    journal: list[bytes]
    rated: list[bytes]
    ledger: list[bytes]
    alerts: list[bytes]
    rating: _Rows
    balances: _Rows


def released(path: Path) -> Logs:
    """What the file holds, as `pipeline.fold` gives it."""
    held = msgspec.msgpack.decode(gzip.decompress(path.read_bytes()), type=_Released)
    traffic = Traffic()
    for log, records in zip(traffic.sent, held.raw, strict=True):
        log += [RawRecord(n, at, None, body, names) for n, (at, body, names) in enumerate(records)]
    return Logs(
        traffic,
        list(enumerate(held.journal)),
        held.acknowledged,
        list(enumerate(held.rated)),
        list(enumerate(held.ledger)),
        held.alerts,
        _snapshot(held.rating),
        _snapshot(held.balances),
    )


def _snapshot(held: _Rows) -> Snapshot:
    return Snapshot("1", held.position, held.rows, held.due)


def main() -> None:
    """Write what this release leaves behind of contracts, every ending, overage, corrections."""
    pipeline.BATCH = 2
    logs = fold(admit(contract_traffic(), _RECORDS))
    raw: list[Any] = [
        [(each.received_at, each.value, list(each.headers or ())) for each in log]
        for log in logs.traffic.sent
    ]
    written = _Released(
        tuple(raw),
        logs.acknowledged,
        [value for _, value in logs.journal],
        [value for _, value in logs.rated],
        [value for _, value in logs.ledger],
        logs.alerts,
        *(_Rows(at.position, at.rows, at.due) for at in (logs.rating, logs.balances)),
    )
    with Path(sys.argv[1]).open("xb") as file:
        file.write(gzip.compress(msgspec.msgpack.encode(written), mtime=0))


if __name__ == "__main__":
    main()
