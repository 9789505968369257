"""What rating has found out and goes on using from batch to batch: all derived from its rows.

A document makes some of it stale: one of the catalog all, one of an account what is known of that
account. Losing it costs time and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from processors.rating.fields import Layout, filters_of, layout_of
from processors.rating.keys import KeyBook
from processors.rating.lines import Decision, Numbered, Party
from processors.rating.tables import CHARGED, DECIDED, Table, charged_row, decided_row
from processors.rating.tiers import TIERED, tiered_row
from projections.rates.catalog import Catalog
from projections.rates.choice import AccountTerms, edges, standing
from projections.rates.extract import dimension_of
from projections.rates.held import lineages_of, load_catalog, terms_of
from projections.rates.rows import RatingRow, account_key, contracts_key
from projections.rates.tariff import Tariff
from projections.rows import Rows
from schemas.documents import Product
from schemas.frames import RatedKind
from schemas.reasons import Reason

MOST: Final = 300_000
"""Entries kept before all is forgotten: a hundred megabytes."""
_NEVER, _ALWAYS = -(2**63), 2**63
_Key = tuple[str | bool | int | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Covered:
    """What holds for an account's events at times in [start, end), whatever their data is.

    `tariffs` and `parties` are numbers: of what prices the meter's products together, and of each
    product's party. None: there is no such account.
    """

    start: int
    end: int
    tariffs: int | None
    parties: tuple[int, ...]


UNKNOWN: Final = Covered(_NEVER, _ALWAYS, None, ())


class Known:
    """Of one partition, under the documents up to one place in its log."""

    def __init__(self, rows: Rows[RatingRow]) -> None:
        self.rows = rows
        self.catalog: Catalog = load_catalog(rows)
        self._metering: dict[str, Metering] = {}
        self._begin()

    def _begin(self) -> None:
        self.decisions: Numbered[Decision] = Numbered()
        self.parties: Numbered[Party] = Numbered(Party())
        self.decided = Table(self.decisions.values, DECIDED, decided_row)
        self.charged = Table(self.parties.values, CHARGED, charged_row)
        self.tiered = Table(self.decisions.values, TIERED, tiered_row)
        self.keys = KeyBook(self.rows)
        self._metering.clear()

    def metering(self, event_type: str) -> "Metering":
        """The meters of an event type."""
        found = self._metering.get(event_type)
        if found is None:
            products = self.catalog.products(event_type)
            found = self._metering[event_type] = Metering(self, products)
        return found

    def forget(self, account: str | None) -> None:
        """A document of the account was applied; None: one of the catalog."""
        if account is None:
            self._metering.clear()
            return
        for metering in self._metering.values():
            metering.forget(account)

    def trim(self) -> None:
        """Start anew where too much is known. Not while a batch goes by the numbers."""
        size = len(self.decisions.values) + len(self.parties.values)
        size += sum(metering.size for metering in self._metering.values())
        if size > MOST:
            self._begin()
        if self.keys.size > MOST:
            self.keys = KeyBook(self.rows)

    def unrated(self, product: str | None, reason: Reason) -> int:
        """The number of an unrated row's decision."""
        return self.decisions.number(Decision(RatedKind.UNRATED, product, str(reason)))


class Metering:
    """The products of an event type, and a meter for each set of them that a filter leaves."""

    def __init__(self, known: Known, products: Sequence[Product]) -> None:
        self._known, self._products = known, products
        self.filters: Layout = filters_of(products)
        self._meters: dict[tuple[str, ...], Meter] = {}

    @property
    def size(self) -> int:
        """How much is kept."""
        return sum(meter.size for meter in self._meters.values())

    def meter(self, found: Sequence[str | bool | None]) -> "Meter":
        """The meter of events with these values at the paths of `filters`."""
        paths = self.filters.dimensions
        data = {path: dimension_of(value) for path, value in zip(paths, found, strict=True)}
        left = [
            product
            for product in self._products
            if all(data[path] == text for path, text in product.meter.filter.items())
        ]
        names = tuple(product.id for product in left)
        if names not in self._meters:
            self._meters[names] = Meter(self._known, left)
        return self._meters[names]

    def forget(self, account: str) -> None:
        """Forget what is known of an account."""
        for meter in self._meters.values():
            meter.forget(account)


class Meter(dict[_Key, tuple[int, ...]]):
    """Products that meter the same events: for (tariffs, *dimensions) each product's decision."""

    def __init__(self, known: Known, products: Sequence[Product]) -> None:
        super().__init__()
        self.products = products
        self.layout: Layout = layout_of(products)
        names = (name for product in products for name in product.meter.dimensions)
        self.dimensions = tuple(dict.fromkeys(names))
        self.latest: dict[str, Covered] = {}
        self._known = known
        self._all: dict[str, dict[str | None, list[Covered]]] = {}
        self._wallets: dict[AccountTerms, list[Covered]] = {}
        self._tariffs: Numbered[tuple[Tariff, ...]] = Numbered()

    @property
    def size(self) -> int:
        """How much is kept."""
        return len(self) + len(self.latest)

    def forget(self, account: str) -> None:
        """Forget what is known of an account."""
        self.latest.pop(account, None)
        self._all.pop(account, None)

    def covered(
        self, accounts: Sequence[str], times: Sequence[int], named: Sequence[str | None] | None
    ) -> list[Covered]:
        """What covers each event, given its account, its time and the contract that it names."""
        try:
            held = list(map(self.latest.__getitem__, accounts))
        except KeyError:
            self._load(accounts, times[0])
            held = list(map(self.latest.__getitem__, accounts))
        first, last = min(times), max(times)
        if named is None and all(one.start <= first and last < one.end for one in set(held)):
            return held
        self._read(set(accounts))
        for at, (account, time, one) in enumerate(zip(accounts, times, held, strict=True)):
            name = None if named is None else named[at]
            if name is not None or not one.start <= time < one.end:
                held[at] = found = self._find(account, time, name)
                if name is None:
                    self.latest[account] = found
        return held

    def _load(self, accounts: Sequence[str], time: int) -> None:
        """See to it that `latest` has each of `accounts`: as of `time` where there was none."""
        missing = set(accounts).difference(self.latest)
        self._read(missing)
        for account in missing:
            self.latest[account] = self._find(account, time, None)

    def _read(self, accounts: set[str]) -> None:
        names = sorted(accounts)
        self._known.rows.load([*map(account_key, names), *map(contracts_key, names)])

    def _find(self, account: str, time: int, named: str | None) -> Covered:
        of_account = self._all.setdefault(account, {})
        for one in of_account.get(named, ()):
            if one.start <= time < one.end:
                return one
        rows = self._known.rows
        terms = terms_of(rows, account)
        if terms is None:
            return UNKNOWN
        kept = of_account.setdefault(named, [])
        lineages = lineages_of(rows, account)
        if not lineages:
            kept = self._wallets.setdefault(terms, [])
            for one in kept:
                if one.start <= time < one.end:
                    return one
        catalog = self._known.catalog
        found = [standing(catalog, terms, lineages, p, time, named) for p in self.products]
        parties = (Party(s.contract, s.named, s.revision, s.period[0], s.limits) for s in found)
        changes = edges(catalog, terms, lineages)
        one = Covered(
            max([_NEVER, *(s.period[0] for s in found), *(e for e in changes if e <= time)]),
            min([_ALWAYS, *(s.period[1] for s in found), *(e for e in changes if e > time)]),
            self._tariffs.number(tuple(s.tariff for s in found)),
            tuple(map(self._known.parties.number, parties)),
        )
        kept.append(one)
        return one

    def __missing__(self, key: _Key) -> tuple[int, ...]:
        tariffs, *found = key
        assert isinstance(tariffs, int)
        data = {
            name: dimension_of(value) for name, value in zip(self.dimensions, found, strict=True)
        }
        codes = self[key] = tuple(
            self._decide(product, tariff, data)
            for product, tariff in zip(self.products, self._tariffs.values[tariffs], strict=True)
        )
        return codes

    def _decide(self, product: Product, tariff: Tariff, data: Mapping[str, str | None]) -> int:
        charge = tariff.charge({name: data[name] for name in product.meter.dimensions})
        if isinstance(charge, Reason):
            return self._known.unrated(product.id, charge)
        decision = Decision(
            RatedKind.LINE,
            product.id,
            None,
            charge.override,
            charge.rate_card,
            charge.version,
            charge.match,
            charge.price,
            charge.price_text,
            product.meter.aggregation if tariff.cumulative else None,
        )
        return self._known.decisions.number(decision)
