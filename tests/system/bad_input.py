"""Every kind of bad input, with where it must end, and what only just is allowed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from projections.fold.log import Headers
from schemas.rejected import REASON_HEADER
from schemas.times import DAY, format_instant
from schemas.topics import CATALOG, CREDITS, MAX_INPUT_BYTES, REJECTED, UNRATED, Topic
from tests.system.pipeline import Pipeline

ACCOUNT: Final = "acme"
ISSUED: Final = 1_000_000


@dataclass(frozen=True)
class Bad:
    """A record, the account it is keyed by, its reason, and the stage that finds it."""

    name: str
    value: bytes
    reason: str
    stage: str = "admission"
    ends_in: Topic = REJECTED
    account: str = ACCOUNT


def check_where_each_ended(pipeline: Pipeline, bad: list[Bad]) -> None:
    """One record in one topic, with the reason and the bytes; nothing else is there.

    Every partition reads the catalog and refuses for itself: repeats are dropped by their place.
    """
    for topic in (REJECTED, UNRATED):
        records = pipeline.records(topic)
        copies = [(place_of(found), reason_of(found), value) for _, _, value, _, found in records]
        found = [(reason, value) for _, reason, value in dict.fromkeys(copies)]
        for each in bad:
            wanted = 1 if each.ends_in is topic else 0
            places = [reason for reason, value in found if is_same(each, value)]
            assert places == [each.reason] * wanted, (each.name, topic.name, places)
        assert len(found) == sum(each.ends_in is topic for each in bad), topic.name


def is_same(bad: Bad, value: bytes) -> bool:
    """Admission keeps the record as it came; rating knows the event, and `data` as it came."""
    if bad.stage == "admission" or bad.value == value:
        return bad.value == value
    sent = json.loads(bad.value)
    try:
        got = json.loads(value)
    except (ValueError, RecursionError):
        return False
    if not isinstance(got, dict) or got.get("id") != sent.get("id"):
        return False
    return value.partition(b'"data":')[2] == bad.value.partition(b'"data":')[2]


def place_of(headers: Headers) -> tuple[bytes | None, ...]:
    """Topic, partition and offset that a refused record came from."""
    named = dict(headers)
    return tuple(named[f"__connect.errors.{part}"] for part in ("topic", "partition", "offset"))


def reason_of(headers: Headers) -> str:
    """The reason code of a refused record."""
    reasons = [(text or b"").decode() for name, text in headers if name == REASON_HEADER]
    assert len(reasons) == 1, headers
    return reasons[0]


def event(now: int, name: str, tokens: object = 1, **changes: object) -> bytes:
    """A CloudEvent; a change to None leaves the attribute out."""
    fields: dict[str, Any] = {
        "specversion": "1.0",
        "id": name,
        "source": "test",
        "type": "llm.request",
        "subject": ACCOUNT,
        "time": format_instant(now),
        **changes,
        "data": {"tokens": tokens},
    }
    left = {key: value for key, value in fields.items() if value is not None}
    return json.dumps(left, separators=(",", ":"), ensure_ascii=False).encode()


def with_data(now: int, name: str, data: bytes) -> bytes:
    """A CloudEvent with just these bytes as `data`."""
    return event(now, name, "HERE").replace(b'{"tokens":"HERE"}', data)


def padded(now: int, name: str, size: int) -> bytes:
    """A CloudEvent of one token in exactly `size` bytes."""
    bare = with_data(now, name, b'{"tokens":1,"note":""}')
    note = b"x" * (size - len(bare))
    return with_data(now, name, b'{"tokens":1,"note":"' + note + b'"}')


def nested(now: int, name: str, depth: int) -> bytes:
    """A CloudEvent of one token whose brackets nest `depth` deep, envelope and data with it."""
    inner = b"[" * (depth - 2) + b"]" * (depth - 2)
    return with_data(now, name, b'{"tokens":1,"deep":' + inner + b"}")


def good_at_the_edge(now: int) -> list[bytes]:
    """What only just is allowed: of one token each."""
    pretty = json.dumps(json.loads(event(now, "pretty")), indent=2).replace("\n", "\r\n").encode()
    return [
        padded(now, "largest", MAX_INPUT_BYTES),
        nested(now, "deepest", 64),
        pretty,
        with_data(now, "escaped", b'{"tokens":1,"note":"line\\nline \\u0000 \\ud83d\\ude00"}'),
        with_data(now, "as-text", b'{"tokens":"1.000"}'),
        with_data(now, "exponent", b'{"tokens":1e0}'),
        event(now, "late", time=format_instant(now - 2 * DAY)),
    ]


def bad_usage(now: int) -> list[Bad]:
    """Every kind of bad usage; "kept" is the id of an event that came before."""
    good = event(now, "g")
    return [
        Bad("empty", b"", "malformed_json"),
        Bad("cut off", good[:-10], "malformed_json"),
        Bad("not JSON", b"GET / HTTP/1.1\r\n\r\n", "malformed_json"),
        Bad("trailing comma", good[:-1] + b",}", "malformed_json"),
        Bad("two in one record", event(now, "n1") + b"\n" + event(now, "n2"), "malformed_json"),
        Bad("a line break in a string", event(now, "a@b").replace(b"@", b"\n"), "malformed_json"),
        Bad("NaN", with_data(now, "nan", b'{"tokens":NaN}'), "malformed_json"),
        Bad("Infinity", with_data(now, "inf", b'{"tokens":-Infinity}'), "malformed_json"),
        Bad("not UTF-8", event(now, "u@").replace(b"@", b"\xc3\x28"), "not_utf8"),
        Bad("UTF-16", good.decode().encode("utf-16"), "not_utf8"),
        Bad("a lone surrogate", event(now, "s@").replace(b"@", b"\xed\xa0\x80"), "not_utf8"),
        Bad("10,000 deep", nested(now, "deep", 10_000), "too_deep"),
        Bad("10,000 deep, never closed", b"[" * 10_000, "too_deep"),
        Bad("65 deep", nested(now, "65", 65), "too_deep"),
        Bad("1 MB and a byte", padded(now, "large", MAX_INPUT_BYTES + 1), "too_large"),
        Bad("an array", b"[" + good + b"]", "invalid_envelope"),
        Bad("a number", b"42", "invalid_envelope"),
        Bad("null", b"null", "invalid_envelope"),
        Bad("no id", event(now, "x", id=None), "invalid_envelope"),
        Bad("no subject", event(now, "no-subject", subject=None), "invalid_envelope"),
        Bad("no time", event(now, "no-time", time=None), "invalid_envelope"),
        Bad("subject is a number", event(now, "sn", subject=5), "invalid_envelope"),
        Bad("subject is no account id", event(now, "sl", subject="a b"), "invalid_envelope"),
        Bad("source is a structure", event(now, "ss", source={"a": 1}), "invalid_envelope"),
        Bad("time is a number", event(now, "tn", time=now), "invalid_envelope"),
        Bad("time is no instant", event(now, "ti", time="yesterday"), "invalid_envelope"),
        Bad("time after 2200", event(now, "t9", time="9999-12-31T23:59:59Z"), "invalid_envelope"),
        Bad("id of 257 characters", event(now, "i" * 257), "invalid_envelope"),
        Bad("another specversion", event(now, "sv", specversion="0.3"), "unsupported"),
        Bad("far past", event(now, "past", time="1970-01-01T00:00:00Z"), "too_old"),
        Bad("far future", event(now, "future", time="2099-12-31T23:59:59Z"), "too_early"),
        Bad("a repeat", event(now, "kept"), "duplicate"),
        Bad("the id of another", event(now, "kept", tokens=2), "conflict"),
        Bad("negative", event(now, "neg", tokens=-5), "negative_quantity"),
        Bad("negative text", event(now, "neg2", tokens="-0.5"), "negative_quantity"),
        *(
            Bad(f"tokens {raw!r}", with_data(now, f"b{index}", raw), "bad_value", "rating", UNRATED)
            for index, raw in enumerate(
                (
                    b'{"tokens":1e400}',
                    b'{"tokens":"NaN"}',
                    b'{"tokens":"nine"}',
                    b'{"tokens":true}',
                    b'{"tokens":[1]}',
                    b'{"tokens":null}',
                    b'{"token":1}',
                    b'{"tokens":0.0000000001}',
                    b'{"tokens":1000000000000000001}',
                    b'"text"',
                )
            )
        ),
        Bad(
            "unknown account",
            event(now, "ua", subject="nobody"),
            "unknown_account",
            "rating",
            UNRATED,
            "nobody",
        ),
        Bad("unknown type", event(now, "ut", type="page.view"), "no_product", "rating", UNRATED),
    ]


def bad_documents(now: int) -> list[tuple[Bad, Topic]]:
    """Documents that are wrong, and the topic they are sent to."""
    grant = {
        "kind": "Grant",
        "id": "g",
        "type": "prepaid",
        "amount": "1",
        "effective_at": format_instant(now),
    }

    def credit(name: str, fields: Mapping[str, object], reason: str, stage: str) -> Bad:
        return Bad(name, json.dumps(fields).encode(), reason, stage)

    return [
        (Bad("document cut off", b'{"kind":"Grant"', "malformed_json"), CREDITS),
        (credit("of no kind", {"kind": "Gift"}, "unknown_kind", "admission"), CREDITS),
        (
            credit(
                "a negative grant",
                {**grant, "account": ACCOUNT, "amount": "-1"},
                "invalid_document",
                "admission",
            ),
            CREDITS,
        ),
        (Bad("a catalog of NaN", b'{"kind":"Product","id":NaN}', "malformed_json"), CATALOG),
    ]


def catalog(now: int) -> list[dict[str, object]]:
    """One credit a token."""
    since = format_instant(now - 10 * DAY)
    meter = {"event_type": "llm.request", "aggregation": "sum", "value": "tokens"}
    rate = {"product": "tokens", "price": {"model": "unit", "unit_price": "1"}}
    version = {"version": 1, "effective_from": since, "rates": [rate]}
    grant = {"account": ACCOUNT, "type": "prepaid", "amount": str(ISSUED), "effective_at": since}
    return [
        {"kind": "Product", "id": "tokens", "meter": meter},
        {"kind": "RateCard", "id": "standard", "versions": [version]},
        {"kind": "Account", "id": ACCOUNT, "rate_card": "standard"},
        {"kind": "Grant", "id": "prepaid", **grant},
    ]
