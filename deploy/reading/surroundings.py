"""What the reading commands reach: the log, Redis, and the names in it."""

from dataclasses import dataclass
from typing import Final

from deploy.settings import Settings
from processors.admission.claims import Claims
from projections.fold.connection import redis_client
from projections.fold.log import Log
from projections.fold.retry import Patience
from projections.fold.snapshot import SnapshotReader
from projections.reading.deployment import Deployment

_KEYS_UNKNOWN: Final = 1  # reading never makes a generation, so its expected size says nothing


@dataclass(frozen=True, slots=True)
class Surroundings(Deployment):
    """One deployment, to be read, its claims too."""

    claims: Claims


def surroundings(settings: Settings) -> Surroundings:
    """Connections by the settings in force; nothing is asked of them yet."""
    client = redis_client(settings.redis_access)
    window = settings.duration("dedupe_window")
    return Surroundings(
        Log(settings.kafka_access, settings.topic_prefix),
        SnapshotReader(client, settings.key_prefix, Patience(settings.outage_seconds)),
        Claims(client, settings.key_prefix, window, _KEYS_UNKNOWN),
    )
