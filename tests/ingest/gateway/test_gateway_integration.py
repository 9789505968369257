"""The gateway's process on a real broker: what it acknowledged is in the log, whatever happens."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import zstandard
from corehttp.exceptions import HttpResponseError
from openmeter import Client
from openmeter.models import Event

from deploy.provision import create_topics
from deploy.servers.find import Servers
from deploy.servers.process import free_port
from projections.fold.log import Log
from projections.web.keyring import save_keys
from projections.web.keys import Key, Keys, new_key
from schemas.partition import partition_of
from schemas.topics import USAGE
from tests.ingest.gateway.process import broker_stopped, gateway
from tests.projections.delivery.processes import until
from tests.projections.web.problems import problem

pytestmark = pytest.mark.integration

PARTITIONS: Final = 2
PATIENCE: Final = 60.0
BATCH: Final = {"content-type": "application/cloudevents-batch+json"}


def event(identity: str, **changes: Any) -> dict[str, Any]:
    """One well-formed event."""
    return {
        "specversion": "1.0",
        "id": identity,
        "source": "api",
        "type": "api.call",
        "subject": "acme",
        "time": "2026-01-01T00:00:00Z",
        "data": {"n": 1},
        **changes,
    }


@contextmanager
def at_address(
    kafka: str, prefix: str, keys: Path | None = None
) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A gateway's process, and its address."""
    with gateway(kafka, prefix, keys) as (process, port):
        yield process, f"http://127.0.0.1:{port}"


@pytest.fixture
def topics(kafka: str, topic_prefix: str) -> str:
    """The prefix of fresh topics."""
    create_topics(kafka, topic_prefix, PARTITIONS, 1)
    return topic_prefix


@pytest.fixture
def open_gateway(kafka: str, topics: str) -> Iterator[str]:
    """Where a gateway without keys listens."""
    with at_address(kafka, topics) as (_, address):
        yield address


def logged(kafka: str, prefix: str) -> list[dict[str, Any]]:
    """Every event in the log, each seen to be in its account's partition."""
    log, found = Log(kafka, prefix), []
    for number in range(PARTITIONS):
        for record in log.read(USAGE.name, number, 0, log.ends(USAGE.name, [number])[number]):
            one = json.loads(record[2])
            assert partition_of(one["subject"], PARTITIONS) == number
            found.append(one)
    return found


def test_a_bad_event_does_not_sink_its_batch(kafka: str, topics: str, open_gateway: str) -> None:
    events = [event("a"), event("b", subject="no id"), {"id": "c"}, event("d", subject="other")]
    answer = httpx.post(f"{open_gateway}/v1/events", json=events, timeout=PATIENCE)
    assert answer.status_code == httpx.codes.ACCEPTED
    told = answer.json()
    assert told["accepted"] == 2
    assert [(each["index"], each["id"]) for each in told["invalid"]] == [(1, "b"), (2, "c")]
    assert told["invalid"][0]["errors"][0]["path"] == "subject"
    assert sorted(logged(kafka, topics), key=lambda e: str(e["id"])) == [events[0], events[3]]


def test_an_event_that_is_no_json_does_not_sink_its_batch_either(
    kafka: str, topics: str, open_gateway: str
) -> None:
    bad = [rb'{"id": "\ud83d"}', b'{"id": "\xff"}', b"[" * 2_000 + b"]" * 2_000]
    body = b"[" + b",".join([json.dumps(event("a")).encode(), *bad]) + b"]"
    sent: dict[str, Any] = {"content": body, "headers": BATCH, "timeout": PATIENCE}
    whole = httpx.post(f"{open_gateway}/api/v1/events", **sent)
    assert [each["index"] for each in problem(whole, 400)["invalid"]] == [1, 2, 3]
    answer = httpx.post(f"{open_gateway}/v1/events", **sent)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    told = [(each["index"], each["errors"][0]["reason"]) for each in answer.json()["invalid"]]
    assert told == [(1, "malformed_json"), (2, "not_utf8"), (3, "too_deep")]
    assert logged(kafka, topics) == [event("a")]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_packed_bodies(kafka: str, topics: str, open_gateway: str, encoding: str) -> None:
    body = json.dumps([event("a"), event("b")]).encode()
    packed = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    headers = {**BATCH, "content-encoding": encoding}
    url = f"{open_gateway}/api/v1/events"
    answer = httpx.post(url, content=packed, headers=headers, timeout=PATIENCE)
    assert answer.status_code == httpx.codes.NO_CONTENT, answer.text
    assert {each["id"] for each in logged(kafka, topics)} == {"a", "b"}


def test_the_openmeter_client_works_unchanged(kafka: str, topics: str, tmp_path: Path) -> None:
    key, token = new_key("om", ["ingest"])
    save_keys(tmp_path / "keys", Keys(keys=(key,)))
    with at_address(kafka, topics, tmp_path / "keys") as (_, address):
        client = Client(endpoint=address, token=token)
        one = Event(id="a", source="api", specversion="1.0", type="t", subject="acme")
        client.events.ingest_event(one)
        client.events.ingest_events([Event(event("b")), Event(event("c"))])
        with pytest.raises(HttpResponseError) as caught:
            client.events.ingest_event(Event(event("d", subject="no id")))
        assert caught.value.status_code == httpx.codes.BAD_REQUEST
        assert "none was taken" in str(caught.value.model or caught.value.message)
        with pytest.raises(HttpResponseError) as caught:
            Client(endpoint=address, token="dd_wrong").events.ingest_event(one)
        assert caught.value.status_code == httpx.codes.UNAUTHORIZED
    found = {each["id"]: each for each in logged(kafka, topics)}
    assert set(found) == {"a", "b", "c"}
    assert found["a"]["time"].endswith("Z")


def _keys(path: Path) -> dict[str, str]:
    """A file of keys; the token of each by its name."""
    made: list[tuple[Key, str]] = [
        new_key("bound", ["ingest"], ["api"], ["acme"]),
        new_key("reader", ["read"]),
        new_key("slow", ["ingest"], events_per_second=5),
        new_key("gone", ["ingest"]),
    ]
    keys = Keys(keys=tuple(key for key, _ in made)).without(made[-1][0].id)
    save_keys(path, keys)
    return {key.name: token for key, token in made}


def test_keys_and_limits(kafka: str, topics: str, tmp_path: Path) -> None:
    tokens = _keys(tmp_path / "keys")
    with at_address(kafka, topics, tmp_path / "keys") as (_, address):

        def post(token: str, events: object, **headers: str) -> httpx.Response:
            given = {"authorization": f"Bearer {token}", **headers}
            url = f"{address}/v1/events"
            return httpx.post(url, json=events, headers=given, timeout=PATIENCE)

        for token in ("x", "dd_x", tokens["gone"], tokens["bound"][:-1]):
            answer = post(token, event("x"))
            assert answer.status_code == httpx.codes.UNAUTHORIZED
            assert answer.headers["content-type"] == "application/problem+json"
        assert post(tokens["reader"], event("x")).status_code == httpx.codes.FORBIDDEN
        mixed = [event("a"), event("b", source="web"), event("c", subject="else")]
        told = post(tokens["bound"], mixed).json()
        assert told["accepted"] == 1
        reasons = [each["errors"][0]["reason"] for each in told["invalid"]]
        assert reasons == ["forbidden", "forbidden"]
        began = time.monotonic()
        assert post(tokens["slow"], [event(f"s{n}") for n in range(110)]).json()["accepted"] == 110
        late = post(tokens["slow"], [event(f"t{n}") for n in range(10)])
        assert late.status_code == httpx.codes.TOO_MANY_REQUESTS
        passed = time.monotonic() - began
        assert 22 - passed <= int(late.headers["retry-after"]) <= 22, "100 to be paid off, and ten"
        big = httpx.post(
            f"{address}/v1/events",
            content=b" " * 8_000_001,
            headers={"authorization": f"Bearer {tokens['bound']}", **BATCH},
            timeout=PATIENCE,
        )
        assert big.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
        wrong = post(tokens["bound"], event("x"), **{"content-type": "text/plain"})
        assert wrong.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE
        text = httpx.get(f"{address}/metrics", timeout=PATIENCE).text
        assert 'drawdown_gateway_events_total{outcome="accepted"} 111.0' in text
        assert 'outcome="forbidden"} 2.0' in text
        assert "acme" not in text
    accepted = {each["id"] for each in logged(kafka, topics)}
    assert accepted == {"a", *(f"s{n}" for n in range(110))}


class _Client(threading.Thread):
    """Posts batches until told to stop, sending again what was not acknowledged."""

    def __init__(self, address: str, number: int) -> None:
        super().__init__(daemon=True)
        self._address, self._number = address, number
        self.acknowledged: set[str] = set()
        self.stopping = False

    def run(self) -> None:
        batch = 0
        while not self.stopping:
            names = [f"{self._number}-{batch}-{n}" for n in range(20)]
            body = [event(name, subject=f"a{n}") for n, name in enumerate(names)]
            try:
                answer = httpx.post(f"{self._address}/api/v1/events", json=body, timeout=PATIENCE)
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            if answer.status_code == httpx.codes.NO_CONTENT:
                self.acknowledged.update(names)
                batch += 1


def test_nothing_acknowledged_is_lost_by_kill_9(kafka: str, topics: str) -> None:
    chance, port = random.Random(5), free_port()
    clients = [_Client(f"http://127.0.0.1:{port}", number) for number in range(4)]
    for client in clients:
        client.start()
    for _ in range(6):
        with gateway(kafka, topics, port=port) as (process, _):
            time.sleep(chance.uniform(0.2, 0.8))
            process.send_signal(signal.SIGKILL)
    with gateway(kafka, topics, port=port):
        until(lambda: sum(len(each.acknowledged) for each in clients) > 400, "enough to tell")
        for client in clients:
            client.stopping = True
        for client in clients:
            client.join(60)
    acknowledged = set().union(*(client.acknowledged for client in clients))
    counts = Counter(each["id"] for each in logged(kafka, topics))
    assert len(acknowledged) > 200, "too little was sent for the test to mean anything"
    assert acknowledged <= set(counts)


def test_sigterm_answers_what_is_under_way(kafka: str, topics: str) -> None:
    with at_address(kafka, topics) as (process, address):
        client = _Client(address, 0)
        client.start()
        until(lambda: bool(client.acknowledged), "a request was answered")
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
        client.stopping = True
        client.join(60)
    found = {each["id"] for each in logged(kafka, topics)}
    assert client.acknowledged
    assert client.acknowledged <= found
    assert len(found - client.acknowledged) <= 20, "more than the one request under way"


def test_an_outage_is_503_and_over_when_the_broker_is_back(own_servers: Servers) -> None:
    kafka = own_servers.kafka
    create_topics(kafka, "", PARTITIONS, 1)
    with at_address(kafka, "") as (_, address):
        url = f"{address}/v1/events"
        assert httpx.post(url, json=event("a"), timeout=PATIENCE).status_code == 202
        with broker_stopped(own_servers):
            answer = httpx.post(url, json=event("b"), timeout=PATIENCE)
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert answer.headers["retry-after"] == "1"
        assert "send them again" in answer.json()["detail"]
        give_up = time.monotonic() + 60
        while (answer := httpx.post(url, json=event("b"), timeout=PATIENCE)).status_code != 202:
            assert time.monotonic() < give_up, answer.text
        assert httpx.post(url, json=event("c"), timeout=PATIENCE).status_code == 202
        assert {"a", "b", "c"} <= {each["id"] for each in logged(kafka, "")}


def test_every_error_is_a_problem(open_gateway: str) -> None:
    """What no route is asked of, and what starlette itself refuses."""
    for answer, status in (
        (httpx.get(f"{open_gateway}/v2/events", timeout=PATIENCE), 404),
        (httpx.put(f"{open_gateway}/v1/events", json=event("a"), timeout=PATIENCE), 405),
    ):
        problem(answer, status)
    text = httpx.get(f"{open_gateway}/metrics", timeout=PATIENCE).text
    assert 'drawdown_gateway_requests_total{route="/v1/events",status="405"} 1.0' in text


def test_without_keys_it_listens_on_loopback_only(kafka: str, topics: str) -> None:
    environment = {
        **os.environ,
        "DRAWDOWN_KAFKA": kafka,
        "DRAWDOWN_TOPIC_PREFIX": topics,
        "DRAWDOWN_GATEWAY_HOST": "0.0.0.0",
    }
    command = [sys.executable, "-m", "deploy.cli", "gateway"]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "loopback" in ended.stderr
