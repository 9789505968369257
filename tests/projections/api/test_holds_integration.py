"""Holds over HTTP: no two callers get the same credit, whatever dies meanwhile."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from deploy.servers.find import Servers
from tests.projections.api.posting import post
from tests.projections.api.process import api
from tests.projections.api.world import World, account, catalog, world
from tests.projections.web.problems import problem

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1_200)]

CONTENDERS: Final = 2_100
PROCESSES: Final = 3
AMOUNT: Final = 3
CREDITS: Final = 1_000
WINNERS: Final = CREDITS // AMOUNT
_AGAIN_SECONDS: Final = 0.2
_GIVE_UP_SECONDS: Final = 400.0
UNKNOWN: Final = 503


@pytest.fixture
def here(servers: Servers, topic_prefix: str, tmp_path: Path) -> Iterator[World]:
    """A catalog, and an account that pays for WINNERS holds out of two grants."""
    with world(servers, topic_prefix, tmp_path) as found:
        found.apply(catalog() + account("acme", str(CREDITS // 2), grants=2))
        found.apply(account("bound", "10") + account("slow", "10"))
        yield found


def place(client: httpx.Client, name: str | None, amount: object, **more: Any) -> httpx.Response:
    """Ask for a hold of the account `bound`."""
    body = {"account": "bound", "product": "calls", "amount": amount, **more}
    return client.post("/v1/holds", json=body | ({} if name is None else {"id": name}))


def refused(answer: httpx.Response, status: int, reason: str | None) -> None:
    """A problem of that status and reason code."""
    assert problem(answer, status).get("reason") == reason, answer.text


def test_a_hold_from_its_placing_to_its_end(here: World) -> None:
    with here.client() as client:
        placed = place(client, "h1", "4")
        assert placed.status_code == httpx.codes.CREATED, placed.text
        hold = placed.json()["hold"]
        assert (hold["state"], hold["amount"], hold["captured"]) == ("open", "4", "0")
        assert hold["slices"] == [{"grant": "g0", "amount": "4"}]
        position = {"min_position": placed.json()["min_position"]}
        balance = client.get("/v1/accounts/bound/balance", params=position).json()
        assert (balance["available"], balance["grants"][0]["held"]) == ("6", "4")

        again = place(client, "h1", "4")
        assert again.json()["hold"] == hold, "sent again it is the same hold"
        refused(place(client, "h1", "5"), 409, "conflict")
        refused(place(client, "h2", "6.000000001"), 402, "insufficient_credits")
        refused(place(client, "h3", "1", product="none"), 404, "unknown_product")
        refused(place(client, "h4", "1", account="nobody"), 404, "unknown_account")
        refused(place(client, "h5", "1", contract="c-9"), 404, "unknown_contract")
        refused(place(client, "h6", "-1"), 422, None)
        refused(place(client, "h6", "1", expires_in="P1Y"), 422, None)

        path = "/v1/holds/bound/h1"
        assert client.get(path).json()["hold"] == hold
        refused(client.get("/v1/holds/bound/h2"), 404, None)
        refused(client.post(f"{path}/capture", json={"amount": "4.5"}), 409, "exceeds_hold")
        refused(client.post("/v1/holds/bound/h2/release"), 404, "unknown_hold")
        captured = client.post(f"{path}/capture", json={"amount": "1.5"})
        assert captured.status_code == httpx.codes.OK, captured.text
        ended = captured.json()["hold"]
        assert (ended["state"], ended["captured"]) == ("captured", "1.5")
        same = client.post(f"{path}/capture", json={"amount": "1.5"})
        assert same.json()["hold"] == ended, "sent again it is the same capture"
        refused(client.post(f"{path}/capture", json={"amount": "1"}), 409, "conflict")
        refused(client.post(f"{path}/release"), 409, "hold_ended")
        position = {"min_position": captured.json()["min_position"]}
        balance = client.get("/v1/accounts/bound/balance", params=position).json()
        assert (balance["available"], balance["consumed"]) == ("8.5", "1.5")

        named = place(client, None, "8.5").json()["hold"]["id"]
        refused(place(client, None, "0.000000001"), 402, "insufficient_credits")
        released = client.post(f"/v1/holds/bound/{named}/release").json()
        assert released["hold"]["state"] == "released"
        position = {"min_position": released["min_position"]}
        balance = client.get("/v1/accounts/bound/balance", params=position).json()
        assert (balance["available"], balance["grants"][0]["held"]) == ("8.5", "0")
    here.pipeline.reconcile()


def test_a_hold_is_named_by_its_body_or_by_the_header(here: World) -> None:
    body = {"account": "bound", "product": "calls", "amount": "0.5"}
    with here.client() as client:
        placed = client.post("/v1/holds", json=body, headers={"idempotency-key": "named"})
        assert placed.json()["hold"]["id"] == "named", placed.text
        same = client.post("/v1/holds", json={**body, "id": "named"})
        assert same.json()["hold"] == placed.json()["hold"]
        differs = client.post(
            "/v1/holds", json={**body, "id": "one"}, headers={"idempotency-key": "two"}
        )
        refused(differs, 422, None)
        refused(client.post("/v1/holds?wait=1", json=body), 422, None)
        ended = [f"/v1/holds/bound/named/{how}" for how in ("capture", "release")]
        for path, sent in (("/v1/holds", body), *((path, {}) for path in ended)):
            wrong = client.post(path, json=sent, headers={"idempotency-key": "a b"})
            refused(wrong, 422, None)
            assert [each["path"] for each in wrong.json()["faults"]] == ["header.idempotency-key"]
        released = client.post("/v1/holds/bound/named/release")
        assert released.status_code == httpx.codes.OK, released.text


def test_a_hold_outlives_every_process_and_ends_by_the_logs_clock(here: World) -> None:
    with here.client() as client:
        assert place(client, "kept", "2").status_code == httpx.codes.CREATED
        short = {"account": "slow", "product": "calls", "amount": "10", "id": "short"}
        placed = client.post("/v1/holds", json=short | {"expires_in": "PT2S"})
        assert placed.status_code == httpx.codes.CREATED, placed.text
    for name in ("admission", "rating", "balances"):
        here.pipeline.kill(name)
    with (
        api(here.environment) as (process, address),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        assert client.get("/v1/holds/bound/kept").json()["hold"]["state"] == "open"
        give_up = time.monotonic() + _GIVE_UP_SECONDS
        while (hold := client.get("/v1/holds/slow/short").json()["hold"])["state"] == "open":
            assert time.monotonic() < give_up, hold
            time.sleep(_AGAIN_SECONDS)
        assert (hold["state"], hold["ended_at"]) == ("expired", hold["expires_at"])
        assert client.get("/v1/accounts/slow/balance").json()["available"] == "10"
        refused(client.post("/v1/holds/slow/short/capture"), 409, "hold_ended")
        captured = client.post("/v1/holds/bound/kept/capture", headers={"idempotency-key": "c"})
        assert captured.json()["hold"]["captured"] == "2", captured.text
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    here.pipeline.wait_until_settled(60)
    here.pipeline.reconcile()


async def _until_known(address: str, path: str, body: object) -> tuple[int, Any]:
    """The answer, once it is known: what may have been applied is asked for again."""
    give_up = time.monotonic() + _GIVE_UP_SECONDS
    while True:
        try:
            status, told = await post(address, path, body)
        except (OSError, EOFError) as error:
            status, told = UNKNOWN, str(error)
        if status != UNKNOWN:
            return status, told
        assert time.monotonic() < give_up, told
        await asyncio.sleep(_AGAIN_SECONDS)


async def contend(
    addresses: list[str], meanwhile: Callable[[], None] | None
) -> tuple[Counter[int], list[str]]:
    """Every contender asks for a hold at once; statuses, and the ids of those that got one."""

    async def one(number: int) -> int:
        body = {"account": "acme", "product": "calls", "amount": str(AMOUNT), "id": f"h{number}"}
        address = addresses[number % len(addresses)]
        return (await _until_known(address, "/v1/holds", body))[0]

    contenders = [asyncio.create_task(one(number)) for number in range(CONTENDERS)]
    if meanwhile is not None:
        await asyncio.wait(contenders, return_when=asyncio.FIRST_COMPLETED)
        meanwhile()
    statuses = await asyncio.gather(*contenders)
    won = [f"h{number}" for number, status in enumerate(statuses) if status == 201]
    return Counter(statuses), won


async def finish(address: str, won: list[str]) -> Counter[str]:
    """Capture a third of the holds whole, a third in part, release the others; how each ended."""

    async def one(number: int, name: str) -> str:
        verb = "release" if number % 3 == 2 else "capture"
        body = {"amount": "1"} if number % 3 == 1 else {}
        status, told = await _until_known(address, f"/v1/holds/acme/{name}/{verb}", body)
        assert status == 200, told
        state: str = told["hold"]["state"]
        return state

    return Counter(await asyncio.gather(*(one(at, name) for at, name in enumerate(won))))


@pytest.mark.parametrize("killed", [None, "balances"], ids=["undisturbed", "kill -9 of balances"])
def test_thousands_contend_and_no_credit_is_held_twice(here: World, killed: str | None) -> None:
    def strike() -> None:
        assert killed is not None
        here.pipeline.kill(killed)

    with ExitStack() as stack:
        addresses = [here.address]
        for _ in range(PROCESSES - 1):
            _, address = stack.enter_context(api(here.environment))
            addresses.append(address)
        statuses, won = asyncio.run(contend(addresses, strike if killed else None))
        assert statuses == {201: WINNERS, 402: CONTENDERS - WINNERS}
        here.pipeline.wait_until_settled(120)
        held = here.pipeline.balance("acme")
        assert held["available"] == str(CREDITS - WINNERS * AMOUNT)
        assert sum(int(grant["held"]) for grant in held["grants"]) == WINNERS * AMOUNT
        ended = asyncio.run(finish(addresses[-1], won))
    assert ended == {"captured": 2 * WINNERS // 3, "released": WINNERS // 3}
    here.pipeline.wait_until_settled(120)
    whole, part = WINNERS // 3, WINNERS // 3
    balance = here.pipeline.balance("acme")
    assert balance["consumed"] == str(AMOUNT * whole + part)
    assert balance["available"] == str(CREDITS - AMOUNT * whole - part)
    here.pipeline.reconcile()
    if killed is not None:
        assert here.pipeline.restarts()[killed] >= 1
