"""What rating sends beside the rated log: what could not be priced, and what was refused."""

import json
from typing import Any, Final

import polars as pl

from processors.rating.stage import RatingFold
from projections.fold.position import Position
from projections.rows import MemoryReader
from schemas.frames import JOURNAL_SCHEMA, FrameKind, JournalHeader, encode
from schemas.topics import REJECTED, UNRATED
from tests.rating import at, document, journal, usage

NOW: Final = at("2026-03-15T12:00:00Z")


def sent(*rows: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Topic and content of what goes out beside the rated frames, a record of the journal each."""
    fold = RatingFold(0, Position(topic_id="t"), MemoryReader())
    frame = journal(rows).with_columns(offset=pl.int_range(pl.len(), dtype=pl.Int64))
    outputs = []
    for index in range(frame.height):
        header = JournalHeader((index, index, index), (index + 1, index + 1, index + 1), [])
        record = frame.slice(index, 1).select(list(JOURNAL_SCHEMA))
        outputs += fold.apply([(index, encode(FrameKind.JOURNAL, header, record))])
    return [
        (output.topic.name, json.loads(output.value))
        for output in outputs
        if output.topic in (UNRATED, REJECTED)
    ]


def test_unrated_usage_is_sent_as_it_came_also_by_a_replay_or_a_backfill() -> None:
    """With its type and the contract that it named, which the journal row of a command lacks."""
    event = usage(NOW, "a", {"n": 1}, id="e1", contract="k")
    replay = {"kind": "replay", "id": "1", "account": "a", "source": "test", "event": "e1"}
    old = {"specversion": "1.0", "id": "e2", "source": "test", "type": "view", "subject": "a"}
    old |= {"time": "2026-01-10T00:00:00Z"}
    backfill = {"kind": "backfill", "id": "1", "account": "a", "event": json.dumps(old)}
    account = {"kind": "Account", "id": "a"}
    found = sent(document(NOW, account), event, *(document(NOW, f) for f in (replay, backfill)))
    assert [topic for topic, _ in found] == [UNRATED.name] * 3
    assert found[0] == found[1]
    assert (found[0][1]["type"], found[0][1]["contract"]) == ("call", "k")
    assert found[2][1] == old


def test_a_refused_document_is_sent_as_it_came() -> None:
    grant = {"kind": "void_grant", "id": "1", "account": "nobody", "grant": "g"}
    assert sent(document(NOW, grant)) == [(REJECTED.name, grant)]
