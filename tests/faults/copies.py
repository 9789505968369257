"""The same event again: a thousand times, nearly always, late, and elsewhere."""

import heapq
import time
from typing import Final

from ingest import Producer
from schemas.times import SECOND
from tests.faults.flow import Flow
from tests.faults.plain import Plain, names
from tests.faults.proof import expected, prove
from tests.faults.scenario import Outcome, Run, scenario
from tests.faults.waiting import POLL_SECONDS, advanced, pause, until
from tests.system.pipeline import Pipeline
from tests.system.traffic import Traffic

COPIES: Final = 1_000
PATIENCE_SECONDS: Final = 120
PARTITIONS: Final = 4


@scenario("1,000 copies", "one event a thousand times, admission killed among them", quick=False)
def thousand_copies(run: Run) -> Outcome:
    """Bursts of copies with other traffic between, so that they meet every way of cutting it."""
    rng, now = run.random("copies"), time.time_ns() // 1_000
    plain = Plain(["acme", "other"], now)
    value = plain.event("acme", "the-one", 7, now)
    recoveries: list[float] = []
    sent = others = 0
    with run.pipeline() as pipeline, _producer(pipeline) as producer:
        pipeline.apply(plain.documents())
        while sent < COPIES:
            for _ in range(min(rng.choice((1, 5, 50)), COPIES - sent)):
                producer.send_encoded("acme", value)
                sent += 1
            for owner in ("acme", "other"):
                others += 1
                producer.send_encoded(owner, plain.event(owner, f"e{others}", 3, now))
            producer.poll()
            pause(pipeline, POLL_SECONDS)
            if len(recoveries) < sent * 3 // COPIES:
                run.progress(f"{sent} copies")
                recoveries.append(_kill_admission(pipeline))
        producer.flush()
        wanted = plain.expected(accepted=1 + others, duplicate=COPIES - 1)
        differences = prove(pipeline, wanted, run.seed)
    note = f"{len(recoveries)} kills of admission"
    return Outcome(COPIES, COPIES + others, recoveries, differences, note)


@scenario("90 % duplicates", "of ten records nine repeat another, with kills", quick=False)
def mostly_duplicates(run: Run) -> Outcome:
    """For minutes; quick: for seconds."""
    seconds, rate = run.pick(180, 10), run.pick(3_000, 1_500)
    now = time.time_ns() // 1_000
    traffic = Traffic(seconds * rate, run.seed, now, duplicates=0.9)
    recoveries = []
    with run.pipeline() as pipeline:
        pipeline.apply(traffic.documents())
        with Flow(pipeline, traffic, rate) as flow:
            while not flow.ended:
                pause(pipeline, seconds / 6)
                run.progress(f"{flow.sent:,} of {traffic.count:,}")
                recoveries.append(_kill_admission(pipeline))
        differences = prove(pipeline, expected(traffic, flow.sent), run.seed)
    note = f"{len(recoveries)} kills of admission"
    return Outcome(traffic.repeats, flow.sent, recoveries, differences, note)


@scenario(
    "duplicates across generations",
    "copies sent over the edges of generations of claims",
    quick=False,
)
def across_generations(run: Run) -> Outcome:
    """A short dedupe window. A copy within it is a duplicate; one of after it is too old.

    Between three quarters of the window and one and a half nothing is sent: there the outcome may
    be either, by how long a record was under way.
    """
    seconds, rounds = run.pick(30, 12), run.pick(6, 2)
    window = seconds * SECOND
    rng, accounts = run.random("generations"), ["acme", "other", "third"]
    plain = Plain(accounts, time.time_ns() // 1_000)
    due: list[tuple[int, int, str, bytes]] = []
    sent = late = crossed = repeats = 0
    recoveries: list[float] = []
    span = f"PT{seconds}S"
    with (
        run.pipeline(max_event_age=span, dedupe_window=span) as pipeline,
        _producer(pipeline) as producer,
    ):
        pipeline.apply(plain.documents())
        ends = time.time_ns() // 1_000 + rounds * window
        while (now := time.time_ns() // 1_000) < ends or due:
            while due and due[0][0] <= now:
                at, made, account, value = heapq.heappop(due)
                if now - at > window // 8:
                    continue  # too late to know what becomes of it
                producer.send_encoded(account, value)
                repeats, late = repeats + (at - made < window), late + (at - made > window)
                crossed += now // window != made // window
            if now < ends:
                account = rng.choice(accounts)
                value = plain.event(account, f"e{sent}", rng.randint(1, 9), now)
                producer.send_encoded(account, value)
                sent += 1
                for delay in (rng.uniform(0, 0.75), rng.uniform(0, 0.75), rng.uniform(1.5, 2)):
                    heapq.heappush(due, (now + int(delay * window), now, account, value))
            producer.poll()
            pause(pipeline, POLL_SECONDS / 5)
            if len(recoveries) < rounds and now // window > (
                ends // window - rounds + len(recoveries)
            ):
                run.progress(f"edge {len(recoveries) + 1} of {rounds}, {crossed} copies over edges")
                recoveries.append(_kill_admission(pipeline))
        producer.flush()
        wanted = plain.expected(accepted=sent, duplicate=repeats, too_old=late)
        differences = prove(pipeline, wanted, run.seed)
    if not crossed:
        differences.append("no copy was sent over an edge")
    note = f"{repeats} within the window, {late} after it, {rounds} edges with kills"
    return Outcome(crossed, sent + repeats + late, recoveries, differences, note)


@scenario(
    "duplicates across partitions",
    "one id for accounts of several partitions, misrouted too",
    quick=False,
)
def across_partitions(run: Run) -> Outcome:
    """The same id of another account is another event; a copy keyed wrongly is forwarded first."""
    events, rng = run.pick(4_000, 400), run.random("partitions")
    accounts = [name for own in names(PARTITIONS, 2) for name in own]
    now = time.time_ns() // 1_000
    plain = Plain(accounts, now)
    strays = 0
    recoveries: list[float] = []
    with run.pipeline(partitions=str(PARTITIONS)) as pipeline, _producer(pipeline) as producer:
        pipeline.apply(plain.documents())
        for number in range(events):
            for index, account in enumerate(accounts):
                value = plain.event(account, f"e{number}", rng.randint(1, 9), now)
                producer.send_encoded(account, value)
                if rng.random() < 0.25:
                    strays += 1
                    producer.send_encoded(accounts[(index + 2) % len(accounts)], value)
            producer.poll()
            pipeline.poll()
            if len(recoveries) < number * 4 // events:
                run.progress(f"{number} of {events}")
                recoveries.append(_kill_admission(pipeline))
        producer.flush()
        sent = events * len(accounts)
        wanted = plain.expected(accepted=sent, forwarded=strays)
        differences = prove(pipeline, wanted, run.seed)
    note = f"{strays} keyed for another partition, {len(recoveries)} kills of admission"
    return Outcome(sent, sent + strays, recoveries, differences, note)


def _producer(pipeline: Pipeline) -> Producer:
    return Producer(pipeline.settings.kafka, pipeline.settings.topic_prefix)


def _kill_admission(pipeline: Pipeline) -> float:
    """Seconds until it makes progress again."""
    further = advanced(pipeline, "admission")
    pipeline.kill("admission")
    return until(pipeline, "admission", further, PATIENCE_SECONDS)
