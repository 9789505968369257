"""Exact fixed-point numbers: credits, quantities, unit prices, money (credits.md section 1).

A number is an integer count of its smallest unit, never a float. Kinds are distinct types: adding
two kinds cannot be written (it is a TypeError, and mypy refuses it). The folds work on the raw
`units`. Every number that enters lies within 10^18 whole units; what is computed may go beyond.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar, Final, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

CREDIT_DECIMALS: Final = 9
QUANTITY_DECIMALS: Final = 9
PRICE_DECIMALS: Final = 12
LIMIT: Final = 10**18
"""The largest absolute value, in whole units, of any number that enters."""
LONGEST_LITERAL: Final = 64

_PLAIN: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,12})?", re.ASCII)
_LITERAL: Final = re.compile(
    r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,4}))?", re.ASCII
)


class NumberText(str):
    """A number of JSON or YAML kept as the text that was written: a text field refuses it."""

    __slots__ = ()


class NumberError(ValueError):
    """A text that is not an exact number of the kind; says what was expected."""


def parse_units(text: str, decimals: int) -> int:
    """The units of a literal: JSON's number grammar, exact within `decimals`, |value| <= 10^18.

    Raises NumberError for anything else: NaN, infinities, spaces, more decimals than allowed.
    """
    if _PLAIN.fullmatch(text):
        whole, _, fraction = text.partition(".")
        if len(fraction) <= decimals:
            return _within_limit(int(whole + fraction.ljust(decimals, "0")), decimals, text)
    match = _LITERAL.fullmatch(text) if len(text) <= LONGEST_LITERAL else None
    if match is None:
        message = f"expected a decimal number, got {text[:LONGEST_LITERAL]!r}"
        raise NumberError(message)
    sign, whole, fraction, exponent = match.groups(default="")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return 0
    shift = decimals - len(fraction) + int(exponent or 0)
    if shift > 2 * LONGEST_LITERAL:
        message = f"expected at most 10^18, got {text}"
        raise NumberError(message)
    if shift < 0:
        kept, lost = digits[:shift], digits[shift:]
        if lost.strip("0"):
            message = f"expected at most {decimals} decimals, got {text}"
            raise NumberError(message)
        digits, shift = kept or "0", 0
    units = int(digits) * 10**shift
    return _within_limit(-units if sign else units, decimals, text)


def format_units(units: int, decimals: int) -> str:
    """The canonical decimal text: no trailing zeros, no exponent, no negative zero."""
    whole, fraction = divmod(abs(units), 10**decimals)
    sign = "-" if units < 0 else ""
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:0{decimals}d}".rstrip("0")


def round_half_even(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest integer, ties to even; denominator > 0."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def _within_limit(units: int, decimals: int, text: str) -> int:
    if abs(units) > LIMIT * 10**decimals:
        message = f"expected at most 10^18, got {text}"
        raise NumberError(message)
    return units


class Fixed:
    """An exact number of one kind; use a subclass."""

    DECIMALS: ClassVar[int]
    __slots__ = ("units",)
    units: int

    def __init__(self, units: int) -> None:
        object.__setattr__(self, "units", units)

    def __setattr__(self, name: str, value: object) -> None:
        message = f"{type(self).__name__} is immutable"
        raise AttributeError(message)

    def __reduce__(self) -> tuple[type[Self], tuple[int]]:
        return type(self), (self.units,)

    @classmethod
    def parse(cls, value: "str | int | Decimal | Fixed") -> Self:
        """From a literal text, an integer or a Decimal. Raises NumberError; a float is refused."""
        if isinstance(value, cls):
            return value
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            message = f"expected a decimal string, got {type(value).__name__}"
            raise NumberError(message)
        return cls(parse_units(str(value), cls.DECIMALS))

    def __str__(self) -> str:
        return format_units(self.units, self.DECIMALS)

    def __repr__(self) -> str:
        return f"{type(self).__name__}.parse({str(self)!r})"

    def __hash__(self) -> int:
        return hash((type(self), self.units))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.units == self.units

    def __lt__(self, other: Self) -> bool:
        return self.units < other.units if type(other) is type(self) else NotImplemented

    def __le__(self, other: Self) -> bool:
        return self.units <= other.units if type(other) is type(self) else NotImplemented

    def __gt__(self, other: Self) -> bool:
        return self.units > other.units if type(other) is type(self) else NotImplemented

    def __ge__(self, other: Self) -> bool:
        return self.units >= other.units if type(other) is type(self) else NotImplemented

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(self.units + other.units)

    def __sub__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(self.units - other.units)

    def __neg__(self) -> Self:
        return type(self)(-self.units)

    def __bool__(self) -> bool:
        return self.units != 0

    @classmethod
    def __get_pydantic_core_schema__(
        cls,
        source: Any,  # noqa: ANN401 - pydantic's interface
        handler: GetCoreSchemaHandler,
    ) -> core_schema.CoreSchema:
        parse: Callable[[Any], Fixed] = cls.parse
        return core_schema.no_info_plain_validator_function(
            parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": rf"^-?(0|[1-9][0-9]{{0,18}})(\.[0-9]{{1,{cls.DECIMALS}}})?$",
            "description": f"an exact decimal with at most {cls.DECIMALS} decimals",
        }


class Credits(Fixed):
    """Credits: 9 decimals."""

    DECIMALS = CREDIT_DECIMALS
    __slots__ = ()


class Quantity(Fixed):
    """Metered quantities: 9 decimals."""

    DECIMALS = QUANTITY_DECIMALS
    __slots__ = ()


class UnitPrice(Fixed):
    """Credits for one unit of quantity: 12 decimals."""

    DECIMALS = PRICE_DECIMALS
    __slots__ = ()
