"""TLS, SASL and ACLs for real: everything works with exactly the lists that are shipped.

Apache Kafka and redis-server on loopback, each process as a user of its own. What is not on a list
is denied, and what is on it and never used fails the test: the lists are minimal.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from deploy.acl.lists import kafka_entries, redis_commands, redis_keys, redis_roles, redis_rules
from deploy.reading.surroundings import surroundings
from deploy.servers.process import LOOPBACK
from deploy.settings import load_settings
from deploy.workers import WORKERS
from projections.access import KafkaAccess
from projections.api.allowed import check_store
from projections.balances.stage import STAGE as BALANCES
from projections.delivery.files import save_subscriptions
from projections.delivery.subscriptions import Subscriptions
from projections.fold.log import Log
from schemas.errors import ConfigurationError, LogUnavailable
from schemas.topics import JOURNAL
from tests.deploy.secured.calls import touched
from tests.deploy.secured.deployment import PREFIX, Secured, deployed
from tests.deploy.secured.everything import AFTER_ITS_END, EVENTS, Evidence, run_everything

pytestmark = [
    pytest.mark.integration,
    pytest.mark.apache,
    pytest.mark.slow,
    pytest.mark.timeout(1_200),
]
CONFIGURATION_EXIT: Final = 2


@dataclass(frozen=True)
class Worked:
    """A deployment, and what came of a run of everything on it."""

    secured: Secured
    evidence: Evidence


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    folder = tmp_path_factory.mktemp("secured")
    with deployed(folder) as secured:
        yield Worked(secured, run_everything(secured, folder))


@pytest.fixture
def secured(worked: Worked) -> Secured:
    return worked.secured


@pytest.fixture
def evidence(worked: Worked) -> Evidence:
    return worked.evidence


def test_everything_works_over_tls_with_what_is_allowed(evidence: Evidence) -> None:
    """Nothing was lost, nothing ended, and nothing was denied; `reconcile` found no difference."""
    assert evidence.outcomes["accepted"] + evidence.outcomes["duplicate"] == EVENTS + 2
    assert evidence.restarts == dict.fromkeys(WORKERS, 0)
    assert evidence.available == AFTER_ITS_END
    assert evidence.denied == []


def test_the_list_of_kafka_is_exactly_what_is_used(evidence: Evidence) -> None:
    wanted, used = set(kafka_entries(PREFIX, PREFIX)), evidence.used
    assert sorted(wanted - used) == [], "on the list, never used"
    # Who may read or write something may describe it.
    others = {each for each in used - wanted if each.operation != "Describe"}
    assert sorted(others) == []


@pytest.mark.parametrize("role", redis_roles())
def test_the_list_of_redis_is_exactly_what_is_used(evidence: Evidence, role: str) -> None:
    called = {call.command for call in evidence.calls[role]}
    assert sorted(redis_commands(role)) == sorted(called)


@pytest.mark.parametrize("role", redis_roles())
def test_the_keys_on_the_list_are_used_for_what_they_are_allowed(
    evidence: Evidence, role: str
) -> None:
    """Those that may be written are written."""
    calls, writing = evidence.calls[role], evidence.writing
    patterns = redis_keys(role, PREFIX)
    assert [each for each in patterns if not touched(each, calls, writing)] == []


_ROWS: Final = f"{PREFIX}:{{0}}:balances:1:rows"
_KEPT: Final = f"{PREFIX}:{{webhooks}}:crm:kept"


@pytest.mark.parametrize(
    ("role", "command", "key"),
    [
        ("worker", "HGET", _KEPT),
        ("worker", "HSET", "other:{0}:balances:1:rows"),
        ("reader", "HGETALL", _KEPT),
        ("reader", "GET", f"{PREFIX}:partitions"),
        ("api", "HSET", _ROWS),
        ("api", "HMGET", _KEPT),
        ("api", "HMGET", f"{PREFIX}:{{0}}:claims"),
        ("webhooks", "HGET", _ROWS),
        ("webhooks", "HGET", "other:{webhooks}:crm:kept"),
        ("exporter", "HMGET", _ROWS.replace("balances", "rating")),
        ("exporter", "HSET", _ROWS),
        ("exporter", "HMGET", _KEPT),
    ],
)
def test_what_a_role_must_not_touch_is_denied(
    secured: Secured, role: str, command: str, key: str
) -> None:
    """By its pattern alone, too: the command is allowed for the asking."""
    fields = {"HSET": ["field", "value"], "GET": [], "HGETALL": []}.get(command, ["field"])
    with secured.store.admin() as admin:
        admin.execute_command("ACL", "SETUSER", role, f"+{command}")
        try:
            said = admin.acl_dryrun(role, command, key, *fields)
        finally:
            admin.execute_command("ACL", "SETUSER", role, *redis_rules(role, PREFIX))
    assert b"has no permissions to access" in said, said


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


def test_the_api_looks_for_each_command_of_its_list_at_its_start(secured: Secured) -> None:
    store = load_settings(**secured.settings("api", "api")).redis_access
    check_store(store, PREFIX)
    with secured.store.admin() as admin:
        for command in redis_commands("api"):
            admin.execute_command("ACL", "SETUSER", "api", f"-{command}")
            with pytest.raises(ConfigurationError, match="does not allow"):
                check_store(store, PREFIX)
            admin.execute_command("ACL", "SETUSER", "api", *redis_rules("api", PREFIX))
        check_store(store, PREFIX)
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


@pytest.mark.parametrize(
    "command",
    [
        ("lag",),
        ("balance", "account-1"),
        ("topics",),
        ("gateway",),
        ("api",),
        ("webhooks",),
        ("exporter",),
    ],
)
@pytest.mark.parametrize("case", ["kafka: wrong ca", "kafka: wrong password"])
def test_a_command_that_is_refused_says_why(
    secured: Secured, command: tuple[str, ...], case: str, tmp_path: Path
) -> None:
    role, changes, said = WRONG[case]
    given = changed(secured, with_subscriptions(secured, role, tmp_path), changes, tmp_path)
    done = secured.run(given, *command)
    assert done.returncode == CONFIGURATION_EXIT, done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("case", [each for each in WRONG if each.startswith("redis")])
@pytest.mark.parametrize("process", ["api", "webhooks", "exporter"])
def test_a_process_that_redis_refuses_says_so_and_ends(
    secured: Secured, process: str, case: str, tmp_path: Path
) -> None:
    _, changes, said = WRONG[case]
    given = changed(secured, with_subscriptions(secured, process, tmp_path), changes, tmp_path)
    done = secured.run(given, process)
    assert done.returncode == CONFIGURATION_EXIT, done.stderr
    assert said in done.stderr


def with_subscriptions(secured: Secured, role: str, folder: Path) -> dict[str, str]:
    """Settings with an empty file of subscriptions, for those that read one."""
    file = folder / "subscriptions.json"
    save_subscriptions(file, Subscriptions())
    return {**secured.settings(role), "webhooks_file": str(file), "health_port": "0"}


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
