"""Token buckets against the plain statement: what was taken never exceeds what flowed in."""

from hypothesis import given
from hypothesis import strategies as st

from projections.web.rates import BURST_SECONDS, Bucket

SECOND = 1_000_000_000


def test_a_burst_and_then_the_rate() -> None:
    bucket = Bucket(10, 0)
    assert bucket.take(20, 0) == 0
    assert bucket.take(1, 0) == SECOND // 10
    assert bucket.take(1, SECOND // 10) == 0
    assert bucket.take(5, SECOND) == 0
    assert bucket.take(5, SECOND) == SECOND // 10


def test_more_than_the_bucket_holds_is_let_in_once_and_paid_off() -> None:
    bucket = Bucket(10, 0)
    assert bucket.take(100, 0) == 0
    assert bucket.take(1, 0) == 8 * SECOND + SECOND // 10


@given(
    st.integers(1, 1_000),
    st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(1, 50)), max_size=30),
)
def test_no_more_is_let_in_than_flows_in(per_second: int, steps: list[tuple[int, int]]) -> None:
    bucket, now, taken = Bucket(per_second, 0), 0, 0
    for passed, events in steps:
        now += passed
        wait = bucket.take(events, now)
        if wait == 0:
            taken += events
            largest = max(50, BURST_SECONDS * per_second)
            assert (taken - largest) * SECOND <= per_second * now + largest * SECOND
        else:
            assert Bucket(per_second, bucket.last, bucket.level).take(events, now + wait) == 0
