"""What the API looks for at its start; what Redis refuses is shown in tests/deploy/secured."""

import pytest

from deploy.servers.process import free_port
from projections.api.allowed import check_store


@pytest.mark.integration
def test_a_redis_that_lets_it_read_is_no_news(
    redis_url: str, topic_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    check_store(redis_url, topic_prefix)
    assert caplog.records == []


def test_a_redis_that_does_not_answer_is_told_and_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    check_store(f"redis://127.0.0.1:{free_port()}/0", "any")
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("Redis does not answer: ")
