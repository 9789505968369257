"""The plain reference of drawdown: one rated row at a time (credits.md sections 4 to 7).

`projections.balances.columnar` must give the same postings, alerts and rows for every cut of the
log (I5); it comes here itself wherever a boundary is crossed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from projections.balances.books import CATALOG, Books
from projections.balances.commands import COMMANDS, apply_account, find
from projections.balances.drawing import draw_line
from projections.balances.due import do_what_is_due, settle
from projections.balances.holds import HoldCommand, digest_before
from projections.balances.measures import evaluate
from projections.balances.new import digest_of
from projections.balances.row import ACCOUNT, WALLET, BalanceRow, Scope, TermsRow
from projections.balances.step import Step
from schemas.documents import (
    Account,
    Command,
    Contract,
    Document,
    Grant,
    Pack,
    Product,
    canonical,
    parse_document,
)
from schemas.frames import RatedKind
from schemas.reasons import Reason


def fold_row(rated: Mapping[str, Any], books: Books, due: Iterable[str] | None = None) -> Step:
    """Fold one rated row; `cost` and `quantity` are units.

    `due` names, sorted, the accounts that a tick need look at, and a document of the catalog, which
    concerns all accounts; absent: whichever the rows say.
    """
    step = Step(rated, books)
    kind, clock = rated["kind"], rated["at"]
    if concerns_all(kind, rated["account"]):
        for account in books.due(clock) if due is None else due:
            row = books.account(account)
            if row is not None and do_what_is_due(row, clock, step):
                books.put(row)
        books.forget_holds(clock)
    if kind == RatedKind.TICK:
        return step
    if kind == RatedKind.LINE:
        row = books.account(rated["account"])
        assert row is not None, rated["account"]
        do_what_is_due(row, clock, step)
        row.clock = clock
        draw_line(row, rated, step)
        _finish(row, step)
    elif kind == RatedKind.DOCUMENT:
        _apply_document(step)
    return step


def concerns_all(kind: int, account: str | None) -> bool:
    """Whether what is due for every account happens before the row: ticks, and the catalog's."""
    return kind == RatedKind.TICK or (kind == RatedKind.DOCUMENT and account is None)


def _finish(row: BalanceRow, step: Step) -> None:
    evaluate(row, step)
    settle(row)
    step.books.put(row)


def _apply_document(step: Step) -> None:
    document = parse_document(step.rated["data"])
    assert not isinstance(document, list), step.rated  # rating has let nothing else through
    if isinstance(document, Product | Pack):
        _follow_catalog(document, step)
        return
    row = step.books.account(step.rated["account"])
    if isinstance(document, Account) and row is None:
        row = _opened(document, step)
    assert row is not None, step.rated["account"]
    clock = step.rated["at"]
    do_what_is_due(row, clock, step)
    if not _came_before(row, document, step):
        row.clock = clock
        if isinstance(document, Account):
            apply_account(row, document, step)
        elif (refusal := COMMANDS[document.kind](row, document, step)) is not None:
            step.refuse(row.account, refusal.reason, refusal.detail)
            step.books.put(row)
            return
        if isinstance(document, Command) and not isinstance(document, HoldCommand):
            step.books.put_command(row.account, document.kind, document.id, digest_of(document))
        _finish(row, step)
        do_what_is_due(row, clock, step)
    step.books.put(row)


def _opened(account: Account, step: Step) -> BalanceRow:
    clock = step.rated["at"]
    row = BalanceRow(account.id, clock, TermsRow(""))
    row.scopes = {ACCOUNT: Scope(), WALLET: Scope()}
    step.books.open(row)
    return row


def _came_before(row: BalanceRow, document: Document, step: Step) -> bool:
    """The same document again changes nothing; one with other content is a conflict."""
    known: str | None = None
    if isinstance(document, Account):
        return row.terms.document == _text(document)
    if isinstance(document, Grant):
        grant = find(row, document.id, step)
        known, digest = None if grant is None else grant.terms.digest, digest_of(document)
    elif isinstance(document, Contract):
        lineage = row.terms.contracts.get(document.id)
        known = None if lineage is None else lineage.revisions[0].document
        digest = _text(document)
    elif isinstance(document, HoldCommand):
        known, digest = digest_before(row, document, step), digest_of(document)
    else:
        command = step.books.command(row.account, document.kind, document.id)
        known, digest = None if command is None else command.digest, digest_of(document)
    if known is None:
        return False
    if known != digest:
        detail = f"{document.kind} {document.id} was applied before with other content"
        step.refuse(row.account, Reason.CONFLICT, f"{detail}; the first stands")
    return True


def _follow_catalog(document: Product | Pack, step: Step) -> None:
    catalog = step.books.catalog()
    if isinstance(document, Pack):
        catalog.packs[document.id] = _text(document)
    elif document.tags:
        catalog.tags[document.id] = document.tags
    elif document.id in catalog.tags:
        catalog.tags[document.id] = ()
    else:
        return
    step.books.rows.put(CATALOG, catalog)


def _text(document: Document) -> str:
    return canonical(document).decode()
