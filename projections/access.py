"""How Kafka and Redis are reached: where, over TLS or not, and as whom. No I/O but certificates'.

The one place that turns these into the options of each client library. A password is only ever sent
over TLS to Kafka; it stands in no `repr`, so in no log and no trace.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from schemas.errors import ConfigurationError

Security = Literal["plaintext", "ssl", "sasl_ssl"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]
Option = str | int | float | bool
TLS_SCHEME: Final = "rediss://"


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """A Kafka cluster, as its clients reach it; as text, its address.

    `address` is `host:port`, or several with commas. Without `ca` the machine's own authorities are
    trusted. `certificate` and `key` are the client's own (mutual TLS).
    """

    address: str
    security: Security = "plaintext"
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.address

    @property
    def addresses(self) -> list[str]:
        """Each `host:port`."""
        return [each.strip() for each in self.address.split(",")]

    def options(self) -> dict[str, Option]:
        """What a client of librdkafka is told."""
        told: dict[str, Option | Path | None] = {"bootstrap.servers": self.address}
        if self.security != "plaintext":
            told |= {
                "security.protocol": self.security,
                "ssl.ca.location": self.ca,
                "ssl.certificate.location": self.certificate,
                "ssl.key.location": self.key,
            }
        if self.security == "sasl_ssl":
            told |= {
                "sasl.mechanism": self.mechanism,
                "sasl.username": self.username,
                "sasl.password": self.password,
            }
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in told.items()
            if value is not None
        }

    def context(self) -> ssl.SSLContext | None:
        """What a client of Python's own TLS is told; None without TLS.

        Raises ConfigurationError for certificates that cannot be read.
        """
        if self.security == "plaintext":
            return None
        try:
            made = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                made.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one
            files = ", ".join(str(each) for each in (self.ca, self.certificate, self.key) if each)
            message = f"the certificates for Kafka ({files}) cannot be used: {error}"
            raise ConfigurationError(message) from error
        return made


@dataclass(frozen=True, slots=True)
class RedisAccess:
    """A Redis, as its clients reach it: `rediss://` is TLS; a `ca` is trusted beside no other."""

    url: str = field(repr=False)  # may hold a password
    ca: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def options(self) -> dict[str, Any]:
        """What redis-py's `from_url` is told beside the URL."""
        told: dict[str, Any] = {}
        if self.url.startswith(TLS_SCHEME):
            told |= {"ssl_min_version": ssl.TLSVersion.TLSv1_2}
            if self.ca is not None:
                told["ssl_ca_certs"] = str(self.ca)
        if self.password is not None:
            told |= {"username": self.username, "password": self.password}
        return told


Kafka = str | KafkaAccess
"""A bare address is one that is reached without TLS, as nobody."""
Redis = str | RedisAccess


def kafka_access(kafka: Kafka) -> KafkaAccess:
    """How it is reached."""
    return kafka if isinstance(kafka, KafkaAccess) else KafkaAccess(kafka)


def redis_access(store: Redis) -> RedisAccess:
    """How it is reached."""
    return store if isinstance(store, RedisAccess) else RedisAccess(store)
