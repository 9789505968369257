"""A void carries what the ledger recorded of its usage; a backfill must be new to it."""

import json
from collections.abc import Iterable

import confluent_kafka
import polars as pl
import pytest

from deploy.provision import create_topics
from ingest.ledger import entered, look_up, rows_of, usage_named
from projections.balances.postings import Posting, ledger_frame
from schemas.documents import Backfill, SetSeats, VoidUsage
from schemas.errors import DocumentError, LogUnavailable
from schemas.frames import LEDGER_SCHEMA, FrameKind, OutputHeader, encode
from schemas.partition import partition_of
from schemas.times import parse_instant
from schemas.topics import LEDGER

NOW = parse_instant("2026-01-10T00:00:00Z")
SEATS = SetSeats(id="s1", account="acme", contract="k", seats=3)


def void(event: str, account: str = "acme") -> VoidUsage:
    return VoidUsage(id=f"v-{event}", account=account, source="api", event=event)


def backfill(event: str, **changes: str) -> Backfill:
    fields = {"specversion": "1.0", "id": event, "source": "api", "type": "t", "subject": "acme"}
    text = json.dumps(fields | {"time": "2026-01-01T00:00:00Z"} | changes)
    return Backfill(id=f"b-{event}", account="acme", event=text)


def frame(events: Iterable[str], account: str = "acme") -> bytes:
    """A ledger frame of one free line of each event, at journal offsets 0, 1 …"""
    line = dict.fromkeys(LEDGER_SCHEMA) | {
        "source": "api",
        "time": NOW,
        "product": "calls",
        "quantity": 10**9,
        "cost": 0,
    }
    rows = ledger_frame(
        [
            Posting(offset, 0, 0, NOW, account, "consumed", None, 0, line | {"id": event})
            for offset, event in enumerate(events)
        ]
    )
    return encode(FrameKind.LEDGER, OutputHeader((0, 0, 0), (9, 0, 0)), rows)


def test_the_ledger_is_read_for_the_usages_that_are_named_and_repeats_count_once() -> None:
    ledger = rows_of(
        usage_named([void("e1"), void("e3")]), [frame(["e1", "e2"]), frame(["e1", "e2", "e3"])]
    )
    assert ledger.get_column("id").to_list() == ["e1", "e3"]
    assert ledger.schema == LEDGER_SCHEMA


def test_accounts_of_two_partitions_may_stand_at_the_same_place() -> None:
    ledger = rows_of(
        usage_named([void("e1"), void("e1", "globex")]), [frame(["e1"]), frame(["e1"], "globex")]
    )
    assert ledger.get_column("account").to_list() == ["acme", "globex"]


def test_each_void_is_filled_in_and_all_else_is_left_as_it_is() -> None:
    ledger = rows_of(usage_named([void("e1")]), [frame(["e1"])])
    seats, found = entered([SEATS, void("e1")], ledger)
    assert seats == SEATS
    assert isinstance(found, VoidUsage)
    assert (found.time, [line.product for line in found.lines]) == (NOW, ["calls"])


def test_every_void_of_unknown_usage_is_named() -> None:
    with pytest.raises(DocumentError) as caught:
        entered([void("e1"), void("e2")], pl.DataFrame(schema=LEDGER_SCHEMA))
    assert [place for place, _ in caught.value.faults] == ["void_usage v-e1", "void_usage v-e2"]
    assert "no line of event e1 of api (account acme)" in str(caught.value)
    assert "unknown_usage" in str(caught.value)


def test_a_backfill_of_what_the_ledger_has_is_refused() -> None:
    ledger = rows_of(usage_named([backfill("e1"), backfill("e2")]), [frame(["e1"])])
    assert entered([backfill("e2")], ledger) == [backfill("e2")]
    with pytest.raises(DocumentError) as caught:
        entered([backfill("e1"), backfill("e2")], ledger)
    (fault,) = caught.value.faults
    assert fault[0] == "backfill b-e1"
    assert fault[1].endswith("(duplicate)")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"subject": "other"}, "event.subject: expected acme, got other"),
        ({"time": "soon"}, "event.time: expected an RFC 3339 time"),
    ],
)
def test_a_backfill_without_an_event_of_its_account_is_refused(
    changes: dict[str, str], expected: str
) -> None:
    with pytest.raises(DocumentError, match=f"backfill b-e1: {expected}"):
        usage_named([backfill("e1", **changes)])


def test_where_no_usage_is_named_no_ledger_is_read() -> None:
    assert look_up([SEATS], "127.0.0.1:1") == [SEATS]


@pytest.mark.integration
def test_where_there_is_no_ledger_nothing_is_known(kafka: str, topic_prefix: str) -> None:
    """A broker that makes topics as they are asked for has an empty one."""
    with pytest.raises((LogUnavailable, DocumentError), match=r"no topic|unknown_usage"):
        look_up([void("e1")], kafka, topic_prefix)


@pytest.mark.integration
def test_the_lines_are_looked_up_in_the_ledger_of_the_account(
    kafka: str, topic_prefix: str
) -> None:
    create_topics(kafka, topic_prefix, 3, 1)
    partition = partition_of("acme", 3)
    producer = confluent_kafka.Producer({"bootstrap.servers": kafka})
    producer.produce(topic_prefix + LEDGER.name, frame(["e1"]), partition=partition)
    assert producer.flush(20) == 0
    (found,) = look_up([void("e1")], kafka, topic_prefix)
    assert isinstance(found, VoidUsage)
    assert len(found.lines) == 1
    with pytest.raises(DocumentError, match="unknown_usage"):
        look_up([void("e2")], kafka, topic_prefix)
