"""One constant moves a history exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.rebase import Rebase, parse_rebase
from schemas.errors import ConfigurationError

NOW = 1_767_225_600_000_001


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("END=now", Rebase("END", NOW)),
        ("START=now", Rebase("START", NOW)),
        ("END=1970-01-01T00:00:01Z", Rebase("END", 1_000_000)),
        ("START=1970-01-01 00:00:01.5", Rebase("START", 1_500_000)),
    ],
)
def test_an_edge_and_an_instant(text: str, expected: Rebase) -> None:
    assert expected == parse_rebase(text, NOW)


@pytest.mark.parametrize("text", ["now", "END", "END=", "end=now", "END=later", "MIDDLE=now"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--rebase-time"):
        parse_rebase(text, NOW)


@given(st.lists(st.integers(0, 2**52), min_size=1), st.integers(0, 2**52))
def test_the_edge_falls_on_the_instant_and_distances_stay(times: list[int], instant: int) -> None:
    for edge, of in (("END", max), ("START", min)):
        shift = Rebase("END" if edge == "END" else "START", instant).shift(min(times), max(times))
        assert instant == of(time + shift for time in times)
