"""Tokens say what was put in, and anything else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.api.tokens import (
    LONGEST,
    AccountsCursor,
    AlertsCursor,
    LedgerCursor,
    TokenError,
    Written,
    decode,
    encode,
)

offsets = st.integers(0, 2**62)


@given(offsets, st.dictionaries(st.integers(0, 1_023), offsets, max_size=50))
def test_a_token_says_what_was_written(catalog: int, credits_: dict[int, int]) -> None:
    token = encode(Written(catalog, credits_))
    found = decode(token, Written)
    assert found == Written(catalog, credits_)
    assert all(found.needed(number) == (catalog, at) for number, at in credits_.items())
    assert found.needed(2_000) == (catalog, 0)


def test_the_longest_request_has_a_token() -> None:
    """A thousand documents, each in a partition of its own, late in the log."""
    assert len(encode(Written(2**40, dict.fromkeys(range(1_000), 2**40)))) < LONGEST


@given(st.text(max_size=200))
def test_any_other_text_is_refused(text: str) -> None:
    for kind in (Written, AccountsCursor, LedgerCursor):
        try:
            found = decode(text, kind)
        except TokenError:
            continue
        assert decode(encode(found), kind) == found


@pytest.mark.parametrize(
    "token",
    ["", "x" * (LONGEST + 1), "é", "kv_A", encode(AlertsCursor(newest=True, offset=1))],
    ids=["nothing", "too long", "not ASCII", "not msgpack", "of another kind"],
)
def test_what_is_no_token_of_the_kind(token: str) -> None:
    with pytest.raises(TokenError):
        decode(token, LedgerCursor)
