"""Documents as `drawdown apply` takes them (credits.md section 3): models, parsing, content.

`parse_document` gives a document or every fault in it, each with its path; a field nobody knows is
a fault, none is ever ignored. Two documents have the same content when their `canonical` bytes are
equal.
"""

from schemas.documents.account import Account
from schemas.documents.amend import amended
from schemas.documents.catalog import Break, Meter, Pack, Product, Rate, RateCard, RateCardVersion
from schemas.documents.commands import (
    AdjustGrant,
    AmendContract,
    Backfill,
    CaptureHold,
    Command,
    FundGrant,
    PlaceHold,
    Purchase,
    RefundGrant,
    ReleaseHold,
    Replay,
    SetSeats,
    SettleOverage,
    TerminateContract,
    TopUpFailed,
    VoidedLine,
    VoidedSlice,
    VoidGrant,
    VoidUsage,
)
from schemas.documents.contract import (
    Billing,
    Contract,
    ContractGrant,
    Covers,
    Marketplace,
    Override,
    Payment,
    PinnedCard,
)
from schemas.documents.fields import END_OF_PERIOD, Cost, Id
from schemas.documents.grant import Grant
from schemas.documents.merge_patch import merge_patch
from schemas.documents.parse import (
    CATALOG_KINDS,
    COMMAND_KINDS,
    CREDITS_KINDS,
    MODELS,
    Document,
    canonical,
    parse_document,
)
from schemas.documents.prices import (
    FlatModel,
    GraduatedModel,
    PackageModel,
    PriceModel,
    Tier,
    UnitModel,
    VolumeModel,
)
from schemas.documents.terms import (
    DEFAULT_BURN_POLICY,
    AlertRule,
    BurnKey,
    Cadence,
    Fee,
    Limit,
    Overage,
    Percent,
    Recurring,
    Rollover,
    Terms,
    TopUp,
)
from schemas.strict_json import MAX_DEPTH, MAX_DOCUMENT_BYTES, load_json

DEFAULT_THRESHOLDS = ("50", "80", "95")
"""Of `consumed_percent`, the one rule of an account without `alerts` (credits.md section 7)."""

__all__ = [
    "CATALOG_KINDS",
    "COMMAND_KINDS",
    "CREDITS_KINDS",
    "DEFAULT_BURN_POLICY",
    "DEFAULT_THRESHOLDS",
    "END_OF_PERIOD",
    "MAX_DEPTH",
    "MAX_DOCUMENT_BYTES",
    "MODELS",
    "Account",
    "AdjustGrant",
    "AlertRule",
    "AmendContract",
    "Backfill",
    "Billing",
    "Break",
    "BurnKey",
    "Cadence",
    "CaptureHold",
    "Command",
    "Contract",
    "ContractGrant",
    "Cost",
    "Covers",
    "Document",
    "Fee",
    "FlatModel",
    "FundGrant",
    "GraduatedModel",
    "Grant",
    "Id",
    "Limit",
    "Marketplace",
    "Meter",
    "Overage",
    "Override",
    "Pack",
    "PackageModel",
    "Payment",
    "Percent",
    "PinnedCard",
    "PlaceHold",
    "PriceModel",
    "Product",
    "Purchase",
    "Rate",
    "RateCard",
    "RateCardVersion",
    "Recurring",
    "RefundGrant",
    "ReleaseHold",
    "Replay",
    "Rollover",
    "SetSeats",
    "SettleOverage",
    "TerminateContract",
    "Terms",
    "Tier",
    "TopUp",
    "TopUpFailed",
    "UnitModel",
    "VoidGrant",
    "VoidUsage",
    "VoidedLine",
    "VoidedSlice",
    "VolumeModel",
    "amended",
    "canonical",
    "load_json",
    "merge_patch",
    "parse_document",
]
