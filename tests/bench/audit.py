"""The auditor: what is right, from the input file alone, and in what a contender differs from it.

Order does not matter to the job (`tests.bench.job`), so what is right is a sum over the file.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.bench.job import Balance, Grants, account_name, cost, crossed, drawn, grants_of
from tests.bench.load import read_usage

Alert = tuple[str, str, str]
"""(id, account, type)."""
_TOLD = 5


class _Data(msgspec.Struct):
    model: str
    region: str
    input_tokens: int
    output_tokens: int


class _Event(msgspec.Struct):
    id: str
    source: str
    subject: str
    data: _Data


@dataclass(frozen=True)
class Expected:
    """What a file of usage comes to: balances by account, and the alerts that are due."""

    events: int
    distinct: int
    balances: Mapping[str, Balance]
    alerts: frozenset[tuple[str, str]]


@dataclass
class Verdict:
    """In what a contender differs: `faults` is empty when it is exact."""

    faults: list[str] = field(default_factory=list)
    wrong_balances: int = 0
    wrong_alerts: int = 0
    consumed_nano: int = 0
    """By how much what was consumed differs in sum, signed: below zero, usage was lost."""
    repeated_alerts: int = 0
    """Told again with the same id: allowed."""

    @property
    def exact(self) -> bool:
        """Whether all is right."""
        return not self.faults


def expected_of(path: Path, accounts: int) -> Expected:
    """Read a file of lines `account TAB event`. Raises ValueError where it is not one."""
    decode = msgspec.json.Decoder(_Event).decode
    grants = {account_name(number): grants_of(number) for number in range(accounts)}
    consumed: Counter[str] = Counter()
    seen: set[tuple[str, str, str]] = set()
    events = 0
    for account, value in read_usage(path):
        event = decode(value)
        if event.subject != account.decode():
            raise ValueError(f"not a record of {account!r}: {value[:100]!r}")
        events += 1
        key = (event.subject, event.source, event.id)
        if key not in seen:
            seen.add(key)
            data = event.data
            consumed[event.subject] += cost(
                data.model, data.region, data.input_tokens, data.output_tokens
            )
    return _expected(events, len(seen), grants, consumed)


def _expected(
    events: int, distinct: int, grants: Mapping[str, Grants], consumed: Mapping[str, int]
) -> Expected:
    balances = {name: drawn(grants[name], spent) for name, spent in consumed.items()}
    alerts = frozenset(
        (name, kind) for name, spent in consumed.items() for kind in crossed(grants[name], spent)
    )
    return Expected(events, distinct, balances, alerts)


def audit(expected: Expected, balances: Mapping[str, Balance], alerts: Iterable[Alert]) -> Verdict:
    """Compare what a contender came to with what is right."""
    verdict = Verdict()
    _audit_balances(verdict, expected, balances)
    _audit_alerts(verdict, expected, list(alerts))
    return verdict


def _audit_balances(verdict: Verdict, expected: Expected, balances: Mapping[str, Balance]) -> None:
    for name in sorted(expected.balances.keys() | balances.keys()):
        wanted, found = expected.balances.get(name), balances.get(name)
        if wanted is None:
            assert found is not None
            if not found.consumed and not found.overage:
                continue  # an account that used nothing may be there
        if wanted == found:
            continue
        verdict.wrong_balances += 1
        verdict.consumed_nano += (found.consumed if found else 0) - (
            wanted.consumed if wanted else 0
        )
        if verdict.wrong_balances <= _TOLD:
            verdict.faults.append(f"{name}: {found}, expected {wanted}")


def _audit_alerts(verdict: Verdict, expected: Expected, alerts: list[Alert]) -> None:
    distinct = set(alerts)
    verdict.repeated_alerts = len(alerts) - len(distinct)
    told = Counter((account, kind) for _, account, kind in distinct)
    shared = Counter(identity for identity, _, _ in distinct)
    faults = [f"missing alert {due}" for due in sorted(expected.alerts - told.keys())]
    faults += [f"alert {said} is not due" for said in sorted(told.keys() - expected.alerts)]
    faults += [f"{times} ids of alert {said}" for said, times in told.items() if times > 1]
    faults += [f"{times} alerts of id {name}" for name, times in shared.items() if times > 1]
    verdict.wrong_alerts = len(faults)
    verdict.faults += faults[:_TOLD]
