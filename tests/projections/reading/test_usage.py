"""A void carries what the ledger recorded of its usage; a backfill must be new to it."""

import json
from collections.abc import Iterable

import confluent_kafka
import polars as pl
import pytest

from deploy.provision import create_topics
from projections.balances.postings import ORDINAL_BITS, Posting, ledger_frame
from projections.reading.lookup import look_up
from projections.reading.usage import entered, faults_in, rows_of, usage_named
from schemas.documents import Backfill, SetSeats, VoidUsage
from schemas.errors import DocumentError, LogUnavailable
from schemas.frames import LEDGER_SCHEMA, FrameKind, OutputHeader, Vector, encode
from schemas.partition import partition_of
from schemas.reasons import Reason, Refusal
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


def frame(events: Iterable[str], account: str = "acme", upto: Vector = (9, 0, 0)) -> bytes:
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
    return encode(FrameKind.LEDGER, OutputHeader((0, 0, 0), upto), rows)


def test_the_ledger_is_read_for_the_usages_that_are_named_and_repeats_count_once() -> None:
    ledger = rows_of(
        usage_named([void("e1"), void("e3")]), [frame(["e1", "e2"]), frame(["e1", "e2", "e3"])]
    )
    assert ledger.get_column("id").to_list() == ["e1", "e3"]
    assert ledger.schema == LEDGER_SCHEMA


@pytest.mark.parametrize("ordinal", [1, 1 << ORDINAL_BITS], ids=["slice", "line"])
def test_usage_that_is_half_written_is_not_taken_for_whole(ordinal: int) -> None:
    """A frame may end between two slices of a line, or two lines of an event."""
    begun = frame(["e0", "e1"], upto=(1, 0, ordinal))
    with pytest.raises(LogUnavailable, match="within the lines of event e1 of api"):
        rows_of(usage_named([void("e0"), void("e1")]), [begun])
    assert rows_of(usage_named([void("e0")]), [begun]).height == 1, "of this it has all"
    rest = frame([], upto=(2, 0, 0))
    assert rows_of(usage_named([void("e1")]), [begun, rest]).height == 1
    assert rows_of(usage_named([void("e1")]), [begun, rest, begun]).height == 1, "begun again"


def test_each_void_is_filled_in_and_all_else_is_left_as_it_is() -> None:
    ledger = rows_of(usage_named([void("e1")]), [frame(["e1"])])
    seats, found = entered([SEATS, void("e1")], ledger)
    assert seats == SEATS
    assert isinstance(found, VoidUsage)
    assert (found.time, [line.product for line in found.lines]) == (NOW, ["calls"])


def test_every_void_of_unknown_usage_is_refused() -> None:
    found = entered([void("e1"), SEATS, void("e2")], pl.DataFrame(schema=LEDGER_SCHEMA))
    reasons = [each.reason if isinstance(each, Refusal) else None for each in found]
    assert reasons == [Reason.UNKNOWN_USAGE, None, Reason.UNKNOWN_USAGE]
    assert isinstance(found[0], Refusal)
    assert "no line of event e1 of api (account acme)" in found[0].detail


def test_a_backfill_of_what_the_ledger_has_is_refused() -> None:
    ledger = rows_of(usage_named([backfill("e1"), backfill("e2")]), [frame(["e1"])])
    refused, new = entered([backfill("e1"), backfill("e2")], ledger)
    assert new == backfill("e2")
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.path) == (Reason.DUPLICATE, "event")


@pytest.mark.parametrize(
    ("changes", "reason", "path", "detail"),
    [
        ({"subject": "other"}, "invalid_document", "event.subject", "expected acme, got other"),
        ({"time": "soon"}, "invalid_envelope", "event.time", "expected an RFC 3339 time"),
        ({"specversion": "2.0"}, "unsupported", "event.specversion", 'expected specversion "1.0"'),
        ({"data_base64": "AA=="}, "unsupported", "event.data_base64", "not supported yet"),
    ],
)
def test_a_backfill_without_an_event_of_its_account_is_refused(
    changes: dict[str, str], reason: str, path: str, detail: str
) -> None:
    wrong = backfill("e1", **changes)
    (fault,) = faults_in(wrong)
    assert (fault.reason, fault.path) == (reason, path)
    assert detail in fault.detail
    with pytest.raises(DocumentError, match=f"backfill b-e1: {path}: .*{reason}"):
        look_up([wrong], "127.0.0.1:1")


def test_what_a_void_takes_back_is_not_written_by_hand() -> None:
    (fault,) = faults_in(void("e1").model_copy(update={"time": NOW}))
    assert (fault.reason, fault.path) == (Reason.INVALID_DOCUMENT, "time")
    assert not faults_in(void("e1"))
    assert not faults_in(SEATS)


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
    with pytest.raises(DocumentError) as caught:
        look_up([void("e1"), void("e2"), void("e3")], kafka, topic_prefix)
    assert [place for place, _ in caught.value.faults] == ["void_usage v-e2", "void_usage v-e3"]
    assert "(unknown_usage)" in str(caught.value)
    with pytest.raises(DocumentError, match=r"backfill b-e1: .*\(duplicate\)"):
        look_up([backfill("e1"), backfill("e2")], kafka, topic_prefix)


@pytest.mark.integration
def test_accounts_of_two_partitions_may_stand_at_the_same_place(
    kafka: str, topic_prefix: str
) -> None:
    create_topics(kafka, topic_prefix, 3, 1)
    producer = confluent_kafka.Producer({"bootstrap.servers": kafka})
    accounts = ("acme", "globex", "initech")
    assert len({partition_of(account, 3) for account in accounts}) > 1
    for account in accounts:
        value, number = frame(["e1"], account), partition_of(account, 3)
        producer.produce(topic_prefix + LEDGER.name, value, partition=number)
    assert producer.flush(20) == 0
    voids = [void("e1", account) for account in accounts]
    found = look_up(voids, kafka, topic_prefix)
    assert [len(each.lines) for each in found if isinstance(each, VoidUsage)] == [1, 1, 1]
