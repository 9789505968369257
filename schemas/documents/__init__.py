"""Documents as `drawdown apply` takes them (credits.md section 3): models, parsing, content.

`parse_document` gives a document or every fault in it, each with its path. What credits.md knows
and this release does not is refused as `unsupported`, a field nobody knows as `invalid_document`:
none is ever ignored. Two documents have the same content when their `canonical` bytes are equal.
"""

from schemas.documents.account import Account, AlertRule, Cost, Grant, Overage
from schemas.documents.catalog import (
    FlatModel,
    Meter,
    PackageModel,
    PriceModel,
    Product,
    Rate,
    RateCard,
    RateCardVersion,
    UnitModel,
)
from schemas.documents.fields import Id
from schemas.documents.parse import CATALOG_KINDS, MODELS, Document, canonical, parse_document
from schemas.strict_json import MAX_DEPTH, MAX_DOCUMENT_BYTES, load_json

DEFAULT_THRESHOLDS = ("50", "80", "95")
"""Of `consumed_percent`, the one rule of an account without `alerts` (credits.md section 7)."""

__all__ = [
    "CATALOG_KINDS",
    "DEFAULT_THRESHOLDS",
    "MAX_DEPTH",
    "MAX_DOCUMENT_BYTES",
    "MODELS",
    "Account",
    "AlertRule",
    "Cost",
    "Document",
    "FlatModel",
    "Grant",
    "Id",
    "Meter",
    "Overage",
    "PackageModel",
    "PriceModel",
    "Product",
    "Rate",
    "RateCard",
    "RateCardVersion",
    "UnitModel",
    "canonical",
    "load_json",
    "parse_document",
]
