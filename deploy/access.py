"""The settings of how Kafka and Redis are reached, and what is made of them.

Secrets come from files (`…_PASSWORD_FILE`), so that they stand in no environment; a password may be
a setting of its own, which is never shown. What would silently not be used is refused.
"""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from projections.access import TLS_SCHEME, KafkaAccess, Mechanism, RedisAccess, Security
from schemas.errors import ConfigurationError

_OF_TLS = ("kafka_ca", "kafka_certificate", "kafka_key")
_OF_SASL = ("kafka_username", "kafka_password", "kafka_password_file")


class AccessSettings(BaseSettings):
    """Addresses are `host:port`, several with commas; certificates are PEM files."""

    kafka: str = Field("127.0.0.1:9092", description="Kafka's address")
    kafka_security: Security = Field(
        "plaintext", description="plaintext | ssl | sasl_ssl: a password is only sent over TLS"
    )
    kafka_ca: Path | None = Field(None, description="who signed Kafka; without it: the machine's")
    kafka_certificate: Path | None = Field(None, description="the client's own, for mutual TLS")
    kafka_key: Path | None = Field(None, description="of kafka_certificate")
    kafka_sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_password_file: Path | None = None
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0", description="Redis's address; rediss:// is TLS"
    )
    redis_ca: Path | None = Field(None, description="who signed Redis; without it: the machine's")
    redis_username: str | None = None
    redis_password: SecretStr | None = None
    redis_password_file: Path | None = None

    @model_validator(mode="after")
    def _kafka_fits(self) -> Self:
        unused = () if self.kafka_security == "sasl_ssl" else _OF_SASL
        if self.kafka_security == "plaintext":
            unused = (*_OF_TLS, *unused)
        _refuse(self, unused, f"is not used with kafka_security {self.kafka_security}")
        if (self.kafka_certificate is None) != (self.kafka_key is None):
            raise ValueError("kafka_certificate and kafka_key go together")
        _one_of(self, "kafka_password", "kafka_password_file")
        has_password = self.kafka_password is not None or self.kafka_password_file is not None
        if self.kafka_security == "sasl_ssl" and not (self.kafka_username and has_password):
            raise ValueError("sasl_ssl needs kafka_username and kafka_password_file")
        return self

    @model_validator(mode="after")
    def _redis_fits(self) -> Self:
        _one_of(self, "redis_password", "redis_password_file")
        has_password = self.redis_password is not None or self.redis_password_file is not None
        if self.redis_username is not None and not has_password:
            raise ValueError("redis_username needs redis_password_file")
        if has_password and "@" in self.redis_url:
            raise ValueError("redis_url names a user already: leave redis_password_file out")
        if not self.redis_url.startswith(TLS_SCHEME):
            _refuse(self, ("redis_ca",), f"is not used unless redis_url is {TLS_SCHEME}")
        return self

    @property
    def kafka_access(self) -> KafkaAccess:
        """How Kafka is reached. Raises ConfigurationError for a secret that cannot be read."""
        return KafkaAccess(
            address=self.kafka,
            security=self.kafka_security,
            ca=_file("kafka_ca", self.kafka_ca),
            certificate=_file("kafka_certificate", self.kafka_certificate),
            key=_file("kafka_key", self.kafka_key),
            mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_username,
            password=_secret("kafka_password_file", self.kafka_password, self.kafka_password_file),
        )

    @property
    def redis_access(self) -> RedisAccess:
        """How Redis is reached. Raises ConfigurationError for a secret that cannot be read."""
        return RedisAccess(
            url=self.redis_url,
            ca=_file("redis_ca", self.redis_ca),
            username=self.redis_username,
            password=_secret("redis_password_file", self.redis_password, self.redis_password_file),
        )


def _refuse(settings: AccessSettings, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if getattr(settings, name) is not None:
            raise ValueError(f"{name} {why}")


def _one_of(settings: AccessSettings, name: str, other: str) -> None:
    if getattr(settings, name) is not None and getattr(settings, other) is not None:
        raise ValueError(f"{name} and {other} are both set: leave one out")


def _file(name: str, path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise ConfigurationError(f"{name}: there is no file {path}")
    return path


def _secret(name: str, given: SecretStr | None, path: Path | None) -> str | None:
    """The secret itself; a file's last line break is none of it."""
    if given is not None:
        return given.get_secret_value()
    if path is None:
        return None
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name}: {path} cannot be read: {error}") from error
    if not secret:
        raise ConfigurationError(f"{name}: {path} is empty")
    return secret
