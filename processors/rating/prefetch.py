"""Which rows a batch will look at, so that they are read at once and not one by one."""

from collections.abc import Iterable, Iterator

from projections.rates.catalog import CatalogDocument
from projections.rates.rows import (
    account_key,
    command_key,
    contracts_key,
    event_key,
    grant_id_key,
    quantity_key,
)
from schemas.documents import (
    Account,
    AmendContract,
    Backfill,
    Command,
    Contract,
    Document,
    Grant,
    Purchase,
    Replay,
    TerminateContract,
    VoidedLine,
    VoidUsage,
)


def rows_of_accounts(accounts: Iterable[str]) -> Iterator[str]:
    """The keys of what is kept of each account: its terms and its contracts."""
    for account in accounts:
        yield account_key(account)
        yield contracts_key(account)


def rows_of_document(document: Document) -> Iterator[str]:
    """The keys of rows that a document leads to; a backfill's event is not looked into."""
    if isinstance(document, CatalogDocument):
        return
    account = document.id if isinstance(document, Account) else document.account
    yield from rows_of_accounts((account,))
    if isinstance(document, Contract):
        yield from (grant_id_key(account, grant.id) for grant in document.grants)
    elif isinstance(document, Grant | Purchase):
        yield grant_id_key(account, document.id)
    elif isinstance(document, AmendContract | TerminateContract | VoidUsage | Replay | Backfill):
        yield command_key(account, document.kind, document.id)
    if isinstance(document, VoidUsage | Replay):
        for prefix in "nv":
            yield event_key(prefix, account, document.source, document.event)
    if isinstance(document, VoidUsage):
        yield from (key for line in document.lines for key in _key_of(document, line))


def _key_of(command: Command, line: VoidedLine) -> Iterator[str]:
    if line.match is not None and line.period is not None:
        yield quantity_key(command.account, line.contract, line.product, line.match, line.period)
