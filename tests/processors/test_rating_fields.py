"""Fields read many at a time are what the plain way reads, whatever the data is."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.rating.fields import Layout, read_fields
from projections.rates.extract import at_path, dimension_of, load_data, quantity_of

NUMBERS = (
    *(b"0", b"-0", b"-0.0", b"5", b"-3", b"12.5", b"1e2", b"1E-9", b"1.000", b"9007199254740993.0"),
    *(b"0.99999999999999999999999", b"18446744073709551616", b"1000000000000000000"),
    *(b"1000000000000000001", b"-1000000000000000001", b"1e400", b"1" * 5000, b"0.0000000001"),
)
OTHERS = (
    *(b"true", b"false", b"null", b"[]", b"[1]", b"{}", b'{"n":1}', b'"x"', b'""', b'"12.5"'),
    *(b'"-1"', b'"NaN"', b'" 5"', b'"1_0"', b'"\xd9\xa1"', b'"\\u0035"', b'"\\ud800"'),
)
VALUES = (*NUMBERS, *OTHERS)
LAYOUTS = (
    Layout(("n",), ()),
    Layout(("n", "o"), ("d", "e")),
    Layout(("deep.n",), ("d", "deep.e")),
    Layout(("n",), ("n", "d")),
    Layout((), ("d",)),
    Layout((), ()),
)


@st.composite
def data(draw: st.DrawFn) -> bytes | None:
    if draw(st.integers(0, 15)) == 0:
        return draw(st.sampled_from((None, b"[]", b"3", b"{}", b'"text"', b"null", b" {} ")))
    names = (b'"n"', b'"\\u006e"', b'"o"', b'"d"', b'"e"', b'"other"')
    member = st.tuples(st.sampled_from(names), st.sampled_from(VALUES))
    members = [b":".join(pair) for pair in draw(st.lists(member, max_size=5))]
    if draw(st.booleans()):
        members.append(b'"deep":{"n":%b,"e":%b}' % (draw(member)[1], draw(member)[1]))
    return b"{" + b" , ".join(members) + b"}"


@settings(max_examples=400)
@given(layout=st.sampled_from(LAYOUTS), batch=st.lists(data(), max_size=6))
def test_a_batch_reads_what_one_event_reads(layout: Layout, batch: list[bytes | None]) -> None:
    fields = read_fields(layout, batch)
    loaded = [load_data(raw) for raw in batch]
    for path in layout.values:
        expected = [quantity_of(at_path(event, path)) for event in loaded]
        assert expected == list(fields.units[path])
    for path in layout.dimensions:
        found = [dimension_of(value) for value in fields.dimensions[path]]
        assert [dimension_of(at_path(event, path)) for event in loaded] == found


@pytest.mark.parametrize(
    ("literal", "units"),
    [
        (b"7", 7_000_000_000),
        (b"0.2", 200_000_000),
        (b"12.000000001", 12_000_000_001),
        (b"1e3", 1_000_000_000_000),
        (b'"0.5"', 500_000_000),
        (b"9007199254740993.0", 9_007_199_254_740_993_000_000_000),
        (b"-3", -3_000_000_000),
        (b"0.0000000001", None),
        (b"1e400", None),
        (b"true", None),
        (b"null", None),
        (b'"NaN"', None),
        (b"[1]", None),
    ],
)
def test_a_value_is_its_literal_text_exactly(literal: bytes, units: int | None) -> None:
    fields = read_fields(Layout(("n",), ()), [b'{"n":' + literal + b"}"])
    assert [units] == list(fields.units["n"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("eu", "eu"),
        (1, "1"),
        (1.5, "1.5"),
        (True, "true"),
        (None, None),
        ([1], None),
        ({"a": 1}, None),
    ],
)
def test_a_dimension_is_a_text(value: Any, text: str | None) -> None:
    fields = read_fields(Layout((), ("d",)), [json.dumps({"d": value}).encode()])
    assert [text] == [dimension_of(found) for found in fields.dimensions["d"]]
