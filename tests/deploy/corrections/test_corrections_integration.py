"""Checks, contracts, backfills and replays over running workers, as they are typed."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from deploy.corrections import command as corrections
from deploy.reading import command as reading
from deploy.servers.find import Servers
from ingest import Producer
from schemas.times import format_instant
from tests.system.pipeline import Pipeline, running

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SECONDS = 300.0
DAY = 86_400_000_000
METER = {"event_type": "gen", "aggregation": "sum", "value": "n"}
TIERS = [{"up_to": "10", "unit_price": "1"}, {"unit_price": "2"}]


@pytest.fixture
def pipeline(servers: Servers, topic_prefix: str, tmp_path: Path) -> Iterator[Pipeline]:
    """Workers, and an account with a wallet's grant and a contract that was amended."""
    with running(servers, topic_prefix, tmp_path) as pipeline:
        pipeline.apply(documents(time.time_ns() // 1_000))
        yield pipeline


def documents(now: int) -> list[dict[str, Any]]:
    """A graduated price, and an account that blocks beyond its credits."""
    start = format_instant(now - 60 * DAY)
    rates = [{"product": "tokens", "price": {"model": "graduated", "tiers": TIERS}}]
    version = {"version": 1, "effective_from": "2020-01-01T00:00:00Z", "rates": rates}
    grant = {"id": "w", "account": "acme", "type": "promotional", "amount": "40"}
    contract = {"id": "k", "account": "acme", "starts_at": start, "covers": {"tags": ["ai"]}}
    amendment = {"contract": "k", "effective_at": format_instant(now), "by": "sales"}
    changes = {"overage": {"mode": "block"}}
    return [
        {"kind": "Product", "id": "tokens", "meter": METER},
        {"kind": "RateCard", "id": "standard", "versions": [version]},
        {
            "kind": "Account",
            "id": "acme",
            "rate_card": "standard",
            "overage": {"mode": "block"},
            "alerts": [],
        },
        {"kind": "Grant", "effective_at": start, **grant},
        {"kind": "Contract", **contract},
        {"kind": "amend_contract", "id": "x", "account": "acme", **amendment, "changes": changes},
    ]


def event(identity: str, at: int, kind: str = "gen", tokens: int = 8) -> dict[str, Any]:
    """A CloudEvent of the account."""
    return {
        "specversion": "1.0",
        "id": identity,
        "source": "test",
        "type": kind,
        "subject": "acme",
        "time": format_instant(at),
        "data": {"n": tokens},
    }


def send(pipeline: Pipeline, *events: dict[str, Any]) -> None:
    """Send usage and wait until it is drawn."""
    settings = pipeline.settings
    with Producer(settings.kafka, topic_prefix=settings.topic_prefix) as producer:
        for each in events:
            producer.send(each)
    pipeline.wait_until_settled(SECONDS)


def run(pipeline: Pipeline, *arguments: str) -> tuple[int, str]:
    """A command as it is typed; its exit code and what it prints."""
    app = typer.Typer()
    for group in (reading, corrections):
        group.register(app, lambda: pipeline.settings)
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def asked(pipeline: Pipeline, quantity: str) -> tuple[int, dict[str, Any]]:
    """`drawdown check` of the account's tokens."""
    code, printed = run(pipeline, "check", "acme", "tokens", quantity, "--json")
    return code, json.loads(printed)


def test_checks_contracts_and_corrections(pipeline: Pipeline, tmp_path: Path) -> None:
    """One account: what is asked, then drawn, corrected and read back agrees; nothing is twice."""
    now = time.time_ns() // 1_000
    send(pipeline, event("e1", now))
    code, said = asked(pipeline, "12")
    assert (code, said["allowed"], said["available"]) == (0, True, "32")
    assert (said["cost"], said["would_overage"]) == ("22", "0"), said
    code, said = asked(pipeline, "18")
    assert (code, said["why"], said["cost"], said["would_overage"]) == (3, "block", "34", "2")
    assert said["position"]["rating"][0] > 0
    assert "deny: block" in run(pipeline, "check", "acme", "tokens", "18")[1]
    assert run(pipeline, "check", "acme", "other", "1")[0] == 3

    code, printed = run(pipeline, "contract", "show", "k", "--account", "acme", "--json")
    shown = json.loads(printed)
    (change,) = shown["revisions"][1]["changes"]
    assert (code, shown["revision"], shown["revisions"][1]["by"]) == (0, 2, "sales")
    assert change == {"path": "overage.mode", "before": "allow", "after": "block"}
    assert run(pipeline, "contract", "show", "none", "--account", "acme")[0] == 1

    backfills(pipeline, tmp_path, now)
    replays(pipeline, now)
    pipeline.reconcile()


def backfills(pipeline: Pipeline, folder: Path, now: int) -> None:
    """Two of four rows are new; said first, then sent, and there afterwards."""
    old = now - 40 * DAY
    rows = [event("e2", now), event("e1", old), event("b1", old, tokens=4), event("b1", old)]
    path = folder / "old.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    code, printed = run(pipeline, "backfill", str(path), "--json")
    said = json.loads(printed)
    assert (code, said["events"], said["sent"]) == (1, 1, 0), printed
    refused = {each["number"]: each["why"] for each in said["refused"]}
    assert "drawdown send" in refused[1]
    assert "conflict" in refused[4]
    (known,) = said["known"]
    assert (known["number"], "the ledger has" in known["why"]) == (2, True)
    (effects,) = said["accounts"]
    assert (effects["cost"], len(effects["closed_periods"])) == ("4", 1)
    assert effects["available"] == {"before": "32", "after": "28"}
    assert "closed period of the wallet" in run(pipeline, "backfill", str(path))[1]
    assert pipeline.balance("acme")["available"] == "32"

    code, printed = run(pipeline, "backfill", str(path), "--yes")
    assert "sent 1 of 1 events" in printed
    pipeline.wait_until_settled(SECONDS)
    assert pipeline.balance("acme")["available"] == "28"
    code, printed = run(pipeline, "backfill", str(path), "--yes", "--json")
    assert json.loads(printed)["sent"] == 0, printed


def replays(pipeline: Pipeline, now: int) -> None:
    """Usage without a product waits, and is priced once there is one."""
    send(pipeline, event("u1", now, "late", 5), event("u2", now, "never"))
    assert run(pipeline, "replay")[1].count("sent replay") == 2
    pipeline.wait_until_settled(SECONDS)
    assert pipeline.balance("acme")["available"] == "28"
    rates = [
        {"product": name, "price": {"model": "graduated", "tiers": TIERS}}
        for name in ("tokens", "late")
    ]
    version = {"version": 1, "effective_from": "2020-01-01T00:00:00Z", "rates": rates}
    late = {"kind": "Product", "id": "late", "meter": METER | {"event_type": "late"}}
    pipeline.apply([late, {"kind": "RateCard", "id": "standard", "versions": [version]}])
    pipeline.wait_until_settled(SECONDS)
    assert "u1 of test" in run(pipeline, "replay", "acme", "test", "u1")[1]
    pipeline.wait_until_settled(SECONDS)
    assert pipeline.balance("acme")["available"] == "23"
    assert run(pipeline, "replay", "--account", "acme")[1].count("sent replay") == 1
    assert "nothing waits" in run(pipeline, "replay", "acme", "test", "u1")[1]
