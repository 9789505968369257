from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from projections.cost_basis import slice_money

UNITS = st.integers(0, 10**27)
CUTS = st.lists(st.integers(1, 10**27), min_size=1, max_size=20)


def slices(paid: int, cut: list[int]) -> list[int]:
    """The money of each part of a grant that is used up in these parts."""
    issued = sum(cut)
    return [slice_money(paid, issued, sum(cut[:at]), part) for at, part in enumerate(cut)]


def test_a_third_of_a_cent_is_not_lost() -> None:
    """10.00 for 3 credits: 3.333333333, then 3.333333334, then 3.333333333."""
    assert slices(10 * 10**9, [10**9] * 3) == [3_333_333_333, 3_333_333_334, 3_333_333_333]


def test_half_a_unit_goes_to_the_even_sum() -> None:
    """5 units for 10 credits: 0.5 is 0, 1 is 1, 1.5 is 2, 2 is 2, 2.5 is 2, …"""
    assert slices(5, [1] * 10) == [0, 1, 1, 0, 0, 1, 1, 0, 0, 1]


@given(UNITS, CUTS)
def test_the_slices_of_a_used_grant_sum_to_what_was_paid(paid: int, cut: list[int]) -> None:
    """However it was cut, and each slice is within a unit of its exact share."""
    found = slices(paid, cut)
    assert sum(found) == paid
    for part, money in zip(cut, found, strict=True):
        assert abs(money - Fraction(paid * part, sum(cut))) <= 1


@given(UNITS, st.integers(1, 10**27), st.integers(0, 10**27), st.integers(0, 10**27))
def test_what_returns_takes_its_money_back(
    paid: int, issued: int, before: int, amount: int
) -> None:
    """What returns takes its money back."""
    taken = slice_money(paid, issued, before, amount)
    assert taken == -slice_money(paid, issued, before + amount, -amount)
