"""The front door: the producer client, the loader of files, and `apply` of documents.

`from ingest import KafkaAccess, Producer`.
"""

from ingest.producer import Producer, Summary
from projections.access import KafkaAccess

__all__ = ["KafkaAccess", "Producer", "Summary"]
