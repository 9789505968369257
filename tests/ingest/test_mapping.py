"""`--map` and `--set`: what they mean, and which mistakes are named."""

import pytest

from ingest.mapping import EventMapping, Leaf, parse_mapping, with_columns
from schemas.errors import ConfigurationError


def mapping(text: str, *constants: str) -> EventMapping:
    return parse_mapping([text] if text else [], constants)


@pytest.mark.parametrize(
    ("maps", "constants", "attributes", "data"),
    [
        (["time=TIMESTAMP"], [], {"time": Leaf("TIMESTAMP")}, {}),
        (["time=T", "id=I"], [], {"time": Leaf("T"), "id": Leaf("I")}, {}),
        (["data.a=A data.b.c=B"], [], {}, {"a": Leaf("A"), "b": {"c": Leaf("B")}}),
        (["time='Start time'"], [], {"time": Leaf("Start time")}, {}),
        (["tenant=T"], [], {"tenant": Leaf("T")}, {}),
        ([], ["type=a=b"], {"type": Leaf(constant=b'"a=b"', constant_text="a=b")}, {}),
        ([], ["data.n:=1.50"], {}, {"n": Leaf(constant=b"1.50")}),
        ([], ["data.n=1.50"], {}, {"n": Leaf(constant=b'"1.50"', constant_text="1.50")}),
    ],
)
def test_entries_name_a_target_and_a_column_or_a_constant(
    maps: list[str], constants: list[str], attributes: dict[str, Leaf], data: dict[str, Leaf]
) -> None:
    parsed = parse_mapping(maps, constants)
    assert attributes == parsed.attributes
    assert data == parsed.data


@pytest.mark.parametrize(
    ("maps", "constants", "said"),
    [
        (["time"], [], "expected TARGET=COLUMN"),
        (["time="], [], "expected TARGET=COLUMN"),
        (["time='a"], [], "No closing quotation"),
        (["Time=a"], [], "not a CloudEvents attribute"),
        (["specversion=a"], [], "not a CloudEvents attribute"),
        (["data..x=a"], [], "not a CloudEvents attribute"),
        (["time=a time=b"], [], "time is given twice"),
        (["data.a=x data.a=y"], [], "data.a is given twice"),
        (["data.a=x data.a.b=y"], [], "data.a.b is given twice"),
        (["data.a.b=x data.a=y"], [], "data.a is given twice"),
        (["data=x data.a=y"], [], "data is given twice"),
        (["time=a"], ["time=b"], "time is given twice"),
        ([], ["type"], "expected TARGET=TEXT"),
        ([], ["data.a:=x"], "malformed"),
        ([], ["type:=1"], "an attribute is text"),
    ],
)
def test_a_mistake_is_named(maps: list[str], constants: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_mapping(maps, constants)


def test_columns_that_are_named_like_targets_are_taken_where_nothing_is_mapped() -> None:
    checked = with_columns(
        mapping("", "type=t"), ["id", "time", "subject", "type", "data.n", "Other", "data.m.k"]
    )
    assert {"id", "time", "subject", "type"} == set(checked.attributes)
    assert Leaf(constant=b'"t"', constant_text="t") == checked.attributes["type"]
    assert {"n": Leaf("data.n"), "m": {"k": Leaf("data.m.k")}} == checked.data


@pytest.mark.parametrize(
    ("text", "constants", "said"),
    [
        (
            "time=T data.n=Missing",
            ["type=t", "subject=s"],
            "no column 'Missing'; the file has T, N",
        ),
        ("data.n=N", ["type=t", "subject=s"], "nothing gives the event's time"),
        ("time=T", ["subject=s"], "nothing gives the event's type"),
        ("", [], "nothing gives the event's time, type, subject"),
    ],
)
def test_a_mapping_is_checked_against_the_columns(
    text: str, constants: list[str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        with_columns(mapping(text, *constants), ["T", "N"])
