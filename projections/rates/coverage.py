"""Which contract covers a line (credits.md section 3, Contract). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from projections.contracts import Lineage, Revision, contract_of, in_force, is_active
from schemas.documents import Contract

NAMES_PRODUCT, NAMES_TAG, COVERS_ALL = range(3)


class Product(Protocol):
    """What coverage goes by of a product."""

    @property
    def id(self) -> str:
        """The product's id."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags as of here."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A product, where no more than this is known of it."""

    id: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Covering:
    """The contract that covers a line: by the revision in force at event time.

    `named`: the event named it.
    """

    contract: Contract
    revision: Revision
    named: bool


def covering(
    lineages: Mapping[str, Lineage], product: Product, time: int, named: str | None
) -> Covering | None:
    """The contract of `lineages` (by id) that covers `product` at event time `time`, if any.

    The one `named`, if it covers. Else the first by: names the product, names a tag, covers all;
    then later starts_at; then smaller id.
    """
    found = None if named is None else _covers(lineages, named, product, time)
    if found is not None:
        return Covering(found[1], found[2], named=True)
    covers = (_covers(lineages, identity, product, time) for identity in lineages)
    ranked = [found for found in covers if found is not None]
    if not ranked:
        return None
    _, contract, revision = min(ranked, key=lambda f: (f[0], -f[1].starts_at, f[1].id))
    return Covering(contract, revision, named=False)


def _covers(
    lineages: Mapping[str, Lineage], identity: str, product: Product, time: int
) -> tuple[int, Contract, Revision] | None:
    lineage = lineages.get(identity)
    if lineage is None or not is_active(lineage, time):
        return None
    revision = in_force(lineage, time)
    contract = contract_of(revision.document)
    rank = _rank(contract, product)
    return None if rank is None else (rank, contract, revision)


def _rank(contract: Contract, product: Product) -> int | None:
    """How closely the contract covers the product; None where it does not."""
    covers = contract.covers
    if covers is None:
        return COVERS_ALL
    if product.id in covers.products:
        return NAMES_PRODUCT
    return NAMES_TAG if any(tag in covers.tags for tag in product.tags) else None
