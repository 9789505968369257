"""Settings of every command and worker: environment (`DRAWDOWN_…`), TOML file, defaults.

The file is `drawdown.toml` in the current folder, or what `DRAWDOWN_CONFIG` names. An unknown key
in it is an error: a setting that is misspelt must not be silently ignored.
"""

import os
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from deploy.access import AccessSettings
from schemas.errors import ConfigurationError, faults_of
from schemas.times import parse_duration

DEFAULT_FILE: Final = "drawdown.toml"
HEALTH_PORTS: Final = {
    "supervisor": 9400,
    "admission": 9401,
    "rating": 9402,
    "balances": 9403,
    "exporter": 9404,
    "webhooks": 9405,
}


class Settings(AccessSettings):
    """Durations are ISO 8601. How Kafka and Redis are reached: see `AccessSettings`."""

    model_config = SettingsConfigDict(env_prefix="DRAWDOWN_", extra="forbid", frozen=True)

    partitions: int = Field(4, ge=1, le=1024, description="partitions of every keyed topic")
    replication: int = Field(1, ge=1, description="replicas of the topics that are created")
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,64}$")
    key_prefix: str = Field("drawdown", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    max_event_age: str = Field("P3D", description="older usage is refused: too_old")
    max_event_lead: str = Field("PT5M", description="usage further ahead is refused: too_early")
    dedupe_window: str = Field(
        "P3D", description="how long a claim is kept; at least max_event_age"
    )
    keys_per_generation: int = Field(
        1_000_000, ge=1, description="idempotency keys expected per partition and dedupe window"
    )
    broker_time: Literal["append", "create", "auto"] = Field(
        "auto", description="does the broker stamp records on append?"
    )
    tick_busy_seconds: int = Field(1, ge=1, description="between ticks while usage flows")
    tick_idle_seconds: int = Field(15, ge=1, description="between ticks while it does not")
    session_timeout_seconds: int = Field(6, ge=2, le=300)
    outage_seconds: int = Field(60, ge=1, description="how long an outage is waited out")
    progress_seconds: int = Field(60, ge=5, description="lag without progress ends a worker")
    health_host: str = "127.0.0.1"
    health_port: int | None = Field(None, ge=0, le=65535, description="default: 9400 to 9405")
    exporter_seconds: int = Field(
        300, ge=1, description="between the exporter's readings of all rows"
    )
    gateway_host: str = Field("127.0.0.1", description="where `drawdown gateway` listens")
    gateway_port: int = Field(8888, ge=0, le=65535)
    gateway_keys: Path | None = Field(
        None,
        description="file of API keys (`drawdown keys`), of the gateway and the API; without it:"
        " loopback only, no keys",
    )
    gateway_body_bytes: int = Field(
        256_000_000, ge=8_000_000, description="bodies that the gateway holds at a time, in all"
    )
    api_host: str = Field("127.0.0.1", description="where `drawdown api` listens")
    api_port: int = Field(8889, ge=0, le=65535)
    api_body_bytes: int = Field(
        64_000_000, ge=1_000_000, description="bodies that the API holds at a time, in all"
    )
    webhooks_file: Path | None = Field(
        None, description="file of subscriptions (`drawdown subscriptions`)"
    )
    webhooks_delays: str = Field(
        "PT5S PT5M PT30M PT2H PT5H PT10H PT14H PT20H PT24H",
        max_length=400,
        description="what is waited after each attempt that failed, before its jitter",
    )
    webhooks_disable_after: str = Field("P5D", description="of nothing but failures")
    webhooks_timeout_seconds: int = Field(15, ge=1, le=15, description="of one attempt")
    webhooks_concurrency: int = Field(4, ge=1, le=64, description="attempts at a time, each one's")
    webhooks_most_waiting: int = Field(
        100_000, ge=1, le=10_000_000, description="deliveries of one; more are dead letters"
    )
    member: str = Field("0", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="name of this worker")

    @model_validator(mode="after")
    def _window_covers_age(self) -> "Settings":
        if self.duration("dedupe_window") < self.duration("max_event_age"):
            message = (
                "dedupe_window must be at least max_event_age: a late copy would be folded again"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _webhooks_make_sense(self) -> "Settings":
        if not self.delays():
            raise ValueError("webhooks_delays: expected at least one duration")
        self.duration("webhooks_disable_after")
        return self

    def delays(self) -> tuple[int, ...]:
        """`webhooks_delays` in microseconds. Raises ValueError."""
        return tuple(parse_duration(each).microseconds for each in self.webhooks_delays.split())

    def duration(self, name: str) -> int:
        """A setting that is a duration, in microseconds. Raises ValueError for anything else."""
        return parse_duration(getattr(self, name)).microseconds

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the interface of the base
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the TOML file."""
        path = Path(os.environ.get("DRAWDOWN_CONFIG", DEFAULT_FILE))
        if not path.exists():
            if "DRAWDOWN_CONFIG" in os.environ:
                message = f"DRAWDOWN_CONFIG names {path}, which does not exist"
                raise ConfigurationError(message)
            return (init_settings, env_settings)
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path))


def load_settings(**overrides: object) -> Settings:
    """The settings in force. Raises ConfigurationError with each fault and where it is."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigurationError(faults_of(error, "settings")) from error
