"""Tables handled on the calling thread are what Polars' own operations make of them."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.tables import filtered, gathered, stacked

ROWS = st.lists(
    st.tuples(st.none() | st.integers(-5, 5), st.none() | st.text(max_size=3), st.booleans()),
    max_size=20,
)


def table(rows: list[tuple[int | None, str | None, bool]]) -> pl.DataFrame:
    """Rows as a table, one of its texts in a dictionary."""
    schema = {"number": pl.Int64, "text": pl.String, "flag": pl.Boolean}
    made = pl.DataFrame(rows, schema=schema, orient="row")
    return made.with_columns(pl.col("text").cast(pl.Categorical).alias("word"))


@given(ROWS)
def test_filtered(rows: list[tuple[int | None, str | None, bool]]) -> None:
    made = table(rows)
    wanted = pl.col("number") > 0  # null where the number is: that is no yes
    assert_frame_equal(filtered(made, wanted), made.filter(wanted))
    assert_frame_equal(filtered(made, made["flag"]), made.filter(made["flag"]))


@given(ROWS, st.lists(st.integers(0, 19), max_size=10))
def test_gathered(rows: list[tuple[int | None, str | None, bool]], places: list[int]) -> None:
    made = table(rows)
    inside = [place for place in places if place < made.height]
    expected = made[inside]
    assert_frame_equal(gathered(made, pl.Series(inside, dtype=pl.UInt32)), expected)
    if inside:
        assert_frame_equal(gathered(made, inside), expected)


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_stacked(parts: list[list[tuple[int | None, str | None, bool]]]) -> None:
    tables = [table(rows) for rows in parts]
    heights = [each.height for each in tables]
    assert_frame_equal(stacked(tables), pl.concat(tables))
    assert [each.height for each in tables] == heights, "one of the tables was changed"
