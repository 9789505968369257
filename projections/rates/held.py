"""What rating's rows hold, as of their position: the catalog, an account's terms and contracts."""

from collections.abc import Mapping

from projections.contracts import Lineage
from projections.rates.catalog import Catalog
from projections.rates.choice import AccountTerms
from projections.rates.rows import (
    CATALOG_KEY,
    AccountRow,
    CatalogRow,
    ContractsRow,
    RatingRow,
    account_key,
    contracts_key,
)
from projections.rows import Rows


def load_catalog(rows: Rows[RatingRow]) -> Catalog:
    """The catalog as of the rows' position."""
    row = rows.get(CATALOG_KEY)
    return Catalog.restore(row.documents) if isinstance(row, CatalogRow) else Catalog()


def terms_of(rows: Rows[RatingRow], account: str) -> AccountTerms | None:
    """The wallet's terms of an account, None where there is no such account."""
    row = rows.get(account_key(account))
    if not isinstance(row, AccountRow):
        return None
    return AccountTerms(row.rate_card, row.time_zone, row.limits)


def lineages_of(rows: Rows[RatingRow], account: str) -> Mapping[str, Lineage]:
    """The account's contracts by id."""
    row = rows.get(contracts_key(account))
    return row.lineages if isinstance(row, ContractsRow) else {}
