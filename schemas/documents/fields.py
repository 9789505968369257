"""The kinds of fields that documents are made of, and the base of every document.

A field takes exactly its kind: no text for a whole number, no number for a text, never a float.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.numbers import Credits, Fixed, NumberText, Quantity, UnitPrice
from schemas.times import parse_duration, zone

CONTRADICTION: Final = "contradiction"
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


def _known_zone(value: str) -> str:
    zone(value)
    return value


def _exact_duration(value: str) -> str:
    _ = parse_duration(value).microseconds
    return value


Name = Annotated[str, Field(min_length=1, max_length=1024), BeforeValidator(_is_text)]
Id = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"), BeforeValidator(_is_text)
]
DottedPath = Annotated[
    str, Field(pattern=r"^[^.\s]{1,128}(\.[^.\s]{1,128}){0,15}$"), BeforeValidator(_is_text)
]
Matched = Annotated[str, Field(max_length=256), BeforeValidator(_is_text)]
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_known_zone)]
ExactDuration = Annotated[str, Field(max_length=32), AfterValidator(_exact_duration)]
PositiveCredits = Annotated[Credits, AfterValidator(_positive)]
PositiveQuantity = Annotated[Quantity, AfterValidator(_positive)]
NotNegativeCredits = Annotated[Credits, AfterValidator(_not_negative)]
Price = Annotated[UnitPrice, AfterValidator(_not_negative)]


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


def repeated(values: Iterable[object], path: str, expected: str) -> Iterable[Fault]:
    """A fault at each place of `path` (with `{}` for its index) whose value came before."""
    seen = set()
    for index, value in enumerate(values):
        if value in seen:
            yield path.format(index), expected
        seen.add(value)
