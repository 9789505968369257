"""The rows of drawdown by name: one account's hot and cold row together, and all others on demand.

Keys: `a:<account>` hot, `t:<account>` cold, `k:<account>|<key>` a key's tally, `l:<account>|…` a
limit's use, `g:<account>|<grant>` a retired grant, `m:<account>|<kind>|<id>` a command,
`h:<account>|<id>` a hold, `o:<account>` the account's open holds, `c:` the catalog.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import polars as pl

from projections.balances.hold_rows import HoldRow, OpenHoldsRow
from projections.balances.row import BalanceRow, GrantRow, TermsRow
from projections.balances.wire import (
    AnyRow,
    CatalogRow,
    CommandRow,
    LimitRow,
    RetiredRow,
    TallyRow,
    decode_row,
    encode_row,
)
from projections.rows import RowReader, Rows

CATALOG: Final = "c:"


def hot_key(account: str) -> str:
    """The key of an account's hot row."""
    return f"a:{account}"


def terms_key(account: str) -> str:
    """The key of an account's cold row."""
    return f"t:{account}"


def tally_key(account: str, key: str) -> str:
    """The key of the tally of `key` (`key_of`)."""
    return f"k:{account}|{key}"


def key_of(contract: str | None, product: str, match: str, period: int) -> str:
    """What lines are counted by, within an account (credits.md section 3)."""
    return f"{contract or ''}|{product}|{match}|{period}"


def tally_key_of_columns() -> pl.Expr:
    """`tally_key` of rated rows, as a column."""
    contract = pl.col("contract").fill_null("")
    parts = ("account", contract, "product", "match", "period")
    return pl.concat_str(pl.lit("k:"), pl.concat_str(parts, separator="|")).alias("key")


def line_key(line: Mapping[str, Any]) -> str:
    """The key of a rated line."""
    return key_of(line["contract"], line["product"], line["match"], line["period"])


def retired_key(account: str, grant: str) -> str:
    """The key of a retired grant."""
    return f"g:{account}|{grant}"


def hold_key(account: str, hold: str) -> str:
    """The key of a hold."""
    return f"h:{account}|{hold}"


def open_holds_key(account: str) -> str:
    """The key of the account's open holds."""
    return f"o:{account}"


class Books:
    """Checked rows of one partition, by what they are about."""

    def __init__(self, reader: RowReader) -> None:
        self.rows: Rows[AnyRow] = Rows(reader, encode_row, decode_row, due_of)

    def accounts(self, names: Iterable[str], keys: Iterable[str] = ()) -> dict[str, BalanceRow]:
        """The hot rows of those of `names` that are known.

        Whatever is not cached of their rows, and of the other `keys`, is read in one call.
        """
        wanted = list(names)
        missing = [name for name in wanted if not self.rows.holds(hot_key(name))]
        self.rows.load([*map(hot_key, missing), *map(terms_key, missing), *keys])
        found = ((name, self.account(name)) for name in wanted)
        return {name: row for name, row in found if row is not None}

    def account(self, name: str) -> BalanceRow | None:
        """The hot row of an account, its terms linked; None where it is unknown."""
        row = self.rows.get(hot_key(name))
        if row is None:
            return None
        assert isinstance(row, BalanceRow), row
        if not row.terms.document:
            terms = self.rows.get(terms_key(name))
            assert isinstance(terms, TermsRow), name
            link(row, terms)
        return row

    def open(self, row: BalanceRow) -> None:
        """Add a new account's rows."""
        assert self.rows.get(hot_key(row.account)) is None
        assert self.rows.get(terms_key(row.account)) is None
        self.put(row)
        self.put_terms(row)

    def put(self, row: BalanceRow) -> None:
        """The hot row was changed."""
        self.rows.put(hot_key(row.account), row)

    def put_terms(self, row: BalanceRow) -> None:
        """The cold row was changed."""
        self.rows.get(terms_key(row.account))
        self.rows.put(terms_key(row.account), row.terms)

    def due(self, until: int) -> list[str]:
        """Accounts, by code point, of which something is due at or before `until`."""
        return [key[2:] for key in self.rows.due(until) if key.startswith("a:")]

    def forget_holds(self, clock: int) -> None:
        """Remove the holds that ended long before `clock`; `due` was asked of a time as late."""
        for key in self.rows.due_in_cache(clock):
            if key.startswith("h:"):
                self.rows.remove(key)

    def catalog(self) -> CatalogRow:
        """The catalog as of here; changes are to be put."""
        row = self.rows.get(CATALOG)
        if row is None:
            row = CatalogRow()
        assert isinstance(row, CatalogRow), row
        return row

    def tags(self, product: str) -> tuple[str, ...]:
        """The tags of a product as of here."""
        return self.catalog().tags.get(product, ())

    def tally(self, account: str, key: str) -> TallyRow:
        """The tally of a key; a new one is to be put."""
        row = self.rows.get(tally_key(account, key))
        if row is None:
            row = TallyRow()
        assert isinstance(row, TallyRow), row
        return row

    def tallies(self, keys: list[str]) -> list[TallyRow]:
        """The tallies under their full keys, new ones made, all of them to be changed."""
        rows = self.rows.change_all(keys, TallyRow)
        assert all(type(row) is TallyRow for row in rows)
        return rows  # type: ignore[return-value]

    def put_tally(self, account: str, key: str, row: TallyRow) -> None:
        """The tally was changed."""
        self.rows.put(tally_key(account, key), row)

    def limit(self, key: str) -> LimitRow:
        """The use of a limit under its full key; a new one is to be put."""
        row = self.rows.get(key)
        if row is None:
            row = LimitRow()
        assert isinstance(row, LimitRow), row
        return row

    def retired(self, account: str, grant: str) -> RetiredRow | None:
        """A retired grant, None where there is none of that id."""
        row = self.rows.get(retired_key(account, grant))
        assert row is None or isinstance(row, RetiredRow), row
        return row

    def put_retired(self, account: str, row: RetiredRow) -> None:
        """The retired grant is new or was changed."""
        self.rows.put(retired_key(account, row.grant.id), row)

    def hold(self, account: str, name: str, clock: int) -> HoldRow | None:
        """A hold as of `clock`; None where there is none, or it ended too long before."""
        row = self.rows.get(hold_key(account, name))
        assert row is None or isinstance(row, HoldRow), row
        if row is None or (row.forgotten_at is not None and row.forgotten_at <= clock):
            return None
        return row

    def put_hold(self, account: str, name: str, row: HoldRow) -> None:
        """The hold is new or was changed."""
        self.rows.get(hold_key(account, name))
        self.rows.put(hold_key(account, name), row)

    def open_holds(self, account: str) -> OpenHoldsRow:
        """The account's open holds; a change is to be put."""
        row = self.rows.get(open_holds_key(account))
        assert row is None or isinstance(row, OpenHoldsRow), row
        return OpenHoldsRow() if row is None else row

    def put_open_holds(self, account: str, row: OpenHoldsRow) -> None:
        """The account's open holds were changed; where none is left there is no row."""
        if row.ends:
            self.rows.put(open_holds_key(account), row)
        else:
            self.rows.remove(open_holds_key(account))

    def command(self, account: str, kind: str, name: str) -> CommandRow | None:
        """The command that was applied under this identity."""
        row = self.rows.get(f"m:{account}|{kind}|{name}")
        assert row is None or isinstance(row, CommandRow), row
        return row

    def put_command(self, account: str, kind: str, name: str, digest: str) -> None:
        """A command was applied."""
        self.rows.put(f"m:{account}|{kind}|{name}", CommandRow(digest))


def due_of(row: AnyRow) -> int | None:
    """When something of a row is due: an account, or a hold that goes."""
    if isinstance(row, BalanceRow):
        return row.due
    return row.forgotten_at if isinstance(row, HoldRow) else None


def retired_grants(row: BalanceRow, read: Callable[[str], bytes | None]) -> list[GrantRow]:
    """The grants that have left the row, by their list; `read` gives the bytes of a key."""
    found = []
    name = row.last_retired
    while name is not None:
        raw = read(retired_key(row.account, name))
        assert raw is not None, name
        retired = decode_row(raw)
        assert isinstance(retired, RetiredRow), name
        found.append(retired.grant)
        name = retired.before
    return found


def decode_account(account: str, read: Callable[[str], bytes | None]) -> BalanceRow | None:
    """An account's row with its terms, out of stored bytes."""
    raw, terms = read(hot_key(account)), read(terms_key(account))
    if raw is None or terms is None:
        return None
    row, cold = decode_row(raw), decode_row(terms)
    assert isinstance(row, BalanceRow), account
    assert isinstance(cold, TermsRow), account
    link(row, cold)
    return row


def decode_hold(account: str, name: str, read: Callable[[str], bytes | None]) -> HoldRow | None:
    """A hold out of stored bytes, as of the last that happened to its account; None: none.

    One that ended so long before that counts as never placed, though its row may be there.
    """
    hot, raw = read(hot_key(account)), read(hold_key(account, name))
    if hot is None or raw is None:
        return None
    row, hold = decode_row(hot), decode_row(raw)
    assert isinstance(row, BalanceRow), account
    assert isinstance(hold, HoldRow), name
    return None if hold.forgotten_at is not None and hold.forgotten_at <= row.clock else hold


def link(row: BalanceRow, terms: TermsRow) -> None:
    """Give a hot row its cold one, and each grant its terms."""
    row.terms = terms
    for grant in row.grants:
        grant.terms = terms.grants[grant.id]


def accounts_in(rows: Mapping[str, bytes]) -> dict[str, BalanceRow]:
    """Every account among stored rows, by name."""
    found = {}
    for key in rows:
        if key.startswith("a:"):
            row = decode_account(key[2:], rows.get)
            assert row is not None, key
            found[row.account] = row
    return found
