"""Files sent to a real broker and read back: nothing lost, nothing doubled, resumable."""

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.provision import make_topics
from ingest import Producer, Summary
from ingest.documents import send_documents
from ingest.loader import Sending, send_file
from ingest.mapping import parse_mapping
from ingest.progress import ROWS_PER_CHUNK, load_progress, progress_path, save_progress
from ingest.rebase import parse_rebase
from schemas.documents import parse_document
from schemas.errors import DeliveryError, LogUnavailable
from schemas.partition import partition_of
from schemas.times import parse_instant
from schemas.topics import CATALOG, CREDITS, USAGE

pytestmark = pytest.mark.integration

TRACE = Path(__file__).parents[3] / "shared" / "data" / "AzureLLMInferenceTrace_conv.csv"
TRACE_MAPPING = parse_mapping(
    ["data.input_tokens=ContextTokens data.output_tokens=GeneratedTokens time=TIMESTAMP"],
    ["type=llm.request", "subject=acme"],
)
PARTITIONS = 3


@pytest.fixture
def prefix(kafka: str) -> Iterator[str]:
    """Fresh topics of usage, credits and catalog."""
    prefix = f"t{uuid.uuid4().hex[:12]}."
    names = {
        prefix + topic.name: topic.partitions or PARTITIONS for topic in (USAGE, CREDITS, CATALOG)
    }
    make_topics(kafka, [NewTopic(name, count, 1) for name, count in names.items()])
    yield prefix
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.delete_topics(list(names)).values():
        future.result(timeout=30)


def read_back(kafka: str, topic: str, partitions: int = PARTITIONS) -> list[tuple[int, str, Any]]:
    """Partition, key and decoded value of every record of a topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": uuid.uuid4().hex,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    found: list[tuple[int, str, Any]] = []
    ended = 0
    try:
        while ended < partitions:
            for message in consumer.consume(10_000, timeout=0.2):
                if (error := message.error()) is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    ended += 1
                    continue
                value = json.loads(message.value() or b"", parse_float=str)
                found.append((message.partition() or 0, (message.key() or b"").decode(), value))
    finally:
        consumer.close()
    return found


def values(kafka: str, prefix: str) -> list[Any]:
    return [value for _, _, value in read_back(kafka, prefix + USAGE.name)]


def test_the_public_trace_arrives_whole_and_twice_the_same(kafka: str, prefix: str) -> None:
    if not TRACE.exists():
        assert "CI" not in os.environ, "the trace must be beside the checkout in CI"
        pytest.skip(f"{TRACE} is not here")
    moments = ("2026-01-01T00:00:00Z", "2026-01-01T00:07:00Z")
    for moment in moments:
        rebase = parse_rebase(f"END={moment}", 0)
        report = send_file(Sending(str(TRACE), TRACE_MAPPING, rebase=rebase), kafka, prefix)
        assert (report.read, report.sent, report.failed) == (19_366, 19_366, 0)
    events = values(kafka, prefix)
    assert sum(event["data"]["input_tokens"] for event in events) == 2 * 22_361_870
    assert sum(event["data"]["output_tokens"] for event in events) == 2 * 4_088_665
    first, second = events[:19_366], events[19_366:]
    assert [event["id"] for event in first] == [event["id"] for event in second]
    assert len({event["id"] for event in first}) == 19_366
    for sent, moment in zip((first, second), moments, strict=True):
        assert parse_instant(moment) == max(parse_instant(event["time"]) for event in sent)


def lines(path: Path, count: int) -> None:
    event = '{{"time":"2026-01-01T00:00:00Z","type":"t","subject":"a{}","data":{{"n":{}}}}}\n'
    path.write_text("".join(event.format(number % 50, number) for number in range(count)))


def test_a_resumed_file_goes_on_after_the_confirmed_rows(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    lines(path, ROWS_PER_CHUNK + 100)
    sending = Sending(str(path), resume=True)
    assert send_file(sending, kafka, prefix).sent == ROWS_PER_CHUNK + 100
    state = progress_path(path)
    kept = msgspec.json.decode(state.read_bytes(), type=dict[str, Any])
    whole = load_progress(state, kept["digest"], kept["mapping"])
    assert whole is not None
    assert (
        whole.confirmed,
        whole.sent,
        whole.failed,
    ) == (ROWS_PER_CHUNK + 100, ROWS_PER_CHUNK + 100, 0)
    save_progress(
        state, msgspec.structs.replace(whole, confirmed=ROWS_PER_CHUNK, sent=ROWS_PER_CHUNK)
    )
    report = send_file(sending, kafka, prefix)
    assert (report.read, report.sent, report.sent_before) == (100, 100, ROWS_PER_CHUNK)
    assert send_file(sending, kafka, prefix).read == 0
    assert len(values(kafka, prefix)) == ROWS_PER_CHUNK + 200


def test_failed_rows_are_kept_and_their_neighbours_sent(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    path, failed = tmp_path / "rows.csv", tmp_path / "failed.jsonl"
    path.write_bytes(b"time,data.n\n2026-01-01 00:00:00,1\nsoon,2\n2026-01-01 00:00:00,\xff\n")
    told: list[int] = []
    mapping = parse_mapping([], ["type=t", "subject=acme"])
    report = send_file(
        Sending(str(path), mapping, failed=failed),
        kafka,
        prefix,
        tell_fault=lambda number, _reason: told.append(number),
    )
    assert (report.read, report.sent, report.failed) == (3, 1, 2)
    assert told == [2, 3]
    kept = [json.loads(line) for line in failed.read_bytes().splitlines()]
    assert [(row["row"], row.get("raw"), row.get("raw_base64")) for row in kept] == [
        (2, "soon,2", None),
        (3, None, "MjAyNi0wMS0wMSAwMDowMDowMCz/"),
    ]
    assert [event["data"] for event in values(kafka, prefix)] == [{"n": 1}]


def test_an_account_goes_to_the_partition_that_the_pipeline_computes(
    kafka: str, prefix: str
) -> None:
    accounts = [f"account-{number}" for number in range(40)]
    with Producer(kafka, prefix) as producer:
        for account in accounts:
            producer.send(
                {
                    "id": "e1",
                    "source": "test",
                    "type": "t",
                    "subject": account,
                    "time": "2026-01-01T00:00:00Z",
                    "data": {},
                }
            )
        assert producer.flush() == 40
        assert Summary(sent=40, confirmed=40, failed=0) == producer.summary
    found = read_back(kafka, prefix + USAGE.name)
    assert sorted(accounts) == sorted(key for _, key, _ in found)
    assert all(partition == partition_of(key, PARTITIONS) for partition, key, _ in found)


def test_documents_go_to_the_topic_and_key_of_their_kind(kafka: str, prefix: str) -> None:
    documents = []
    for raw in (
        {"kind": "Account", "id": "acme", "rate_card": "standard"},
        {
            "kind": "Grant",
            "id": "g1",
            "account": "acme",
            "type": "promotional",
            "amount": "10",
            "effective_at": "2026-01-01T00:00:00Z",
        },
        {
            "kind": "Product",
            "id": "calls",
            "meter": {"event_type": "api.call", "aggregation": "count"},
        },
    ):
        parsed = parse_document(raw)
        assert not isinstance(parsed, list), parsed
        documents.append(parsed)
    send_documents(documents, kafka, prefix)
    of_accounts = read_back(kafka, prefix + CREDITS.name)
    assert [(key, doc["kind"]) for _, key, doc in of_accounts] == [
        ("acme", "Account"),
        ("acme", "Grant"),
    ]
    catalog = read_back(kafka, prefix + CATALOG.name, 1)
    assert [(key, doc["kind"]) for _, key, doc in catalog] == [("calls", "Product")]


def test_more_than_the_queue_holds_waits_instead_of_being_lost(kafka: str, prefix: str) -> None:
    small = {"queue.buffering.max.messages": 100}
    with Producer(kafka, prefix, configuration=small) as producer:
        for number in range(5_000):
            producer.send_encoded(f"a{number % 7}", b'{"n":%d}' % number)
        assert producer.flush() == 5_000
    assert list(range(5_000)) == sorted(value["n"] for value in values(kafka, prefix))


def test_a_record_that_is_refused_ends_the_producer(kafka: str, prefix: str) -> None:
    producer = Producer(kafka, prefix)
    with pytest.raises(DeliveryError, match="MSG_SIZE_TOO_LARGE"):
        producer.send_encoded("acme", b"x" * 9_000_000)
    with pytest.raises(DeliveryError, match="acme"):
        producer.send_encoded("acme", b"{}")
    assert producer.summary.failed == 1


def test_a_missing_topic_or_broker_is_said_before_anything_is_sent(
    kafka: str, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    lines(path, 1)
    with pytest.raises(LogUnavailable, match="has no topic"):
        send_file(Sending(str(path)), kafka, "absent.")
    with pytest.raises(LogUnavailable, match="does not answer"):
        send_file(Sending(str(path)), "127.0.0.1:1")


def test_patience_ends_when_nothing_is_confirmed() -> None:
    producer = Producer("127.0.0.1:1", patience_seconds=0.5)
    producer.send_encoded("acme", b"{}")
    assert producer.flush(timeout=0.1) == 0
    with pytest.raises(LogUnavailable, match=r"confirmed nothing for 0\.5 s"):
        producer.flush()
