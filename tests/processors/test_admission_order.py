"""The merge keeps each source's order and lets nothing overtake; frames lose nothing."""

import json
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.admission.batch import examined, settle, stretches
from processors.admission.claims import DUPLICATE, generations
from processors.admission.envelope import Usage
from processors.admission.examine import Examiner
from processors.admission.fingerprint import CONTENT_BYTES, KEY_BYTES
from processors.admission.merge import Buffered, Run, interleave, writable
from processors.admission.owned import first
from processors.admission.sequence import MOST_RECORDS, Entry, frames
from processors.admission.window import Window
from schemas.frames import JournalKind, Source, decode_journal
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


@given(st.lists(st.integers(0, 50)).map(sorted), st.integers(1, 20))
def test_stretches_of_one_generation_cover_all_in_order(clocks: list[int], width: int) -> None:
    found = list(generations(clocks, width))
    assert list(range(len(clocks))) == [i for _, a, b in found for i in range(a, b)]
    assert all(clock // width == g for g, a, b in found for clock in clocks[a:b])


def entries(values: list[bytes]) -> list[Entry]:
    examiner = Examiner(0, 1, Window(3 * DAY, 5 * MINUTE))
    records = [record(value, offset, NOW + offset) for offset, value in enumerate(values)]
    return examined(examiner, [Run(Source.USAGE, 0, len(records))], [[], [], records])


@given(st.lists(st.sampled_from([event(), b"{", event(id="big", data="x" * 900_000)]), max_size=20))
def test_frames_continue_each_other_and_hold_every_record_once(values: list[bytes]) -> None:
    batch = entries(values)
    after, seen = (3, 4, 0), list[int]()
    for built in frames(after, 0, batch):
        frame = decode_journal(built.value)
        assert after == frame.header.after
        after = frame.header.upto
        assert after == built.upto
        refused = [offset for _, offset, _ in frame.header.refused]
        seen += sorted([*frame.rows["offset"], *refused])
        assert len(built.value) < 4_000_000
    assert list(range(len(values))) == seen
    assert (3, 4, len(values)) == after


def test_a_frame_holds_at_most_the_records_it_may_and_its_clock() -> None:
    batch = entries([event()] * (MOST_RECORDS + 1))
    built = list(frames((0, 0, 0), 0, batch))
    assert [frame.accepted for frame in built] == [MOST_RECORDS, 1]
    assert [frame.clock for frame in built] == [NOW + MOST_RECORDS - 1, NOW + MOST_RECORDS]


def test_a_batch_with_nothing_accepted_still_writes_its_frame() -> None:
    (built,) = frames((0, 0, 0), 0, entries([b"{", b"}"]))
    frame = decode_journal(built.value)
    malformed = str(Reason.MALFORMED_JSON)
    assert [(2, 0, malformed), (2, 1, malformed)] == frame.header.refused
    assert frame.rows.height == 0


def test_a_row_carries_the_event() -> None:
    (built,) = frames((0, 0, 0), 0, entries([event(contract="k1"), event()]))
    named, plain = decode_journal(built.value).rows.rows()
    kind = int(JournalKind.USAGE)
    assert (kind, 0, NOW, "acme", "api", "e1", "api.call", NOW, "k1", b'{"n": 1}') == named
    assert plain[8] is None


def test_claims_span_refused_records_and_what_was_claimed_before_is_refused() -> None:
    batch = entries([event(), b"{", event(), b"}"])
    (stretch,) = stretches(batch, 0, 0, 3 * DAY)
    assert stretch[:4] == (0, 4, NOW // (3 * DAY), [0, 2])
    settle(batch, stretch, bytes((ord("0"), DUPLICATE)))
    assert isinstance(batch[0].outcome, Usage)
    assert isinstance(batch[2].outcome, Refusal)
    assert batch[2].outcome.reason == Reason.DUPLICATE


def test_the_contract_is_part_of_what_is_claimed() -> None:
    (stretch,) = stretches(entries([event(), event(contract="k1")]), 0, 0, 3 * DAY)
    unnamed, named = stretch.items
    assert unnamed[:KEY_BYTES] == named[:KEY_BYTES]
    assert unnamed[-CONTENT_BYTES:] != named[-CONTENT_BYTES:]


def test_a_batch_that_crosses_a_generation_is_claimed_in_two_calls() -> None:
    batch = entries([event()] * 4)
    edge = (NOW + 1) // 2 * 2
    found = list(stretches(batch, 0, 0, edge // 2 or 1))
    assert [s.stop for s in found[:-1]] == [s.start for s in found[1:]]
    assert (found[0].start, found[-1].stop) == (0, 4)


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
    examiner = Examiner(0, 1, Window(3 * DAY, 5 * MINUTE))
    before, _, after, _, last = examined(examiner, runs, [catalog, [], usage])
    assert isinstance(before.outcome, Usage)
    assert isinstance(last.outcome, Usage)
    assert isinstance(after.outcome, Refusal)
    assert (after.outcome.reason, after.outcome.path) == (Reason.NEGATIVE_QUANTITY, "data.n")


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
