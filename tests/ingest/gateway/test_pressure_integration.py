"""More than the gateway takes at a time, on a real broker: refused at once, all of it."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Final

import httpx
import pytest

from deploy.provision import create_topics
from deploy.servers.find import Kind, Servers, open_servers
from ingest.gateway.app import Gateway
from ingest.gateway.sender import Sender
from projections.web.access import Access
from tests.ingest.gateway.process import broker_pid
from tests.ingest.gateway.test_gateway_integration import PARTITIONS, event, logged
from tests.projections.web.serving import served

pytestmark = pytest.mark.integration

MOST_PENDING: Final = 10
_WAIT_SECONDS: Final = 60.0


@pytest.mark.slow
def test_events_beyond_those_under_way_are_429_and_none_of_them_is_taken(
    servers: Servers, tmp_path: Path
) -> None:
    kind: Kind = "apache" if servers.kind == "apache" else "embedded"
    with open_servers(kind, tmp_path) as own:
        create_topics(own.kafka, "", PARTITIONS, 1)
        sender = Sender(own.kafka, most_pending=MOST_PENDING)
        sender.connect()
        with served(Gateway(sender, Access(None)).app()) as port:
            url = f"http://127.0.0.1:{port}/v1/events"
            assert httpx.post(url, json=event("a"), timeout=30).status_code == 202
            slow: list[httpx.Response] = []

            def fill() -> None:
                taken = [event(f"b{number}") for number in range(MOST_PENDING)]
                slow.append(httpx.post(url, json=taken, timeout=30))

            filling = threading.Thread(target=fill)
            os.kill(broker_pid(own), signal.SIGSTOP)
            try:
                filling.start()
                give_up = time.monotonic() + _WAIT_SECONDS
                while sender.pending < MOST_PENDING:
                    assert time.monotonic() < give_up, "the events do not wait"
                    time.sleep(0.01)
                refused = httpx.post(url, json=[event("c"), event("d")], timeout=30)
                assert not slow, "the answer was not waited for"
            finally:
                os.kill(broker_pid(own), signal.SIGCONT)
            filling.join()
            assert refused.status_code == httpx.codes.TOO_MANY_REQUESTS
            assert refused.headers["retry-after"] == "1"
            assert refused.headers["content-type"] == "application/problem+json"
            assert "under way" in refused.json()["detail"]
            assert slow[0].status_code in (202, 503)
            while (answer := httpx.post(url, json=event("e"), timeout=30)).status_code != 202:
                assert time.monotonic() < give_up, answer.text
            held = {each["id"] for each in logged(own.kafka, "")}
            assert {"a", "e"} <= held
            assert not held & {"c", "d"}
        sender.close()
