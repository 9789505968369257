"""Which cells become which JSON, exactly."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from ingest.cells import CSV, JSON, TYPED, CellError


@pytest.mark.parametrize(
    ("cell", "json"),
    [
        ("374", b"374"),
        ("-1.50", b"-1.50"),
        ("1e400", b"1e400"),
        ("0.1000000000000000000001", b"0.1000000000000000000001"),
        ("123456789012345678901234567890", b"123456789012345678901234567890"),
        ("", None),
        ("007", b'"007"'),
        (" 1", b'" 1"'),
        ("1_000", b'"1_000"'),
        ("+1", b'"+1"'),
        (".5", b'".5"'),
        ("1.", b'"1."'),
        ("NaN", b'"NaN"'),
        ("Infinity", b'"Infinity"'),
        ("true", b'"true"'),
        ("\u0661", '"\u0661"'.encode()),
        ('a"b\n', b'"a\\"b\\n"'),
    ],
)
def test_a_csv_cell_is_a_number_only_by_the_json_grammar(cell: str, json: bytes | None) -> None:
    assert json == CSV.json(cell)


def test_a_csv_cell_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(CellError, match="not UTF-8"):
        CSV.json("\udcff")


@pytest.mark.parametrize(
    ("literal", "text"),
    [(b'"acme"', "acme"), (b"17", "17"), (b"null", None), (b'"\\u00e9"', "é")],
)
def test_a_json_value_as_text(literal: bytes, text: str | None) -> None:
    assert text == JSON.text(msgspec.Raw(literal))


@pytest.mark.parametrize("literal", [b"1.5", b"true", b"{}", b"[1]"])
def test_a_json_value_that_is_no_text_is_refused(literal: bytes) -> None:
    with pytest.raises(CellError, match="expected text"):
        JSON.text(msgspec.Raw(literal))


def test_a_json_value_keeps_its_bytes() -> None:
    assert JSON.json(msgspec.Raw(b'{"a": 1.50}')) == b'{"a": 1.50}'


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (None, None),
        (3, b"3"),
        (10**30, b"1" + b"0" * 30),
        (Decimal("1.50"), b"1.50"),
        (Decimal("1E-9"), b"0.000000001"),
        (Decimal("1E+3"), b"1000"),
        (4.0, b"4"),
        (True, b"true"),
        ("3", b'"3"'),
        (date(2026, 1, 2), b'"2026-01-02"'),
    ],
)
def test_a_typed_value_keeps_its_type_and_digits(value: object, json: bytes | None) -> None:
    assert json == TYPED.json(value)


@pytest.mark.parametrize("value", [0.1, 2.0**53, float("nan"), float("inf")])
def test_a_float_that_may_not_be_what_was_written_is_refused(value: float) -> None:
    with pytest.raises(CellError, match="binary float"):
        TYPED.json(value)
