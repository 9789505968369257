"""The AsyncAPI 3.0 document: each topic as a channel, with what its records hold.

Made from `schemas.topics`; messages name the JSON Schemas by file. Frames are binary, so their
columns are described, not specified.
"""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from schemas import topics
from schemas.documents import CATALOG_KINDS, CREDITS_KINDS
from schemas.frames import JOURNAL_SCHEMA, LEDGER_SCHEMA, RATED_SCHEMA
from schemas.topics import FOR_EVER, Topic

VERSION: Final = "1"
_SCHEMA_FORMAT: Final = "application/schema+json;version=draft-2020-12"
_CLOUD_EVENT: Final = "application/cloudevents+json"
_FRAME: Final = "application/vnd.drawdown.frame"
_MESSAGES: Final[dict[str, tuple[str, ...]]] = {
    topics.USAGE.name: ("UsageEvent",),
    topics.CREDITS.name: CREDITS_KINDS,
    topics.CATALOG.name: CATALOG_KINDS,
    topics.JOURNAL.name: ("JournalFrame",),
    topics.RATED.name: ("RatedFrame",),
    topics.LEDGER.name: ("LedgerFrame",),
    topics.ALERTS.name: ("AlertEvent",),
    topics.REJECTED.name: ("Rejected",),
    topics.UNRATED.name: ("Unrated",),
    topics.WEBHOOKS_DEAD.name: ("DeadLetter",),
}
_INPUTS: Final = (topics.USAGE, topics.CREDITS, topics.CATALOG)
_FRAMES: Final = {
    "JournalFrame": JOURNAL_SCHEMA,
    "RatedFrame": RATED_SCHEMA,
    "LedgerFrame": LEDGER_SCHEMA,
}


def asyncapi(files: Mapping[str, str]) -> dict[str, Any]:
    """The document. `files` gives the schema file of each published model, by its name."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Drawdown",
            "version": VERSION,
            "description": "Usage in, exact balances and alerts out.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {_key(topic): _channel(topic) for topic in topics.TOPICS},
        "operations": {_key(topic): _operation(topic) for topic in topics.TOPICS},
        "components": {"messages": _messages(files)},
    }


def _key(topic: Topic) -> str:
    return topic.name.removeprefix("metering.").removesuffix(".v1")


def _channel(topic: Topic) -> dict[str, Any]:
    kafka = {"topic": topic.name, "bindingVersion": "0.5.0"}
    partitions = {} if topic.partitions is None else {"partitions": topic.partitions}
    retention = topic.retention_milliseconds
    kept = "for ever" if retention == FOR_EVER else f"{retention // topics.DAY_MILLISECONDS} days"
    return {
        "address": topic.name,
        "description": f"{topic.holds}; keyed by {topic.key}; kept {kept}",
        "messages": {
            name: {"$ref": f"#/components/messages/{name}"} for name in _MESSAGES[topic.name]
        },
        "bindings": {
            "kafka": kafka | partitions | {"topicConfiguration": {"retention.ms": retention}}
        },
    }


def _operation(topic: Topic) -> dict[str, Any]:
    """What Drawdown does there: it receives what the outside sends, and sends the rest."""
    key = _key(topic)
    return {
        "action": "receive" if topic in _INPUTS else "send",
        "channel": {"$ref": f"#/channels/{key}"},
        "messages": [
            {"$ref": f"#/channels/{key}/messages/{name}"} for name in _MESSAGES[topic.name]
        ],
    }


def _messages(files: Mapping[str, str]) -> dict[str, Any]:
    documents = {
        name: {"contentType": "application/json", "payload": _payload(files[name])}
        for name in CREDITS_KINDS + CATALOG_KINDS
    }
    events = {
        name: {"contentType": _CLOUD_EVENT, "payload": _payload(files[name])}
        for name in ("UsageEvent", "AlertEvent")
    }
    headers = _payload(files["RejectedHeaders"])
    refused = {
        "Rejected": {
            "contentType": "application/octet-stream",
            "summary": "The record as it came, its reason in the headers.",
            "headers": headers,
        },
        "Unrated": {
            "contentType": _CLOUD_EVENT,
            "summary": "The usage event as it came, its reason in the headers.",
            "headers": headers,
            "payload": _payload(files["UsageEvent"]),
        },
    }
    dead = {
        "DeadLetter": {
            "contentType": _CLOUD_EVENT,
            "summary": "The alert as it was logged, why it was given up in the headers.",
            "headers": _payload(files["DeadLetterHeaders"]),
            "payload": _payload(files["AlertEvent"]),
        }
    }
    frames = {name: _frame(columns) for name, columns in _FRAMES.items()}
    return documents | events | refused | dead | frames


def _payload(file: str) -> dict[str, Any]:
    return {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": f"./{file}"}}


def _frame(columns: pl.Schema) -> dict[str, Any]:
    return {
        "contentType": _FRAME,
        "summary": "A frame: a msgpack header and an Arrow IPC stream, see schemas/frames.py.",
        "description": f"Columns: {', '.join(columns.names())}.",
    }
