"""The topics of the pipeline: names, keys, what a record holds and how long it is kept.

`usage`, `credits`, `journal`, `rated` and `ledger` have the same partition count and the same key
-> partition function (`schemas.partition`), so partition p of one stage feeds partition p of the
next (architecture.md section 1). `catalog` has one partition and is kept for ever.
"""

from dataclasses import dataclass
from typing import Final

DAY_MILLISECONDS: Final = 86_400_000
FOR_EVER: Final = -1
MAX_RECORD_BYTES: Final = 8_000_000
"""The largest record of an internal topic; frames are cut well below it."""
MAX_INPUT_BYTES: Final = 1_000_000
"""The largest value of a usage, credits or catalog record; more is `too_large`."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: `partitions` is None where the deployment's partition count applies."""

    name: str
    holds: str
    key: str
    retention_milliseconds: int
    partitions: int | None = None


USAGE: Final = Topic(
    "metering.usage.v1", "one CloudEvent per record, and ticks", "account", 14 * DAY_MILLISECONDS
)
CREDITS: Final = Topic(
    "metering.credits.v1", "accounts, contracts, grants and commands", "account", FOR_EVER
)
CATALOG: Final = Topic(
    "metering.catalog.v1", "products, rate cards and packs", "document id", FOR_EVER, 1
)
JOURNAL: Final = Topic(
    "metering.journal.v1", "frames of admitted records, one total order", "none", FOR_EVER
)
RATED: Final = Topic("metering.rated.v1", "frames of priced lines", "none", FOR_EVER)
LEDGER: Final = Topic("metering.ledger.v1", "frames of postings", "none", FOR_EVER)
ALERTS: Final = Topic(
    "metering.alerts.v1", "one CloudEvent per alert", "account", 30 * DAY_MILLISECONDS
)
REJECTED: Final = Topic(
    "metering.rejected.v1",
    "refused records with their bytes and a reason",
    "as it came",
    30 * DAY_MILLISECONDS,
)
UNRATED: Final = Topic(
    "metering.unrated.v1", "usage that could not be priced", "account", 90 * DAY_MILLISECONDS
)
WEBHOOKS_DEAD: Final = Topic(
    "metering.webhooks.dead.v1",
    "alerts that a subscription did not take, with why",
    "account",
    30 * DAY_MILLISECONDS,
)

TOPICS: Final = (
    USAGE,
    CREDITS,
    CATALOG,
    JOURNAL,
    RATED,
    LEDGER,
    ALERTS,
    REJECTED,
    UNRATED,
    WEBHOOKS_DEAD,
)
