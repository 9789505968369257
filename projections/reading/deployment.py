"""What is read of one deployment: its log and its rows, and which partition an account is in."""

from dataclasses import dataclass

from projections.fold.log import Log
from projections.fold.snapshot import SnapshotReader
from schemas.errors import ConfigurationError
from schemas.partition import partition_of
from schemas.topics import JOURNAL


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment, to be read."""

    log: Log
    snapshots: SnapshotReader

    def partitions(self) -> list[int]:
        """The partitions of the deployment. None where its topics do not exist."""
        return list(range(self.log.partitions(JOURNAL.name)))

    def partition_of(self, account: str) -> int:
        """The partition that an account lives in. Raises ConfigurationError without topics."""
        partitions = len(self.partitions())
        if not partitions:
            raise ConfigurationError("the topics do not exist yet: `drawdown topics` creates them")
        return partition_of(account, partitions)
