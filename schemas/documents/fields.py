"""The kinds of fields that documents are made of, and the base of every document.

A field takes exactly its kind: no text for a whole number, no number for a text, never a float.
"""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.money import Money, check_currency
from schemas.numbers import Credits, Fixed, NumberText, Quantity, UnitPrice
from schemas.times import DAY, SECOND, TimeError, parse_duration, parse_instant, zone

CONTRADICTION: Final = "contradiction"
END_OF_PERIOD: Final = "end_of_period"
Fault = tuple[str, str]
"""A path within the document, and what was expected there."""


def _is_text(value: Any) -> Any:  # noqa: ANN401 - whatever the document holds
    if isinstance(value, NumberText):
        raise PydanticCustomError("string_type", "expected a text, got a number: quote it")
    return value


def _positive(value: Fixed) -> Fixed:
    if value.units <= 0:
        raise PydanticCustomError("positive", "expected more than 0")
    return value


def _not_negative(value: Fixed) -> Fixed:
    if value.units < 0:
        raise PydanticCustomError("not_negative", "expected 0 or more")
    return value


def _not_zero(value: Fixed) -> Fixed:
    if not value.units:
        raise PydanticCustomError("not_zero", "expected more or less than 0")
    return value


def _whole(value: Fixed) -> Fixed:
    if value.units % 10**value.DECIMALS:
        raise PydanticCustomError("whole", "expected a whole number")
    return value


def _known_zone(value: str) -> str:
    zone(value)
    return value


def _exact_duration(value: str) -> str:
    _ = parse_duration(value).microseconds
    return value


def _lifetime(value: str) -> str:
    duration = parse_duration(value)
    if not (duration.months or duration.days or duration.exact):
        raise PydanticCustomError("lifetime", "expected more than no time")
    return value


def _hold_time(value: str) -> str:
    if not SECOND <= parse_duration(value).microseconds <= 7 * DAY:
        raise PydanticCustomError("hold_time", "expected from PT1S to P7D")
    return value


def _period_or_lifetime(value: str) -> str:
    return value if value == END_OF_PERIOD else _lifetime(value)


def _local_date(value: Any) -> date:  # noqa: ANN401 - whatever the document holds
    if not isinstance(value, str) or len(value) != len("2026-01-01"):
        message = f"expected a date such as 2026-01-01, got {str(value)[:40]!r}"
        raise TimeError(message)
    parse_instant(f"{value}T00:00:00Z")
    return date.fromisoformat(value)


Name = Annotated[str, Field(min_length=1, max_length=1024), BeforeValidator(_is_text)]
Id = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"), BeforeValidator(_is_text)
]
GrantId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@~-]{0,255}$"), BeforeValidator(_is_text)
]
"""Of any grant, also of one that a rollover (`<root>~<n>`) or a rule (`<rule>@<date>`) made."""
Tag = Annotated[str, Field(min_length=1, max_length=128), BeforeValidator(_is_text)]
DottedPath = Annotated[
    str, Field(pattern=r"^[^.\s]{1,128}(\.[^.\s]{1,128}){0,15}$"), BeforeValidator(_is_text)
]
Matched = Annotated[str, Field(max_length=256), BeforeValidator(_is_text)]
Match = Annotated[dict[DottedPath, Matched], Field(max_length=16)]
"""Dotted paths into `data`, each with the text that must stand there."""
Ids = Annotated[tuple[Id, ...], Field(min_length=1, max_length=1_000)]
Tags = Annotated[tuple[Tag, ...], Field(min_length=1, max_length=1_000)]

TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_known_zone)]
ExactDuration = Annotated[str, Field(max_length=32), AfterValidator(_exact_duration)]
PositiveExactDuration = Annotated[ExactDuration, AfterValidator(_lifetime)]
Lifetime = Annotated[str, Field(max_length=32), AfterValidator(_lifetime)]
"""A duration that is not nothing; one with months is run in the account's time zone."""
HoldTime = Annotated[str, Field(max_length=32), AfterValidator(_hold_time)]
"""An exact duration for which credits may be held."""
PeriodOrLifetime = Annotated[str, Field(max_length=32), AfterValidator(_period_or_lifetime)]
LocalDate = Annotated[
    date,
    PlainValidator(_local_date),
    PlainSerializer(date.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date"}),
]

PositiveCredits = Annotated[Credits, AfterValidator(_positive)]
NotNegativeCredits = Annotated[Credits, AfterValidator(_not_negative)]
NotZeroCredits = Annotated[Credits, AfterValidator(_not_zero)]
PositiveQuantity = Annotated[Quantity, AfterValidator(_positive)]
NotNegativeQuantity = Annotated[Quantity, AfterValidator(_not_negative)]
WholeQuantity = Annotated[Quantity, AfterValidator(_positive), AfterValidator(_whole)]
Price = Annotated[UnitPrice, AfterValidator(_not_negative)]

Whole = Annotated[int, Field(strict=True, ge=0, le=2**31)]
Counted = Annotated[int, Field(strict=True, ge=1, le=2**31)]
Flag = Annotated[bool, Field(strict=True)]
Priority = Annotated[int, Field(strict=True, ge=0, le=100)]
Currency = Annotated[
    Name,
    AfterValidator(check_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217"}),
]


class Strict(BaseModel):
    """The base of every document: frozen, no field is ignored, and no field contradicts another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def contradictions(self) -> Iterable[Fault]:
        """Where fields that are well-formed do not go together."""
        return ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = tuple(self.contradictions())
        if faults:
            raise PydanticCustomError(
                CONTRADICTION, "the fields contradict each other", {"faults": faults}
            )
        return self


class Cost(Strict):
    """What was paid: a decimal amount of an ISO 4217 currency."""

    amount: NotNegativeCredits
    currency: Currency

    @property
    def money(self) -> Money:
        """The same as an amount that can be added to others of its currency."""
        return Money(self.amount.units, self.currency)


def repeated(values: Iterable[object], path: str, expected: str) -> Iterable[Fault]:
    """A fault at each place of `path` (with `{}` for its index) whose value came before."""
    seen = set()
    for index, value in enumerate(values):
        if value in seen:
            yield path.format(index), expected
        seen.add(value)


def named_twice(
    products: tuple[str, ...] | None, tags: tuple[str, ...] | None = None
) -> Iterable[Fault]:
    """A fault at each product and tag that came before in its list."""
    yield from repeated(products or (), "products[{}]", "expected each product once")
    yield from repeated(tags or (), "tags[{}]", "expected each tag once")
