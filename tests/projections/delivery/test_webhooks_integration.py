"""The dispatcher's process, a real log, a real Redis and a receiver that verifies what it gets."""

import json
import random
import re
import signal
import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from msgspec.structs import replace
from prometheus_client import REGISTRY

from deploy.provision import create_topics
from deploy.servers.process import free_port
from projections.balances.alerts import DEPLETED
from projections.delivery.deliveries import Delivery
from projections.delivery.files import load_subscriptions, save_subscriptions
from projections.delivery.process import progress_of
from projections.delivery.store import DeliveryStore
from projections.delivery.subscriptions import Subscriptions
from projections.fold.connection import redis_client
from projections.fold.log import Log
from projections.fold.retry import Patience
from projections.health import WorkerStatus
from schemas.times import SECOND
from tests.projections.delivery.processes import Place, Receiver, alert, ids, receiver, until

pytestmark = pytest.mark.integration

PARTITIONS: Final = 2
OK: Final[dict[str, Any]] = {"status": 204}
BROKEN: Final[dict[str, Any]] = {"status": 500}
PATIENT: Final = {"timeout_seconds": "15"}
"""Where requests are counted: one that is answered late on a busy machine would be sent again."""


@pytest.fixture
def place(kafka: str, redis_url: str, topic_prefix: str, tmp_path: Path) -> Place:
    """Fresh topics, and a file of subscriptions that is not there yet."""
    create_topics(kafka, topic_prefix, PARTITIONS, 1)
    return Place(kafka, redis_url, topic_prefix, tmp_path / "subscriptions.json")


@pytest.fixture
def to(tmp_path: Path) -> Iterator[Receiver]:
    """A receiver that takes everything that is signed well."""
    with receiver(tmp_path / "receiver") as made:
        yield made


def metric(port: int, line: str) -> float:
    """A figure that the dispatcher shows; 0 where it does not."""
    shown = page(port)
    assert "acme" not in shown, "an account in a label"
    found = [each for each in shown.splitlines() if each.startswith(f"{line} ")]
    return float(found[0].split()[-1]) if found else 0.0


def page(port: int) -> str:
    """All figures that it shows."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        shown: bytes = answer.read()
    return shown.decode()


def dead(place: Place, name: str) -> list[list[str]]:
    """The dead letters that the command lists, in columns."""
    return [line.split("  ") for line in place.command("webhooks", "dead", name).splitlines()]


def attempted(to: Receiver) -> set[str]:
    """The ids that came, whatever was answered."""
    return {each["id"] for each in to.seen()}


def test_every_alert_arrives_signed_at_whom_it_is_for(place: Place, to: Receiver) -> None:
    place.subscribe(to, "all")
    place.subscribe(to, "few", "--type", DEPLETED, "--account", "b", "--contract", "c-1")
    wanted = alert(500, "b", DEPLETED, contract="c-1")
    others = [alert(501, "b", DEPLETED), alert(502, "acme", DEPLETED, contract="c-1")]
    several = [alert(n, f"a{n % 7}") for n in range(200)]
    with place.with_settings(**PATIENT).dispatcher() as (_, port):
        place.write(*several, *others, wanted, *several[:50])
        everything = ids(*several, *others, wanted)
        until(lambda: to.accepted("/all") == everything, "every alert")
        until(lambda: to.accepted("/few") == ids(wanted), "the one alert")
        until(
            lambda: metric(port, 'drawdown_webhook_deliveries_total{outcome="delivered"}') == 204,
            "every delivery is counted, no repeat is sent",
        )
    seen = to.seen()
    assert len(seen) == 204
    for each in seen:
        assert each["status"] == 204
        assert each["signatures"] == 1
        assert each["type"] == "application/cloudevents+json"
        assert json.loads(each["body"])["id"] == each["id"]
    bodies = {each["id"]: each["body"].encode() for each in to.seen("/all")}
    assert set(bodies.values()) == {*several, *others, wanted}, "the bytes of the log"


def test_how_far_it_is_behind_is_told_as_of_every_stage(place: Place, to: Receiver) -> None:
    """So that the rules by stage cover it; nobody takes anything in here, at first."""
    place.subscribe(to, "crm")
    accounts = [f"a{n}" for n in range(8)]
    place.write(*[alert(n, account) for n, account in enumerate(accounts)])
    status, log = WorkerStatus("webhooks"), Log(place.kafka, place.prefix)
    status.assigned(set(range(PARTITIONS)))
    token, behind = progress_of(status, log)()
    assert (token, behind) == (dict.fromkeys(range(PARTITIONS), 0), len(accounts))
    assert told("records") == len(accounts)
    assert 0 < told("seconds") < 2 * 60
    quick = Place(
        place.kafka, place.redis_url, place.prefix, place.file, {"DRAWDOWN_PROGRESS_SECONDS": "20"}
    )
    commits = 'drawdown_commits_total{stage="webhooks"}'
    records = [
        f'drawdown_lag_records{{partition="{n}",stage="webhooks"}} 0.0' for n in range(PARTITIONS)
    ]
    with quick.dispatcher() as (_, port):
        until(lambda: metric(port, commits) >= 1, "a position is stored")
        until(lambda: set(records) <= set(page(port).splitlines()), "nothing is behind")


def told(unit: str) -> float:
    """The lag that this process tells, of all partitions."""
    labels = [{"stage": "webhooks", "partition": str(n)} for n in range(PARTITIONS)]
    found = [REGISTRY.get_sample_value(f"drawdown_lag_{unit}", each) for each in labels]
    return sum(each for each in found if each is not None)


def test_a_receiver_that_is_down_gets_everything_once_it_is_up(place: Place, to: Receiver) -> None:
    place.subscribe(to, "crm")
    to.stop()
    several = [alert(n) for n in range(30)]
    with place.with_settings(delays=" ".join(["PT1S"] * 40), **PATIENT).dispatcher() as (_, port):
        place.write(*several)
        until(
            lambda: metric(port, 'drawdown_webhook_attempts_total{answer="connection"}') >= 30,
            "attempts fail",
        )
        to.start()
        until(lambda: to.accepted() == ids(*several), "every alert")


def test_answers_decide_what_is_sent_again_and_when(
    place: Place, to: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    """500 twice; a Retry-After; an answer that is far too long. No secret is listed or logged."""
    broken, throttled, long = alert(1, "a"), alert(2, "b"), [alert(n, "c") for n in (3, 4)]
    secrets = [
        place.subscribe(to, "broken", "--account", "a"),
        place.subscribe(to, "throttled", "--account", "b"),
        place.subscribe(to, "long", "--account", "c"),
    ]
    to.plan("/broken", BROKEN, BROKEN, OK)
    to.plan("/throttled", {"status": 503, "headers": {"Retry-After": "4"}}, OK)
    to.plan("/long", {"status": 200, "bytes": 20_000_000})
    with place.with_settings(delays="PT0S PT0S", **PATIENT).dispatcher() as (_, port):
        place.write(broken, throttled, *long)
        until(
            lambda: metric(port, 'drawdown_webhook_deliveries_total{outcome="delivered"}') == 4,
            "every alert is delivered, also where the answer is not read to its end",
        )
        listed = place.command("subscriptions", "list")
    assert [each["status"] for each in to.seen("/broken")] == [500, 500, 204]
    assert {each["id"] for each in to.seen("/broken")} == ids(broken)
    assert all(each["verified"] for each in to.seen("/broken")), "signed anew each time"
    first, second = to.seen("/throttled")
    assert second["at"] - first["at"] >= 4_000_000
    assert second["status"] == 204
    assert sorted(each["id"] for each in to.seen("/long")) == sorted(ids(*long))
    shown = capfd.readouterr()
    assert "broken" in listed
    assert "broken: attempt 1 failed" in shown.err
    for secret in secrets:
        assert secret not in listed + shown.out + shown.err


def test_410_disables_until_it_is_enabled_also_after_a_restart(place: Place, to: Receiver) -> None:
    place.subscribe(to, "crm")
    place.subscribe(to, "other")
    to.plan("/crm", {"status": 410})
    with place.dispatcher() as (process, _):
        place.write(alert(1))
        until(lambda: "410 Gone" in place.command("subscriptions", "list"), "it is disabled")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    calls = len(to.seen("/crm"))
    with place.dispatcher() as (_, port):
        place.write(alert(2), alert(3))
        until(lambda: to.accepted("/other") == ids(alert(1), alert(2), alert(3)), "the other")
        until(
            lambda: metric(port, 'drawdown_webhook_disabled_subscriptions{stage="webhooks"}') == 1,
            "it is shown",
        )
        assert len(to.seen("/crm")) == calls
        assert "skipped since" in place.command("subscriptions", "list")
        to.plan("/crm", OK)
        told = place.command("subscriptions", "enable", "crm")
        until(lambda: to.accepted("/crm") == ids(alert(1)), "what waited")
        replay = told.splitlines()[-1].split("drawdown ")[1].split()
        place.command(*replay)
        everything = ids(alert(1), alert(2), alert(3))
        until(lambda: to.accepted("/crm") == everything, "what was skipped, replayed")


def test_410_of_one_that_was_removed_disables_no_other_of_its_name(
    place: Place, to: Receiver
) -> None:
    place.subscribe(to, "crm", path="/old")
    to.plan("/old", {"status": 410, "after": "asked"})
    gone = 'drawdown_webhook_deliveries_total{outcome="gone"}'
    with place.with_settings(**PATIENT).dispatcher() as (_, port):
        place.write(alert(1))
        until(lambda: attempted(to) == ids(alert(1)), "it is asked, and takes its time")
        place.command("subscriptions", "remove", "crm")
        place.subscribe(to, "crm", path="/new")
        (to.folder / "asked").touch()
        until(lambda: metric(port, gone) == 1, "its late answer")
        place.write(alert(2))
        until(lambda: to.accepted("/new") == ids(alert(2)), "what the new one is to have")
    assert "410 Gone" not in place.command("subscriptions", "list")


def test_410_to_what_was_sent_before_it_was_enabled_disables_it_no_more(
    place: Place, to: Receiver
) -> None:
    """Two requests are under way, and the second is answered once the subscription is enabled."""
    place.subscribe(to, "crm")
    to.plan("/crm", {"status": 410, "after": "both"}, {"status": 410, "after": "enabled"}, OK)
    both = ids(alert(1), alert(2))
    with place.with_settings(**PATIENT).dispatcher():
        place.write(alert(1), alert(2))
        until(lambda: attempted(to) == both, "both are asked")
        (to.folder / "both").touch()
        until(lambda: "410 Gone" in place.command("subscriptions", "list"), "it is disabled")
        place.command("subscriptions", "enable", "crm")
        (to.folder / "enabled").touch()
        until(lambda: to.accepted("/crm") == both, "what waited")
        assert "410 Gone" not in place.command("subscriptions", "list")


def test_what_comes_while_it_is_enabled_is_sent_or_told(place: Place, to: Receiver) -> None:
    """Until it has read the file again, the dispatcher skips; what is told late, `list` tells."""
    place.subscribe(to, "crm")
    place.command("subscriptions", "disable", "crm")
    written: list[bytes] = []
    before, over = place.file.stat().st_ino, threading.Event()

    def write() -> None:
        until(lambda: place.file.stat().st_ino != before, "the file says that it is enabled", 0.001)
        while not over.is_set():
            written.append(alert(len(written)))
            place.write(written[-1])

    with place.dispatcher() as (_, port):
        until(
            lambda: metric(port, 'drawdown_webhook_disabled_subscriptions{stage="webhooks"}') == 1,
            "it is disabled",
        )
        writer = threading.Thread(target=write)
        writer.start()
        told = place.command("subscriptions", "enable", "crm")
        listed = place.command("subscriptions", "list")
        over.set()
        writer.join()
        for since in re.findall(r"(?:--since|skipped since) (\S+)", told + listed):
            place.command("webhooks", "replay", "crm", "--all", "--since", since)
        until(lambda: to.accepted() == ids(*written), "every alert")
    assert "enabled" in listed


def test_nothing_but_failures_for_long_enough_disables(place: Place, to: Receiver) -> None:
    """As 410 does: what waited comes once it is enabled. A success in between begins it anew."""
    delays = " ".join(["PT1S"] * 40)
    lasting = place.with_settings(disable_after="PT1S", delays=delays, **PATIENT)
    lasting.subscribe(to, "broken", "--account", "a")
    lasting.subscribe(to, "flaky", "--account", "b")
    to.plan("/broken", BROKEN)
    to.plan("/flaky", *[BROKEN, OK] * 50, OK)
    flaky = [alert(n, "b") for n in range(10, 14)]
    with lasting.dispatcher() as (process, port):
        lasting.write(alert(1, "a"))
        for number in range(1, len(flaky) + 1):
            lasting.write(flaky[number - 1])
            until(lambda: len(to.accepted("/flaky")) == number, "the flaky one's next alert")  # noqa: B023 - asked in this round only
        until(
            lambda: "nothing but failures since" in lasting.command("subscriptions", "list"),
            "it is disabled",
        )
        until(
            lambda: metric(port, 'drawdown_webhook_disabled_subscriptions{stage="webhooks"}') == 1,
            "the other one is not",
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert len(to.seen("/broken")) >= 2, "one failure is not nothing but failures for a second"
    to.plan("/broken", OK)
    with lasting.dispatcher():
        lasting.command("subscriptions", "enable", "broken")
        until(lambda: to.accepted("/broken") == ids(alert(1, "a")), "what waited")


def test_what_waits_for_another_of_its_name_is_not_sent(place: Place, to: Receiver) -> None:
    """One is removed and another added between two looks at the file: what was taken meanwhile.

    Nor what has waited for long, which holds nothing up.
    """
    place.subscribe(to, "crm", "--account", "a", path="/old")
    place.command("subscriptions", "remove", "crm")
    place.subscribe(to, "crm", "--account", "b", path="/new")
    left, wanted, later = alert(1, "a"), alert(2, "b"), alert(3, "b")
    store = DeliveryStore(redis_client(place.redis_url), place.prefix, Patience())
    old = [replace(waiting(alert(n, "a")), taken=0) for n in range(100, 300)]
    store.replay("crm", [*old, waiting(left), waiting(wanted)], time.time_ns() // 1_000)
    unwanted = 'drawdown_webhook_deliveries_total{outcome="unwanted"}'
    with place.dispatcher() as (_, port):
        place.write(later)
        until(lambda: to.accepted("/new") == ids(wanted, later), "what it wants")
        until(lambda: metric(port, unwanted) == 201, "what it does not want is counted")
        until(lambda: store.waiting(["crm"]) == {"crm": 0}, "and waits no more")
    assert attempted(to) == ids(wanted, later)
    assert dead(place, "crm") == []


def test_a_dispatcher_with_an_old_file_settles_nothing_of_another(
    place: Place, to: Receiver
) -> None:
    """What one that has read the new file took in is sent once this one has read it, too."""
    place.subscribe(to, "crm", "--account", "b")
    store = DeliveryStore(redis_client(place.redis_url), place.prefix, Patience())
    now = time.time_ns() // 1_000
    late = replace(waiting(alert(1, "a")), taken=now + 60 * SECOND)  # all patience is left
    with place.dispatcher() as (_, port):
        store.replay("crm", [late], now)
        time.sleep(1.0)  # it is claimed meanwhile, for who wants it not
        known = load_subscriptions(place.file)
        both = [each.changed(accounts=frozenset({"a", "b"})) for each in known.subscriptions]
        save_subscriptions(place.file, Subscriptions(subscriptions=tuple(both)))
        until(lambda: to.accepted() == ids(alert(1, "a")), "the alert")
        assert metric(port, 'drawdown_webhook_deliveries_total{outcome="unwanted"}') == 0


def waiting(body: bytes) -> Delivery:
    """An alert as it waits."""
    found, now = json.loads(body), time.time_ns() // 1_000
    return Delivery(found["id"], found["subject"], body, now, taken=now)


def test_a_redirect_is_not_followed_and_dead_letters_are_replayed(
    place: Place, to: Receiver
) -> None:
    place.subscribe(to, "crm")
    to.plan("/crm", {"status": 307, "headers": {"Location": to.url("/elsewhere")}})
    with place.with_settings(delays="PT0S PT1S", **PATIENT).dispatcher():
        place.write(alert(1), alert(2))
        until(lambda: len(dead(place, "crm")) == 2, "two dead letters")
        assert to.seen("/elsewhere") == []
        letters = {each[2]: each[3:] for each in dead(place, "crm")}
        assert letters.keys() == ids(alert(1), alert(2))
        assert set(map(tuple, letters.values())) == {("exhausted", "3 attempts", "status 307")}
        assert len(to.seen("/crm")) == 6
        to.plan("/crm", OK)
        (one,) = ids(alert(1))
        assert "1 deliveries" in place.command("webhooks", "replay", "crm", "--alert", one)
        until(lambda: to.accepted("/crm") == {one}, "the one that was replayed")
        assert "2 deliveries" in place.command("webhooks", "replay", "crm")
        until(lambda: to.accepted("/crm") == ids(alert(1), alert(2)), "the other one, too")


def test_a_name_that_leads_to_a_private_address_is_not_connected_to(place: Place) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(0.1)
        place.command("subscriptions", "add", "crm", f"https://localhost:{port}/")
        told = place.refused("subscriptions", "add", "x", f"https://127.0.0.1:{port}/")
        assert "not allowed" in told
        with place.dispatcher() as (_, health):
            place.write(alert(1))
            until(
                lambda: metric(health, 'drawdown_webhook_attempts_total{answer="refused"}') >= 2,
                "attempts are refused",
            )
        with pytest.raises(TimeoutError):
            listener.accept()


def test_certificates_are_checked_and_name_who_is_called(place: Place, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    for name in ("localhost", "example.com"):
        made = authority.issue_cert(name)
        made.private_key_and_cert_chain_pem.write_to_path(tmp_path / f"{name}.pem")
    trusting = Place(
        place.kafka,
        place.redis_url,
        place.prefix,
        place.file,
        {"SSL_CERT_FILE": str(tmp_path / "authority.pem")},
    )
    tls = 'drawdown_webhook_attempts_total{answer="tls"}'
    with (
        receiver(tmp_path / "right", tmp_path / "localhost.pem") as right,
        receiver(tmp_path / "wrong", tmp_path / "example.com.pem") as wrong,
    ):
        place.subscribe(right, "right")
        with place.dispatcher() as (_, port):
            place.write(alert(1))
            until(lambda: metric(port, tls) >= 1, "nobody that is known vouches for it")
        assert right.seen() == []
        place.subscribe(wrong, "wrong")
        with trusting.dispatcher() as (_, port):
            place.write(alert(2))
            until(lambda: right.accepted() == ids(alert(1), alert(2)), "it is vouched for")
            until(lambda: metric(port, tls) >= 1, "the other has another's certificate")
        assert wrong.seen() == []


def test_a_slow_receiver_holds_up_nobody_else(place: Place, to: Receiver) -> None:
    place.subscribe(to, "slow")
    place.subscribe(to, "quick")
    to.plan("/slow", {"status": 204, "seconds": 1_000})
    several = [alert(n) for n in range(100)]
    with place.dispatcher() as (_, port):
        place.write(*several)
        until(lambda: to.accepted("/quick") == ids(*several), "the quick one has all")
        until(
            lambda: metric(port, 'drawdown_webhook_attempts_total{answer="timeout"}') >= 1,
            "the slow one times out",
        )


def test_too_many_waiting_are_dead_letters_and_come_by_replay(place: Place, to: Receiver) -> None:
    few = place.with_settings(most_waiting="5", delays=" ".join(["PT1S"] * 40))
    few.subscribe(to, "crm")
    to.plan("/crm", BROKEN)
    several = [alert(n) for n in range(40)]
    with few.dispatcher():
        few.write(*several)
        until(
            lambda: attempted(to) | {each[2] for each in dead(few, "crm")} == ids(*several),
            "what does not wait is a dead letter",
        )
        assert {each[3] for each in dead(few, "crm")} == {"overflow"}
        to.plan("/crm", OK)
        few.command("webhooks", "replay", "crm")
        until(lambda: to.accepted() == ids(*several), "every alert")


def test_secrets_are_rotated_while_it_runs(place: Place, to: Receiver) -> None:
    old = place.subscribe(to, "crm")
    with place.dispatcher():
        fresh = place.command("subscriptions", "rotate", "crm", "--keep", "PT1H").strip()
        assert fresh != old
        sent = 0

        def signatures(count: int) -> bool:
            nonlocal sent
            sent += 1
            place.write(alert(sent))
            until(lambda: to.accepted() >= ids(alert(sent)), "the next alert")
            return bool(to.seen()[-1]["signatures"] == count)

        until(lambda: signatures(2), "both secrets sign")
        assert to.seen()[-1]["verified"] == [old], "who knows the old one only verifies still"
        to.secrets[:] = [fresh]
        to.write()
        assert signatures(2)
        assert to.seen()[-1]["verified"] == [fresh]
        last = place.command("subscriptions", "rotate", "crm", "--keep", "PT0S").strip()
        to.secrets[:] = [fresh, last]
        to.write()
        until(lambda: signatures(1), "only the newest signs")
        assert to.seen()[-1]["verified"] == [last]
    assert {each["status"] for each in to.seen()} == {204}


def test_kill_9_loses_no_alert(place: Place, to: Receiver) -> None:
    chance = random.Random(7)
    place.subscribe(to, "crm")
    to.plan("/crm", *[OK if chance.random() < 0.7 else BROKEN for _ in range(2_000)], OK)
    several = [alert(n, f"a{n % 5}") for n in range(400)]
    quick = place.with_settings(timeout_seconds="1", delays=" ".join(["PT0S"] * 30))

    def write() -> None:
        for start in range(0, len(several), 20):
            place.write(*several[start : start + 20])
            time.sleep(0.2)

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(5):
        with quick.dispatcher() as (process, _):
            time.sleep(chance.uniform(0.1, 0.8))
            process.send_signal(signal.SIGKILL)
    writer.join()
    with quick.dispatcher():
        until(lambda: to.accepted() == ids(*several), "every alert")
    assert dead(place, "crm") == []
    counts = Counter(each["id"] for each in to.seen() if each["status"] == 204)
    assert sum(counts.values()) < 2 * len(several), "what was settled is not sent again"


@pytest.mark.apache
def test_dispatchers_share_the_work_and_one_takes_over_from_one_that_was_killed(
    place: Place, to: Receiver
) -> None:
    """Each has partitions of its own; what the killed one held comes from the other.

    The embedded broker rebalances, and leaves the killed static member its partitions.
    """
    place.subscribe(to, "crm")
    to.plan("/crm", {"status": 204, "seconds": 0.2})
    several = [alert(n, f"a{n % 20}") for n in range(300)]
    taken = 'drawdown_webhook_deliveries_total{outcome="taken"}'
    one, other = (
        Place(place.kafka, place.redis_url, place.prefix, place.file, {"DRAWDOWN_MEMBER": name})
        for name in ("one", "other")
    )
    with one.dispatcher() as (killed, first), other.dispatcher() as (_, second):
        until(lambda: shares(first) == shares(second) == 1, "a partition for each")
        place.write(*several[:200])
        until(lambda: metric(first, taken) > 0 and metric(second, taken) > 0, "both work")
        assert to.accepted() < ids(*several[:200]), "too late for the test to mean anything"
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        place.write(*several[200:])
        until(lambda: to.accepted() == ids(*several), "every alert")
        until(lambda: shares(second) == PARTITIONS, "the other has all partitions")
    assert dead(place, "crm") == []


def shares(port: int) -> int:
    """How many partitions a dispatcher has."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
            return len(json.load(answer)["positions"])
    except OSError:
        return 0


def test_a_redis_that_lost_what_waited_is_noticed_and_all_is_sent(
    place: Place, to: Receiver
) -> None:
    place.subscribe(to, "crm")
    to.plan("/crm", BROKEN)
    several = [alert(n) for n in range(20)]
    slow = place.with_settings(delays="PT1H")
    with slow.dispatcher() as (process, _):
        place.write(*several)
        until(lambda: attempted(to) == ids(*several), "first attempts")
        to.plan("/crm", OK)
        client = redis_client(place.redis_url)
        client.delete(*client.keys(f"{place.prefix}:*"))
        until(lambda: process.poll() is not None, "the dispatcher notices")
        assert process.returncode == 71
    with slow.dispatcher():
        until(lambda: to.accepted() == ids(*several), "every alert")


def test_sigterm_waits_for_what_is_under_way(place: Place, to: Receiver) -> None:
    place.subscribe(to, "crm")
    to.plan("/crm", {"status": 204, "seconds": 1})
    with place.with_settings(timeout_seconds="15").dispatcher() as (process, _):
        place.write(alert(1))
        until(lambda: len(to.seen()) == 1, "an attempt is under way")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    with place.dispatcher():
        place.write(alert(2))
        until(lambda: to.accepted() == ids(alert(1), alert(2)), "the next alert")
    assert len(to.seen()) == 2, "the first was not sent again"


def test_without_a_file_or_topics_it_says_what_is_missing(place: Place) -> None:
    assert "cannot be read" in place.refused("webhooks")
    nowhere = Place(place.kafka, place.redis_url, f"{place.prefix}no.", place.file)
    assert "drawdown topics" in nowhere.refused("webhooks")
