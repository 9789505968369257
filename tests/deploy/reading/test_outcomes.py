"""I1 and I2 look at the contract that usage names, and at what a meter's filter lets through."""

from deploy.reading.keys import check_keys
from deploy.reading.outcomes import check_outcomes
from deploy.reading.report import Invariant
from tests.deploy.reading.pipeline import Logs, Traffic, admit


def differences(logs: Logs) -> list[str]:
    """What is found in the outcomes, then in the keys."""
    outcomes, keys = Invariant("I1"), Invariant("I2")
    evidence = logs.evidence()
    check_keys(evidence, check_outcomes(evidence, outcomes), keys)
    return [*outcomes.differences, *keys.differences]


def product(traffic: Traffic, **meter: object) -> None:
    shared = {"event_type": "llm.request", "aggregation": "max", "value": "tokens"}
    traffic.document(0, "Product", id="tokens", meter=shared | meter)


def test_the_same_event_for_another_contract_is_a_conflict() -> None:
    traffic = Traffic()
    traffic.usage(1, "a0", 1, contract="k1")
    traffic.usage(2, "a0", 1, contract="k1")
    traffic.usage(3, "a0", 1)
    traffic.usage(4, "a0", 1, contract="k2")
    logs = admit(traffic)
    found = Invariant("I1")
    check_outcomes(logs.evidence(), found)
    named = {name: found.figures[name] for name in ("accepted", "duplicate", "conflict")}
    assert named == {"accepted": 1, "duplicate": 1, "conflict": 2}
    assert differences(logs) == []


def test_a_contract_that_the_journal_does_not_have_is_found() -> None:
    traffic = Traffic()
    traffic.usage(1, "a0", 1, contract="k1")
    logs = admit(traffic)
    traffic.sent[2][0].value = (traffic.sent[2][0].value or b"").replace(b"k1", b"k2")
    assert differences(logs) == ["metering.usage.v1 [0] offset 0: the journal holds another event"]


def test_a_duplicate_that_names_another_contract_repeats_nothing() -> None:
    traffic = Traffic()
    traffic.usage(1, "a0", 1, contract="k1")
    traffic.usage(2, "a0", 1, contract="k1")
    logs = admit(traffic)
    traffic.sent[2][1].value = (traffic.sent[2][1].value or b"").replace(b"k1", b"k2")
    (found,) = differences(logs)
    assert found.endswith("offset 1: dropped as duplicate, but it repeats nothing")


def test_a_negative_value_that_a_filter_lets_through_was_rightly_refused() -> None:
    traffic = Traffic()
    product(traffic, filter={"model": "m"})
    traffic.usage(1, "a0", 1, -1)
    traffic.usage(2, "a0", 2, -1, data={"tokens": -1, "model": "other"})
    logs = admit(traffic)
    assert differences(logs) == []
    sent = traffic.sent[2][0]
    sent.value = (sent.value or b"").replace(b'"m"', b'"n"')
    (found,) = differences(logs)
    assert found.endswith("negative_quantity, but no metered value is")
