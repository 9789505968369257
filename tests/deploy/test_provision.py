"""What topics are made with."""

import pytest
from confluent_kafka.admin import AdminClient

from deploy.provision import _config, create_topics
from schemas.topics import JOURNAL, TOPICS, USAGE

ROUNDS = 10


@pytest.mark.parametrize(("replication", "least"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_what_is_acknowledged_survives_a_broker_where_there_are_three(
    replication: int, least: str
) -> None:
    assert _config(JOURNAL, replication)["min.insync.replicas"] == least


def test_the_journal_is_kept_for_ever_and_stamped_by_the_broker() -> None:
    assert _config(JOURNAL, 1)["retention.ms"] == "-1"
    assert _config(USAGE, 1)["retention.ms"] != "-1"
    assert _config(USAGE, 1)["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.integration
def test_what_is_said_to_be_created_is_there_for_whoever_asks_next(
    kafka: str, topic_prefix: str
) -> None:
    """A broker learns of a topic a moment after its controller, most of all on a busy machine."""
    another = AdminClient({"bootstrap.servers": kafka})
    another.list_topics(timeout=30)
    for number in range(ROUNDS):
        prefix = f"{topic_prefix}{number}."
        assert len(create_topics(kafka, prefix, 2, 1)) == len(TOPICS)
        found = another.list_topics(timeout=30).topics
        for topic in TOPICS:
            parts = found[prefix + topic.name].partitions
            assert len(parts) == (topic.partitions or 2)
            assert all(part.leader >= 0 for part in parts.values())
        assert create_topics(kafka, prefix, 2, 1) == []
