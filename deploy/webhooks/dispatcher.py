"""From settings to a dispatcher of webhooks, and to what it keeps."""

from pathlib import Path

from deploy.settings import HEALTH_PORTS, Settings
from projections.delivery.settings import DeliverySettings
from projections.delivery.store import DeliveryStore
from projections.fold.connection import redis_client
from projections.fold.retry import Patience
from schemas.errors import ConfigurationError


def file_of(settings: Settings) -> Path:
    """The file of subscriptions. Raises ConfigurationError."""
    if settings.webhooks_file is None:
        raise ConfigurationError("DRAWDOWN_WEBHOOKS_FILE names no file")
    return settings.webhooks_file


def store_of(settings: Settings) -> DeliveryStore:
    """Where deliveries wait."""
    patience = Patience(settings.outage_seconds)
    return DeliveryStore(redis_client(settings.redis_access), settings.key_prefix, patience)


def delivery_settings(settings: Settings) -> DeliverySettings:
    """What the dispatcher needs of all settings. Raises ConfigurationError."""
    port = settings.health_port
    return DeliverySettings(
        kafka=settings.kafka_access,
        redis=settings.redis_access,
        topic_prefix=settings.topic_prefix,
        key_prefix=settings.key_prefix,
        member=settings.member,
        subscriptions=file_of(settings),
        delays=settings.delays(),
        disable_after=settings.duration("webhooks_disable_after"),
        timeout_seconds=settings.webhooks_timeout_seconds,
        concurrency=settings.webhooks_concurrency,
        most_waiting=settings.webhooks_most_waiting,
        session_timeout_seconds=settings.session_timeout_seconds,
        outage_seconds=settings.outage_seconds,
        progress_seconds=settings.progress_seconds,
        health_host=settings.health_host,
        health_port=HEALTH_PORTS["webhooks"] if port is None else port,
    )
