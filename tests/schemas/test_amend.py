import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.documents import (
    AmendContract,
    Contract,
    Covers,
    PinnedCard,
    amended,
    canonical,
    merge_patch,
    parse_document,
)
from schemas.numbers import Quantity
from tests.schemas.documents import JULY, accepted, amendment, contract, override

RFC_7386_APPENDIX_A = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7386_APPENDIX_A)
def test_a_merge_patch_is_that_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    """A merge patch is that of the RFC."""
    before = repr((target, patch))
    assert result == merge_patch(target, patch)
    assert before == repr((target, patch))


@given(JSON, JSON)
def test_a_merge_patch_applied_twice_changes_nothing_more(target: Any, patch: Any) -> None:
    """A merge patch applied twice changes nothing more."""
    once = merge_patch(target, patch)
    assert once == merge_patch(once, patch)


def changed(base: dict[str, Any], **changes: Any) -> Contract | list[tuple[str | None, str]]:
    """The contract `base` with the changes, or the path and detail of each fault."""
    before, change = accepted(base), accepted(amendment(**changes))
    assert isinstance(before, Contract)
    assert isinstance(change, AmendContract)
    after = amended(before, change)
    return after if isinstance(after, Contract) else [(f.path, f.detail) for f in after]


def test_an_amendment_changes_what_it_names_and_nothing_else() -> None:
    """An amendment changes what it names and nothing else."""
    base = contract(
        overage={"mode": "cap", "cap": "5"},
        rate_card="standard",
        overrides=[override()],
        grants=[{"id": "g1", "type": "prepaid", "amount": "10"}],
    )
    after = changed(
        base,
        overage={"cap": {"percent": 10}},
        rate_card={"id": "standard", "version": 2},
        covers={"tags": ["ai"]},
        overrides=None,
    )
    assert isinstance(after, Contract)
    assert after.overage.mode == "cap"
    assert PinnedCard(id="standard", version=2) == after.rate_card
    assert (Covers(tags=("ai",)), ()) == (after.covers, after.overrides)
    changes = {name: base.get(name) for name in ("overage", "rate_card", "covers", "overrides")}
    assert accepted(base) == changed(json.loads(canonical(after)), **changes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "c2"),
        ("account", "other"),
        ("starts_at", JULY),
        ("grants", [{"id": "g1", "type": "prepaid", "amount": "11"}]),
        ("seats", 6),
    ],
)
def test_what_stands_can_be_named_by_an_amendment_but_not_changed(name: str, value: Any) -> None:
    """What stands can be named by an amendment but not changed."""
    grants = [{"id": "g1", "type": "prepaid", "amount": "10"}]
    base = contract(grants=grants, seats=5)
    ((path, detail),) = changed(base, **{name: value})
    assert path == name
    assert detail is not None
    assert detail.startswith("expected no change: ")
    assert accepted(base) == changed(base, **{name: base[name]})


def test_a_number_that_was_written_as_one_is_exact_in_the_amended_contract() -> None:
    """A number that was written as one is exact in the amended contract."""
    raw = json.dumps(amendment(overage={"multiplier": "?"})).replace('"?"', "1.000000001").encode()
    change, before = parse_document(raw), accepted(contract())
    assert isinstance(change, AmendContract)
    assert isinstance(before, Contract)
    after = amended(before, change)
    assert isinstance(after, Contract)
    assert Quantity.parse("1.000000001") == after.overage.multiplier


def test_an_amendment_that_leaves_a_contradiction_is_refused_with_its_paths() -> None:
    """An amendment that leaves a contradiction is refused with its paths."""
    capped = contract(overage={"mode": "cap", "cap": "5"})
    assert changed(capped, overage={"mode": "allow"}) == [
        ("overage.cap", "expected none: the mode is allow")
    ]
    allowed = changed(capped, overage={"mode": "allow", "cap": None})
    assert isinstance(allowed, Contract)
    assert allowed.overage.cap is None
    faults = changed(
        contract(),
        ends_at="2025-01-01T00:00:00Z",
        overrides=[override(), override(effective_to=JULY, price={"model": "flat"})],
        top_up={"target": "5"},
    )
    assert isinstance(faults, list)
    assert [path for path, _ in faults] == ["top_up.threshold", "overrides[1].price.price"]
    assert changed(contract(), ends_at="2025-01-01T00:00:00Z") == [
        ("ends_at", "expected later than starts_at")
    ]
