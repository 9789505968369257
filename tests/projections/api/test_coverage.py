"""Rows are said to contain a write exactly where they do, whatever the folds are doing."""

from hypothesis import given
from hypothesis import strategies as st

from projections.api.coverage import Coverage
from projections.fold.position import Position


def rating(record: int, credits_: int, catalog: int = 0) -> Position:
    """Rating having read the journal's records below `record`."""
    return Position(record, vector=(catalog, credits_, 0), reached=(record, 0, 0))


def balances(record: int) -> Position:
    """Balances having folded all that the journal holds below `record`."""
    return Position(reached=(record, 0, 0))


def test_a_write_is_in_once_balances_pass_where_rating_covered_it() -> None:
    coverage = Coverage(0, 6)
    assert not coverage.folded(rating(10, 5), balances(20)), "rating has not read it"
    assert not coverage.folded(rating(11, 6), balances(10))
    assert not coverage.folded(rating(30, 9), balances(10)), "what was remembered stays"
    assert coverage.folded(rating(30, 9), balances(11))


def test_balances_that_are_ahead_of_ratings_own_rows_do_not_count_before_rating() -> None:
    """Rating's outputs are written before its rows are: balances may have folded more."""
    coverage = Coverage(0, 6)
    assert not coverage.folded(rating(10, 5), balances(11))
    assert coverage.folded(rating(11, 6), balances(11))


def test_a_redis_that_comes_back_older_waits_again() -> None:
    coverage = Coverage(0, 6)
    assert coverage.folded(rating(11, 6), balances(11))
    assert not coverage.rated(rating(9, 4))
    assert not coverage.folded(rating(9, 4), balances(9))


def test_a_write_to_the_catalog_waits_for_the_catalog() -> None:
    coverage = Coverage(3, 0)
    assert not coverage.folded(rating(10, 99, catalog=2), balances(10))
    assert coverage.folded(rating(11, 99, catalog=3), balances(11))


def test_nothing_written_is_covered_once_balances_reach_rating() -> None:
    assert Coverage().folded(Position(), Position())


journals = st.lists(st.integers(0, 3), min_size=1, max_size=20)


@given(journals, st.data())
def test_never_before_the_write_is_folded_and_always_at_the_end(
    journal: list[int], data: st.DataObject
) -> None:
    """A journal of records, each covering some offsets of credits; both folds at any pace."""
    ends = [sum(journal[: at + 1]) for at in range(len(journal))]
    written = data.draw(st.integers(1, max(1, ends[-1])))
    holds_it = next((at for at, end in enumerate(ends) if end >= written), None)
    coverage = Coverage(0, written)
    rated = folded = 0
    for _ in range(60):
        rated = data.draw(st.integers(0, len(journal)))
        folded = data.draw(st.integers(0, len(journal)))
        vector = ends[rated - 1] if rated else 0
        if coverage.folded(rating(rated, vector), balances(folded)):
            assert holds_it is not None
            assert folded > holds_it
    if holds_it is not None:
        end = rating(len(journal), ends[-1])
        coverage.folded(end, balances(folded))
        assert coverage.folded(end, balances(len(journal)))
