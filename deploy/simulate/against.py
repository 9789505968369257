"""A what-if: a scenario with other prices or other terms. Pure.

The other file is one of two things:

* with a `timeline`: a whole scenario, run as it is;
* without: `catalog` and `documents` to put into the first scenario. A catalog document takes the
  place of the one of its kind and id wherever that stands; one that is new is in force from the
  beginning, a product before the first rate card. `documents` (accounts, contracts, grants) replace
  what the timeline applies under the same kind, id and account.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import takewhile
from typing import Any, Final

from deploy.simulate.contents import CatalogDocument, Faults, catalog_document, document
from deploy.simulate.scenario import Entry, elements, load_scenario, parse_loaded
from schemas.documents import Account, Contract, Document, Grant, Product
from schemas.envelope import Usage
from schemas.errors import DocumentError

_PARTS: Final = ("catalog", "documents")
_Identity = tuple[str, str, str | None]


def parse_against(text: str, entries: list[Entry]) -> list[Entry]:
    """The scenario to compare `entries` with. Raises DocumentError that holds every fault."""
    loaded = load_scenario(text)
    if "timeline" in loaded:
        return parse_loaded(loaded)
    faults: Faults = [
        (name, "unknown field, expected a timeline, or catalog and documents")
        for name in loaded
        if name not in _PARTS
    ]
    catalog = [
        catalog_document(fields, f"catalog[{index}]", faults)
        for index, fields in enumerate(elements(loaded.get("catalog", []), "catalog", faults))
    ]
    terms = _documents(loaded, entries, faults)
    if not faults and not catalog and not terms:
        faults.append(("scenario", "expected a timeline, or documents to put into the first one"))
    if faults:
        raise DocumentError(faults)
    documents = [*(each for each in catalog if each is not None), *terms]
    return _added(_replaced(entries, documents), documents)


def _documents(
    loaded: dict[str, Any], entries: Iterable[Entry], faults: Faults
) -> list[Account | Contract | Grant]:
    there = {_identity(entry.what) for entry in entries}
    found = []
    for index, fields in enumerate(elements(loaded.get("documents", []), "documents", faults)):
        path = f"documents[{index}]"
        parsed = document(fields, path, faults)
        if isinstance(parsed, Account | Contract | Grant):
            if _identity(parsed) not in there:
                faults.append((path, f"expected one that the timeline applies, got {parsed.id}"))
            found.append(parsed)
        elif parsed is not None:
            faults.append((f"{path}.kind", "expected one of Account, Contract, Grant"))
    return found


def _replaced(entries: list[Entry], documents: Iterable[Document]) -> list[Entry]:
    others = {_identity(one): one for one in documents}
    return [replace(entry, what=others.get(_identity(entry.what), entry.what)) for entry in entries]


def _added(entries: list[Entry], documents: Iterable[Document]) -> list[Entry]:
    """With the documents that are new, at the beginning: products before any rate card."""
    there = {_identity(entry.what) for entry in entries}
    new = [one for one in documents if _identity(one) not in there]
    products = [one for one in new if isinstance(one, Product)]
    others = [one for one in new if not isinstance(one, Product)]
    return _inserted(_inserted(entries, products, Product), others, CatalogDocument)


def _inserted(entries: list[Entry], new: Iterable[Document], behind: Any) -> list[Entry]:  # noqa: ANN401 - a class or a union
    """With `new` at the beginning, behind what stands there already of the classes `behind`."""
    start = entries[0].at
    opening = takewhile(lambda entry: isinstance(entry.what, behind) and entry.at == start, entries)
    index = len(list(opening))
    return [*entries[:index], *(Entry(start, one) for one in new), *entries[index:]]


def _identity(what: Usage | Document | None) -> _Identity | None:
    if what is None or isinstance(what, Usage):
        return None
    return what.kind, what.id, getattr(what, "account", None)
