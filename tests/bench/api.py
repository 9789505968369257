"""The API: entitlement checks, and holds: at a fixed rate, and many at once."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from tests.bench.drawdown import Drawdown, Load
from tests.bench.load import MODELS, PRODUCTS, REGIONS
from tests.bench.posting import Taken, all_at_once, at_rate
from tests.bench.processes import Meter
from tests.bench.session import Row, Section, Session
from tests.bench.trial import Trial, apart
from tests.projections.api.process import api

LOADS: Final[tuple[Load, ...]] = ("plain", "rich")
RATE: Final = 1_000
CHECKING: Final = 32
CONTENDERS: Final = (1, 50, 500, 2_000)
HOLDS_RATE: Final = 200
HOLDING: Final = 500
_SECONDS: Final = 20.0
_FIRST: Final = 1_000
_START_SECONDS: Final = 120.0
_ACCOUNTS: Final = 1_000


def run(session: Session) -> Section:
    """Checks over two loads, then holds of many accounts and of one."""
    rows: list[Row] = []
    for load in LOADS:
        drawdown = Drawdown(load, durable=session.durable)
        with apart(session, drawdown) as trial:
            trial.start()
            trial.wait(trial.load(session.usage(_FIRST)), _START_SECONDS)  # each has its partitions
            with _serving(trial) as (pid, port):
                session.say(f"api: checks, {load}")
                rows.append(_checks(session, load, pid, port))
                if load == "plain":
                    session.say("api: holds")
                    rows += _holds(session, port)
    note = (
        "Milliseconds. One API process, without keys; the client, the workers, the broker and Redis"
        f" share the cores. Checks: open loop, {CHECKING} connections, `server` as Server-Timing"
        " has it. Holds: at a rate, each is sent when it is due; else each caller sends its next"
        " when the last is decided."
    )
    return Section("api", "Query and control API", note, rows)


@contextmanager
def _serving(trial: Trial) -> Iterator[tuple[int, int]]:
    """An API of the deployment on trial: its process, its port."""
    drawdown = trial.contender
    assert isinstance(drawdown, Drawdown)
    settings = drawdown.pipeline.settings
    given = {
        "DRAWDOWN_KAFKA": settings.kafka,
        "DRAWDOWN_REDIS_URL": settings.redis_url,
        "DRAWDOWN_TOPIC_PREFIX": settings.topic_prefix,
        "DRAWDOWN_KEY_PREFIX": settings.key_prefix,
    }
    with api(given) as (process, address):
        yield process.pid, int(address.rpartition(":")[2])


def _checks(session: Session, load: str, pid: int, port: int) -> Row:
    seconds = _SECONDS / 10 if session.quick else _SECONDS
    accounts = min(_ACCOUNTS, session.accounts)

    def body(number: int) -> tuple[str, dict[str, Any]]:
        data = {"model": MODELS[number % 4], "region": REGIONS[number % 3]}
        asked = {"account": f"account-{number % accounts}", "product": PRODUCTS[number % 2]}
        return "/v1/check", {**asked, "quantity": "1000", "data": data}

    asyncio.run(at_rate(port, body, RATE // 2, seconds / 5, CHECKING))  # connections, caches
    meter = Meter({"api": pid})
    meter.start()
    taken = asyncio.run(at_rate(port, body, RATE, seconds, CHECKING))
    used = meter.cpu()["api"]
    assert taken.statuses == {HTTPStatus.OK: len(taken.waits)}, taken.statuses
    note = f"{used / seconds:.2f} of a core in the API"
    return _row(f"check, {load}", taken, f"{RATE:,}/s") | {"note": note}


def _holds(session: Session, port: int) -> Iterator[Row]:
    seconds = _SECONDS / 10 if session.quick else _SECONDS
    apart_by = partial(_hold, secrets.token_hex(4))
    at_a_pace = asyncio.run(at_rate(port, apart_by, HOLDS_RATE, seconds, HOLDING))
    yield _row("hold", at_a_pace, f"{HOLDS_RATE}/s")
    for callers in CONTENDERS[:2] if session.quick else CONTENDERS:
        apart_by = partial(_hold, secrets.token_hex(4))
        taken = asyncio.run(all_at_once(port, apart_by, max(4 * callers, 50), callers))
        yield _row(f"hold, {callers} callers", taken)
    of_one = partial(_contended, secrets.token_hex(4))
    callers = 50 if session.quick else 1_000
    taken = asyncio.run(all_at_once(port, of_one, 2 * callers, callers))
    yield _row(f"hold, {callers} callers of one account", taken)


def _hold(run_id: str, number: int) -> tuple[str, dict[str, Any]]:
    body = {"account": f"account-{number % 100}", "product": PRODUCTS[0], "amount": "1"}
    return "/v1/holds", {**body, "id": f"b-{run_id}-{number}", "expires_in": "PT1M"}


def _contended(run_id: str, number: int) -> tuple[str, dict[str, Any]]:
    body = {"account": "account-1", "product": PRODUCTS[0], "amount": "1"}
    return "/v1/holds", {**body, "id": f"c-{run_id}-{number}", "expires_in": "PT1M"}


def _row(what: str, taken: Taken, at: str = "") -> Row:
    told = ", ".join(f"{count} {HTTPStatus(each).name}" for each, count in taken.statuses.items())
    return {
        "what": what,
        "at": at,
        "server p50": taken.percentile(taken.served, 500),
        "server p99": taken.percentile(taken.served, 990),
        "caller p50": taken.percentile(taken.waits, 500),
        "caller p99": taken.percentile(taken.waits, 990),
        "answers": len(taken.waits),
        "sent again": taken.again,
        "note": told,
    }
