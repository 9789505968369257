"""Documents as `drawdown apply` takes them: products, rate cards, accounts, grants (credits.md section 3).

`parse_document` gives a document or every fault in it, each with its path. What credits.md knows and this
release does not is refused as `unsupported`; a field nobody knows as `invalid_document`: no field is ever
ignored. Two documents have the same content when their `canonical` bytes are equal.
"""

import json
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from schemas.coverage import unsupported_faults
from schemas.numbers import LONGEST_LITERAL, Credits, Quantity, UnitPrice
from schemas.reasons import Reason, Refusal
from schemas.times import Instant, parse_duration, zone

MAX_DOCUMENT_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 32
DEFAULT_THRESHOLDS: Final = ("50", "80", "95")

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
Text = Annotated[str, Field(min_length=1, max_length=1024)]
DottedPath = Annotated[str, Field(pattern=r"^[^.\s]{1,128}(\.[^.\s]{1,128}){0,15}$")]


def _positive(value: Any) -> Any:  # noqa: ANN401 - any of the fixed types
    if value.units <= 0:
        raise PydanticCustomError("positive", "expected more than 0")
    return value


def _not_negative(value: Any) -> Any:  # noqa: ANN401
    if value.units < 0:
        raise PydanticCustomError("not_negative", "expected 0 or more")
    return value


def _known_zone(value: str) -> str:
    zone(value)
    return value


def _duration(value: str) -> str:
    parse_duration(value)
    return value


PositiveCredits = Annotated[Credits, AfterValidator(_positive)]
PositiveQuantity = Annotated[Quantity, AfterValidator(_positive)]
Price = Annotated[UnitPrice, AfterValidator(_not_negative)]


class Strict(BaseModel):
    """The base of every document: frozen, and no field is ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


class Meter(Strict):
    """What of an event is counted. `value` and `dimensions` are dotted paths into `data`."""

    event_type: Text
    aggregation: Literal["sum", "count"]
    value: DottedPath | None = None
    dimensions: tuple[DottedPath, ...] = Field((), max_length=16)

    @model_validator(mode="after")
    def _value_fits(self) -> "Meter":
        if self.aggregation == "sum" and self.value is None:
            raise PydanticCustomError("value", "expected a `value`: a sum needs something to add")
        if self.aggregation == "count" and self.value is not None:
            raise PydanticCustomError("value", "expected no `value`: count counts events")
        if len(set(self.dimensions)) != len(self.dimensions):
            raise PydanticCustomError("dimensions", "expected each dimension once")
        return self


class Product(Strict):
    """Something that is metered and priced."""

    kind: Literal["Product"] = "Product"
    id: Id
    name: Text | None = None
    meter: Meter


class UnitModel(Strict):
    """`unit_price` credits for each `per` of quantity."""

    model: Literal["unit"]
    unit_price: Price
    per: PositiveQuantity = Quantity.parse("1")


class FlatModel(Strict):
    """`price` credits for each event."""

    model: Literal["flat"]
    price: Price


class PackageModel(Strict):
    """`price` credits for every started package of `size`, cumulative over the billing period."""

    model: Literal["package"]
    size: PositiveQuantity
    price: Price


PriceModel = Annotated[UnitModel | FlatModel | PackageModel, Field(discriminator="model")]


class Rate(Strict):
    """The price of a product where the event's dimensions equal `match`."""

    product: Id
    match: dict[DottedPath, Annotated[str, Field(max_length=256)]] = Field({}, max_length=16)
    price: PriceModel


class RateCardVersion(Strict):
    """The rates from `effective_from` on, until the next version."""

    version: int = Field(ge=1, le=2**31)
    effective_from: Instant
    rates: tuple[Rate, ...] = Field(max_length=10_000)

    @model_validator(mode="after")
    def _rates_differ(self) -> "RateCardVersion":
        seen = {(rate.product, tuple(sorted(rate.match.items()))) for rate in self.rates}
        if len(seen) != len(self.rates):
            raise PydanticCustomError("rates", "expected one rate for each product and match")
        return self


class RateCard(Strict):
    """A price list: versions in the order in which they take effect."""

    kind: Literal["RateCard"] = "RateCard"
    id: Id
    versions: tuple[RateCardVersion, ...] = Field(min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _versions_advance(self) -> "RateCard":
        for earlier, later in zip(self.versions, self.versions[1:], strict=False):
            if later.version <= earlier.version or later.effective_from <= earlier.effective_from:
                raise PydanticCustomError(
                    "versions", "expected versions with rising number and effective_from"
                )
        return self


class AlertRule(Strict):
    """Thresholds on one measure; percentages lie within 0 and 100."""

    id: Id
    measure: Literal["consumed_percent", "remaining_percent", "remaining_amount"]
    thresholds: tuple[Annotated[Credits, AfterValidator(_not_negative)], ...] = Field(
        min_length=1, max_length=100
    )

    @model_validator(mode="after")
    def _thresholds_fit(self) -> "AlertRule":
        if len(set(self.thresholds)) != len(self.thresholds):
            raise PydanticCustomError("thresholds", "expected each threshold once")
        percent = self.measure.endswith("_percent")
        if percent and any(value > Credits.parse("100") for value in self.thresholds):
            raise PydanticCustomError("thresholds", "expected percentages of at most 100")
        return self


class Overage(Strict):
    """What happens beyond the grants; this release knows the defaults."""

    mode: Literal["allow"] = "allow"
    multiplier: Literal["1"] = "1"
    settle: Literal["invoice"] = "invoice"


class Account(Strict):
    """A customer's account and its customer-level terms."""

    kind: Literal["Account"] = "Account"
    id: Id
    name: Text | None = None
    time_zone: Annotated[str, Field(max_length=64), AfterValidator(_known_zone)] = "UTC"
    rate_card: Id | None = None
    overage: Overage = Overage()
    alerts: tuple[AlertRule, ...] | None = Field(None, max_length=100)
    late_grace: Annotated[str, Field(max_length=32), AfterValidator(_duration)] = "PT48H"

    @model_validator(mode="after")
    def _rules_differ(self) -> "Account":
        ids = [rule.id for rule in self.alerts or ()]
        if len(set(ids)) != len(ids):
            raise PydanticCustomError("alerts", "expected each rule id once")
        if parse_duration(self.late_grace).months:
            raise PydanticCustomError("late_grace", "expected a duration without months or years")
        return self


class Cost(Strict):
    """What was paid: a decimal amount of an ISO-4217 currency."""

    amount: Annotated[Credits, AfterValidator(_not_negative)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Grant(Strict):
    """A block of credits of an account."""

    kind: Literal["Grant"] = "Grant"
    id: Id
    account: Id
    type: Literal["prepaid", "promotional"]
    amount: PositiveCredits
    cost: Cost | None = None
    effective_at: Instant
    expires_at: Instant | None = None
    priority: int = Field(50, ge=0, le=100)
    products: tuple[Id, ...] | None = Field(None, min_length=1, max_length=1_000)
    opportunity: Text | None = None
    source: Text | None = None

    @model_validator(mode="after")
    def _terms_fit(self) -> "Grant":
        if self.expires_at is not None and self.expires_at <= self.effective_at:
            raise PydanticCustomError("expires_at", "expected expires_at later than effective_at")
        if self.type == "promotional" and self.cost is not None:
            raise PydanticCustomError("cost", "expected no cost: a promotional grant has none")
        if self.products is not None and len(set(self.products)) != len(self.products):
            raise PydanticCustomError("products", "expected each product once")
        return self


Document = Product | RateCard | Account | Grant
MODELS: Final[dict[str, type[Product] | type[RateCard] | type[Account] | type[Grant]]] = {
    "Product": Product,
    "RateCard": RateCard,
    "Account": Account,
    "Grant": Grant,
}
CATALOG_KINDS: Final = ("Product", "RateCard")


def parse_document(raw: bytes | dict[str, Any]) -> Document | list[Refusal]:
    """A document from JSON bytes or from loaded JSON or YAML; else every fault with its path."""
    if isinstance(raw, bytes):
        loaded = load_json(raw)
        if isinstance(loaded, Refusal):
            return [loaded]
    else:
        loaded = raw
    if not isinstance(loaded, dict):
        return [Refusal(Reason.INVALID_DOCUMENT, "expected an object with `kind` and `id`")]
    kind = loaded.get("kind")
    faults = unsupported_faults(kind, loaded)
    if faults:
        return faults
    model = MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        expected = ", ".join(MODELS)
        return [Refusal(Reason.UNKNOWN_KIND, f"expected one of {expected}, got {kind!r}", "kind")]
    try:
        return TypeAdapter(model).validate_python(loaded)
    except ValidationError as error:
        return [_fault(item) for item in error.errors(include_url=False)]


def _fault(item: Any) -> Refusal:  # noqa: ANN401 - pydantic's ErrorDetails
    message = "unknown field" if item["type"] == "extra_forbidden" else item["msg"]
    return Refusal(
        Reason.INVALID_DOCUMENT, message.removeprefix("Value error, "), _path(item["loc"])
    )


def _path(location: tuple[int | str, ...]) -> str | None:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in ("unit", "flat", "package"):  # the tag of a price model is no field
            path += f".{part}" if path else part
    return path or None


def canonical(document: Document) -> bytes:
    """Compact JSON with sorted keys, defaults filled in and canonical numbers."""
    content = document.model_dump(mode="json")
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def load_json(raw: bytes) -> Any:  # noqa: ANN401 - any JSON value, or a Refusal
    """Strict JSON: UTF-8, numbers as exact literals, no duplicate keys, bounded size and depth."""
    if len(raw) > MAX_DOCUMENT_BYTES:
        return Refusal(Reason.TOO_LARGE, f"expected at most {MAX_DOCUMENT_BYTES} bytes")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return Refusal(Reason.NOT_UTF8, str(error))
    try:
        loaded = json.loads(
            text,
            parse_float=_Literal,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except RecursionError:
        return Refusal(Reason.TOO_DEEP, f"expected at most {MAX_DEPTH} levels")
    except ValueError as error:
        return Refusal(Reason.MALFORMED_JSON, str(error))
    if not _shallow(loaded, MAX_DEPTH):
        return Refusal(Reason.TOO_DEEP, f"expected at most {MAX_DEPTH} levels")
    return loaded


class _Literal(str):
    """A JSON number kept as its text; it is exact wherever a fixed-point field takes it."""

    __slots__ = ()


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= LONGEST_LITERAL else _Literal(text)


def _refuse_constant(text: str) -> None:
    message = f"{text} is not JSON"
    raise ValueError(message)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    loaded = dict(pairs)
    if len(loaded) != len(pairs):
        message = "an object holds a key twice"
        raise ValueError(message)
    return loaded


def _shallow(value: Any, levels: int) -> bool:  # noqa: ANN401
    if levels < 0:
        return False
    if isinstance(value, dict):
        return all(_shallow(item, levels - 1) for item in value.values())
    if isinstance(value, list):
        return all(_shallow(item, levels - 1) for item in value)
    return True
