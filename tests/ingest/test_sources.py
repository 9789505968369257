"""Rows of each format: literal, numbered, and unharmed by bad neighbours."""

import datetime as dt
import io
import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from ingest.encode import Encoder, Event, Fault, Row
from ingest.mapping import EventMapping, parse_mapping
from ingest.sources import Format, Spooled, contents_of, open_source
from schemas.errors import ConfigurationError

CONSTANTS = ("type=t", "subject=acme")


def rows(path: Path, mapping: EventMapping, after: int = 0, shift: int = 0) -> list[Row]:
    source = open_source(path)
    checked = source.checked(mapping)
    encoder = Encoder(checked, source.kind, contents_of(path).digest, shift)
    return list(source.rows(encoder, after))


def data(found: list[Row]) -> list[object]:
    """The data of each event, or the reason of each fault."""
    return [
        json.loads(row.result.value, parse_float=str)["data"]
        if isinstance(row.result, Event)
        else row.result.reason
        for row in found
    ]


def csv_file(folder: Path, content: bytes) -> Path:
    path = folder / "rows.csv"
    path.write_bytes(content)
    return path


def test_csv_cells_are_taken_literally_with_their_quotes_and_newlines(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        b'\xef\xbb\xbfT,V\r\n2026-01-01 00:00:00,"a ""b"", c\r\nd"\r\n\r\n'
        b"2026-01-01 00:00:00, 7 \r\n"
        b"2026-01-01 00:00:00,1.50",
    )
    found = rows(path, parse_mapping(["time=T data.v=V"], CONSTANTS))
    assert data(found) == [{"v": 'a "b", c\r\nd'}, {"v": " 7 "}, {"v": "1.50"}]
    assert [row.number for row in found] == [1, 2, 3]


def test_bad_csv_records_leave_their_neighbours_unharmed(tmp_path: Path) -> None:
    good = b"2026-01-01 00:00:00,1\n"
    bad = [b"2026-01-01 00:00:00\n", b"2026-01-01 00:00:00,1,2\n", b"soon,1\n"]
    bad += [b"2026-01-01 00:00:00,\xff\n", b'2026-01-01 00:00:00,"1"2\n']
    path = csv_file(tmp_path, b"T,V\n" + b"".join(good + line for line in bad) + good)
    found = rows(path, parse_mapping(["time=T data.v=V"], CONSTANTS))
    assert [isinstance(row.result, Event) for row in found] == [True, False] * 5 + [True]
    assert list(range(1, 12)) == [row.number for row in found]
    assert [line.rstrip() for line in bad] == [
        row.raw for row in found if isinstance(row.result, Fault)
    ]


def test_a_quote_that_is_never_closed_is_a_fault(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b'T,V\n2026-01-01 00:00:00,1\n2026-01-01 00:00:00,"2\n')
    found = rows(path, parse_mapping(["time=T data.v=V"], CONSTANTS))
    assert data(found) == [{"v": 1}, "CSV: unexpected end of data"]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"T,V,V\n")
    with pytest.raises(ConfigurationError, match="same name"):
        open_source(path).checked(EventMapping())


def test_json_lines_are_numbered_by_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    event = b'{"time":"2026-01-01T00:00:00Z","type":"t","subject":"a","data":{"n":1}}'
    path.write_bytes(event + b"\n\n{\n" + event + b"\r\n  \n" + event)
    found = rows(path, EventMapping())
    assert [row.number for row in found] == [1, 3, 4, 6]
    assert [isinstance(row.result, Event) for row in found] == [True, False, True, True]


def parquet(folder: Path, **columns: pl.Series) -> Path:
    path = folder / "rows.parquet"
    pl.DataFrame(columns).write_parquet(path)
    return path


def times(count: int, unit: str = "us") -> pl.Series:
    moment = dt.datetime(2026, 1, 1, 0, 0, 0, 250, tzinfo=dt.UTC).replace(tzinfo=None)
    return pl.Series([moment] * count).cast(pl.Datetime(unit))  # type: ignore[arg-type]


def test_parquet_values_keep_every_digit(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        T=times(1),
        d=pl.Series([Decimal("12345678901234567890.123456789")], dtype=pl.Decimal(38, 9)),
        i=pl.Series([2**64 - 1], dtype=pl.UInt64),
        s=pl.Series(["1.50"]),
        b=pl.Series([True]),
        c=pl.Series(["x"], dtype=pl.Categorical),
        f=pl.Series([3.0]),
        at=times(1, "ms"),
        n=pl.Series([None], dtype=pl.Int64),
    )
    mapping = parse_mapping(
        ["time=T", *(f"data.{name}={name}" for name in ("d", "i", "s", "b", "c", "f", "at", "n"))],
        CONSTANTS,
    )
    [row] = rows(path, mapping)
    assert isinstance(row.result, Event)
    assert row.result.value.endswith(
        b'"time":"2026-01-01T00:00:00.00025Z","type":"t","subject":"acme","data":'
        b'{"d":12345678901234567890.123456789,"i":18446744073709551615,"s":"1.50","b":true,'
        b'"c":"x","f":3,"at":"2026-01-01T00:00:00Z"}}'
    )


def test_parquet_rows_that_are_not_exact_are_faults(tmp_path: Path) -> None:
    nanoseconds = pl.Series([1_000, 1_001, 1_000]).cast(pl.Datetime("ns"))
    path = parquet(tmp_path, T=nanoseconds, f=pl.Series([1.0, 2.0, 0.1]))
    found = data(rows(path, parse_mapping(["time=T data.f=f"], CONSTANTS)))
    assert found[:2] == [{"f": 1}, "T: a time finer than microseconds"]
    assert "binary float" in str(found[2])


def test_a_parquet_column_without_an_exact_text_cannot_be_mapped(tmp_path: Path) -> None:
    path = parquet(tmp_path, T=times(1), v=pl.Series([[1]]))
    with pytest.raises(ConfigurationError, match="'v' is a List"):
        open_source(path).checked(parse_mapping(["time=T data.v=v"], CONSTANTS))


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"T,V\n")
    with pytest.raises(ConfigurationError, match=r"rows\.parquet"):
        open_source(path).checked(EventMapping())


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_reading_after_a_row_gives_what_follows_it(tmp_path: Path, form: Format) -> None:
    path = tmp_path / f"rows.{form}"
    moments = [f"2026-01-01T00:00:0{second}Z" for second in range(5)]
    table = pl.DataFrame({"time": moments, "type": "t", "subject": "a", "data.n": range(5)})
    if form == "csv":
        table.write_csv(path)
    elif form == "jsonl":
        table.write_ndjson(path)
    else:
        table.write_parquet(path)
    everything = rows(path, EventMapping())
    assert len(everything) == 5
    for after in range(6):
        assert everything[after:] == rows(path, EventMapping(), after)


def test_ids_derive_from_the_bytes_and_the_row_alone(tmp_path: Path) -> None:
    content = b"T,V\n2026-01-01 00:00:00,1\n2026-01-01 00:00:00,2\n"
    path = csv_file(tmp_path, content)

    def ids(constants: tuple[str, ...] = CONSTANTS, shift: int = 0) -> list[tuple[str, str]]:
        found = rows(path, parse_mapping(["time=T data.v=V"], constants), shift=shift)
        events = [json.loads(row.result.value) for row in found if isinstance(row.result, Event)]
        return [(event["source"], event["id"]) for event in events]

    plain = ids()
    assert len(set(plain)) == 2
    assert plain == ids(shift=86_400_000_000)
    assert plain == ids((*CONSTANTS, "data.region=eu"))
    path.write_bytes(content + b"\n")
    assert not set(plain) & set(ids())


def test_standard_input_is_spooled_and_removed() -> None:
    with Spooled(io.BytesIO(b"one\ntwo\n")) as path:
        assert path.read_bytes() == b"one\ntwo\n"
        assert contents_of(path).lines == 2
    assert not path.exists()


def test_a_file_of_unknown_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_bytes(b"")
    with pytest.raises(ConfigurationError, match="--format"):
        open_source(path)
    with pytest.raises(ConfigurationError, match="not a file"):
        open_source(tmp_path / "absent.csv")
