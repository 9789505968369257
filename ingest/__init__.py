"""The front door: the producer client, the loader of files, and `apply` of documents.

`from ingest import Producer`.
"""

from ingest.producer import Producer, Summary

__all__ = ["Producer", "Summary"]
