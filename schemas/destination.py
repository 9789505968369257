"""Where a document goes: its topic, its key and its exact bytes. Pure."""

from schemas.documents import Account, Document, Pack, Product, RateCard, canonical
from schemas.topics import CATALOG, CREDITS, Topic


def destination(document: Document) -> tuple[Topic, str, bytes]:
    """The topic, key and bytes of a document: accounts and grants by account, the catalog by id."""
    value = canonical(document)
    if isinstance(document, Product | RateCard | Pack):
        return CATALOG, document.id, value
    account = document.id if isinstance(document, Account) else document.account
    return CREDITS, account, value
