"""Each bad record is refused with its own reason; a good one keeps its bytes."""

import json
from typing import Any

import pytest

from processors.admission.examine import (
    BAD_TIMESTAMP,
    TICK,
    Document,
    Examiner,
    Outcome,
    examine_catalog,
    owner_of,
)
from processors.admission.record import RawRecord
from processors.admission.settings import AdmissionSettings
from processors.admission.window import Window
from schemas.envelope import Headers, Usage, decode_event, depth_of
from schemas.errors import ConfigurationError
from schemas.partition import partition_of
from schemas.reasons import Reason, Refusal
from schemas.times import parse_instant
from tests.processors.admission import DAY, MINUTE, NOW, event, record

PARTITIONS = 4
MINE = partition_of("acme", PARTITIONS)
EXAMINER = Examiner(MINE, PARTITIONS, Window(3 * DAY, 5 * MINUTE))
STRANGER = next(f"a{n}" for n in range(99) if partition_of(f"a{n}", PARTITIONS) != MINE)
BINARY: Headers = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e1"),
    ("ce_source", b"api"),
    ("ce_type", b"api.call"),
    ("ce_subject", b"acme"),
    ("ce_time", b"2026-01-02T00:00:00Z"),
    ("content-type", b"application/json"),
]
GOOD = event()
PRODUCT = (
    b'{"kind": "Product", "id": "calls", "meter":'
    b' {"event_type": "api.call", "aggregation": "count"}}'
)
PACK = b'{"kind": "Pack", "id": "p", "amount": "10", "price": {"amount": "9", "currency": "USD"}}'


def text(**changes: Any) -> bytes:
    return event(**changes)


REFUSED: list[tuple[str, bytes, Reason, str | None]] = [
    ("empty", b"", Reason.MALFORMED_JSON, None),
    ("malformed", GOOD[:-2], Reason.MALFORMED_JSON, None),
    ("two records in one", GOOD + b"\n" + GOOD, Reason.MALFORMED_JSON, None),
    ("NaN", GOOD.replace(b'{"n": 1}', b'{"n": NaN}'), Reason.MALFORMED_JSON, None),
    ("not an object", b"[1]", Reason.INVALID_ENVELOPE, None),
    ("a huge number", b"1e400", Reason.INVALID_ENVELOPE, None),
    ("1 MB", text(data="x" * 1_000_000), Reason.TOO_LARGE, None),
    ("not UTF-8 in data", GOOD.replace(b'"n"', b'"\xff"'), Reason.NOT_UTF8, None),
    ("not UTF-8 in an attribute", GOOD.replace(b"e1", b"\xc3"), Reason.NOT_UTF8, None),
    ("10,000 deep", b"[" * 10_000 + b"]" * 10_000, Reason.TOO_DEEP, None),
    ("65 deep", text(data=json.loads("[" * 64 + "]" * 64)), Reason.TOO_DEEP, None),
    ("no specversion", text(specversion=None), Reason.INVALID_ENVELOPE, "specversion"),
    ("specversion 0.3", text(specversion="0.3"), Reason.UNSUPPORTED, "specversion"),
    ("no id", text(id=None), Reason.INVALID_ENVELOPE, "id"),
    ("empty id", text(id=""), Reason.INVALID_ENVELOPE, "id"),
    ("a number as id", text(id=7), Reason.INVALID_ENVELOPE, "id"),
    ("a long source", text(source="s" * 257), Reason.INVALID_ENVELOPE, "source"),
    ("no type", text(type=None), Reason.INVALID_ENVELOPE, "type"),
    ("no subject", text(subject=None), Reason.INVALID_ENVELOPE, "subject"),
    ("a bad account", text(subject="-acme"), Reason.INVALID_ENVELOPE, "subject"),
    ("a newline in the account", text(subject="acme\n"), Reason.INVALID_ENVELOPE, "subject"),
    ("no time", text(time=None), Reason.INVALID_ENVELOPE, "time"),
    ("no such day", text(time="2026-02-30T00:00:00Z"), Reason.INVALID_ENVELOPE, "time"),
    ("no offset", text(time="2026-01-02T00:00:00"), Reason.INVALID_ENVELOPE, "time"),
    ("a bad extension name", text(Tenant="x"), Reason.INVALID_ENVELOPE, "Tenant"),
    ("a structure as extension", text(ext={"a": 1}), Reason.INVALID_ENVELOPE, "ext"),
    ("data_base64", text(data_base64="AA=="), Reason.UNSUPPORTED, "data_base64"),
    ("no id as contract", text(contract="-c1"), Reason.INVALID_ENVELOPE, "contract"),
    ("an empty contract", text(contract=""), Reason.INVALID_ENVELOPE, "contract"),
    ("a number as contract", text(contract=7), Reason.INVALID_ENVELOPE, "contract"),
    ("a structure as contract", text(contract=["c1"]), Reason.INVALID_ENVELOPE, "contract"),
    ("far past", text(time="1999-01-01T00:00:00Z"), Reason.TOO_OLD, "time"),
    ("before 1970", text(time="1969-12-31T23:59:59Z"), Reason.INVALID_ENVELOPE, "time"),
    ("too old", text(time="2025-12-29T23:59:59.999999Z"), Reason.TOO_OLD, "time"),
    ("too early", text(time="2026-01-02T00:05:00.000001Z"), Reason.TOO_EARLY, "time"),
    ("far future", text(time="2199-01-01T00:00:00Z"), Reason.TOO_EARLY, "time"),
    ("another partition's account", text(subject=STRANGER), Reason.FORWARDED, None),
]


@pytest.mark.parametrize(
    ("value", "reason", "path"),
    [case[1:] for case in REFUSED],
    ids=[case[0] for case in REFUSED],
)
def test_a_bad_record_is_refused_with_its_reason_and_path(
    value: bytes, reason: Reason, path: str | None
) -> None:
    outcome = EXAMINER.usage(record(value))
    assert isinstance(outcome, Refusal), outcome
    assert (reason, path) == (outcome.reason, outcome.path), outcome.detail


@pytest.mark.parametrize("value", [case[1] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_the_neighbours_of_a_bad_record_are_unharmed(value: bytes) -> None:
    before, _, after = (EXAMINER.usage(record(each)) for each in (GOOD, value, GOOD))
    assert isinstance(before, Usage)
    assert before == after


def test_a_good_event_keeps_the_bytes_of_its_data() -> None:
    raw = b'{ "n" :\n 1e400, "s":"\\u00e9\xc3\xa9" }'
    found = decode_event(GOOD.replace(b'{"n": 1}', raw), None)
    assert Usage("acme", "api", "e1", "api.call", NOW, None, raw) == found


@pytest.mark.parametrize("missing", [b'"data": null', b'"ext": "kept out"'])
def test_absent_data_is_none_and_extensions_are_allowed(missing: bytes) -> None:
    found = decode_event(GOOD.replace(b'"data": {"n": 1}', missing), None)
    assert Usage("acme", "api", "e1", "api.call", NOW, None, None) == found


@pytest.mark.parametrize("more", [{}, {"ext": "on the way that explains"}])
def test_the_contract_that_an_event_names_is_kept(more: dict[str, str]) -> None:
    found = decode_event(event(contract="k1", **more), None)
    assert Usage("acme", "api", "e1", "api.call", NOW, "k1", b'{"n": 1}') == found


def test_a_contract_of_null_is_none() -> None:
    found = decode_event(GOOD.replace(b'{"n": 1}', b'{"n": 1}, "contract": null'), None)
    assert decode_event(GOOD, None) == found


def test_data_of_many_brackets_is_accepted_when_it_is_not_deep() -> None:
    found = decode_event(text(data=[[n] for n in range(500)]), None)
    assert isinstance(found, Usage)


@pytest.mark.parametrize("fraction", ["", ".5", ".123456", ".1234560", ".000001"])
@pytest.mark.parametrize("offset", ["Z", "+00:00", "-01:30"])
def test_time_is_read_as_schemas_times_reads_it(fraction: str, offset: str) -> None:
    time = f"2026-01-02T00:00:00{fraction}{offset}"
    for _ in range(2):  # from memory the second time
        found = decode_event(text(time=time), None)
        assert isinstance(found, Usage)
        assert parse_instant(time) == found.time


def test_binary_mode_is_the_same_event() -> None:
    assert decode_event(GOOD, None) == decode_event(b'{"n": 1}', BINARY)


@pytest.mark.parametrize(
    ("value", "changed", "reason"),
    [
        (b"{", ("content-type", b"application/json"), Reason.MALFORMED_JSON),
        (b"\xff", ("content-type", b"application/json"), Reason.NOT_UTF8),
        (b"{}", ("content-type", b"text/plain"), Reason.UNSUPPORTED),
        (b"{}", ("content-type", b"application/cloudevents-batch+json"), Reason.UNSUPPORTED),
        (b"{}", ("ce_id", b"\xff"), Reason.NOT_UTF8),
        (b"{}", ("ce_id", b""), Reason.INVALID_ENVELOPE),
        (b"{}", ("ce_contract", b"c 1"), Reason.INVALID_ENVELOPE),
        (b"{}", ("ce_data_base64", b"e30="), Reason.UNSUPPORTED),
    ],
)
def test_binary_mode_refuses_what_structured_mode_refuses(
    value: bytes, changed: tuple[str, bytes], reason: Reason
) -> None:
    headers = [pair for pair in BINARY if pair[0] != changed[0]] + [changed]
    found = decode_event(value, headers)
    assert isinstance(found, Refusal)
    assert reason == found.reason


def test_binary_mode_keeps_the_contract() -> None:
    named = decode_event(b'{"n": 1}', [*BINARY, ("ce_contract", b"k1")])
    assert decode_event(event(contract="k1"), None) == named


def test_a_stray_that_was_forwarded_is_misrouted() -> None:
    stray = record(text(subject=STRANGER), headers=[("drawdown-forwarded", b"1")])
    outcome = EXAMINER.usage(stray)
    assert isinstance(outcome, Refusal)
    assert outcome.reason == Reason.MISROUTED
    assert partition_of(STRANGER, PARTITIONS) == owner_of(stray, PARTITIONS)


def test_a_record_stamped_far_ahead_is_a_bad_timestamp() -> None:
    outcome = EXAMINER.usage(RawRecord(0, BAD_TIMESTAMP, None, GOOD, None))
    assert isinstance(outcome, Refusal)
    assert outcome.reason == Reason.BAD_TIMESTAMP


def test_a_tick_is_known_by_its_header() -> None:
    assert EXAMINER.usage(record(b"", headers=[("drawdown-kind", b"tick")])) == TICK


@pytest.mark.parametrize(
    "value",
    [
        b'{"kind": "Account", "id": "acme"}',
        b'{"kind": "Contract", "id": "k", "account": "acme", "starts_at": "2026-01-01T00:00:00Z"}',
        b'{"kind": "fund_grant", "id": "c1", "account": "acme", "grant": "g"}',
        b'{"kind": "void_usage", "id": "c2", "account": "acme", "source": "api", "event": "e1"}',
    ],
)
def test_documents_and_commands_are_copied_with_their_bytes_and_account(value: bytes) -> None:
    assert Document("acme", value) == EXAMINER.credits(record(value))


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        ("1999-01-01T00:00:00Z", None),
        ("2026-01-02T00:05:00Z", None),
        ("2026-01-02T00:05:00.000001Z", Reason.TOO_EARLY),
    ],
)
def test_a_backfill_may_be_of_any_age_but_not_of_the_future(
    time: str, reason: Reason | None
) -> None:
    command = {"kind": "backfill", "id": "b1", "account": "acme"}
    value = json.dumps(command | {"event": event(time=time).decode()}).encode()
    outcome = EXAMINER.credits(record(value))
    assert reason == (outcome.reason if isinstance(outcome, Refusal) else None)


@pytest.mark.parametrize("value", [PRODUCT, PACK])
def test_documents_of_the_catalog_are_copied_with_their_bytes(value: bytes) -> None:
    assert Document(None, value) == examine_catalog(record(value))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", Reason.MALFORMED_JSON),
        (b'{"kind": "Nothing"}', Reason.UNKNOWN_KIND),
        (b'{"kind": "Account", "id": "acme", "nmae": "x"}', Reason.INVALID_DOCUMENT),
        (b'{"kind": "void_grant", "id": "c1", "account": "acme"}', Reason.INVALID_DOCUMENT),
        (
            b'{"kind": "Pack", "id": "p", "type": "prepaid", "amount": "10"}',
            Reason.INVALID_DOCUMENT,
        ),
        (b'{"kind": "Account", "id": "%s"}' % STRANGER.encode(), Reason.MISROUTED),
        (b" " * 1_000_001, Reason.TOO_LARGE),
    ],
)
def test_a_bad_credits_record_is_refused(value: bytes, reason: Reason) -> None:
    outcome = EXAMINER.credits(record(value))
    assert isinstance(outcome, Refusal)
    assert reason == outcome.reason, outcome


@pytest.mark.parametrize(
    "outcome",
    [
        examine_catalog(record(b'{"kind": "Account", "id": "acme"}')),
        EXAMINER.credits(record(b'{"kind": "RateCard", "id": "r", "versions": []}')),
        EXAMINER.credits(record(PACK)),
    ],
)
def test_a_document_in_the_other_topic_is_refused(outcome: Outcome) -> None:
    assert isinstance(outcome, Refusal)
    assert outcome.reason == Reason.INVALID_DOCUMENT


@pytest.mark.parametrize(
    ("value", "depth"), [(b"", 0), (b"[[]]", 2), (b'"[[["', 0), (b'["\\"[["]', 1), (b"]]", 0)]
)
def test_depth_counts_brackets_outside_strings(value: bytes, depth: int) -> None:
    assert depth == depth_of(value)


def test_a_dedupe_window_shorter_than_the_oldest_event_is_refused() -> None:
    settings = AdmissionSettings("localhost:1", "redis://localhost:1")
    with pytest.raises(ConfigurationError, match="dedupe_window"):
        AdmissionSettings(settings.kafka, settings.redis, dedupe_window=settings.max_event_age / 2)
