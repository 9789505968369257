"""Deliveries that wait, on a real Redis."""

import time

import pytest

from projections.delivery import store as stores
from projections.delivery.deliveries import Delivery
from projections.delivery.store import Claimed, DeliveryStore
from projections.fold.connection import redis_client
from projections.fold.position import Position
from projections.fold.retry import Patience
from schemas.errors import Fenced
from schemas.times import SECOND

pytestmark = pytest.mark.integration

NOW = time.time_ns() // 1_000
LEASE = 10 * SECOND
START, NEXT, THIRD = Position(3), Position(5), Position(9)


@pytest.fixture
def store(redis_url: str, topic_prefix: str) -> DeliveryStore:
    """An empty one."""
    return DeliveryStore(redis_client(redis_url), topic_prefix, Patience())


def delivery(name: str, **more: int) -> Delivery:
    """One on its way."""
    return Delivery(name, "acme", b"{}", NOW, **more)


def test_what_is_taken_is_claimed_in_order_once(store: DeliveryStore) -> None:
    several = [delivery(name) for name in ("z", "a", "m")]
    assert store.take(0, None, NEXT, {"crm": several, "b": several[:1]}, NOW) == 4
    assert store.waiting(["crm", "b", "none"]) == {"crm": 3, "b": 1, "none": 0}
    assert store.claim("crm", NOW + 2, LEASE, 2).deliveries == several[:2]
    rest = store.claim("crm", NOW + 3, LEASE, 9)
    assert rest == Claimed(several[2:], NOW + 2 + LEASE)
    assert store.claim("crm", NOW + 4, LEASE, 9) == Claimed([], NOW + 2 + LEASE)
    assert store.claim("crm", NOW + 3 + LEASE, LEASE, 2).deliveries == several[:2], "who died"
    assert store.claim("none", NOW, LEASE, 9) == Claimed([], None)


def test_the_position_moves_with_what_is_taken_or_neither_does(store: DeliveryStore) -> None:
    assert store.position(0) is None
    assert store.take(0, None, NEXT, {"crm": [delivery("a")]}, NOW) == 1
    assert store.position(0) == NEXT
    for expected in (None, START, THIRD):
        with pytest.raises(Fenced):
            store.take(0, expected, Position(7), {"crm": [delivery("b")]}, NOW)
    assert store.waiting(["crm"]) == {"crm": 1}
    assert store.take(0, START, NEXT, {"crm": [delivery("b")]}, NOW) == 0, "it is done already"
    assert store.position(1) is None
    store.forget_positions()
    assert store.position(0) is None


def test_a_repeat_of_what_waits_or_was_settled_is_not_taken(store: DeliveryStore) -> None:
    one = delivery("a")
    store.take(0, None, START, {"crm": [one, one]}, NOW)
    assert store.waiting(["crm"]) == {"crm": 1}
    store.settle("crm", "a", NOW, delivered=True)
    assert store.waiting(["crm"]) == {"crm": 0}
    assert store.take(0, START, NEXT, {"crm": [one], "b": [one]}, NOW) == 1, "b has it not yet"
    assert store.replay("crm", [one], NOW) == 1
    assert store.replay("crm", [one], NOW) == 0


def test_a_retry_waits_until_it_is_due_and_remembers_its_attempts(store: DeliveryStore) -> None:
    store.replay("crm", [delivery("a")], NOW)
    store.claim("crm", NOW, LEASE, 1)
    assert store.again("crm", delivery("a", made=1), NOW + 50, NOW + 7) == NOW + 7
    assert store.claim("crm", NOW + 49, LEASE, 1) == Claimed([], NOW + 50)
    assert store.claim("crm", NOW + 50, LEASE, 1).deliveries == [delivery("a", made=1)]
    assert store.again("crm", delivery("a", made=2), NOW + 90, NOW + 60) == NOW + 7
    store.replay("crm", [delivery("b")], NOW)
    store.settle("crm", "b", NOW, delivered=True)
    assert store.again("crm", delivery("a", made=3), NOW + 99, NOW + 80) == NOW + 80
    store.settle("crm", "a", NOW, delivered=False)
    assert store.again("crm", delivery("a", made=4), NOW + 99, NOW + 90) is None, "settled"
    assert store.waiting(["crm"]) == {"crm": 0}


def test_nothing_is_claimed_while_it_is_disabled(store: DeliveryStore) -> None:
    store.replay("crm", [delivery("a")], NOW)
    assert store.disable("crm", "410 Gone", NOW, "")
    assert not store.disable("crm", "later", NOW + 9, "")
    assert {name: (each.at, each.why) for name, each in store.disabled().items()} == {
        "crm": (NOW, "410 Gone")
    }
    assert store.claim("crm", NOW, LEASE, 1) == Claimed([], None)
    store.enable("crm")
    assert store.claim("crm", NOW, LEASE, 1).deliveries == [delivery("a")]


def test_what_was_claimed_before_it_was_enabled_does_not_disable_it(store: DeliveryStore) -> None:
    before = store.claim("crm", NOW, LEASE, 1).enabled
    assert store.disable("crm", "410 Gone", NOW, before)
    store.enable("crm")
    assert not store.disable("crm", "410 Gone", NOW, before)
    assert store.disabled() == {}
    since = store.claim("crm", NOW, LEASE, 1).enabled
    store.enable("other")
    assert store.disable("crm", "410 Gone", NOW, since)


def test_what_was_skipped_is_remembered_until_it_is_told(store: DeliveryStore) -> None:
    """Also while it is enabled again: a dispatcher may have the old file still."""
    store.skip({"crm": NOW + 5, "b": NOW + 2})
    store.skip({"crm": NOW + 9})
    store.skip({"crm": NOW + 1})
    assert store.skipped() == {"crm": NOW + 1, "b": NOW + 2}
    store.enable("crm")
    store.skip({"crm": NOW + 7})
    assert store.take_skipped("crm") == NOW + 1
    assert store.take_skipped("crm") is None
    assert store.skipped() == {"b": NOW + 2}


def test_what_is_remembered_is_bounded_and_the_oldest_goes(
    store: DeliveryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "MOST_SETTLED", 2)
    for place, name in enumerate("abc"):
        store.settle("crm", name, NOW + place, delivered=True)
    taken = {"crm": [delivery(name) for name in "abc"]}
    assert store.take(0, None, START, taken, NOW) == 1
    assert store.claim("crm", NOW, LEASE, 9).deliveries == [delivery("a")]


def test_nothing_is_left_of_one_that_is_forgotten(store: DeliveryStore) -> None:
    store.replay("crm", [delivery("a")], NOW)
    store.settle("crm", "b", NOW, delivered=True)
    store.enable("crm")
    store.disable("crm", "410 Gone", NOW, store.claim("crm", NOW, LEASE, 0).enabled)
    store.skip({"crm": NOW})
    store.forget("crm")
    assert store.claim("crm", NOW, LEASE, 1) == Claimed([], None)
    assert store.waiting(["crm"]) == {"crm": 0}
    assert store.disabled() == {}
    assert store.skipped() == {}
    assert store.take(0, None, START, {"crm": [delivery("b")]}, NOW) == 1
