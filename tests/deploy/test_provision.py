"""What topics are made with."""

import pytest

from deploy.provision import _config
from schemas.topics import JOURNAL, USAGE


@pytest.mark.parametrize(("replication", "least"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_what_is_acknowledged_survives_a_broker_where_there_are_three(
    replication: int, least: str
) -> None:
    assert _config(JOURNAL, replication)["min.insync.replicas"] == least


def test_the_journal_is_kept_for_ever_and_stamped_by_the_broker() -> None:
    assert _config(JOURNAL, 1)["retention.ms"] == "-1"
    assert _config(USAGE, 1)["retention.ms"] != "-1"
    assert _config(USAGE, 1)["message.timestamp.type"] == "LogAppendTime"
