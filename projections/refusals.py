"""When a server will not have this client: what it says of it, and what to do. Pure.

A client library takes a wrong password or an untrusted certificate for one more broken connection
and tries for ever, and what is asked of it meanwhile only times out. Here these are told apart.
"""

import ssl
from typing import Final

from confluent_kafka import KafkaError
from redis import exceptions as redis_errors

_NOT_LET_IN: Final = {
    KafkaError._AUTHENTICATION,  # noqa: SLF001 - the client's names
    KafkaError._SSL,  # noqa: SLF001
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.ILLEGAL_SASL_STATE,
}
_NOT_ALLOWED: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_ALERT: Final = "tls alert"
"""A broker that wants a certificate of the client refuses it after the handshake (TLS 1.3)."""
_OF_PIPELINES: Final = ("EXEC without MULTI", "NOPERM")
"""What a pipeline is told whose MULTI or EXEC was not allowed."""
_CHECK_KAFKA: Final = (
    "check DRAWDOWN_KAFKA_SECURITY, _CA, _SASL_MECHANISM, _USERNAME and _PASSWORD_FILE"
)
_CHECK_REDIS: Final = (
    "check DRAWDOWN_REDIS_URL (rediss:// is TLS), _CA, _USERNAME and _PASSWORD_FILE"
)


def kafka_refusal(error: KafkaError) -> str | None:
    """Why Kafka will not have this client, with what to do; None for an error of another kind."""
    if denial := kafka_denial(error):
        return denial
    said = error.str()
    if error.code() in _NOT_LET_IN or _ALERT in said:
        return f"Kafka refuses this client: {said}: {_CHECK_KAFKA}"
    return None


def kafka_denial(error: KafkaError) -> str | None:
    """Why Kafka does not allow what was asked, with what to do; None for another error."""
    if error.code() not in _NOT_ALLOWED:
        return None
    return f"Kafka does not allow it: {error.str()}: `drawdown acl kafka` lists what is needed"


def no_topic(name: str) -> str:
    """What it means that a topic is not among those that this client may see."""
    return (
        f"no topic {name}, or none that this client may see: `drawdown topics` creates it,"
        " `drawdown acl kafka` lists what a client must be allowed"
    )


class Heard:
    """An `error_cb` that keeps why the client was refused, for calls that only time out."""

    def __init__(self) -> None:
        self.refusal: str | None = None

    def __call__(self, error: KafkaError) -> None:
        """What the client library calls."""
        self.refusal = kafka_refusal(error) or self.refusal


def redis_refusal(error: BaseException) -> str | None:
    """Why Redis will not have this client, with what to do; None for an error of another kind."""
    denied = isinstance(error, redis_errors.NoPermissionError)
    if denied or any(each in str(error) for each in _OF_PIPELINES):
        return f"Redis does not allow it: {error}: `drawdown acl redis` lists what is needed"
    if isinstance(error, redis_errors.AuthenticationError) or _is_distrust(error):
        return f"Redis refuses this client: {error}: {_CHECK_REDIS}"
    return None


def _is_distrust(error: BaseException | None) -> bool:
    """Whether a certificate was not trusted, or the server does not speak TLS."""
    seen = 0
    while error is not None and seen < 8:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False
