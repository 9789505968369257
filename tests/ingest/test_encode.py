"""Rows become events byte for byte; a bad row is a fault with a reason."""

import json
from typing import Any

import pytest

from ingest.cells import CSV, JSON
from ingest.encode import Encoder, Event, Fault
from ingest.mapping import EventMapping, parse_mapping
from schemas.times import parse_instant

DIGEST = "00112233445566778899aabbccddeeff"
TABLE = parse_mapping(
    ["time=T subject=Account data.input_tokens=In data.model.name=Model"], ["type=llm.request"]
)
ROW = {"T": "2023-11-16 18:15:46.6805900", "Account": "acme", "In": "374", "Model": "m1"}
EVENT = {
    "specversion": "1.0",
    "id": "e1",
    "source": "api",
    "type": "api.call",
    "subject": "acme",
    "time": "2026-01-02T00:00:00Z",
    "data": {"n": 1},
}


def table(cells: dict[str, Any], number: int = 1, shift: int = 0) -> Event | Fault:
    return Encoder(TABLE, CSV, DIGEST, shift).table_row(number, cells)


def line(
    value: bytes | dict[str, Any], *, mapping: EventMapping | None = None, shift: int = 0
) -> Event | Fault:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Encoder(mapping or EventMapping(), JSON, DIGEST, shift).json_line(7, raw)


def sent(result: Event | Fault) -> Event:
    assert isinstance(result, Event), result
    return result


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in EVENT.items() if key != name}


def test_a_table_row_is_this_event() -> None:
    assert table(ROW) == Event(
        "acme",
        parse_instant("2023-11-16T18:15:46.68059Z"),
        b'{"specversion":"1.0","id":"00112233445566778899aabbccddeeff-1",'
        b'"source":"drawdown-send/001122334455","time":"2023-11-16T18:15:46.68059Z",'
        b'"subject":"acme","type":"llm.request",'
        b'"data":{"input_tokens":374,"model":{"name":"m1"}}}',
    )


def test_a_shift_changes_the_time_and_nothing_else() -> None:
    plain = json.loads(sent(table(ROW, 5)).value)
    moved = json.loads(sent(table(ROW, 5, shift=-1)).value)
    assert plain | {"time": "2023-11-16T18:15:46.680589Z"} == moved


def test_an_empty_cell_is_left_out() -> None:
    data = json.loads(sent(table(ROW | {"In": "", "Model": ""})).value)["data"]
    assert data == {"model": {}}


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"T": ""}, "time: no value"),
        ({"T": "yesterday"}, "yesterday"),
        ({"T": "2023-11-16 18:15:46.6805901"}, "2023-11-16"),
        ({"T": "2023-02-30 00:00:00"}, "2023-02-30"),
        ({"Account": ""}, "subject: no value"),
        ({"Model": "\udcff"}, "not UTF-8"),
        ({"Account": "\udcff"}, "not UTF-8"),
        ({"Model": "x" * 1_000_001}, "at most 1000000"),
    ],
)
def test_a_bad_table_row_is_a_fault(cells: dict[str, Any], reason: str) -> None:
    result = table(ROW | cells)
    assert isinstance(result, Fault)
    assert reason in result.reason


def test_a_cloud_event_keeps_its_bytes() -> None:
    raw = (
        b' {"time": "2026-01-02T00:00:00.50+01:00","id":"e","source":"s","type":"t","subject":"a",'
    )
    raw += b'"data":{"n": 1.50, "n": 2}} '
    assert Event("a", parse_instant("2026-01-01T23:00:00.5Z"), raw.strip()) == line(raw)


@pytest.mark.parametrize(
    ("event", "changed"),
    [
        (without("id"), {"id": DIGEST + "-7"}),
        (without("source"), {"source": "drawdown-send/001122334455"}),
        (EVENT | {"time": "2026-01-02 00:00:00"}, {"time": "2026-01-02T00:00:00Z"}),
    ],
)
def test_what_a_cloud_event_lacks_is_filled_in(
    event: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert event | changed == json.loads(sent(line(event)).value)


def test_constants_replace_what_a_cloud_event_says() -> None:
    mapping = parse_mapping([], ["subject=other", "data.region=eu", "data.deep.k:=1"])
    expected = EVENT | {"subject": "other", "data": {"n": 1, "region": "eu", "deep": {"k": 1}}}
    result = sent(line(EVENT, mapping=mapping))
    assert expected == json.loads(result.value)
    assert result.account == "other"


def test_a_line_of_columns_is_mapped() -> None:
    mapping = parse_mapping(["time=at subject=user data.n=count"], ["type=t", "id=x", "source=y"])
    result = sent(line(b'{"at":"2026-01-02T00:00:00Z","user":17,"count":1.50}', mapping=mapping))
    assert result.account == "17"
    assert result.value.endswith(b'"data":{"n":1.50}}')


def test_a_shift_moves_a_cloud_event_and_keeps_its_data() -> None:
    raw = json.dumps(EVENT).replace('{"n": 1}', '{"n": 1.50}').encode()
    value = sent(line(raw, shift=1_000_000)).value
    assert b'"time":"2026-01-02T00:00:01Z"' in value
    assert b'"data":{"n": 1.50}' in value


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "malformed|truncated"),
        (b"[]", "object"),
        (b'{"data":NaN}', "malformed"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "nested too deeply"),
        (json.dumps(without("time")).encode(), "time: no value"),
        (json.dumps(without("type")).encode(), "type: no value"),
        (json.dumps(without("subject")).encode(), "subject: no value"),
        (json.dumps(EVENT | {"subject": 5}).encode(), "subject: expected text"),
        (json.dumps(EVENT | {"time": "soon"}).encode(), "soon"),
    ],
)
def test_a_bad_line_is_a_fault(raw: bytes, reason: str) -> None:
    result = line(raw)
    assert isinstance(result, Fault)
    assert any(part in result.reason for part in reason.split("|")), result.reason
