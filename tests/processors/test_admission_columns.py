"""Usage examined in columns ends exactly as each record does when it is examined by itself."""

import json
from typing import Any, Final
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.admission import fingerprint
from processors.admission.columns import common
from processors.admission.examine import (
    BAD_TIMESTAMP,
    FORWARDED_HEADER,
    KIND_HEADER,
    TICK_KIND,
    Examiner,
)
from processors.admission.fingerprint import (
    content_digest,
    content_digests,
    key_digest,
    key_digests,
)
from processors.admission.record import RawRecord, columns_of
from processors.admission.window import Window
from schemas.envelope import Headers, Usage
from schemas.frames import JOURNAL_SCHEMA
from tests.processors.admission import DAY, MINUTE, NOW, event, record

METERED: Final = json.dumps(
    {
        "kind": "Product",
        "id": "calls",
        "meter": {"event_type": "api.call", "aggregation": "sum", "value": "n"},
    }
).encode()
ACCOUNTS: Final = ("acme", "b", "c9", "Ünknown", "", "-x", "a" * 128, "a" * 129, "a b")
WORDS: Final = ("api", "api.call", "", "x" * 256, "x" * 257, "é" * 256, "中文", "a:b", "1:2")
TIMES: Final = (
    "2026-01-02T00:00:00Z",
    "2026-01-01T23:59:59.5Z",
    "2026-01-01T23:59:59.123456Z",
    "2026-01-01T23:59:59.1234567Z",
    "2026-01-01T23:59:59.1234560Z",
    "2026-01-01T23:59:59.Z",
    "2026-01-01T23:59:59..5Z",
    "2026-01-01T23:59:59.5.Z",
    "2026-01-01T23:59:59.5ZZ",
    "2026-01-01T23:59:60Z",
    "2026-01-01T24:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-01-02t00:00:00z",
    "2026-01-02 00:00:00Z",
    "2026-01-02T01:00:00+01:00",
    "2026-01-02T00:00:00",
    "2025-12-30T00:00:00Z",
    "2025-12-29T23:59:59.999999Z",
    "2026-01-02T00:05:00Z",
    "2026-01-02T00:05:00.000001Z",
    "\u0662\u0660\u0662\u0666-01-02T00:00:00Z",
    "2026-01-02T00:00:00.\u0665Z",
    "1969-12-31T23:59:59Z",
    "2201-01-01T00:00:00Z",
    "now",
    "",
)
DATA: Final[tuple[object, ...]] = (
    {"n": 1},
    {"n": -1},
    {"n": "-1"},
    {"n": "\\u002d1"},
    {"name": "gpt-4"},
    {"n": "-0"},
    {"text": "naïve 日本"},
    [],
    {},
    None,
    "",
    "null",
    0,
    [[[]]] * 20,
    [{}] * 33,
)
VALUES: Final = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff",
    b'{"specversion":"1.0","id":"\xff"}',
    b"[" * 2_000,
    b'{"data":' * 2_000,
    event() + b" ",
    event() + b"x",
    b"  " + event(),
    event()[:-1] + b',"data":null}',
    event()[:-1] + b',"data": null }',
    event()[:-1] + b',"id":"twice"}',
    event()[:-1] + b',"data":{"n":"\xff"}}',
    event()[:-1] + b',"data":{"n":"\\u002d1"}}',
    event()[:-1] + b',"data":{"n":  -1}}',
    event(data="x" * 1_100_000),
    event(contract=5),
    event(time=5),
    event(id="\ud800"),
)
HEADERS: Final[tuple[Headers | None, ...]] = (
    None,
    [],
    [("traceparent", b"00-1-2-3")],
    [("content-type", b"application/cloudevents+json; charset=utf-8")],
    [("Content-Type", b"application/cloudevents+avro")],
    [("content-type", b"application/json"), ("ce_specversion", b"1.0"), ("ce_id", b"e1")],
    [("content-type", None)],
    [(FORWARDED_HEADER, b"1")],
    [(KIND_HEADER, TICK_KIND)],
    [(KIND_HEADER, b"other")],
)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """A usage event: mostly good, each attribute now and then not."""
    changes: dict[str, Any] = {}
    for name, choices in (
        ("subject", ACCOUNTS),
        ("source", WORDS),
        ("id", WORDS),
        ("type", WORDS),
        ("time", TIMES),
        ("contract", (*ACCOUNTS, None)),
        ("data", DATA),
        ("specversion", ("1.0", "0.3", "")),
        ("dataschema", ("https://example.org", 5)),
        ("traceid", ("another attribute", {})),
    ):
        if draw(st.integers(0, 9)) == 0:
            changes[name] = draw(st.sampled_from(choices))
    text = json.loads(event(**changes)) | ({"data": None} if draw(st.integers(0, 30)) == 0 else {})
    return json.dumps(text, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")


RECORDS = st.lists(
    st.tuples(
        st.one_of(events(), events(), events(), st.sampled_from(VALUES), st.none()),
        st.one_of(st.none(), st.none(), st.sampled_from(HEADERS)),
        st.sampled_from((NOW, NOW, NOW, NOW + 1, BAD_TIMESTAMP)),
    ),
    max_size=30,
)


def row_of(read: RawRecord, usage: Usage) -> tuple[object, ...]:
    """The journal row of an event that was examined by itself."""
    attributes = (usage.account, usage.source, usage.id, usage.type, usage.time, usage.contract)
    return 0, read.offset, read.received_at, *attributes, usage.data


@settings(max_examples=400)
@given(RECORDS, st.booleans(), st.integers(1, 3))
def test_what_columns_accept_is_what_each_record_is_by_itself(
    parts: list[tuple[bytes | None, Headers | None, int]], metered: bool, partitions: int
) -> None:
    examiner = Examiner(0, partitions, Window(3 * DAY, 5 * MINUTE))
    if metered:
        examiner.catch_up([record(METERED)], 1)
    records = [RawRecord(7 + 2 * i, at, b"k", v, h) for i, (v, h, at) in enumerate(parts)]
    rows, at, rest = common(examiner, columns_of(records))
    assert rows.schema == JOURNAL_SCHEMA
    assert sorted([*at, *rest]) == list(range(len(records)))
    assert list(at) == sorted(at)
    outcomes = [examiner.usage(each) for each in records]
    usages = [usage for index in at if isinstance(usage := outcomes[index], Usage)]
    expected = [row_of(records[index], usage) for index, usage in zip(at, usages, strict=True)]
    assert rows.rows() == expected
    keys = [key_digest(u.account, u.source, u.id) for u in usages]
    contents = [content_digest(u.type, u.data, u.contract) for u in usages]
    for few in (0, len(usages)):  # in columns, and one by one
        with patch.object(fingerprint, "FEW", few):
            assert key_digests(rows) == keys
            assert content_digests(rows) == contents


def test_the_common_form_is_taken_in_columns() -> None:
    """Otherwise the test above would hold for a function that leaves everything to the slow way."""
    common_form = [
        event(),
        event(id="é", source="中文", contract="k1", data={"text": "日本", "model": "gpt-4"}),
        event(data=None, time="2026-01-01T23:59:59.123Z"),
        event(data=[[]], traceparent="00-1", dataschema="https://example.org"),
    ]
    headers: list[Headers | None] = [None, [("traceparent", b"1")], None, []]
    records = [RawRecord(i, NOW, None, v, headers[i]) for i, v in enumerate(common_form)]
    examiner = Examiner(0, 1, Window(3 * DAY, 5 * MINUTE))
    examiner.catch_up([record(METERED)], 1)
    assert common(examiner, columns_of(records)).rest == []
