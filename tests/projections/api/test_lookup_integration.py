"""Voids and backfills over HTTP: the ledger is looked into first, whole or not at all."""

import asyncio
import json
import secrets
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from deploy.servers.find import Servers
from projections.api.app import build_app, guarded
from projections.api.lookup import Bound, LookUps
from projections.api.server import opened
from projections.api.service import Service
from projections.web.access import Access
from projections.web.keyring import save_keys
from projections.web.keys import Keys, new_key
from schemas.partition import partition_of
from schemas.times import DAY, format_instant
from tests.projections.api.process import api
from tests.projections.api.world import World, account, catalog, world
from tests.projections.web.problems import once_there, problem

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WAIT: Final = {"prefer": "wait=30"}
LONG_AGO: Final = format_instant(time.time_ns() // 1_000 - 5 * DAY)
AMOUNTS: Final = ("quantity", "cost", "overage")
NAMES: Final = (
    "void",
    "unknown",
    "late",
    "soon",
    "old",
    "dry",
    "mine",
    "theirs",
    "sourced",
    "bound",
    "m0",
    "m1",
)


@pytest.fixture(scope="module")
def here(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Accounts with a hundred credits each, that were there five days ago."""
    prefix = f"t{secrets.token_hex(4)}."
    with world(servers, prefix, tmp_path_factory.mktemp("lookup")) as found:
        granted = [each for name in NAMES for each in account(name)]
        for each in granted:
            if each["kind"] == "Grant":
                each["effective_at"] = format_instant(time.time_ns() // 1_000 - 9 * DAY)
        found.apply(catalog() + granted)
        yield found


def void(of: str, event: str, name: str = "v1") -> dict[str, Any]:
    return {"kind": "void_usage", "id": name, "account": of, "source": "t", "event": event}


def backfill(of: str, event: str, name: str = "b1", **changes: str) -> dict[str, Any]:
    fields = {"specversion": "1.0", "id": event, "source": "t", "type": "api.call", "subject": of}
    text = json.dumps(fields | {"time": LONG_AGO} | changes)
    return {"kind": "backfill", "id": name, "account": of, "event": text}


def grant(of: str, name: str) -> dict[str, Any]:
    return account(of, "1", 1)[1] | {"id": name}


def sent(here: World, *documents: dict[str, Any]) -> tuple[list[str], str]:
    """What became of each, and the position that has them."""
    with here.client() as client:
        answer = client.post("/v1/documents", json=documents, headers=WAIT)
    assert answer.status_code == httpx.codes.OK, answer.text
    told = answer.json()
    return [each["outcome"] for each in told["documents"]], told["min_position"]


def refused(here: World, *documents: dict[str, Any], query: str = "") -> list[tuple[int, str, str]]:
    """The index, path and reason of each fault."""
    with here.client() as client:
        answer = client.post(f"/v1/documents{query}", json=documents, headers=WAIT)
    return [
        (each["index"], each["path"], each["reason"]) for each in problem(answer, 422)["faults"]
    ]


def available(here: World, of: str, position: str | None = None) -> str:
    query = {} if position is None else {"min_position": position}
    with here.client() as client:
        answer = once_there(lambda: client.get(f"/v1/accounts/{of}/balance", params=query))
    assert answer.status_code == httpx.codes.OK, answer.text
    told: str = answer.json()["available"]
    return told


def lines(here: World, of: str, position: str) -> list[dict[str, Any]]:
    """The ledger's lines of usage, the oldest first."""
    query = {"order": "oldest", "min_position": position}
    with here.client() as client:
        answer = once_there(lambda: client.get(f"/v1/accounts/{of}/ledger", params=query))
    assert answer.status_code == httpx.codes.OK, answer.text
    return [each for each in answer.json()["lines"] if each["event"] is not None]


def test_usage_is_voided_at_what_it_cost_and_once(here: World) -> None:
    here.use("void", "e1", "e2")
    assert available(here, "void") == "98"
    outcomes, position = sent(here, void("void", "e1"))
    assert outcomes == ["applied"]
    assert available(here, "void", position) == "99"
    drawn, kept, back = lines(here, "void", position)
    assert [each["event"] for each in (drawn, kept, back)] == ["e1", "e2", "e1"]
    assert (back["quantity"], back["cost"], back["grant"]) == ("-1", "-1", drawn["grant"])
    assert (back["time"], back["price"]) == (drawn["time"], drawn["price"])
    for again in (void("void", "e1"), void("void", "e1", "v2")):
        outcomes, position = sent(here, again)
        assert outcomes == ["applied"], "voided twice changes nothing"
        assert available(here, "void", position) == "99"
    with here.client() as client:
        answer = client.post("/v1/documents", json=void("void", "e2", "v3"))
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    assert answer.json()["documents"] == [{"kind": "void_usage", "id": "v3", "account": "void"}]
    assert available(here, "void", answer.json()["min_position"]) == "100"


def test_a_void_of_unknown_usage_is_refused_and_nothing_is_sent(here: World) -> None:
    here.use("unknown", "e1")
    found = refused(
        here, grant("unknown", "more"), void("unknown", "e1"), void("unknown", "e9", "v9")
    )
    assert found == [(2, "event", "unknown_usage")]
    assert refused(here, void("unknown", "e1") | {"source": "other"}) == [
        (0, "event", "unknown_usage")
    ]
    assert refused(here, void("nobody", "e1")) == [(0, "event", "unknown_usage")]
    here.pipeline.wait_until_settled(60)
    assert available(here, "unknown") == "99", "neither the void nor the grant was sent"


def test_what_is_accepted_and_not_drawn_yet_is_unknown_until_it_is(here: World) -> None:
    here.pipeline.signal("balances", signal.SIGSTOP)
    try:
        here.send("late", "e1")
        assert refused(here, void("late", "e1")) == [(0, "event", "unknown_usage")]
    finally:
        here.pipeline.signal("balances", signal.SIGCONT)
    here.pipeline.wait_until_settled(60)
    assert available(here, "late") == "99"
    outcomes, position = sent(here, void("late", "e1"))
    assert (outcomes, available(here, "late", position)) == (["applied"], "100")


def test_a_backfill_of_usage_that_is_not_drawn_yet_is_refused_by_the_log(here: World) -> None:
    """The ledger does not know it yet, admission's claims do (credits.md 9.5)."""
    here.pipeline.signal("balances", signal.SIGSTOP)
    try:
        here.send("soon", "e1")
        same = json.loads(backfill("soon", "e1")["event"]) | {"data": {}}
        document = backfill("soon", "e1") | {"event": json.dumps(same)}
        with here.client() as client:
            answer = client.post("/v1/documents", json=document)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    finally:
        here.pipeline.signal("balances", signal.SIGCONT)
    here.pipeline.wait_until_settled(60)
    assert available(here, "soon") == "99"


def test_a_backfill_is_drawn_once(here: World) -> None:
    outcomes, position = sent(here, backfill("old", "e1"), backfill("old", "e2", "b2"))
    assert outcomes == ["applied", "applied"]
    assert available(here, "old", position) == "98"
    assert [(each["event"], each["time"]) for each in lines(here, "old", position)] == [
        ("e1", LONG_AGO),
        ("e2", LONG_AGO),
    ]
    duplicate = [(0, "event", "duplicate")]
    assert refused(here, backfill("old", "e1")) == duplicate, "the same command, once it is drawn"
    assert refused(here, backfill("old", "e2", "b3")) == duplicate
    assert refused(here, grant("old", "more"), backfill("old", "e1"))[0][0] == 1
    here.use("old", "e3")
    assert refused(here, backfill("old", "e3", "b4")) == duplicate, "it came by the usual way"
    assert available(here, "old") == "97"


def test_a_dry_run_looks_nothing_up(here: World) -> None:
    documents = [void("dry", "e9"), backfill("dry", "e9")]
    with here.client() as client:
        answer = client.post("/v1/documents?dry_run=true", json=documents)
    assert answer.json() == {
        "documents": [
            {"kind": "void_usage", "id": "v1", "account": "dry"},
            {"kind": "backfill", "id": "b1", "account": "dry"},
        ]
    }
    by_hand = void("dry", "e9") | {"lines": [{"product": "calls"} | dict.fromkeys(AMOUNTS, "1")]}
    wrong = [by_hand, backfill("dry", "e1", subject="mine"), backfill("dry", "e1", time="soon")]
    assert refused(here, *wrong, query="?dry_run=true") == [
        (0, "lines", "invalid_document"),
        (1, "event.subject", "invalid_document"),
        (2, "event.time", "invalid_envelope"),
    ]
    here.pipeline.wait_until_settled(60)
    assert available(here, "dry") == "100"


def test_all_kinds_and_accounts_of_several_partitions_are_sent_at_once(here: World) -> None:
    names = ("m0", "m1")
    assert {partition_of(each, len(here.pipeline.partitions)) for each in names} == {0, 1}
    for name in names:
        here.use(name, "e1", "e2")
    documents = [
        void("m0", "e1"),
        {"kind": "Product", "id": "more", "meter": {"event_type": "x", "aggregation": "count"}},
        backfill("m1", "e0"),
        grant("m1", "more"),
        void("m1", "e2"),
        backfill("m0", "e0"),
    ]
    outcomes, position = sent(here, *documents)
    assert outcomes == ["applied"] * len(documents)
    assert available(here, "m0", position) == "98", "100, two used, one voided, one backfilled"
    assert available(here, "m1", position) == "99", "and a grant of one"


def test_a_key_of_another_account_voids_and_backfills_nothing(here: World, tmp_path: Path) -> None:
    here.use("theirs", "e1")
    here.use("mine", "e1")
    made = {
        "mine": new_key("mine", ["write"], accounts=["mine"]),
        "reader": new_key("reader", ["read"]),
    }
    path = tmp_path / "keys"
    save_keys(path, Keys(keys=tuple(key for key, _ in made.values())))
    with (
        api(here.environment, path) as (_, address),
        httpx.Client(base_url=address, timeout=30) as client,
    ):

        def post(name: str, *documents: dict[str, Any]) -> httpx.Response:
            given = {"authorization": f"Bearer {made[name][1]}"}
            return client.post("/v1/documents", json=documents, headers=given)

        problem(post("mine", void("theirs", "e1")), 403)
        problem(post("mine", void("mine", "e1"), backfill("theirs", "e0")), 403)
        problem(post("reader", void("mine", "e1")), 403)
        (fault,) = problem(post("mine", backfill("mine", "e0", subject="theirs")), 422)["faults"]
        assert fault["path"] == "event.subject"
        assert post("mine", void("mine", "e1")).status_code == httpx.codes.ACCEPTED
    here.pipeline.wait_until_settled(60)
    assert (available(here, "theirs"), available(here, "mine")) == ("99", "100")


def test_a_key_of_another_source_adds_voids_and_prices_nothing(here: World, tmp_path: Path) -> None:
    here.use("sourced", "e1")
    key, token = new_key("web", ["write"], sources=["web"])
    path = tmp_path / "keys"
    save_keys(path, Keys(keys=(key,)))
    replay = {"kind": "replay", "id": "r1", "account": "sourced", "source": "t", "event": "e1"}
    given = {"authorization": f"Bearer {token}"}
    with api(here.environment, path) as (_, address):

        def post(*documents: dict[str, Any]) -> httpx.Response:
            url = f"{address}/v1/documents"
            return httpx.post(url, json=documents, headers=given, timeout=30)

        for command in (void("sourced", "e1"), backfill("sourced", "e0"), replay):
            told = problem(post(grant("sourced", "more"), command), 403)
            assert told["detail"] == "this key is not of source t"
        own = backfill("sourced", "e0", source="web")
        assert post(own).status_code == httpx.codes.ACCEPTED
    here.pipeline.wait_until_settled(60)
    assert available(here, "sourced") == "98", "one used, one backfilled, no other grant"


def test_a_ledger_beyond_the_bound_is_left_to_the_command_line(here: World) -> None:
    here.use("bound", "e1")
    commands = [grant("bound", "more"), void("bound", "e1"), backfill("bound", "e0")]

    async def ask() -> None:
        async with within(here, Bound(records=1, seconds=60)) as client:
            told = problem(await client.post("/v1/documents", json=commands), 422)
            faults = [(each["index"], each["path"], each["reason"]) for each in told["faults"]]
            assert faults == [(1, "kind", "unsupported"), (2, "kind", "unsupported")]
            assert all("drawdown apply" in each["detail"] for each in told["faults"])
        async with within(here, Bound(records=1_000_000, seconds=0)) as client:
            answer = await client.post("/v1/documents", json=commands)
            told = problem(answer, 503)
            assert "drawdown apply" in told["detail"]
            assert int(answer.headers["retry-after"]) >= 1
            more = await client.post("/v1/documents", json=grant("bound", "other"))
            assert more.status_code == httpx.codes.ACCEPTED, "it needs no ledger"

    asyncio.run(ask())
    here.pipeline.wait_until_settled(60)
    assert available(here, "bound") == "100", "a hundred, one used, and the other grant"


@asynccontextmanager
async def within(here: World, bound: Bound) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API with another bound, in this process."""
    settings, log = here.pipeline.settings, here.pipeline.around.log
    partitions = len(here.pipeline.partitions)

    @asynccontextmanager
    async def opening() -> AsyncIterator[Service]:
        async with opened(settings, Access(None), log, partitions) as service:
            service.look_ups = LookUps(bound)
            yield service

    app = build_app(opening)
    transport = httpx.ASGITransport(guarded(app, settings.api_body_bytes))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        yield client
