"""Documents in the journal: what rating keeps of them, and what it refuses."""

from processors.rating.catalog import Catalog
from processors.rating.rows import CATALOG_KEY, AccountRow, CatalogRow, RatingRow, account_key
from projections.rows import Rows
from schemas.documents import Account, Product, RateCard, canonical, parse_document
from schemas.reasons import Reason, Refusal


def load_catalog(rows: Rows[RatingRow]) -> Catalog:
    """The catalog as of the rows' position."""
    row = rows.get(CATALOG_KEY)
    return Catalog.restore(row.documents) if isinstance(row, CatalogRow) else Catalog()


def apply_to_catalog(
    catalog: Catalog, raw: bytes, clock: int, rows: Rows[RatingRow]
) -> Refusal | None:
    """Apply a product or rate card; None when the catalog holds it now."""
    document = parse_document(raw)
    if isinstance(document, list):
        return document[0]
    if not isinstance(document, Product | RateCard):
        return Refusal(Reason.INVALID_DOCUMENT, f"{document.kind} does not belong to the catalog")
    refusal = catalog.apply(document, clock)
    if refusal is None:
        rows.get(CATALOG_KEY)
        rows.put(CATALOG_KEY, CatalogRow(catalog.texts()))
    return refusal


def apply_to_accounts(raw: bytes, rows: Rows[RatingRow]) -> Refusal | None:
    """Apply an account, or check a grant's account; None when balances may have the document."""
    document = parse_document(raw)
    if isinstance(document, list):
        return document[0]
    if isinstance(document, Product | RateCard):
        return Refusal(Reason.INVALID_DOCUMENT, f"{document.kind} belongs to the catalog")
    account = document.id if isinstance(document, Account) else document.account
    existing = rows.get(account_key(account))
    if not isinstance(document, Account):
        if existing is None:
            return Refusal(Reason.UNKNOWN_ACCOUNT, f"no account {account}", "account")
        return None
    if isinstance(existing, AccountRow) and existing.time_zone != document.time_zone:
        detail = f"cannot change from {existing.time_zone} to {document.time_zone}"
        return Refusal(Reason.CONFLICT, detail, "time_zone")
    row = AccountRow(document.rate_card, document.time_zone, canonical(document).decode())
    rows.put(account_key(account), row)
    return None
