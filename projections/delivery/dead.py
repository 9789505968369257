"""Dead letters in the log: alerts that a subscription did not take, kept to be replayed."""

from collections.abc import Callable, Iterator, Sequence

from projections.delivery.deliveries import DeadLetter, read_letter
from projections.fold.log import Log
from projections.fold.outbox import Outbox, Output
from projections.metrics import WEBHOOK_DEAD_LETTERS
from schemas.topics import WEBHOOKS_DEAD


def write_dead(outbox: Outbox, letters: Sequence[DeadLetter]) -> None:
    """Return when every in-sync replica has all of them. Raises DeliveryError."""
    sent = [outbox.send(_output(letter)) for letter in letters]
    outbox.delivered(sent, wait=True)
    for letter in letters:
        WEBHOOK_DEAD_LETTERS.labels(letter.cause).inc()


def read_dead(log: Log, wanted: Callable[[DeadLetter], bool]) -> Iterator[DeadLetter]:
    """The dead letters that are `wanted`, in the order of each partition. Raises LogUnavailable."""
    partitions = range(log.partitions(WEBHOOKS_DEAD.name))
    for number, (low, high) in log.bounds(WEBHOOKS_DEAD.name, partitions).items():
        for record in log.read(WEBHOOKS_DEAD.name, number, low, high):
            letter = read_letter(record[2], record[3], dict(record[4]))
            if letter is not None and wanted(letter):
                yield letter


def _output(letter: DeadLetter) -> Output:
    key = letter.delivery.account.encode() or None
    return Output(WEBHOOKS_DEAD, letter.delivery.body, key, headers=letter.headers())
