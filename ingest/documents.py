"""`drawdown apply`: documents of YAML and JSON files, all checked before any is sent.

A file that ends in `.json` holds one document or a list of them, as strict JSON; any other is YAML,
of one or more documents (`---`). Numbers are taken from their literal text (credits.md section 1).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from ingest.producer import Producer
from projections.access import Kafka
from projections.reading.lookup import look_up
from projections.reading.usage import faults_in
from schemas.destination import destination
from schemas.documents import Document, load_json, parse_document
from schemas.errors import ConfigurationError, DocumentError
from schemas.reasons import Refusal
from schemas.topics import CATALOG
from schemas.yaml import load_yaml

_PATIENCE_SECONDS: Final = 60.0


def load_documents(paths: Iterable[Path]) -> list[Document]:
    """Every document of the files, in order.

    Raises ConfigurationError for a file that cannot be read, and DocumentError that holds every
    fault of every file, each at `FILE[index].path`.
    """
    documents: list[Document] = []
    faults: list[tuple[str, str]] = []
    for path in paths:
        try:
            found = _parsed(path)
        except DocumentError as error:
            faults += error.faults
            continue
        for place, parsed in found:
            wrong = parsed if isinstance(parsed, list) else faults_in(parsed)
            faults += [(_join(place, fault.path), _said(fault)) for fault in wrong]
            if not isinstance(parsed, list):
                documents.append(parsed)
    if faults:
        raise DocumentError(faults)
    return documents


def send_documents(documents: Sequence[Document], kafka: Kafka, topic_prefix: str = "") -> None:
    """Send the catalog's, and once they are confirmed the accounts', in order; commands too.

    Confirmed in between, because the three sources are merged by the broker's time (architecture.md
    section 4): a price that is applied together with an account is in force before it. What a
    `void_usage` takes back, and whether a `backfill` is new, is looked up before anything is sent.
    Raises LogUnavailable or DeliveryError, and DocumentError for what the look-up refuses.
    """
    documents = look_up(documents, kafka, topic_prefix)
    with Producer(kafka, topic_prefix, patience_seconds=_PATIENCE_SECONDS) as producer:
        producer.connect()
        for of_catalog in (True, False):
            for document in documents:
                if (destination(document)[0] is CATALOG) == of_catalog:
                    producer.send_document(document)
            producer.flush()


def _parsed(path: Path) -> list[tuple[str, Document | list[Refusal]]]:
    loaded = _load_json(path) if path.suffix.lower() == ".json" else _load_yaml(path)
    if isinstance(loaded, Refusal):
        return [(str(path), [loaded])]
    return [(f"{path}[{index}]", parse_document(raw)) for index, raw in enumerate(loaded)]


def _load_json(path: Path) -> list[Any] | Refusal:
    loaded = load_json(_read(path))
    return loaded if isinstance(loaded, list | Refusal) else [loaded]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path}: {error.strerror or error}"
        raise ConfigurationError(message) from error


def _join(place: str, path: str | None) -> str:
    return f"{place}.{path}" if path else place


def _said(fault: Refusal) -> str:
    return f"{fault.detail} ({fault.reason})"


def _load_yaml(path: Path) -> list[Any]:
    try:
        return load_yaml(_read(path).decode())
    except UnicodeDecodeError as error:
        raise DocumentError([(str(path), "not UTF-8 text")]) from error
    except DocumentError as error:
        faults = [(f"{path}: {where}", expected) for where, expected in error.faults]
        raise DocumentError(faults) from error
