"""`drawdown replay`: one command for each event that still waits for a price.

credits.md section 9. The topic of unrated usage names events, rating's rows say which of them still
wait.
"""

from collections.abc import Iterable, Iterator

import msgspec

from deploy.reading.surroundings import Surroundings
from processors.admission.fingerprint import key_digest
from projections.rates.rows import STAGE as RATING
from projections.rates.rows import WaitingRow, account_key, decode_row, event_key
from projections.reading.usage import Key
from schemas.documents import Replay
from schemas.topics import UNRATED


class _Event(msgspec.Struct):
    subject: str
    source: str
    id: str


def unrated(around: Surroundings, account: str | None = None) -> list[Key]:
    """The events on the topic of unrated usage, each once. Raises LogUnavailable."""
    numbers = around.partitions()
    found: dict[Key, None] = {}
    for number, (low, high) in around.log.bounds(UNRATED.name, numbers).items():
        for record in around.log.read(UNRATED.name, number, low, high):
            event = msgspec.json.decode(record[2], type=_Event)
            if account in (None, event.subject):
                found[event.subject, event.source, event.id] = None
    return list(found)


def replays(around: Surroundings, keys: Iterable[Key]) -> Iterator[Replay]:
    """A command for each of `keys` that waits, of an account that is known.

    Its id names rating's position: an event that still has no price then can be replayed again
    later, and a command that is sent twice changes nothing. Raises ConfigurationError where the
    topics do not exist, StoreUnavailable.
    """
    for key in keys:
        account, source, identity = key
        waiting, voided, owner = event_key("n", *key), event_key("v", *key), account_key(account)
        number = around.partition_of(account)
        taken = around.snapshots.take(number, RATING, (waiting, voided, owner))
        if waiting not in taken.rows or voided in taken.rows or owner not in taken.rows:
            continue
        row = decode_row(taken.rows[waiting])
        if isinstance(row, WaitingRow) and row.products != []:
            name = f"replay-{key_digest(account, source, identity).hex()}-{taken.position.offset}"
            yield Replay(id=name, account=account, source=source, event=identity)
