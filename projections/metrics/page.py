"""The `/metrics` page, in the format that the scrape asks for."""

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder


def page(accept: str, registry: CollectorRegistry = REGISTRY) -> tuple[bytes, str]:
    """Body and content type for an `Accept` header: text, or OpenMetrics, which has exemplars."""
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
