"""Bodies: every shape and encoding, each event as the bytes that came, nothing beyond its bound."""

import gzip
import json
from http import HTTPStatus

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingest.gateway.body import MOST_EVENTS, Shape, shape_of, split, unpacked
from projections.web.problem import Problem

MOST = 1_000


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("application/cloudevents+json", Shape.ONE),
        ("application/CloudEvents+json; charset=utf-8", Shape.ONE),
        ("application/cloudevents-batch+json", Shape.BATCH),
        (" application/json ", Shape.EITHER),
    ],
)
def test_content_types(text: str, shape: Shape) -> None:
    assert shape_of(text) is shape


@pytest.mark.parametrize("text", ["", "text/plain", "application/x-ndjson"])
def test_other_content_types_are_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        shape_of(text)
    assert caught.value.status is HTTPStatus.UNSUPPORTED_MEDIA_TYPE


@given(st.binary(max_size=MOST))
def test_what_was_packed_is_unpacked(body: bytes) -> None:
    half = len(body) // 2
    assert unpacked(body, "", MOST) == body
    assert unpacked(gzip.compress(body), "gzip", MOST) == body
    assert unpacked(zstandard.compress(body), "zstd", MOST) == body
    members = gzip.compress(body[:half]) + gzip.compress(body[half:])
    assert unpacked(members, "GZIP", MOST) == body
    frames = zstandard.compress(body[:half]) + zstandard.compress(body[half:])
    assert unpacked(frames, "zstd", MOST) == body


@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
def test_a_bomb_is_refused_before_it_is_unpacked(encoding: str) -> None:
    bomb = bytes(50_000_000)
    packed = {"": bomb, "gzip": gzip.compress(bomb), "zstd": zstandard.compress(bomb)}[encoding]
    with pytest.raises(Problem) as caught:
        unpacked(packed, encoding, MOST)
    assert caught.value.status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@given(body=st.binary(max_size=200), cut=st.integers(1, 300))
def test_what_ends_early_is_refused(encoding: str, body: bytes, cut: int) -> None:
    packed = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    with pytest.raises(Problem) as caught:
        unpacked(packed[: max(0, len(packed) - cut)], encoding, MOST)
    assert caught.value.status is HTTPStatus.BAD_REQUEST


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(Problem) as caught:
        unpacked(b"", "br", MOST)
    assert caught.value.status is HTTPStatus.UNSUPPORTED_MEDIA_TYPE


@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers()), max_size=5))
def test_each_event_keeps_its_bytes(events: list[dict[str, int]]) -> None:
    texts = [json.dumps(event, indent=1).encode() for event in events]
    body = b" [ " + b" ,\n".join(texts) + b" ] "
    assert split(body, Shape.BATCH) == texts
    assert split(body, Shape.EITHER) == texts
    for text in texts:
        assert split(text, Shape.ONE) == [text]
        assert split(b"\n" + text, Shape.EITHER) == [text]


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (b"", Shape.EITHER),
        (b"{", Shape.ONE),
        (b"{}", Shape.BATCH),
        (b"[{}", Shape.EITHER),
        (b"{} {}", Shape.ONE),
        (b'"\xff"', Shape.ONE),
        (b"[" * 100_000, Shape.BATCH),
        (b'["\\ud83d",]', Shape.BATCH),
        (b'["\\ud83d"] 1', Shape.BATCH),
        (b'["\\ud83d"],["a"]', Shape.BATCH),
        (b'["\\ud83d', Shape.BATCH),
        (b'["\\ud83d"}', Shape.BATCH),
        (b'["\\ud83d"' + b",1" * 3_000_000, Shape.BATCH),
        (b'["\\ud83d", ' + b"1" * 7_000_000, Shape.BATCH),
    ],
)
def test_what_is_no_json_of_its_shape_is_refused(body: bytes, shape: Shape) -> None:
    with pytest.raises(Problem) as caught:
        split(body, shape)
    assert caught.value.status is HTTPStatus.BAD_REQUEST


_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "bad",
    [rb'{"id": "\ud83d"}', b'{"id": "\xff"}', b"[" * 2_000 + b"]" * 2_000, b"{'id': 1}", b"1 2"],
    ids=["half a pair", "no UTF-8", "too deep", "no JSON", "two"],
)
@given(good=st.lists(_JSON, max_size=4), at=st.integers(0, 4), shown=st.booleans())
def test_an_event_that_is_no_json_leaves_its_batch_whole(
    bad: bytes, good: list[object], at: int, *, shown: bool
) -> None:
    events = [json.dumps(each, ensure_ascii=not shown).encode() for each in good]
    events.insert(at, bad)
    assert split(b" [ " + b" ,\n".join(events) + b" ] ", Shape.EITHER) == events


def test_too_many_events_are_refused() -> None:
    assert len(split(b"[" + b",".join([b"{}"] * MOST_EVENTS) + b"]", Shape.BATCH)) == MOST_EVENTS
    with pytest.raises(Problem) as caught:
        split(b"[" + b",".join([b"{}"] * (MOST_EVENTS + 1)) + b"]", Shape.BATCH)
    assert caught.value.status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE
