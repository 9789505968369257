"""What accounts come to: in memory, and read from Redis while its rows change."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from projections.balances.books import accounts_in
from projections.balances.scan import scan
from projections.balances.stage import STAGE
from projections.balances.standing import Standing
from projections.fold.position import Position
from projections.fold.retry import Patience
from projections.fold.snapshot import SnapshotReader
from projections.fold.store import PartitionStore
from projections.rows import Changes
from schemas.times import format_instant
from tests.builders import drawn_by_reference, line, rated, rated_document, rated_tick
from tests.projections.balances import DAY, HOUR, T, account, drawn, grant

ONE = 10**9
PAID: dict[str, Any] = {"cost": {"amount": "100.00", "currency": "USD"}}
ALERTS = [{"id": "low", "measure": "remaining_percent", "thresholds": ["50"]}]


def standing(*rows: dict[str, object], until: int = T + 8 * DAY) -> Standing:
    """Of the account `a` after the rows, its retired grants counted too."""
    found = Standing(until)
    for row in accounts_in(drawn(*rows).rows).values():
        found.add(row)
    return found


def test_credits_and_the_grants_that_expire() -> None:
    found = standing(
        account(),
        grant("soon", "10", expires_at=T + 8 * DAY, **PAID),
        grant("later", "10", expires_at=T + 8 * DAY + 1_000_000),
        line(T + HOUR, "a", "x", "4"),
    )
    assert (found.accounts, found.depleted, found.overdrawn) == (1, 0, 0)
    assert (found.available, found.overage) == (16 * ONE, 0)
    assert (found.expiring_grants, found.expiring) == (1, 6 * ONE)
    money = {("USD", "consumed"): 40 * ONE, ("USD", "remaining"): 60 * ONE, ("USD", "expired"): 0}
    assert found.money == money


def test_an_account_that_is_low_then_depleted_then_overdrawn() -> None:
    rows = [account(alerts=ALERTS), grant("g", "10")]
    found = Standing(T)
    for cost, expected in (("4", (0, 0, 0)), ("2", (1, 0, 0)), ("4", (1, 1, 0)), ("3", (1, 1, 1))):
        rows.append(line(T + HOUR, "a", "x", cost))
        found = standing(*rows)
        assert (found.low, found.depleted, found.overdrawn) == expected
    assert found.overage == 3 * ONE


def test_what_expired_unused_is_breakage() -> None:
    found = standing(
        account(),
        grant("g", "10", expires_at=T + DAY, **PAID),
        line(T + HOUR, "a", "x", "4"),
        rated_tick(T + 2 * DAY),
    )
    assert found.money["USD", "consumed"] == 40 * ONE
    assert found.money["USD", "expired"] == 60 * ONE
    assert found.expiring_grants == 0


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as found:
        yield found


ACCOUNTS = 600


def states() -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Rows of some hundred accounts with a grant each that was paid for: active, then retired."""
    rows: list[dict[str, object]] = []
    for number in range(ACCOUNTS):
        name = f"n{number}"
        fields = {"id": "g", "account": name, "type": "prepaid", "amount": "1", **PAID}
        span = {"effective_at": format_instant(T), "expires_at": format_instant(T + HOUR)}
        rows.append(rated_document(T, {"kind": "Account", "id": name, "rate_card": "standard"}))
        rows.append(rated_document(T, {"kind": "Grant", **fields, **span}))
    late = [rated_tick(T + 90 * DAY), rated_tick(T + 91 * DAY)]
    return tuple(drawn_by_reference(rated([*rows, *more])).rows for more in ([], late))  # type: ignore[return-value]


def paid(found: Standing) -> int:
    """All that was paid, whatever became of it."""
    return sum(found.money.values())


@pytest.fixture
def store(client: redis.Redis, topic_prefix: str) -> PartitionStore:
    """Balances of partition 0, opened."""
    found = PartitionStore(client, topic_prefix, 0, STAGE, Patience(2.0))
    found.open()
    return found


@pytest.fixture
def reader(client: redis.Redis, topic_prefix: str) -> SnapshotReader:
    """Reads them."""
    return SnapshotReader(client, topic_prefix, Patience(2.0))


def still(_seconds: float) -> None:
    """Nothing happens while the scan sleeps."""


@pytest.mark.integration
def test_a_scan_finds_every_account_and_grant_once(
    store: PartitionStore, reader: SnapshotReader
) -> None:
    active, retired = states()
    assert sum(key.startswith("g:") for key in retired) == ACCOUNTS
    for offset, rows in enumerate((active, retired), 1):
        store.commit(Position(offset=offset), Changes(rows))
        found = scan(reader, 0, T + DAY, still)
        assert found.accounts == ACCOUNTS
        assert found.money["USD", "expired" if offset == 2 else "remaining"] == paid(found)
        assert paid(found) == ACCOUNTS * 100 * ONE
        assert found.expiring_grants == (0 if offset == 2 else ACCOUNTS)


@pytest.mark.integration
def test_grants_that_retire_during_the_scan_count_once(
    store: PartitionStore, reader: SnapshotReader
) -> None:
    """Between two steps of the scan all grants leave their accounts' rows."""
    active, retired = states()
    store.commit(Position(offset=1), Changes(active))
    found = scan(reader, 0, T, lambda _: store.commit(Position(offset=2), Changes(retired)))
    assert found.accounts == ACCOUNTS
    assert 0 < found.money["USD", "remaining"] < paid(found)
    assert paid(found) == ACCOUNTS * 100 * ONE


@pytest.mark.integration
def test_a_partition_that_nobody_opened_is_empty(reader: SnapshotReader) -> None:
    assert scan(reader, 0, T, still) == Standing(T)


@pytest.mark.integration
def test_a_switch_during_the_scan_begins_it_again(
    store: PartitionStore, reader: SnapshotReader, client: redis.Redis
) -> None:
    """A rebuild puts another namespace in force, which holds one account."""
    store.commit(Position(offset=1), Changes(states()[0]))
    other = PartitionStore(client, reader.key_prefix, 0, STAGE, Patience(2.0), building="2")
    other.open()
    other.commit(Position(offset=1), Changes(drawn(account()).rows))
    found = scan(reader, 0, T, lambda _: client.set(reader.pointer(0, STAGE), "2"))
    assert found.accounts == 1
