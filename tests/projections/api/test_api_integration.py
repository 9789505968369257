"""The API beside real workers on real servers: what it says is what the folds hold."""

import json
import re
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from deploy.servers.find import Servers
from projections.reading.balance import read_balance
from projections.reading.contract import read_contract
from projections.web.keyring import save_keys
from projections.web.keys import Keys, new_key
from tests.projections.api.process import api
from tests.projections.api.world import ACCOUNTS, World, account, catalog, world
from tests.projections.web.problems import once_there, problem

pytestmark = [pytest.mark.integration, pytest.mark.slow]

EVENTS: Final = 60


@pytest.fixture(scope="module")
def here(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A catalog, accounts with two grants, one with a contract, and usage that was drawn."""
    prefix = f"t{secrets.token_hex(4)}."
    with world(servers, prefix, tmp_path_factory.mktemp("api")) as found:
        documents = catalog()
        for number in range(ACCOUNTS):
            documents += account(f"a{number}", grants=2)
        found.apply(documents)
        found.apply(contract("a1"))
        found.apply([catalog()[0] | {"id": "api-calls"}, *account("acme", "10")])
        found.use("a0", *(f"a0-{number}" for number in range(EVENTS)))
        yield found


def contract(of: str) -> list[dict[str, Any]]:
    """A contract with a grant of its own, amended once."""
    terms: dict[str, Any] = {
        "kind": "Contract",
        "id": "c-1",
        "account": of,
        "starts_at": "2026-01-01T00:00:00Z",
        "rate_card": "standard",
        "covers": {"products": ["calls"]},
        "grants": [{"id": "cg", "type": "prepaid", "amount": "7"}],
    }
    amend = {
        "kind": "amend_contract",
        "id": "am-1",
        "account": of,
        "contract": "c-1",
        "effective_at": "2026-02-01T00:00:00Z",
        "changes": {"overage": {"mode": "block"}},
        "reason": "asked",
        "by": "ann",
    }
    return [terms, amend]


def get(here: World, path: str, **query: Any) -> Any:
    """A good answer."""
    with here.client() as client:
        answer = once_there(lambda: client.get(path, params=query))
    assert answer.status_code == httpx.codes.OK, answer.text
    assert float(answer.headers["server-timing"].partition("dur=")[2]) > 0
    return answer.json()


def test_a_balance_is_what_the_command_line_reads(here: World) -> None:
    read = read_balance(here.pipeline.around, "a0")  # before: ticks move the position meanwhile
    told = get(here, "/v1/accounts/a0/balance")
    assert read is not None
    for name in ("account", "available", "overage", "consumed", "partition"):
        assert told[name] == read[name], name
    assert (told["available"], told["consumed"]) == (str(200 - EVENTS), str(EVENTS))
    known = {name for grant in read["grants"] for name in grant}
    assert [{n: g[n] for n in known} for g in told["grants"]] == read["grants"]
    assert told["position"] >= read["position"]


def test_a_balance_by_grant_by_contract_and_by_product(here: World) -> None:
    one = get(here, "/v1/accounts/a0/balance", grant="g1")
    assert [grant["id"] for grant in one["grants"]] == ["g1"]
    of_contract = get(here, "/v1/accounts/a1/balance", contract="c-1")
    assert (of_contract["available"], of_contract["grants"][0]["id"]) == ("7", "cg")
    of_product = get(here, "/v1/accounts/a1/balance", product="calls", contract="c-1")
    assert of_product["available"] == "207", "the contract's and the wallet's credits pay"
    wallet = get(here, "/v1/accounts/a1/balance", product="calls")
    assert wallet["available"] == "200"
    scopes = {each["contract"]: each["available"] for each in wallet["scopes"]}
    assert scopes == {None: "200", "c-1": "7"}
    with here.client() as client:
        problem(client.get("/v1/accounts/a1/balance?contract=none"), 404)
        problem(client.get("/v1/accounts/a1/balance?grant=none"), 404)
        problem(client.get("/v1/accounts/a1/balance?grant=g0&product=calls"), 422)
        problem(client.get("/v1/accounts/nobody/balance"), 404)


def test_accounts_are_listed_page_by_page(here: World) -> None:
    for limit in (1, 5, 1_000):
        found: dict[str, dict[str, Any]] = {}
        page = get(here, "/v1/accounts", limit=limit)
        pages = 1
        while True:
            found |= {each["account"]: each for each in page["accounts"]}
            if page["next_cursor"] is None:
                break
            page = get(here, "/v1/accounts", limit=limit, cursor=page["next_cursor"])
            pages += 1
        assert {f"a{number}" for number in range(ACCOUNTS)} <= set(found)
        assert pages > 1 or limit > 1, "one partition's accounts after the other's"
        assert found["a0"]["consumed"] == str(EVENTS)
        assert get(here, "/v1/accounts/a3")["document"]["rate_card"] == "standard"


def test_grants_are_listed_the_latest_first(here: World) -> None:
    first = get(here, "/v1/accounts/a1/grants", limit=2)
    rest = get(here, "/v1/accounts/a1/grants", limit=2, cursor=first["next_cursor"])
    names = [grant["id"] for grant in first["grants"] + rest["grants"]]
    assert names == ["cg", "g1", "g0"]
    assert rest["next_cursor"] is None
    one = get(here, "/v1/accounts/a1/grants/cg")
    assert one["grant"] == first["grants"][0]
    assert (one["grant"]["contract"], one["grant"]["issued"]) == ("c-1", "7")


def test_a_contract_is_told_as_the_command_line_tells_it(here: World) -> None:
    told = get(here, "/v1/accounts/a1/contracts/c-1")
    read = read_contract(here.pipeline.around, "a1", "c-1")
    assert read is not None
    changing = ("position", "journal_time")
    assert {n: v for n, v in told.items() if n not in changing} == {
        n: v for n, v in json.loads(json.dumps(read)).items() if n not in changing
    }
    assert told["revisions"][1]["by"] == "ann"
    listed = get(here, "/v1/accounts/a1/contracts")
    assert [each["contract"] for each in listed["contracts"]] == ["c-1"]


def test_the_ledger_page_by_page_in_both_directions(here: World) -> None:
    here.pipeline.wait_until_settled(60)
    own = here.pipeline.ledger().filter(account="a0").sort("journal_offset", "row", "ordinal")
    wanted = [list(row) for row in own.select("journal_offset", "row", "ordinal").iter_rows()]
    assert len(wanted) == EVENTS + 2
    for order, expected in (("oldest", wanted), ("newest", wanted[::-1])):
        page = get(here, "/v1/accounts/a0/ledger", order=order, limit=7)
        found = page["lines"]
        while page["next_cursor"] is not None:
            cursor = page["next_cursor"]
            page = get(here, "/v1/accounts/a0/ledger", order=order, limit=7, cursor=cursor)
            assert len(page["lines"]) <= 7
            found += page["lines"]
        assert [line["position"] for line in found] == expected
        consumed = [line for line in found if line["posting"] == "consumed"]
        assert {line["amount"] for line in consumed} == {"1"}
        assert {line["event"] for line in consumed} == {f"a0-{n}" for n in range(EVENTS)}
    with here.client() as client:
        other = get(here, "/v1/accounts/a0/ledger", order="newest", limit=7)["next_cursor"]
        problem(client.get("/v1/accounts/a0/ledger?order=oldest&cursor=" + other), 422)


def test_alerts_of_an_account(here: World) -> None:
    oldest = get(here, "/v1/accounts/a0/alerts", order="oldest")["alerts"]
    assert [each["type"] for each in oldest[:2]] == ["credits.grant.issued"] * 2
    assert {each["subject"] for each in oldest} == {"a0"}
    first = get(here, "/v1/accounts/a0/alerts", limit=1)
    rest = get(here, "/v1/accounts/a0/alerts", limit=100, cursor=first["next_cursor"])
    assert first["alerts"] + rest["alerts"] == oldest[::-1]


def test_every_write_is_read(here: World) -> None:
    """No pause in between: the read waits for the write, or would show what was before."""
    with here.client() as client:
        for number in range(8):
            grant = account("a2", "1", 1)[1] | {"id": f"more-{number}"}
            answer = client.post("/v1/documents", json=grant)
            assert answer.status_code == httpx.codes.ACCEPTED, answer.text
            position = answer.json()["min_position"]
            told = get(here, "/v1/accounts/a2/balance", min_position=position)
            assert told["available"] == str(201 + number)
            lines = get(here, "/v1/accounts/a2/ledger", limit=1, min_position=position)["lines"]
            assert lines[0]["grant"] == f"more-{number}"


def test_what_was_never_written_is_waited_for_and_not_made_up(here: World) -> None:
    from projections.api.tokens import Written, encode

    never = encode(Written(0, dict.fromkeys(range(2), 10**9)))
    with here.client() as client:
        answer = client.get("/v1/accounts/a0/balance", params={"min_position": never})
        problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        problem(client.get("/v1/accounts/a0/balance?min_position=nonsense"), 422)


def test_documents_that_are_refused_say_why(here: World) -> None:
    good = account("a4", "1", 1)[1] | {"id": "once"}
    unknown = good | {"account": "nobody"}
    no_contract = good | {"id": "twice", "contract": "c-9"}
    void = {"kind": "void_grant", "id": "v1", "account": "a4", "grant": "no-such"}
    with here.client() as client:
        answer = client.post(
            "/v1/documents",
            json=[good, unknown, no_contract, void],
            headers={"prefer": "respond-async, wait=30"},
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        assert answer.headers["preference-applied"] == "wait=30"
        told = [(each["outcome"], each["reason"]) for each in answer.json()["documents"]]
        assert told == [
            ("applied", None),
            ("refused", "unknown_account"),
            ("refused", "unknown_contract"),
            ("refused", "unknown_grant"),
        ]
        again = client.post("/v1/documents", json=good, headers={"prefer": "wait=30"}).json()
        assert again["documents"][0]["outcome"] == "applied", "the same again changes nothing"
        other = good | {"amount": "2"}
        again = client.post("/v1/documents", json=other, headers={"prefer": "wait=30"}).json()
        assert again["documents"][0]["reason"] == "conflict"


def test_documents_are_checked_as_a_whole(here: World) -> None:
    good = account("a5", "1", 1)[1] | {"id": "whole"}
    with here.client() as client:
        told = problem(client.post("/v1/documents", json=[good, {"kind": "Grant"}]), 422)
        assert {(each["index"], each["reason"]) for each in told["faults"]} == {
            (1, "invalid_document")
        }
        void = {"kind": "void_usage", "id": "v", "account": "a5", "source": "t", "event": "e"}
        by_hand = void | {"time": "2026-01-01T00:00:00Z"}
        fault = problem(client.post("/v1/documents", json=by_hand), 422)["faults"][0]
        assert (fault["reason"], fault["path"]) == ("invalid_document", "time")
        backfill = {"kind": "backfill", "id": "b", "account": "a5", "event": "{}"}
        fault = problem(client.post("/v1/documents", json=[good, backfill]), 422)["faults"][0]
        assert (fault["index"], fault["path"].partition(".")[0]) == (1, "event")
        dry = client.post("/v1/documents?dry_run=true", json=[good])
        assert dry.json() == {"documents": [{"kind": "Grant", "id": "whole", "account": "a5"}]}
        yaml = "kind: Grant\nid: whole\namount: 0.1\n"
        told = problem(
            client.post(
                "/v1/documents", content=yaml, headers={"content-type": "application/yaml"}
            ),
            422,
        )
        assert {each["path"] for each in told["faults"]} >= {"account", "type"}
        problem(client.post("/v1/documents", content=b"{}"), 415)
        json_type = {"content-type": "application/json"}
        problem(client.post("/v1/documents", content=b"[" * 500, headers=json_type), 400)
        problem(client.post("/v1/documents", content=b" " * 1_000_001, headers=json_type), 413)
        yaml_type = {"content-type": "application/yaml"}
        problem(client.post("/v1/documents", content=b" " * 100_001, headers=yaml_type), 413)
        float_ = b'{"kind": "Grant", "amount": 1e400}'
        problem(client.post("/v1/documents", content=float_, headers=json_type), 422)
    names = [grant["id"] for grant in get(here, "/v1/accounts/a5/grants")["grants"]]
    assert "whole" not in names


def test_a_check_waits_for_a_contract_that_only_rating_knows(here: World) -> None:
    body = {"account": "late", "product": "calls", "quantity": "1", "contract": "c-1"}
    here.apply(account("late", grants=2))
    here.pipeline.signal("balances", signal.SIGSTOP)
    going_on = threading.Timer(3, lambda: here.pipeline.signal("balances", signal.SIGCONT))
    going_on.start()
    try:
        with here.client() as client:
            client.post("/v1/documents", json=contract("late")).raise_for_status()
            told: dict[str, Any] = {}
            give_up = time.monotonic() + 60
            while told.get("available") != "207":  # 7 are the contract's
                answer = client.post("/v1/check", json=body)
                assert answer.status_code == httpx.codes.OK, answer.text
                told = answer.json()
                assert time.monotonic() < give_up, told
    finally:
        going_on.join()


def test_a_check_agrees_with_the_balance(here: World) -> None:
    with here.client() as client:

        def ask(quantity: Any, **more: Any) -> dict[str, Any]:
            body = {"account": "a6", "product": "calls", "quantity": quantity, **more}
            answer = client.post("/v1/check", json=body)
            assert answer.status_code == httpx.codes.OK, answer.text
            told: dict[str, Any] = answer.json()
            return told

        enough = ask("200")
        assert (enough["allowed"], enough["cost"], enough["available"]) == (True, "200", "200")
        assert ask(200)["cost"] == "200"
        more = ask("200.5")
        assert more["would_overage"] == "0.5"
        assert ask("1", data={"a": [1.50, {"b": None}]})["allowed"]
        assert ask("1", contract="c-9")["position"]["rating"] > [0, 0, 0]
        body = {"account": "a6", "product": "none", "quantity": "1"}
        assert client.post("/v1/check", json=body).json()["why"] == "unknown_product"
        nobody = {"account": "nobody", "product": "calls", "quantity": "1"}
        assert client.post("/v1/check", json=nobody).json()["why"] == "unknown_account"
        problem(client.post("/v1/check", json=body | {"quantity": 1.0000000001}), 422)
        problem(client.post("/v1/check", json=body | {"more": 1}), 422)
        problem(client.post("/v1/check", json=[]), 422)
        problem(client.post("/v1/check", json=body | {"data": "x" * 65_536}), 413)


def test_parameters_that_nobody_knows_are_refused(here: World) -> None:
    with here.client() as client:
        told = problem(client.get("/v1/accounts/a0/balance?min_positon=x"), 422)
        assert "min_positon" in told["detail"]
        problem(client.get("/v1/accounts?limit=0"), 422)
        problem(client.get("/v1/accounts?limit=1001"), 422)
        problem(client.get("/v1/accounts?limit=1&limit=2"), 422)
        problem(client.get("/v1/accounts?cursor=x"), 422)
        problem(client.get("/v1/accounts/bad%20id/balance"), 422)
        body = {"account": "a6", "product": "calls", "quantity": "1"}
        problem(client.post("/v1/check?min_positon=x", json=body), 422)
        problem(client.post("/v1/check?min_position=x", json=body), 422)
        problem(client.get("/v1/nothing"), 404)
        problem(client.delete("/v1/accounts"), 405)


def test_health_and_metrics_name_nobody(here: World) -> None:
    get(here, "/v1/accounts/a0/balance")
    with here.client() as client:
        assert client.get("/healthz").status_code == httpx.codes.OK
        assert client.get("/readyz").text == "ready"
        text = client.get("/metrics").text
    route = 'route="/v1/accounts/{account}/balance",status="200"'
    assert route in text
    assert "a0" not in text


def test_keys_open_what_their_scopes_say(here: World, tmp_path: Path) -> None:
    made = {
        "reader": new_key("reader", ["read"]),
        "writer": new_key("writer", ["write"]),
        "admin": new_key("admin", ["admin"]),
        "bound": new_key("bound", ["read", "write"], accounts=["a7"]),
        "ingest": new_key("ingest", ["ingest"]),
    }
    keys = Keys(keys=tuple(key for key, _ in made.values()))
    path = tmp_path / "keys"
    save_keys(path, keys)
    body = {"account": "a8", "product": "calls", "quantity": "1"}
    grant = account("a8", "1", 1)[1] | {"id": "keyed"}
    with (
        api(here.environment, path) as (_, address),
        httpx.Client(base_url=address, timeout=30) as client,
    ):

        def status(name: str | None, method: str, url: str, **more: Any) -> int:
            token = "dd_x" if name is None else made[name][1]
            given = {"authorization": f"Bearer {token}"}
            return client.request(method, url, headers=given, **more).status_code

        assert status(None, "GET", "/v1/accounts") == 401
        assert client.get("/v1/accounts").headers["www-authenticate"] == "Bearer"
        balance = "/v1/accounts/a8/balance"
        assert [status(n, "GET", balance) for n in made] == [200, 403, 200, 403, 403]
        checked = [status(n, "POST", "/v1/check", json=body) for n in made]
        assert checked == [200, 403, 200, 403, 403]
        sent = [status(n, "POST", "/v1/documents", json=grant) for n in made]
        assert sent == [403, 202, 202, 403, 403]
        assert status("bound", "GET", "/v1/accounts/a7/balance") == 200
        assert status("bound", "POST", "/v1/documents", json=catalog()) == 403
        given = {"authorization": f"Bearer {made['bound'][1]}"}
        page = client.get("/v1/accounts?limit=1000", headers=given).json()
        while page["next_cursor"] is not None and not page["accounts"]:
            cursor = {"cursor": page["next_cursor"]}
            page = client.get("/v1/accounts", params=cursor, headers=given).json()
        assert [each["account"] for each in page["accounts"]] == ["a7"]
        save_keys(path, keys.without(made["reader"][0].id))
        give_up = time.monotonic() + 20
        while status("reader", "GET", balance) != 401:
            assert time.monotonic() < give_up, "a revoked key still opens"
            time.sleep(0.1)
        assert client.get("/openapi.json").json()["openapi"].startswith("3.1")


def test_the_readmes_hold_is_answered_as_it_says(here: World) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    shown = re.search(
        r"curl -s http://127.0.0.1:8889(/v1/holds) .*?-d '\n(.*?)'\n(.*?),…\}", readme, re.DOTALL
    )
    assert shown is not None
    following = re.findall(r"8889(/v1/\S*?)(?:\?\S*)?'? ?(?:-H '.*?' -d '(.*?)')?\n", readme)
    with here.client() as client:
        placed = client.post(shown[1], json=json.loads(shown[2]))
        assert placed.status_code == httpx.codes.CREATED, placed.text
        assert placed.text.startswith(shown[3])
        (capture, amount), (balance, _) = following[-2:]
        captured = client.post(capture, json=json.loads(amount))
        assert captured.json()["hold"]["captured"] == "1.75", captured.text
        position = {"min_position": captured.json()["min_position"]}
        assert client.get(balance, params=position).json()["available"] == "8.25"


def test_without_keys_it_listens_on_loopback_only(here: World) -> None:
    import os
    import subprocess
    import sys

    given = {**os.environ, **here.environment, "DRAWDOWN_API_HOST": "0.0.0.0"}
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "api"], env=given, capture_output=True, check=False
    )
    assert ended.returncode == 2
    assert b"loopback" in ended.stderr


def test_the_accounts_of_a_page_are_of_one_partition_after_the_other(here: World) -> None:
    page, partitions = get(here, "/v1/accounts", limit=1), []
    while True:
        partitions += [each["partition"] for each in page["accounts"]]
        if page["next_cursor"] is None:
            break
        page = get(here, "/v1/accounts", limit=1, cursor=page["next_cursor"])
    assert all(before <= after for before, after in pairwise(partitions))
