"""Who is told of which alerts: subscriptions, their filters and their secrets. Pure.

Everything is bounded, because operators take it over from customers. A filter that is not there
takes everything; a filter by contract takes only alerts that name one of its contracts.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Iterable
from typing import Annotated, Final, Self

import msgspec
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_serializer,
    field_validator,
    model_validator,
)

from projections.balances.alerts import RANK
from projections.delivery.addresses import url_fault
from schemas.documents.fields import Id
from schemas.times import SECOND, Instant

MOST_SUBSCRIPTIONS: Final = 256
MOST_NAMED: Final = 10_000
"""Accounts or contracts that one filter names."""
MOST_SECRETS: Final = 4
MOST_ALERT_BYTES: Final = 65_536
_MOST_URL: Final = 2_048
_PREFIX: Final = "whsec_"
_LEAST_KEY, _MOST_KEY, _NEW_KEY = 24, 64, 32
"""Bytes of a secret: Standard Webhooks allows 24 to 64."""
_SKEW: Final = 300 * SECOND
"""How far the clocks of the broker and of who subscribes may be apart without a loss."""
_ALERT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
"""No full stop: it separates what is signed."""

AlertType = Annotated[str, Field(json_schema_extra={"enum": sorted(RANK)})]


class _AlertData(msgspec.Struct, frozen=True):
    contract: str | None = None


class AlertHead(msgspec.Struct, frozen=True):
    """What is read of an alert: what it is about."""

    id: str
    type: str
    subject: str
    data: _AlertData = _AlertData()


_decoder: Final = msgspec.json.Decoder(AlertHead)


def head_of(body: bytes) -> AlertHead | None:
    """The head of an alert's bytes, None for what is no alert."""
    try:
        head = _decoder.decode(body)
        body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return head if _ALERT_ID.fullmatch(head.id) else None


class Secret(BaseModel):
    """One secret, as receivers hold it (`whsec_…`); after `until` nothing is signed with it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    value: SecretStr
    until: Instant | None = None

    @field_validator("value")
    @classmethod
    def _is_a_secret(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        try:
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not text.startswith(_PREFIX) or not _LEAST_KEY <= len(key) <= _MOST_KEY:
            message = f"expected {_PREFIX} and {_LEAST_KEY} to {_MOST_KEY} bytes in base64"
            raise ValueError(message)
        return value

    @field_serializer("value", when_used="json")
    def _kept(self, value: SecretStr) -> str:
        return value.get_secret_value()


class Disabled(BaseModel):
    """Since when nothing is sent, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: Instant
    why: Annotated[str, Field(max_length=200)]


class Subscription(BaseModel):
    """Where alerts go, which ones, and what they are signed with: the newest secret first."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    url: Annotated[str, Field(max_length=_MOST_URL)]
    types: Annotated[frozenset[AlertType], Field(min_length=1)] | None = None
    accounts: Annotated[frozenset[Id], Field(min_length=1, max_length=MOST_NAMED)] | None = None
    contracts: Annotated[frozenset[Id], Field(min_length=1, max_length=MOST_NAMED)] | None = None
    secrets: Annotated[tuple[Secret, ...], Field(min_length=1, max_length=MOST_SECRETS)]
    created_at: Instant = Field(description="alerts that were logged before are not sent")
    allow_private: bool = False
    disabled: Disabled | None = None

    @field_validator("types")
    @classmethod
    def _types_exist(cls, types: frozenset[str] | None) -> frozenset[str] | None:
        unknown = sorted((types or frozenset()) - RANK.keys())
        if unknown:
            message = f"no alert type {unknown[0][:64]!r}: expected some of {', '.join(RANK)}"
            raise ValueError(message)
        return types

    @model_validator(mode="after")
    def _url_may_be_called(self) -> Self:
        fault = url_fault(self.url, allow_private=self.allow_private)
        if fault is not None:
            message = f"the URL of {self.id}: {fault}"
            raise ValueError(message)
        if all(secret.until is not None for secret in self.secrets):
            message = f"{self.id} has no secret that stays"
            raise ValueError(message)
        return self

    @property
    def receiver(self) -> tuple[str, int]:
        """Whom it calls: another one of its name has another URL, or was made at another time."""
        return self.url, self.created_at

    def wants(self, alert: AlertHead, logged: int) -> bool:
        """Whether it is told of an alert that was logged at that instant."""
        return logged >= self.created_at - _SKEW and self.matches(alert)

    def matches(self, alert: AlertHead) -> bool:
        """Whether its filters let an alert through, whenever that was logged."""
        return (
            (self.types is None or alert.type in self.types)
            and (self.accounts is None or alert.subject in self.accounts)
            and (self.contracts is None or alert.data.contract in self.contracts)
        )

    def signing(self, now: int) -> list[str]:
        """The secrets to sign with now, the newest first; never none."""
        return [
            secret.value.get_secret_value()
            for secret in self.secrets
            if secret.until is None or now < secret.until
        ]

    def rotated(self, fresh: str, now: int, keep: int) -> "Subscription":
        """With a secret `fresh`; those before it sign on for `keep` microseconds at most.

        Raises ValueError where too many are still kept.
        """
        until = now + keep
        old = [
            Secret.model_construct(value=each.value, until=min(each.until or until, until))
            for each in self.secrets
            if each.until is None or now < each.until
        ]
        return self.changed(secrets=(Secret(value=SecretStr(fresh)), *old))

    def stopped(self, now: int, why: str) -> "Subscription":
        """Disabled by its operator. Raises ValueError."""
        return self.changed(disabled=Disabled.model_construct(at=now, why=why))

    def changed(self, **changes: object) -> "Subscription":
        """This with other values, checked. Raises ValueError."""
        return Subscription.model_validate_json(self.model_copy(update=changes).model_dump_json())


class Subscriptions(BaseModel):
    """All of a deployment, as the file of subscriptions holds them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    subscriptions: Annotated[tuple[Subscription, ...], Field(max_length=MOST_SUBSCRIPTIONS)] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [each.id for each in self.subscriptions]
        if len(ids) != len(set(ids)):
            message = "two subscriptions have the same id"
            raise ValueError(message)
        return self

    def find(self, identity: str) -> Subscription | None:
        """The one of that id."""
        return next((each for each in self.subscriptions if each.id == identity), None)

    def with_one(self, one: Subscription) -> "Subscriptions":
        """These, with `one` added, or in the place of the one of its id. Raises ValueError."""
        found = {each.id: each for each in self.subscriptions} | {one.id: one}
        return Subscriptions(subscriptions=tuple(found.values()))

    def without(self, identity: str) -> "Subscriptions":
        """These but the one of that id."""
        kept = tuple(each for each in self.subscriptions if each.id != identity)
        return Subscriptions(subscriptions=kept)


def new_subscription(
    identity: str,
    url: str,
    now: int,
    types: Iterable[str] = (),
    accounts: Iterable[str] = (),
    contracts: Iterable[str] = (),
    *,
    allow_private: bool = False,
) -> tuple[Subscription, str]:
    """A subscription from `now` on, and its secret. Raises ValueError."""
    secret = new_secret()
    made = Subscription.model_construct(
        id=identity,
        url=url,
        types=frozenset(types) or None,
        accounts=frozenset(accounts) or None,
        contracts=frozenset(contracts) or None,
        secrets=(Secret(value=SecretStr(secret)),),
        created_at=now,
        allow_private=allow_private,
    )
    return Subscription.model_validate_json(made.model_dump_json()), secret


def new_secret() -> str:
    """256 random bits, as receivers hold them."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_NEW_KEY)).decode()
