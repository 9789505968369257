from typing import Any

import pytest

from schemas.documents import parse_document
from schemas.errors import DocumentError
from schemas.numbers import NumberText
from schemas.yaml import load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", "0.1"),
        ("1.50", "1.50"),
        ("1e3", "1e3"),
        ("-0.5", "-0.5"),
        ("1" * 70, "1" * 70),
        ("7", 7),
        ("-7", -7),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("true", True),
        ("yes", "yes"),
        ("True", "True"),
        ("null", None),
        ("~", None),
        (".inf", ".inf"),
        ('"7"', "7"),
        ('"true"', "true"),
    ],
)
def test_a_scalar_is_typed_by_the_rules_of_json(text: str, value: object) -> None:
    """A scalar is typed by the rules of JSON."""
    assert [{"a": value}] == load_yaml(f"a: {text}")


def test_a_number_with_a_fraction_is_its_literal() -> None:
    """A number with a fraction is its literal."""
    [loaded] = load_yaml("[1.5, '1.5']")
    assert [NumberText, str] == [type(item) for item in loaded]


def test_a_key_is_text() -> None:
    """A key is text."""
    assert load_yaml("1: {true: x}") == [{"1": {"true": "x"}}]


def test_empty_documents_are_left_out() -> None:
    """Empty documents are left out."""
    assert load_yaml("---\na: 1\n---\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("a: 1\na: 2", "line 2, column 1", "stands twice"),
        ("a: &x [1]\nb: *x", "line 2, column 4", "aliases"),
        ("a: !!float 1.5", "line 1, column 4", "tags"),
        ("!!python/object:os.system {}", "line 1, column 1", "tags"),
        ("? [a]\n: 1", "line 1, column 3", "key"),
        ("a: [", "line 1, column 5", "expected"),
        ("[" * 5_000, "YAML", "nested"),
        ("a: \x01", "YAML", "unacceptable"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_place(
    text: str, where: str, problem: str
) -> None:
    """What is no plain YAML is refused with its place."""
    with pytest.raises(DocumentError) as caught:
        load_yaml(text)
    [(found, expected)] = caught.value.faults
    assert where == found
    assert problem in expected


def test_a_document_of_yaml_is_that_of_json() -> None:
    """A document of YAML is that of JSON."""
    [loaded] = load_yaml(
        """
        kind: Grant
        id: g1
        account: acme
        type: prepaid
        amount: 10.100000001
        effective_at: 2026-01-01T00:00:00Z
        """
    )
    raw = (
        b'{"kind":"Grant","id":"g1","account":"acme","type":"prepaid",'
        b'"amount":10.100000001,"effective_at":"2026-01-01T00:00:00Z"}'
    )
    parsed: Any = parse_document(loaded)
    assert parsed == parse_document(raw)
    assert str(parsed.amount) == "10.100000001"


def test_a_number_where_a_text_is_due_is_to_be_quoted() -> None:
    """A number where a text is due is to be quoted."""
    [loaded] = load_yaml("{kind: Account, id: a, name: 1.5}")
    parsed = parse_document(loaded)
    assert isinstance(parsed, list)
    [fault] = parsed
    assert (fault.path, fault.detail) == ("name", "expected a text, got a number: quote it")
