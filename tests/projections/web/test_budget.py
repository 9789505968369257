"""The budget of bodies against the plain statement: a sum that never exceeds what it may be."""

from hypothesis import given
from hypothesis import strategies as st

from projections.web.budget import Budget, Share


def test_what_does_not_fit_changes_nothing() -> None:
    budget = Budget(10)
    one, two = Share(budget), Share(budget)
    assert one.hold(6)
    assert two.hold(4)
    assert not two.hold(5)
    assert budget.held == 10
    assert one.hold(5)
    assert two.hold(5)
    one.end()
    one.end()
    assert budget.held == 5
    assert two.hold(10)


@given(st.integers(0, 50), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), max_size=40))
def test_the_sum_is_that_of_the_shares_and_never_too_large(
    most: int, steps: list[tuple[int, int]]
) -> None:
    budget, held = Budget(most), dict.fromkeys(range(5), 0)
    shares = {number: Share(budget) for number in held}
    for number, count in steps:
        fits = sum(held.values()) - held[number] + count <= most
        assert shares[number].hold(count) is fits
        if fits:
            held[number] = count
        assert budget.held == sum(held.values()) <= most
    for share in shares.values():
        share.end()
    assert budget.held == 0
