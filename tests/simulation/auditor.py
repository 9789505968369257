"""The audit of a finished run: I1, I2, I3 and I6 from the logs alone."""

from collections.abc import Iterator

from schemas.documents import MODELS
from tests.simulation.audit.admission import audit_admission
from tests.simulation.audit.ledger import LedgerAudit
from tests.simulation.audit.rating import RatingAudit
from tests.simulation.audit.reading import Logs, read
from tests.simulation.log import Broker


def audit(broker: Broker, partitions: int) -> Iterator[str]:
    """What is wrong, a line each; nothing where the run was exact."""
    for partition in range(partitions):
        logs = read(broker, partition, partitions)
        yield from (f"[{partition}] {fault}" for fault in _audit(logs))


def _audit(logs: Logs) -> Iterator[str]:
    yield from logs.faults
    yield from audit_admission(logs, set(MODELS))
    rating = RatingAudit(logs)
    ledger = LedgerAudit(logs, rating.events)
    for rated, faults in rating.walk():
        if faults is None:
            yield from ledger.before(rated, rating.terms)
            continue
        yield from faults
        yield from ledger.of(rated, rating.terms)
    yield from ledger.finish()
