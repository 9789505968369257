"""Documents in the journal: what rating keeps of them, what it refuses, and who else has them.

A document that rating takes is passed on to balances, which decides of its own part. Corrections of
usage are applied here alone: what they make are lines. Of holds nothing is kept here: there may be
one for each request, and the hold itself remembers its commands.
"""

from enum import Enum

from processors.rating.accounts import (
    amend_contract,
    apply_account,
    apply_contract,
    terminate_contract,
)
from processors.rating.bounds import reach_refusal
from processors.rating.corrections import Corrections, applied_before, remember, void_usage
from processors.rating.events import EventRating
from processors.rating.identities import take_grant
from processors.rating.rated import Rated
from projections.rates.catalog import Catalog, CatalogDocument
from projections.rates.held import lineages_of
from projections.rates.rows import CATALOG_KEY, CatalogRow, RatingRow, account_key
from projections.rows import Rows
from schemas.documents import (
    Account,
    AmendContract,
    Backfill,
    Command,
    Contract,
    Document,
    Grant,
    PlaceHold,
    Purchase,
    Replay,
    TerminateContract,
    VoidUsage,
    parse_document,
)
from schemas.reasons import Reason, Refusal

Correction = VoidUsage | Replay | Backfill


class Taken(Enum):
    """What a document that is not refused comes to."""

    PASSED_ON = 1
    UNCHANGED = 2


def read_document(raw: bytes) -> Document | Refusal:
    """The document of a journal row, or the first of its faults."""
    document = parse_document(raw)
    return document[0] if isinstance(document, list) else document


def apply_to_catalog(
    document: Document, catalog: Catalog, clock: int, rows: Rows[RatingRow]
) -> Refusal | Taken:
    """Take a product, a rate card or a pack. Rate cards concern rating alone."""
    if not isinstance(document, CatalogDocument):
        detail = f"{_kind(document)} does not belong to the catalog"
        return Refusal(Reason.INVALID_DOCUMENT, detail, "kind")
    refusal = catalog.apply(document, clock)
    if refusal is not None:
        return refusal
    rows.get(CATALOG_KEY)
    rows.put(CATALOG_KEY, CatalogRow(catalog.texts()))
    return Taken.UNCHANGED if document.kind == "RateCard" else Taken.PASSED_ON


def apply_to_accounts(
    document: Document, catalog: Catalog, bare: Rated, rows: Rows[RatingRow]
) -> Refusal | Taken | list[Rated]:
    """Take a document or command of an account; the rows that a correction makes."""
    if isinstance(document, CatalogDocument):
        return Refusal(Reason.INVALID_DOCUMENT, f"{document.kind} belongs to the catalog", "kind")
    if isinstance(document, Account):
        return apply_account(document, rows) or Taken.PASSED_ON
    if rows.get(account_key(document.account)) is None:
        return Refusal(Reason.UNKNOWN_ACCOUNT, f"no account {document.account}", "account")
    return reach_refusal(document, bare.at) or _of_account(document, catalog, bare, rows)


def _of_account(
    document: Contract | Grant | Command, catalog: Catalog, bare: Rated, rows: Rows[RatingRow]
) -> Refusal | Taken | list[Rated]:
    """A document of an account that is known."""
    if isinstance(document, Contract):
        new = apply_contract(document, bare.at, rows)
        if isinstance(new, Refusal):
            return new
        return Taken.PASSED_ON if new else Taken.UNCHANGED
    if isinstance(document, AmendContract | TerminateContract | Correction):
        return _command(document, catalog, bare, rows)
    if isinstance(document, Grant | Purchase | PlaceHold):
        unknown = _unknown(document, catalog, rows)
        if unknown is not None:
            return unknown
    if isinstance(document, Grant | Purchase):
        take_grant(document.account, document.id, rows)
    return Taken.PASSED_ON


def _unknown(
    document: Grant | Purchase | PlaceHold, catalog: Catalog, rows: Rows[RatingRow]
) -> Refusal | None:
    """The refusal of a document that names what is not there."""
    if isinstance(document, Purchase) and catalog.pack(document.pack) is None:
        return Refusal(Reason.UNKNOWN_PACK, f"no pack {document.pack}", "pack")
    if isinstance(document, PlaceHold) and catalog.product(document.product) is None:
        return Refusal(Reason.UNKNOWN_PRODUCT, f"no product {document.product}", "product")
    named = document.contract
    if named is not None and named not in lineages_of(rows, document.account):
        detail = f"{document.account} has no contract {named}"
        return Refusal(Reason.UNKNOWN_CONTRACT, detail, "contract")
    return None


def _command(
    command: AmendContract | TerminateContract | Correction,
    catalog: Catalog,
    bare: Rated,
    rows: Rows[RatingRow],
) -> Refusal | Taken | list[Rated]:
    """A command whose identity is kept here."""
    before = applied_before(command, command.kind, rows)
    if before:
        return before if isinstance(before, Refusal) else Taken.UNCHANGED
    made: Refusal | Taken | list[Rated]
    match command:
        case AmendContract():
            made = amend_contract(command, bare.at, rows) or Taken.PASSED_ON
        case TerminateContract():
            made = terminate_contract(command, bare.at, rows) or Taken.PASSED_ON
        case VoidUsage():
            made = void_usage(command, bare, rows)
        case Replay():
            made = Corrections(EventRating(catalog, rows)).replay(command, bare)
        case Backfill():
            made = Corrections(EventRating(catalog, rows)).backfill(command, bare)
    if not isinstance(made, Refusal):
        remember(command, command.kind, rows)
    return made


def _kind(document: Document) -> str:
    kind: str = type(document).model_fields["kind"].default
    return kind
