"""The merge keeps each source's order and lets nothing overtake; frames lose nothing."""

import json
from collections.abc import Iterator
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.admission.batch import (
    MOST_BYTES,
    MOST_RECORDS,
    Claim,
    Stretch,
    cut,
    examined,
    settle,
    settle_backfills,
)
from processors.admission.buffer import Buffer
from processors.admission.claims import CLAIMED, DUPLICATE, generations, pack
from processors.admission.control import Control
from processors.admission.examine import KIND_HEADER, TICK_KIND, Examiner
from processors.admission.fingerprint import (
    CONTENT_BYTES,
    KEY_BYTES,
    content_digest,
    key_digest,
)
from processors.admission.merge import Buffered, Run, interleave, writable
from processors.admission.owned import first
from processors.admission.record import RawRecord, columns_of
from processors.admission.sequence import frame
from processors.admission.window import Window
from schemas.envelope import Usage
from schemas.frames import JournalKind, Source, Vector, decode_journal
from schemas.reasons import Reason, Refusal
from tests.processors.admission import DAY, MINUTE, NOW, event, record

LOGS = st.lists(st.lists(st.integers(0, 12), max_size=12), min_size=3, max_size=3)


def plain(buffers: list[Buffered], asked: int) -> list[tuple[int, int, int]]:
    """The rule as it is written, record by record: (time, source, index) in order."""
    chosen = []
    for source, buffer in enumerate(buffers):
        for index, time in enumerate(buffer.times):
            others = [
                other.at_end or other.last > time or (other.last == time and source < place)
                for place, other in enumerate(buffers)
                if place != source
            ]
            if time > asked or not all(others):
                break
            chosen.append((time, source, index))
    return sorted(chosen)


@given(
    LOGS, st.lists(st.booleans(), min_size=3, max_size=3), st.integers(0, 12), st.integers(0, 40)
)
def test_the_merge_is_the_plain_rule_for_any_logs(
    logs: list[list[int]], ends: list[bool], asked: int, most: int
) -> None:
    times = [list(accumulate(log, max)) for log in logs]
    buffers = [
        Buffered(each, each[-1] if each else 0, end) for each, end in zip(times, ends, strict=True)
    ]
    runs = interleave(buffers, writable(buffers, asked))
    order = [
        (times[source][index], int(source), index)
        for source, start, stop in runs
        for index in range(start, stop)
    ]
    assert plain(buffers, asked) == order
    cut = [(s, i) for s, start, stop in first(runs, most) for i in range(start, stop)]
    assert [(s, i) for _, s, i in order][:most] == cut


@given(LOGS, st.data())
def test_however_the_logs_are_read_no_record_overtakes_an_earlier_one(
    logs: list[list[int]], data: st.DataObject
) -> None:
    stamps = [list(accumulate(log, max)) for log in logs]
    read, done, written = [0, 0, 0], [0, 0, 0], list[tuple[int, int]]()
    for _ in range(60):
        asked = max((stamps[s][read[s] - 1] for s in range(3) if read[s] > done[s]), default=0)
        for source in range(3):
            more = data.draw(st.integers(0, 3))
            read[source] = min(len(stamps[source]), read[source] + more)
        buffers = [
            Buffered(
                stamps[s][done[s] : read[s]],
                stamps[s][read[s] - 1] if read[s] else 0,
                read[s] == len(stamps[s]),
            )
            for s in range(3)
        ]
        for source, start, stop in interleave(buffers, writable(buffers, asked)):
            written += [(stamps[source][done[source] + i], int(source)) for i in range(start, stop)]
        counts = writable(buffers, asked)
        done = [at + count for at, count in zip(done, counts, strict=True)]
    assert sorted(written) == written


def test_a_source_that_more_comes_to_all_the_time_is_not_waited_for() -> None:
    """It is seldom at its end, and each wait for that held up all other sources, and itself."""
    credits_, catalog = Buffer(0), Buffer(0)
    catalog.reached(1)
    control = Control.__new__(Control)  # without its consumer
    control._catalog, control._credits = "catalog", "credits"
    control._owned, control._paused = {0: (catalog, credits_)}, set()
    ends = {("credits", 0): 5, ("catalog", 0): 1}
    behind = []
    for count in (4, 5, 6):  # at five the broker may have told of a part of its last batch only
        credits_.extend(columns_of([record(b"{}", offset) for offset in range(count)]))
        behind.append(control._behind(ends))
    assert behind == [True, True, False]
    assert not credits_.at_end(5)
    assert control._behind({**ends, ("credits", 0): 6})
    credits_.reached(6)
    assert not control._behind({**ends, ("credits", 0): 6})
    assert control._behind({**ends, ("catalog", 0): 2})


@given(st.lists(st.integers(0, 50)).map(sorted), st.integers(1, 20))
def test_stretches_of_one_generation_cover_all_in_order(clocks: list[int], width: int) -> None:
    found = list(generations(clocks, width))
    assert list(range(len(clocks))) == [i for _, a, b in found for i in range(a, b)]
    assert all(clock // width == g for g, a, b in found for clock in clocks[a:b])


def buffered(*logs: list[RawRecord]) -> tuple[Buffer, Buffer, Buffer]:
    """Buffers of the catalog, credits and usage that were read."""
    buffers = (Buffer(0), Buffer(0), Buffer(0))
    for buffer, log in zip(buffers, logs, strict=True):
        buffer.extend(columns_of(log))
    return buffers


def stretches(
    buffers: tuple[Buffer, Buffer, Buffer],
    runs: list[Run],
    after: Vector = (0, 0, 0),
    width: int = 3 * DAY,
) -> Iterator[Stretch]:
    """Stretch after stretch, as the writer examines them."""
    examiner, clock = Examiner(0, 1, Window(3 * DAY, 5 * MINUTE)), 0
    for piece in cut(runs, buffers):
        stretch = examined(examiner, piece, buffers, after, clock, width)
        yield stretch
        after, clock = stretch.upto, stretch.clock


def of_usage(values: list[bytes]) -> tuple[Buffer, list[Stretch]]:
    """The stretches of usage records, each a microsecond after the one before."""
    records = [record(value, offset, NOW + offset) for offset, value in enumerate(values)]
    buffers = buffered([], [], records)
    runs = [Run(Source.USAGE, 0, len(records))] if records else []
    return buffers[Source.USAGE], list(stretches(buffers, runs))


@given(st.lists(st.sampled_from([event(), b"{", event(id="big", data="x" * 900_000)]), max_size=20))
def test_frames_continue_each_other_and_hold_every_record_once(values: list[bytes]) -> None:
    after, seen = (0, 0, 0), list[int]()
    for stretch in of_usage(values)[1]:
        value = frame(stretch)
        built = decode_journal(value)
        assert after == built.header.after
        after = built.header.upto
        refused = [offset for _, offset, _ in built.header.refused]
        seen += sorted([*built.rows["offset"], *refused])
        assert len(value) < 4_000_000
    assert list(range(len(values))) == seen
    assert (0, 0, len(values)) == after


def test_a_stretch_holds_at_most_the_records_it_may_and_its_clock() -> None:
    _, found = of_usage([event()] * (MOST_RECORDS + 1))
    assert [stretch.usage.height for stretch in found] == [MOST_RECORDS, 1]
    assert [stretch.clock for stretch in found] == [NOW + MOST_RECORDS - 1, NOW + MOST_RECORDS]


@given(
    st.lists(st.sampled_from([0, 10, MOST_BYTES // 3, MOST_BYTES, MOST_BYTES + 1]), max_size=12),
    st.lists(st.integers(0, 12), max_size=3),
)
def test_cuts_keep_the_order_and_the_bounds(sizes: list[int], at: list[int]) -> None:
    records = [record(b"x" * size, offset) for offset, size in enumerate(sizes)]
    buffers = buffered([], [], records)
    edges = sorted({0, len(sizes), *(edge for edge in at if edge < len(sizes))})
    runs = [Run(Source.USAGE, a, b) for a, b in pairwise(edges)]
    pieces = list(cut(runs, buffers))
    assert [i for piece in pieces for _, a, b in piece for i in range(a, b)] == [*range(len(sizes))]
    weights = [sum(sum(sizes[a:b]) for _, a, b in piece) for piece in pieces]
    counts = [sum(b - a for _, a, b in piece) for piece in pieces]
    assert all(w <= MOST_BYTES or n == 1 for w, n in zip(weights, counts, strict=True))
    follows = [sizes[piece[0].start] for piece in pieces[1:]]
    assert all(w + n > MOST_BYTES for w, n in zip(weights[:-1], follows, strict=True))


def test_a_stretch_with_nothing_accepted_still_writes_its_frame() -> None:
    (stretch,) = of_usage([b"{", b"}"])[1]
    built = decode_journal(frame(stretch))
    malformed = str(Reason.MALFORMED_JSON)
    assert [(2, 0, malformed), (2, 1, malformed)] == built.header.refused
    assert built.rows.height == 0


def test_a_row_carries_the_event() -> None:
    (stretch,) = of_usage([event(contract="k1"), event()])[1]
    named, plain = decode_journal(frame(stretch)).rows.rows()
    kind = int(JournalKind.USAGE)
    assert (kind, 0, NOW, "acme", "api", "e1", "api.call", NOW, "k1", b'{"n": 1}') == named
    assert plain[8] is None


def test_rows_stand_in_merged_order_however_they_were_examined() -> None:
    """Ticks, documents, usage read at once and usage read slowly, each in its place."""
    account = json.dumps({"kind": "Account", "id": "acme", "rate_card": "r"}).encode()
    tick = record(b"", 1, NOW, [(KIND_HEADER, TICK_KIND)])
    slow = record(event(id="slow", traceid="another attribute"), 2)
    usage = [record(event(id="a")), tick, slow, record(event(id="b"), 3)]
    runs = [Run(Source.USAGE, 0, 2), Run(Source.CREDITS, 0, 1), Run(Source.USAGE, 2, 4)]
    (stretch,) = stretches(buffered([], [record(account)], usage), runs)
    rows = decode_journal(frame(stretch)).rows
    kinds = [JournalKind.USAGE, JournalKind.TICK, JournalKind.CREDITS, *[JournalKind.USAGE] * 2]
    assert list(rows["kind"]) == [int(kind) for kind in kinds]
    assert list(rows["id"]) == ["a", None, None, "slow", "b"]
    assert list(rows["offset"]) == [0, 1, 0, 2, 3]


def test_claims_span_refused_records_and_what_was_claimed_before_is_refused() -> None:
    usage, (stretch,) = of_usage([event(), b"{", event(), b"}"])
    (claim,) = stretch.claims
    assert claim[:3] == (0, 4, NOW // (3 * DAY))
    assert len(claim.items) == 2
    settle(stretch, [bytes((CLAIMED, DUPLICATE))], usage)
    assert list(stretch.usage["offset"]) == [0]
    found = {each.record.offset: each.why.reason for each in stretch.refused}
    malformed = Reason.MALFORMED_JSON
    assert found == {1: malformed, 2: Reason.DUPLICATE, 3: malformed}
    assert [offset for _, offset, _ in decode_journal(frame(stretch)).header.refused] == [1, 2, 3]


def test_a_backfill_is_refused_for_usage_before_it_wherever_the_log_is_cut() -> None:
    """Credits.md 9.5: deduplicated by the same key. Usage behind it is rating's to refuse."""
    command = {"kind": "backfill", "id": "b1", "account": "acme", "event": event().decode()}
    value = json.dumps(command).encode()
    usage = [record(event(id=name), offset, NOW + offset) for offset, name in enumerate("ab")]
    usage.append(record(event(), 2, NOW + 2))
    credits_ = [record(value, offset, NOW + offset) for offset in range(2)]
    buffers = buffered([], credits_, usage)
    runs = [(Source.USAGE, 0, 1), (Source.CREDITS, 0, 1), (Source.USAGE, 1, 3)]
    runs.append((Source.CREDITS, 1, 2))
    places = [Run(*run) for run in runs]
    examiner, width = Examiner(0, 1, Window(3 * DAY, 5 * MINUTE)), 3 * DAY
    generation, key = NOW // width, key_digest("acme", "api", "e1")
    content = content_digest("api.call", b'{"n": 1}')
    items = [pack(key, before, content) for before in (1, 3)]
    for cuts in ([places], [places[:1], places[1:]], [[run] for run in places]):
        after, clock, sought = (0, 0, 0), 0, []
        for piece in cuts:
            stretch = examined(examiner, piece, buffers, after, clock, width)
            after, clock = stretch.upto, stretch.clock
            sought += [(each.generation, each.item) for each in stretch.sought]
        assert sought == [(generation, item) for item in items]
    stretch = examined(examiner, places, buffers, (0, 0, 0), 0, width)
    settle(stretch, [bytes((CLAIMED,) * 3)], buffers[Source.USAGE])
    settle_backfills(stretch, bytes((CLAIMED, DUPLICATE)))
    built = decode_journal(frame(stretch))
    duplicate = str(Reason.DUPLICATE)
    assert built.header.refused == [(int(Source.CREDITS), 1, duplicate)]
    credits_kind = int(JournalKind.CREDITS)
    assert [tuple(row) for row in built.rows.select("kind", "offset").rows()] == [
        (int(JournalKind.USAGE), 0),
        (credits_kind, 0),
        (int(JournalKind.USAGE), 1),
        (int(JournalKind.USAGE), 2),
    ]


def test_the_contract_is_part_of_what_is_claimed() -> None:
    (stretch,) = of_usage([event(), event(contract="k1")])[1]
    unnamed, named = stretch.claims[0].items
    assert unnamed[:KEY_BYTES] == named[:KEY_BYTES]
    assert unnamed[-CONTENT_BYTES:] != named[-CONTENT_BYTES:]


def test_a_stretch_that_crosses_a_generation_is_claimed_in_two_calls() -> None:
    records = [record(event(id=str(i)), i, NOW + i) for i in range(4)]
    runs = [Run(Source.USAGE, 0, 4)]
    width = NOW + 2
    (stretch,) = stretches(buffered([], [], records), runs, width=width)
    whole = next(stretches(buffered([], [], records), runs)).claims[0].items
    assert stretch.claims == [Claim(0, 2, 0, whole[:2]), Claim(2, 4, 1, whole[2:])]


def product(value: str, **more: object) -> bytes:
    meter = {"event_type": "api.call", "aggregation": "sum", "value": value} | more
    return json.dumps({"kind": "Product", "id": "calls", "meter": meter}).encode()


@pytest.mark.parametrize(
    ("meter", "data", "refused"),
    [
        ({"aggregation": "max"}, {"n": -1}, True),
        ({"aggregation": "unique"}, {"n": -1}, False),
        ({"filter": {"team": "a"}}, {"n": -1, "team": "a"}, True),
        ({"filter": {"team": "a"}}, {"n": -1, "team": "b"}, False),
        ({"filter": {"team": "a"}}, {"n": -1}, False),
        ({"filter": {"beta.on": "true"}}, {"n": "-1", "beta": {"on": True}}, True),
    ],
)
def test_a_negative_value_counts_where_a_meter_takes_the_event_and_measures_it(
    meter: dict[str, object], data: dict[str, object], refused: bool
) -> None:
    examiner = Examiner(0, 1, Window(3 * DAY, 5 * MINUTE))
    examiner.catch_up([record(product("n", **meter))], 1)
    assert isinstance(examiner.usage(record(event(data=data))), Refusal) == refused


def test_a_product_counts_from_its_place_in_the_merge_and_a_refused_one_never() -> None:
    """The second product would change the first one's value: it is a conflict in rating."""
    catalog = [record(product("n"), 0), record(product("other"), 1)]
    usage = [record(event(data={"n": -1, "other": 1}), offset) for offset in range(2)]
    usage.append(record(event(data={"n": 1, "other": -1}), 2))
    runs = [
        Run(Source.USAGE, 0, 1),
        Run(Source.CATALOG, 0, 1),
        Run(Source.USAGE, 1, 2),
        Run(Source.CATALOG, 1, 2),
        Run(Source.USAGE, 2, 3),
    ]
    (stretch,) = stretches(buffered(catalog, [], usage), runs)
    assert list(stretch.usage["offset"]) == [0, 2]
    (refused,) = stretch.refused
    assert (refused.record.offset, refused.at) == (1, 2)
    assert (refused.why.reason, refused.why.path) == (Reason.NEGATIVE_QUANTITY, "data.n")


def test_a_successor_knows_what_was_metered_below_its_vector_and_no_more() -> None:
    log = [record(product("n"), 3), record(b"{", 4), record(product("n"), 5)]
    negative = record(event(data={"n": "-0.5"}))
    examiner = Examiner(0, 1, Window(3 * DAY, 5 * MINUTE))
    examiner.catch_up(log, 3)
    assert isinstance(examiner.usage(negative), Usage)
    examiner.catch_up(log, 5)
    refusal = examiner.usage(negative)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == Reason.NEGATIVE_QUANTITY
    assert isinstance(examiner.usage(record(event(data={"n": "-0"}))), Usage)
