"""The API, the dispatcher and the exporter as users of their own, doing what they are there for."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

import httpx

from deploy.servers.process import LOOPBACK, free_port
from schemas.times import SECOND, format_instant
from tests.deploy.secured.deployment import PREFIX, Secured, environment
from tests.projections.api import world
from tests.projections.api.process import api
from tests.projections.delivery.processes import Place, Receiver, receiver, until
from tests.projections.web.problems import once_there
from tests.system.pipeline import Pipeline

SERVED: Final = "served"
TOLD: Final = "told"
_CARD: Final = "by-call"
_OLD: Final = 3_600 * SECOND
"""Beyond the window."""
_OK: Final = {"status": 204}
_BROKEN: Final = {"status": 500}
_GONE: Final = {"status": 410}


def serve(secured: Secured) -> None:
    """Documents, queries, a check and holds over HTTP."""
    with (
        api(environment(secured.settings("api", "api"))) as (_, address),
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        card = [
            {**each, "id": _CARD} if each["kind"] == "RateCard" else each
            for each in world.catalog()
        ]
        applied = _decided(client, card + world.account(SERVED, "10", rate_card=_CARD))
        assert {each["outcome"] for each in applied["documents"]} == {"applied"}, applied
        grant = world.account("no-such", "1")[1]
        (refused,) = _decided(client, [grant])["documents"]
        assert (refused["outcome"], refused["reason"]) == ("refused", "unknown_account")
        _look(client, applied["min_position"])
        _correct(client)
        _hold(client)


def _decided(client: httpx.Client, documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    answer = client.post("/v1/documents", json=list(documents), headers={"prefer": "wait=30"})
    assert answer.status_code == httpx.codes.OK, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _look(client: httpx.Client, position: str) -> None:
    """Every kind of query: of rows, of all accounts, of the log."""
    of, since = f"/v1/accounts/{SERVED}", {"min_position": position}
    assert _get(client, f"{of}/balance", **since)["available"] == "10"
    assert _get(client, of)["account"] == SERVED
    assert [each["id"] for each in _get(client, f"{of}/grants")["grants"]] == ["g0"]
    names, cursor = set[str](), dict[str, str]()
    while True:
        page = _get(client, "/v1/accounts", **cursor)
        names |= {each["account"] for each in page["accounts"]}
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert SERVED in names
    assert _get(client, f"{of}/ledger", **since)["lines"]
    (issued,) = _get(client, f"{of}/alerts", **since)["alerts"]
    assert issued["type"] == "credits.grant.issued"
    asked = {"account": SERVED, "product": "calls", "quantity": "3"}
    answer = client.post("/v1/check", json=asked)
    assert answer.json()["allowed"] is True, answer.text


def _correct(client: httpx.Client) -> None:
    """Usage is backfilled and voided again: the ledger is looked into for both."""
    fields = {"specversion": "1.0", "id": "old", "source": "t", "type": "api.call"}
    old = format_instant(time.time_ns() // 1_000 - _OLD)
    event = json.dumps({**fields, "subject": SERVED, "time": old})
    backfill = {"kind": "backfill", "id": "b1", "account": SERVED, "event": event}
    void = {"kind": "void_usage", "id": "v1", "account": SERVED, "source": "t", "event": "old"}
    for command, available in ((backfill, "9"), (void, "10")):
        decided = _decided(client, [command])
        assert decided["documents"][0]["outcome"] == "applied", decided
        since = {"min_position": decided["min_position"]}
        assert _get(client, f"/v1/accounts/{SERVED}/balance", **since)["available"] == available


def _hold(client: httpx.Client) -> None:
    """One is placed and released, one is refused: the topic of rejected records says why."""
    wanted = {"account": SERVED, "product": "calls", "amount": "4", "id": "h1"}
    placed = _posted(client, "/v1/holds", wanted)
    assert placed.status_code == httpx.codes.CREATED, placed.text
    since = {"min_position": placed.json()["min_position"]}
    assert _get(client, f"/v1/accounts/{SERVED}/balance", **since)["available"] == "6"
    much = _posted(client, "/v1/holds", wanted | {"id": "h2", "amount": "7"})
    assert (much.status_code, much.json()["reason"]) == (402, "insufficient_credits")
    released = _posted(client, f"/v1/holds/{SERVED}/h1/release")
    assert released.json()["hold"]["state"] == "released", released.text


def _posted(client: httpx.Client, path: str, body: object = None) -> httpx.Response:
    return once_there(lambda: client.post(path, json=body))


def _get(client: httpx.Client, path: str, **query: str) -> dict[str, Any]:
    answer = once_there(lambda: client.get(path, params=query))
    assert answer.status_code == httpx.codes.OK, (path, answer.text)
    found: dict[str, Any] = answer.json()
    return found


def deliver(secured: Secured, pipeline: Pipeline) -> None:
    """Alerts to a receiver that takes them, one that fails, and one that is gone."""
    given = secured.settings("webhooks", "webhooks") | {"webhooks_delays": "PT1S"}
    file = secured.folder / "subscriptions.json"
    url, address = secured.redis_url("webhooks"), secured.kafka.address
    place = Place(address, url, PREFIX, file, environment(given))
    with receiver(secured.folder / "receiver") as to:
        to.plan("/down", _BROKEN)
        to.plan("/gone", _GONE)
        for name in ("up", "down", "gone"):
            place.subscribe(to, name, "--account", TOLD)
        with place.dispatcher():
            first, *_ = _alerts(to, pipeline, grants=1)
            _dead(place, to, first)
            _disabled(place, to, pipeline)
        place.command("subscriptions", "rotate", "up")
        place.command("subscriptions", "disable", "up")
        listed = place.command("subscriptions", "list")
        assert "by hand" in listed
        for name in ("up", "down", "gone"):
            place.command("subscriptions", "remove", name)
        place.command("webhooks", "forget-position")


def _alerts(to: Receiver, pipeline: Pipeline, grants: int) -> list[str]:
    """Give the account so many grants; the ids of the alerts, once the receiver has taken them."""
    pipeline.apply(world.account(TOLD, grants=grants))
    until(lambda: len(to.accepted("/up")) == grants, f"{grants} alerts")
    return sorted(to.accepted("/up"))


def _dead(place: Place, to: Receiver, alert: str) -> None:
    """What fails is a dead letter, and is replayed once its receiver takes it."""
    until(lambda: alert in place.command("webhooks", "dead", "down"), "a dead letter")
    to.plan("/down", _OK)
    assert "1 deliveries wait" in place.command("webhooks", "replay", "down")
    until(lambda: to.accepted("/down") == {alert}, "the dead letter that was replayed")


def _disabled(place: Place, to: Receiver, pipeline: Pipeline) -> None:
    """410 disables; what came meanwhile is sent with what waited, once it is enabled."""
    until(lambda: "410 Gone" in place.command("subscriptions", "list"), "it is disabled")
    both = set(_alerts(to, pipeline, grants=2))
    to.plan("/gone", _OK)
    said = place.command("subscriptions", "enable", "gone")
    replay, since = said.rpartition("replay gone ")[2].split()[0], said.split()[-1]
    place.command("webhooks", "replay", "gone", replay, "--since", since)
    until(lambda: to.accepted("/gone") == both, "what waited, and what was skipped")


def export(secured: Secured, accounts: int) -> None:
    """Figures of all accounts, as Prometheus asks for them."""
    port = free_port()
    own = {"health_port": str(port), "exporter_seconds": "1"}
    given = environment(secured.settings("exporter", "exporter") | own)
    command = [sys.executable, "-m", "deploy.cli", "exporter"]
    process = subprocess.Popen(command, env={**os.environ, **given})

    def told() -> bool:
        assert process.poll() is None, "the exporter ended"
        return _accounts(port) == accounts

    try:
        until(told, f"{accounts} accounts")
    finally:
        process.terminate()
        process.wait(30)


def _accounts(port: int) -> float:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=5) as answer:
            page = answer.read().decode()
    except OSError:
        return 0  # it does not listen yet
    lines = (line for line in page.splitlines() if line.startswith("drawdown_accounts{"))
    return sum(float(line.split()[-1]) for line in lines)
