"""Record-to-balance latency at fixed rates: from when an event was due until its balance holds it.

Every event counts (`tests.latency`): no sampling, and what delays the sender is latency too.
Sender, probe, broker, Redis and workers share this machine's cores.
"""

import time
from collections.abc import Sequence
from typing import Final

from tests.bench.drawdown import Drawdown
from tests.bench.pace import sending
from tests.bench.session import Row, Section, Session
from tests.bench.trial import apart
from tests.latency import LatencyProbe, merged

RATES: Final = (5_000, 20_000, 50_000)
_MOST_SECONDS: Final = 60
_FEW: Final = 2
_SOURCE: Final = "bench"
_SETTLE_SECONDS: Final = 300.0


def run(session: Session, rates: Sequence[int] = RATES) -> Section:
    """Each rate for a minute, or for as long as the events last; on a broker of its own."""
    rows = [_measure(session, rate) for rate in rates]
    note = (
        "Milliseconds; open loop. The plain load. The first window of ten seconds is left out where"
        " there are more than two."
    )
    return Section("latency", "Record-to-balance latency", note, rows)


def _measure(session: Session, rate: int) -> Row:
    seconds = max(min(_MOST_SECONDS, 2 * session.events // rate), 2)
    path = session.usage(events=rate * seconds)
    session.say(f"latency: {rate:,} events/s for {seconds} s")
    drawdown = Drawdown("plain", durable=session.durable)
    with apart(session, drawdown) as trial:
        trial.start()
        drawdown.pipeline.wait_until_settled(_SETTLE_SECONDS)
        with LatencyProbe(drawdown.pipeline.settings, _SOURCE) as probe:
            started = time.monotonic()
            with sending(trial, path, rate) as sender:
                trial.outlive(sender)
            sent = time.monotonic() - started
            trial.wait(trial.ends(), _SETTLE_SECONDS)
    windows = [probe.windows[start] for start in sorted(probe.windows)]
    taken = merged(windows[1:] if len(windows) > _FEW else windows)
    return {
        "events/s": rate,
        "p50": taken.percentile(500),
        "p99": taken.percentile(990),
        "p99.9": taken.percentile(999),
        "longest": taken.longest,
        "events": taken.count,
        "sent in s": round(sent, 1),
    }
