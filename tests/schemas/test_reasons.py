import inspect

import pytest

import schemas.errors
from schemas.errors import DocumentError, DrawdownError
from schemas.events import RejectedHeaders
from schemas.reasons import DESCRIPTIONS, Reason
from schemas.rejected import rejection_headers

ERRORS = [
    error
    for _, error in inspect.getmembers(schemas.errors, inspect.isclass)
    if issubclass(error, DrawdownError)
]


def test_every_reason_is_described() -> None:
    """Every reason is described."""
    assert list(Reason) == list(DESCRIPTIONS)
    assert len(set(DESCRIPTIONS.values())) == len(Reason)


def test_the_strings_are_stable() -> None:
    """They stand in topics, metrics and customers' scripts: a change here breaks them."""
    assert [reason.value for reason in Reason] == [
        "forbidden",
        "too_large",
        "not_utf8",
        "malformed_json",
        "too_deep",
        "invalid_envelope",
        "unsupported",
        "misrouted",
        "forwarded",
        "bad_timestamp",
        "too_old",
        "too_early",
        "duplicate",
        "conflict",
        "unknown_kind",
        "invalid_document",
        "unknown_account",
        "unknown_product",
        "unknown_contract",
        "unknown_grant",
        "unknown_pack",
        "unknown_usage",
        "unknown_request",
        "unknown_hold",
        "immutable_version",
        "out_of_order",
        "already_rated",
        "not_pending",
        "below_consumed",
        "exceeds_overage",
        "hold_ended",
        "exceeds_hold",
        "too_many_holds",
        "insufficient_credits",
        "negative_quantity",
        "no_product",
        "bad_value",
        "no_rate_card",
        "unknown_rate_card",
        "no_version",
        "no_rate",
        "cost_out_of_range",
    ]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_in_the_drawn_tree_and_ends_the_process(error: type[DrawdownError]) -> None:
    """Every error is in the drawn tree and ends the process."""
    assert error.__name__ in (schemas.errors.__doc__ or "")
    assert 0 < error.exit_code < 126


def test_a_document_error_says_every_fault() -> None:
    """A document error says every fault."""
    error = DocumentError([("a.b", "expected 1"), ("c", "expected 2")])
    assert str(error) == "a.b: expected 1\nc: expected 2"
    assert error.exit_code == 2


def test_the_headers_of_a_refused_record_are_those_of_the_model() -> None:
    """The headers of a refused record are those of the model."""
    headers = rejection_headers("metering.usage.v1", 3, 7, Reason.TOO_OLD, "late")
    model = RejectedHeaders.model_validate({name: value.decode() for name, value in headers})
    assert (model.reason, model.partition, model.offset) == (Reason.TOO_OLD, "3", "7")
    assert len(headers) == len(RejectedHeaders.model_fields)
