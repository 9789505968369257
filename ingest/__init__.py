"""The front door: the producer client, the loader of files, and `apply` of documents.

`from ingest import KafkaAccess, Producer`. Both are loaded when they are asked for, so that the
gateway and the commands beside them load no client that they do not use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.producer import Producer, Summary
    from projections.access import KafkaAccess

__all__ = ["KafkaAccess", "Producer", "Summary"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute (PEP 562)
    if name == "KafkaAccess":
        from projections.access import KafkaAccess

        return KafkaAccess
    if name in __all__:
        from ingest import producer

        return getattr(producer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
