"""I6: the alerts on the topic, repeats dropped by id, are the reference's, one content each."""

import msgspec

from deploy.reading.evidence import Evidence
from deploy.reading.recompute import Balanced, concatenated
from deploy.reading.report import Invariant


class _Named(msgspec.Struct):
    id: str


def check_alerts(evidence: Evidence, balanced: Balanced, ahead: Balanced, found: Invariant) -> None:
    """`balanced` is the reference up to balances' position, `ahead` over all that is rated.

    The topic must hold every alert of the first, and none but those of the second: outputs are
    written before they are committed.
    """
    partition = evidence.partition
    held: dict[str, bytes] = {}
    for value in evidence.alerts:
        identity = msgspec.json.decode(value, type=_Named).id
        if held.setdefault(identity, value) != value:
            found.differ(f"alerts [{partition}] {identity}: came with two contents")
    expected, possible = concatenated(balanced.alerts), concatenated(ahead.alerts)
    if len(expected) != len(balanced.alerts):
        found.differ(f"alerts [{partition}]: two crossings share an id")
    found.count(
        alerts=len(held),
        repeats_dropped=len(evidence.alerts) - len(held),
        expected=len(expected),
    )
    if evidence.alerts_low:
        found.note(
            f"alerts [{partition}] now begins at {evidence.alerts_low}: that earlier ones were sent"
        )
    else:
        for identity in sorted(expected.keys() - held.keys()):
            found.differ(f"alerts [{partition}] {identity}: missing")
    for identity, value in held.items():
        want = possible.get(identity)
        if want is None:
            found.differ(f"alerts [{partition}] {identity}: not expected")
        elif want != value:
            found.differ(f"alerts [{partition}] {identity}: another content than the reference's")
