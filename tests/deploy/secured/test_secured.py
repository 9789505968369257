"""TLS, SASL and ACLs for real: everything works with exactly the lists that are shipped.

Apache Kafka and redis-server on loopback, each process as a user of its own. What is not on a list
is denied, and what is on it and never used fails the test: the lists are minimal.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Producer as RawProducer

from deploy.acl.lists import (
    Entry,
    kafka_entries,
    kafka_roles,
    redis_commands,
    redis_line,
    redis_rules,
)
from deploy.reading.surroundings import surroundings
from deploy.servers.find import Servers
from deploy.servers.process import LOOPBACK, free_port
from deploy.settings import Settings, load_settings
from deploy.workers import WORKERS
from ingest import Producer
from projections.access import KafkaAccess
from projections.balances.stage import STAGE as BALANCES
from projections.fold.log import Log
from schemas.errors import ConfigurationError, LogUnavailable
from schemas.partition import partition_of
from schemas.times import format_instant
from schemas.topics import JOURNAL, USAGE
from tests.bench.load import accounts, catalog, usage
from tests.deploy.secured.servers import Certificates, SecuredKafka, SecuredRedis
from tests.system.pipeline import Pipeline, started

pytestmark = [
    pytest.mark.integration,
    pytest.mark.apache,
    pytest.mark.slow,
    pytest.mark.timeout(1_200),
]
PREFIX: Final = "secured."
EVENTS: Final = 2_000
ACCOUNTS: Final = 20
WINDOW: Final = "PT30S"
"""Short, so that a generation of claims is dropped within the test."""
SETTLE_SECONDS: Final = 300.0
END_SECONDS: Final = 240
CONFIGURATION_EXIT: Final = 2
OF_CONNECTIONS: Final = {"auth", "hello", "ping"}
OF_ADMIN: Final = {"acl|load", "acl|log", "acl|setuser", "info", "ping"}


@dataclass(frozen=True)
class Evidence:
    """What came of a run of everything: ACLs and commands used, and what was denied."""

    used: set[Entry]
    called: set[str]
    denied: list[Any]
    outcomes: Counter[str]
    restarts: dict[str, int]
    available: str


@dataclass
class Secured:
    """Both servers, and the settings of each user as an environment has them."""

    kafka: SecuredKafka
    store: SecuredRedis
    certificates: Certificates
    folder: Path
    evidence: "Evidence | None" = None

    def settings(self, role: str, user: str = "worker") -> dict[str, str]:
        """Settings of a role on Kafka and a user on Redis."""
        return {
            "kafka": self.kafka.address,
            "kafka_security": "sasl_ssl",
            "kafka_ca": str(self.certificates.ca),
            "kafka_username": f"drawdown-{role}",
            "kafka_password_file": self._password(f"drawdown-{role}"),
            "redis_url": self.store.address,
            "redis_ca": str(self.certificates.ca),
            "redis_username": user,
            "redis_password_file": self._password(user),
            "topic_prefix": PREFIX,
            "key_prefix": PREFIX,
            "partitions": "2",
            "max_event_age": WINDOW,
            "dedupe_window": WINDOW,
            "tick_idle_seconds": "1",
            "progress_seconds": "300",
        }

    def run(self, given: Mapping[str, str], *command: str) -> "subprocess.CompletedProcess[str]":
        """A command as it is typed, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "deploy.cli", *command],
            env={**os.environ, **environment(given)},
            capture_output=True,
            text=True,
            timeout=END_SECONDS,
            check=False,
        )

    def _password(self, user: str) -> str:
        return str(self.folder / f"{user}.password")


def environment(given: Mapping[str, str]) -> dict[str, str]:
    return {f"DRAWDOWN_{name.upper()}": value for name, value in given.items()}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    made = Certificates(folder / "certificates")
    broker = SecuredKafka(folder / "kafka", log=folder / "kafka.log", certificates=made)
    store = SecuredRedis(folder / "redis", log=folder / "redis.log", certificates=made)
    store.process.start()
    try:
        with broker:
            broker.add_users([*(f"drawdown-{role}" for role in kafka_roles()), "drawdown-nobody"])
            broker.allow(kafka_entries(PREFIX, PREFIX))
            users = {"worker": "worker-pass", "reader": "reader-pass"}
            store.allow(redis_line(user, user, PREFIX, users[user]) for user in users)
            store.allow(["user nobody on >nobody-pass"])
            for user, password in (broker.passwords | users | {"nobody": "nobody-pass"}).items():
                (folder / f"{user}.password").write_text(password + "\n")
            made_of = Secured(broker, store, made, folder)
            made_of.evidence = run_everything(made_of, folder)
            yield made_of
    finally:
        store.process.stop()


@contextmanager
def gateway(secured: Secured) -> Iterator[str]:
    """A gateway as a user of its own; gives its address."""
    port = free_port()
    given = {**secured.settings("gateway"), "gateway_port": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "gateway"], env={**os.environ, **environment(given)}
    )
    try:
        yield f"http://{LOOPBACK}:{port}/v1/events"
    finally:
        process.terminate()
        process.wait(30)


def post(address: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Post events, as soon as the gateway listens."""
    body = json.dumps(events).encode()
    request = urllib.request.Request(
        address, body, {"content-type": "application/cloudevents-batch+json"}
    )
    give_up = time.monotonic() + END_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except OSError:
            assert time.monotonic() < give_up, "the gateway does not listen"
            time.sleep(0.2)


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
    own = ("kafka_username", "kafka_password_file")
    apart = {name: {key: secured.settings(name)[key] for key in own} for name in WORKERS}
    servers = Servers("secured", secured.kafka.address, secured.store.address, append_time=True)
    given = secured.settings("operator")
    for name in ("kafka", "redis_url", "topic_prefix", "key_prefix"):
        del given[name]
    with started(servers, PREFIX, logs, apart, **given) as pipeline:
        send(secured, pipeline)
        pipeline.wait_until_settled(SETTLE_SECONDS)
        outcomes = pipeline.figures(pipeline.reconcile(), "I1")
        restarts = pipeline.restarts()
        read(secured)
        gone = {"hdel", "zrem"}
        until("claims and a grant end", lambda: gone <= secured.store.commands(), pipeline.poll)
        available = pipeline.balance("late")["available"]
    with secured.store.admin() as admin:
        denied = admin.acl_log()
    used, called = secured.kafka.used(), secured.store.commands()
    return Evidence(used, called, denied, outcomes, restarts, available)


def test_everything_works_over_tls_with_what_is_allowed(secured: Secured) -> None:
    """Nothing was lost, nothing ended, and nothing was denied; `reconcile` found no difference."""
    found = secured.evidence
    assert found is not None
    assert found.outcomes["accepted"] + found.outcomes["duplicate"] == EVENTS + 2
    assert found.restarts == dict.fromkeys(WORKERS, 0)
    assert found.available == "5"
    assert found.denied == []


def test_the_list_of_kafka_is_exactly_what_is_used(secured: Secured) -> None:
    assert secured.evidence is not None
    wanted, used = set(kafka_entries(PREFIX, PREFIX)), secured.evidence.used
    assert sorted(wanted - used) == [], "on the list, never used"
    # Who may read or write something may describe it.
    others = {each for each in used - wanted if each.operation != "Describe"}
    assert sorted(others) == []


def test_the_list_of_redis_is_exactly_what_is_used(secured: Secured) -> None:
    assert secured.evidence is not None
    wanted = {*redis_commands("worker"), *redis_commands("reader")} - OF_ADMIN
    assert sorted(wanted) == sorted(secured.evidence.called - OF_CONNECTIONS - OF_ADMIN)


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
    with gateway(secured) as address:
        told = post(address, [{**accepted, **shape, "time": format_instant(now)}])
        assert told["accepted"] == 1
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
        {"kind": "Account", "id": "late", "rate_card": "standard"},
        {**grant, "id": "late-1", "account": "late", "amount": "3", "expires_at": soon},
        {**grant, "id": "late-2", "account": "late", "amount": "5"},
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
    replayed = secured.run(secured.settings("operator"), "replay")
    assert "sent replay" in replayed.stdout, replayed.stderr
    rebuilt = secured.run(secured.settings("reader"), "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert rebuilt.stdout.count("byte-identical") == 4, rebuilt.stdout


def test_a_reader_of_redis_needs_each_command_of_its_list(secured: Secured) -> None:
    around = surroundings(load_settings(**secured.settings("reader", "reader")))

    def look() -> None:
        around.snapshots.take(0, BALANCES)
        around.snapshots.take(0, BALANCES, ("account-1",))
        around.claims.held(0)

    look()
    with secured.store.admin() as admin:
        for command in redis_commands("reader"):
            admin.execute_command("ACL", "SETUSER", "reader", f"-{command}")
            with pytest.raises(ConfigurationError, match="does not allow"):
                look()
            rules = redis_rules("reader", PREFIX)
            admin.execute_command("ACL", "SETUSER", "reader", *rules)
        look()
        admin.acl_log_reset()


WRONG: Final[dict[str, tuple[str, dict[str, str], str]]] = {
    "kafka: wrong ca": ("admission", {"kafka_ca": "wrong-ca"}, "Kafka refuses this client"),
    "kafka: no ca": ("admission", {"kafka_ca": ""}, "Kafka refuses this client"),
    "kafka: wrong password": (
        "admission",
        {"kafka_password_file": "wrong"},
        "Kafka refuses this client",
    ),
    "kafka: no ACL": ("nobody", {}, "drawdown acl kafka"),
    "redis: wrong ca": ("admission", {"redis_ca": "wrong-ca"}, "Redis refuses this client"),
    "redis: wrong password": (
        "admission",
        {"redis_password_file": "wrong"},
        "Redis refuses this client",
    ),
    "redis: no ACL": ("admission", {"redis_username": "nobody"}, "drawdown acl redis"),
}


@pytest.mark.parametrize("worker", ["admission", "rating"])
@pytest.mark.parametrize("case", WRONG)
def test_a_worker_that_is_refused_says_why_and_ends(
    secured: Secured, worker: str, case: str, tmp_path: Path
) -> None:
    """With what to do, and with the exit code of a configuration error."""
    role, changes, said = WRONG[case]
    given = {**secured.settings(worker if role == "admission" else role), "health_port": "0"}
    given = changed(secured, given, changes, tmp_path)
    done = secured.run(given, "worker", worker)
    assert done.returncode == CONFIGURATION_EXIT, done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("command", [("lag",), ("balance", "account-1"), ("topics",), ("gateway",)])
@pytest.mark.parametrize("case", ["kafka: wrong ca", "kafka: wrong password"])
def test_a_command_that_is_refused_says_why(
    secured: Secured, command: tuple[str, ...], case: str, tmp_path: Path
) -> None:
    role, changes, said = WRONG[case]
    given = changed(secured, secured.settings(role), changes, tmp_path)
    done = secured.run(given, *command)
    assert done.returncode == CONFIGURATION_EXIT, done.stderr
    assert said in done.stderr


def changed(
    secured: Secured, given: dict[str, str], changes: dict[str, str], folder: Path
) -> dict[str, str]:
    """The settings with something wrong in them."""
    given = dict(given)
    for name, value in changes.items():
        if value == "wrong-ca":
            given[name] = str(secured.certificates.wrong_ca)
        elif value == "wrong":
            (folder / "wrong.password").write_text("wrong")
            given[name] = str(folder / "wrong.password")
        elif value == "nobody":
            given[name] = "nobody"
            given["redis_password_file"] = str(secured.folder / "nobody.password")
        else:
            del given[name]
    return given


def test_a_client_without_tls_is_told_of_it(secured: Secured) -> None:
    """Kafka hangs up on it, as on a broken connection: so this is an outage, with a hint."""
    with pytest.raises(LogUnavailable, match="set DRAWDOWN_KAFKA_SECURITY"):
        Log(secured.kafka.address).partitions(JOURNAL.name)


def test_a_group_that_is_not_allowed_is_said(secured: Secured) -> None:
    """Rating's user may read the journal, but not as the group of balances."""
    given = {**secured.settings("rating"), "key_prefix": "other", "health_port": "0"}
    done = secured.run(given, "worker", "rating")
    assert done.returncode == CONFIGURATION_EXIT, done.stderr
    assert "group other-secured.rating: Kafka does not allow it" in done.stderr


def test_a_client_may_come_by_certificate(secured: Secured) -> None:
    made, address = secured.certificates, f"{LOOPBACK}:{secured.kafka.mutual_port}"
    known = KafkaAccess(address, "ssl", made.ca, made.client, made.client_key)
    assert Log(known).partitions(JOURNAL.name) == 0  # it is let in, and may see nothing
    with pytest.raises(ConfigurationError, match="Kafka refuses this client"):
        Log(KafkaAccess(address, "ssl", made.ca)).partitions(JOURNAL.name)


def test_a_client_may_come_by_plain_password(secured: Secured) -> None:
    assert Log(secured.kafka.access("plain", "PLAIN")).partitions(JOURNAL.name) == 0
