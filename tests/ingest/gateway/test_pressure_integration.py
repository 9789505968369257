"""More than the gateway takes at a time, on a real broker: refused at once, all of it."""

import threading
import time
from typing import Final

import httpx
import pytest

from deploy.provision import create_topics
from deploy.servers.find import Servers
from ingest.gateway.app import Gateway
from ingest.gateway.sender import Sender
from projections.web.access import Access
from tests.ingest.gateway.process import broker_stopped
from tests.ingest.gateway.test_gateway_integration import PARTITIONS, event, logged
from tests.projections.web.problems import problem
from tests.projections.web.serving import served

pytestmark = pytest.mark.integration

MOST_PENDING: Final = 10
MOST_BODY_BYTES: Final = 8_000_000
_WAIT_SECONDS: Final = 60.0


@pytest.mark.slow
def test_events_beyond_those_under_way_are_429_and_none_of_them_is_taken(
    own_servers: Servers,
) -> None:
    kafka = own_servers.kafka
    create_topics(kafka, "", PARTITIONS, 1)
    sender = Sender(kafka, most_pending=MOST_PENDING)
    sender.connect()
    with served(Gateway(sender, Access(None), MOST_BODY_BYTES).app()) as port:
        url = f"http://127.0.0.1:{port}/v1/events"
        assert httpx.post(url, json=event("a"), timeout=30).status_code == 202
        slow: list[httpx.Response] = []

        def fill() -> None:
            taken = [event(f"b{number}") for number in range(MOST_PENDING)]
            slow.append(httpx.post(url, json=taken, timeout=30))

        filling = threading.Thread(target=fill)
        with broker_stopped(own_servers):
            filling.start()
            give_up = time.monotonic() + _WAIT_SECONDS
            while sender.pending < MOST_PENDING:
                assert time.monotonic() < give_up, "the events do not wait"
                time.sleep(0.01)
            refused = httpx.post(url, json=[event("c"), event("d")], timeout=30)
            assert not slow, "the answer was not waited for"
        filling.join()
        assert "under way" in problem(refused, httpx.codes.TOO_MANY_REQUESTS)["detail"]
        assert refused.headers["retry-after"] == "1"
        assert slow[0].status_code in (202, 503)
        while (answer := httpx.post(url, json=event("e"), timeout=30)).status_code != 202:
            assert time.monotonic() < give_up, answer.text
        held = {each["id"] for each in logged(kafka, "")}
        assert {"a", "e"} <= held
        assert not held & {"c", "d"}
    sender.close()
