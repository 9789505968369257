"""Every record that is wrong, at once, among good ones."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from deploy.workers import WORKERS
from ingest import Producer
from tests.faults.proof import Expected, prove
from tests.faults.scenario import Outcome, Run, scenario
from tests.faults.waiting import advanced, until
from tests.system.bad_input import (
    ACCOUNT,
    Bad,
    bad_documents,
    bad_usage,
    catalog,
    check_where_each_ended,
    event,
    good_at_the_edge,
)
from tests.system.pipeline import Pipeline

GOOD: Final = 2_000
PATIENCE_SECONDS: Final = 120


@scenario(
    "poison",
    "every kind of bad record at once among good ones, then SIGKILL of each worker",
    quick=False,
)
def poison(run: Run) -> Outcome:
    """Each is refused once, with its reason and bytes; every good neighbour is paid once."""
    now, rng = time.time_ns() // 1_000, run.random("poison")
    bad, documents = bad_usage(now), bad_documents(now)
    good = [event(now, f"good-{number}") for number in range(GOOD)] + good_at_the_edge(now)
    burst = [(each.account, each.value) for each in bad] + [(ACCOUNT, value) for value in good]
    rng.shuffle(burst)
    recoveries = []
    with run.pipeline() as pipeline:
        pipeline.apply(catalog(now))
        prefix = pipeline.settings.topic_prefix
        with Producer(pipeline.settings.kafka, prefix) as producer:
            producer.send_encoded(ACCOUNT, event(now, "kept"))
            for account, value in burst:
                producer.send_encoded(account, value)
            for each, topic in documents:
                producer._put(prefix + topic.name, each.account, each.value, None)
        for name in WORKERS:
            run.progress(f"killing {name}")
            further = advanced(pipeline, name)
            pipeline.kill(name)
            recoveries.append(until(pipeline, name, further, PATIENCE_SECONDS))
        wanted = Expected({ACCOUNT: Decimal(len(good) + 1)}, {})
        differences = prove(pipeline, wanted, run.seed)
        differences += _misplaced(pipeline, [*bad, *(each for each, _ in documents)])
    struck = len(bad) + len(documents)
    return Outcome(struck, 1 + len(burst) + len(documents), recoveries, differences)


def _misplaced(pipeline: Pipeline, bad: list[Bad]) -> Iterator[str]:
    try:
        check_where_each_ended(pipeline, bad)
    except AssertionError as error:
        yield f"refused: {error}"
