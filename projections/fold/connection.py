"""Connections to Kafka and Redis, and whether that Redis can be trusted with rows and claims.

A server that has not answered within `ANSWER_SECONDS` is taken for hung: its connection is given up
and what was asked is asked again. Left to themselves, clients of Kafka wait for 40 to 90 s. A
server that refuses the client is no outage: waiting mends nothing, so it is a ConfigurationError.
"""

import logging
from typing import Any, Final, Protocol, cast

import redis
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from projections.access import Kafka, Redis, kafka_access, redis_access
from projections.metrics.errors import kafka_met
from projections.refusals import Heard, kafka_denial
from schemas.errors import ConfigurationError, LogUnavailable

logger = logging.getLogger("drawdown")
ANSWER_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 3.0
_FIRST_SECONDS: Final = 3.0
"""A broker that refuses says so at once: after so long what was heard is looked at, then again."""


class MetadataClient(Protocol):
    """What all clients of confluent-kafka can do."""

    def list_topics(self, topic: str = ..., timeout: float = ...) -> Any: ...  # noqa: ANN401, D102
    def poll(self, timeout: float = ...) -> Any: ...  # noqa: ANN401, D102


def kafka_client(kafka: Kafka, heard: Heard | None = None) -> dict[str, Any]:
    """What every client of confluent-kafka is told.

    The errors that it meets are counted and logged; `heard` keeps why it is refused. librdkafka's
    own log is silent: it tells the same once more, 20 times a second while a broker is away, and in
    another form than `projections.logs`.
    """

    def met(error: KafkaError) -> None:
        kafka_met(error)
        if heard is not None:
            heard(error)

    told = {"socket.timeout.ms": int(ANSWER_SECONDS * 1000), "error_cb": met, "log_level": 0}
    return {**kafka_access(kafka).options(), **told}


def ask_topics(
    client: MetadataClient, heard: Heard, kafka: Kafka, seconds: float
) -> dict[str, Any]:
    """The cluster's topics that this client may see, by name; `heard` is the client's `error_cb`.

    Raises ConfigurationError when the client is refused, LogUnavailable when nobody answers.
    """
    failure: KafkaException | None = None
    for patience in (_FIRST_SECONDS, seconds - _FIRST_SECONDS):
        try:
            return cast("dict[str, Any]", client.list_topics(timeout=patience).topics)
        except KafkaException as error:
            client.poll(0)
            if heard.refusal is not None:
                raise ConfigurationError(heard.refusal) from error
            failure = error
    assert failure is not None
    message = f"Kafka at {kafka} does not answer: {failure.args[0].str()}"
    if kafka_access(kafka).security == "plaintext":
        message += "; if it takes TLS only, set DRAWDOWN_KAFKA_SECURITY"
    raise LogUnavailable(message) from failure


def check_kafka(kafka: Kafka, group: str) -> None:
    """Raises ConfigurationError where Kafka refuses this client, or keeps it out of `group`.

    One that does not answer is no matter for this check, nor one that is reached as nobody.
    """
    if kafka_access(kafka).security == "plaintext":
        return
    heard = Heard()
    admin = AdminClient(kafka_client(kafka, heard))
    try:
        ask_topics(admin, heard, kafka, ANSWER_SECONDS)
        admin.describe_consumer_groups([group], request_timeout=ANSWER_SECONDS)[group].result()
    except LogUnavailable as error:
        logger.warning("%s", error)
    except KafkaException as error:
        if denial := kafka_denial(error.args[0]):
            raise ConfigurationError(f"group {group}: {denial}") from error
        logger.warning("group %s cannot be described: %s", group, error)


def redis_client(store: Redis, answer_seconds: float = ANSWER_SECONDS) -> redis.Redis:
    """A client that fails fast; waiting and repeating is `Patience`'s business.

    It asks nothing of the server when it connects that its user may not be allowed.
    """
    access = redis_access(store)
    return redis.Redis.from_url(
        access.url,
        socket_timeout=answer_seconds,
        socket_connect_timeout=min(answer_seconds, _CONNECT_SECONDS),
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        **access.options(),
    )


def check_partitions(client: redis.Redis, key_prefix: str, partitions: int) -> None:
    """Raises ConfigurationError where Redis was first used with another number of partitions.

    An account's rows lie in the partition that its id gave then: another number would give others.
    """
    key = f"{key_prefix}:partitions"
    client.set(key, partitions, nx=True)
    held = int(cast("bytes", client.get(key) or b"0"))
    if held != partitions:
        message = (
            f"the topics have {partitions} partitions, but the rows in Redis are of {held} ({key}):"
            " partitions cannot be added, see deploy/README.md"
        )
        raise ConfigurationError(message)


def live_redis_client(store: Redis) -> AsyncRedis:
    """A client for an event loop: a connection that was closed is opened again, once a call."""
    access = redis_access(store)
    return AsyncRedis.from_url(
        access.url,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=_CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 1),
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        **access.options(),
    )


def check_eviction(client: redis.Redis) -> None:
    """Raises ConfigurationError for a Redis that may evict: rows would vanish one by one.

    A server that does not tell (a managed one, or a user without INFO) is taken at its word.
    """
    try:
        told = cast("dict[str, str]", client.info("memory"))
    except ResponseError as error:
        logger.warning("Redis does not tell whether it evicts, which it must not: %s", error)
        return
    policy = told.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        message = f"Redis has maxmemory-policy {policy}: set it to noeviction, or rows vanish"
        raise ConfigurationError(message)
