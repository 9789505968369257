"""Everything at work on secured servers, and what it used of what is allowed."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from confluent_kafka import Producer as RawProducer

from deploy.acl.lists import Entry, redis_roles
from deploy.servers.find import Servers
from deploy.servers.process import LOOPBACK
from deploy.settings import Settings, load_settings
from deploy.workers import WORKERS
from ingest import Producer
from schemas.partition import partition_of
from schemas.times import SECOND, format_instant
from schemas.topics import USAGE
from tests.bench.load import accounts, catalog, usage
from tests.deploy.secured.calls import Call
from tests.deploy.secured.deployment import PREFIX, Secured, environment
from tests.deploy.secured.served import SERVED, TOLD, deliver, export, serve
from tests.ingest.gateway.process import gateway
from tests.system.pipeline import Pipeline, started

EVENTS: Final = 2_000
ACCOUNTS: Final = 20
LATE: Final = "late"
AFTER_ITS_END: Final = "5"
"""What LATE has when one of its grants has ended."""
OLD: Final = 3_600 * SECOND
"""Beyond the window: for a backfill."""
SETTLE_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Evidence:
    """What came of a run of everything: ACLs and commands used, and what was denied."""

    used: set[Entry]
    calls: dict[str, set[Call]]
    writing: set[str]
    denied: list[Any]
    outcomes: Counter[str]
    restarts: dict[str, int]
    available: str


def until(what: str, true: Callable[[], bool], poll: Callable[[], None]) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + SETTLE_SECONDS
    while not true():
        assert time.monotonic() < give_up, f"not within {SETTLE_SECONDS:.0f} s: {what}"
        poll()
        time.sleep(0.2)


def run_everything(secured: Secured, logs: Path) -> Evidence:
    """Every process and every command, each as the user that the lists are for."""
    for said in ("created secured.metering.usage.v1", "all topics are there"):
        made = secured.run(secured.settings("topics"), "topics")
        assert said in made.stdout, made.stderr
    parts = ("kafka_username", "kafka_password_file", "redis_url", "redis_username")
    own = (*parts, "redis_password_file")
    apart = {name: {key: secured.settings(name)[key] for key in own} for name in WORKERS}
    given = secured.settings("operator", "reader")
    servers = Servers("secured", given.pop("kafka"), given["redis_url"], append_time=True)
    for name in ("topic_prefix", "key_prefix"):
        del given[name]
    with started(servers, PREFIX, logs, apart, **given) as pipeline:
        send(secured, pipeline)
        pipeline.wait_until_settled(SETTLE_SECONDS)
        serve(secured)
        deliver(secured, pipeline)
        pipeline.wait_until_settled(SETTLE_SECONDS)
        export(secured, ACCOUNTS + len({LATE, SERVED, TOLD}))
        outcomes = pipeline.figures(pipeline.reconcile(), "I1")
        restarts = pipeline.restarts()
        read(secured)
        gone, calls = {"hdel", "zrem"}, secured.calls
        until("claims end", lambda: gone <= calls.commands("worker"), pipeline.poll)
        until("a grant ends", lambda: available_of(pipeline) == AFTER_ITS_END, pipeline.poll)
        available = available_of(pipeline)
    with secured.store.admin() as admin:
        denied = admin.acl_log()
    called = {role: calls.of(role) for role in redis_roles()}
    writing = secured.store.writing()
    return Evidence(secured.kafka.used(), called, writing, denied, outcomes, restarts, available)


def available_of(pipeline: Pipeline) -> str:
    """What the account has of which a grant ends within the test."""
    found: str = pipeline.balance(LATE)["available"]
    return found


def send(secured: Secured, pipeline: Pipeline) -> None:
    """Documents and usage: some repeated, unpriced, malformed, refused, or keyed wrongly."""
    now = time.time_ns() // 1_000
    pipeline.apply([*catalog(), *accounts(ACCOUNTS, now), *short_grant(now)])
    settings = load_settings(**secured.settings("operator"))
    now = time.time_ns() // 1_000
    with Producer(settings.kafka_access, PREFIX) as producer:
        producer.connect()
        for account, record in usage(EVENTS, ACCOUNTS, now):
            producer.send_encoded(account, record)
        producer.send_encoded("account-1", b"no event")
    accepted = {"specversion": "1.0", "id": "g1", "source": "gateway", "type": "llm.request"}
    shape = {"subject": "account-1", "data": {"model": "no such", "input_tokens": 1}}
    given = environment(secured.settings("gateway"))
    with gateway(secured.kafka.address, PREFIX, given=given) as (_, port):
        event = {**accepted, **shape, "time": format_instant(time.time_ns() // 1_000)}
        told = httpx.post(f"http://{LOOPBACK}:{port}/v1/events", json=[event], timeout=30)
        assert told.json() == {"accepted": 1, "invalid": []}
    # What is forwarded is stamped then: too late for the window, were admission still to start.
    pipeline.wait_until_settled(SETTLE_SECONDS)
    mis_keyed(settings)
    grant = next(grants(now))
    twice, lost = {**grant, "amount": "7"}, {**grant, "id": "lost", "account": "nobody"}
    pipeline.apply([twice, lost])  # the one balances refuse, the other rating


def grants(now: int) -> Iterator[dict[str, Any]]:
    """The grants of the accounts."""
    return (each for each in accounts(ACCOUNTS, now) if each["kind"] == "Grant")


def short_grant(now: int) -> list[dict[str, Any]]:
    """An account of which a grant expires within the test."""
    grant = next(grants(now))
    soon = format_instant(now + 90_000_000)
    return [
        {"kind": "Account", "id": LATE, "rate_card": "standard"},
        {**grant, "id": "late-1", "account": LATE, "amount": "3", "expires_at": soon},
        {**grant, "id": "late-2", "account": LATE, "amount": "5"},
    ]


def mis_keyed(settings: Settings) -> None:
    """One event by a producer that writes it to the partition of other accounts."""
    account = next(f"account-{n}" for n in range(ACCOUNTS) if partition_of(f"account-{n}", 2) == 1)
    _, record = next(usage(1, 1, time.time_ns() // 1_000, seed=9))
    record = record.replace(b"account-0", account.encode())
    producer = RawProducer(settings.kafka_access.options())
    producer.produce(PREFIX + USAGE.name, record, key=account, partition=0)
    assert producer.flush(30) == 0


def read(secured: Secured) -> None:
    """Every command that reads, as a user who may only read; rebuilding writes to Redis."""
    for command in (
        ("balance", "account-1"),
        ("check", "account-1", "input-tokens", "1"),
        ("alerts",),
        ("lag",),
        ("reconcile",),
    ):
        done = secured.run(secured.settings("reader", "reader"), *command)
        assert done.returncode in {0, 3}, (command, done.stdout, done.stderr)
    correct(secured)
    rebuilt = secured.run(secured.settings("reader"), "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert rebuilt.stdout.count("byte-identical") == 4, rebuilt.stdout


def correct(secured: Secured) -> None:
    """Corrections read rows and write to the log, by a user who only reads Redis."""
    given = secured.settings("operator", "reader")
    replayed = secured.run(given, "replay")
    assert "sent replay" in replayed.stdout, replayed.stderr
    _, record = next(usage(1, 1, time.time_ns() // 1_000 - OLD, seed=10))
    file = secured.folder / "old.jsonl"
    file.write_bytes(record + b"\n")
    filled = secured.run(given, "backfill", str(file), "--yes")
    assert "sent 1 of 1 events" in filled.stdout, (filled.stdout, filled.stderr)
