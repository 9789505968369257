"""Which grants pay for a line, in which order (credits.md section 4).

Each pair of grants is held against the burn policy: what comes later is touched only when what
comes first has nothing more to give, and overage comes last of all.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

from tests.simulation.audit.grants import Life
from tests.simulation.audit.holding import Held, Holdings
from tests.simulation.audit.lives import Lives
from tests.simulation.audit.reading import Row
from tests.simulation.audit.terms import Terms

_DEFAULT: Final = (
    "priority",
    "contract_first",
    "specificity",
    "expires_at",
    "promotional_first",
    "effective_at",
)
_HOUR: Final = 3_600_000_000
_NEVER: Final = 1 << 62


def audit_burning(
    line: Row, postings: Sequence[Row], holdings: Holdings, lives: Lives, terms: Terms
) -> Iterator[str]:
    """Faults in how a line of cost above 0 was paid; `holdings` are those just before it."""
    account = line["account"]
    drawn = {row["grant"]: Fraction(row["amount"]) for row in postings if row["grant"] is not None}
    owed = any(row["posting"] == "overage" and row["amount"] > 0 for row in postings)
    graces = terms.graces[account]
    candidates = []
    for name, held in holdings.of[account].items():
        life = lives.of[account].get(name)
        if life is None:  # it was issued by nothing, and that was said
            continue
        able = _spendable(line, life, held, terms)
        if drawn.get(name, 0) > able:
            yield f"{name} pays {drawn[name]}, it may {able}"
        surely = held.ended is None or len(graces) == 1
        candidates.append((_key(life, held, line, terms), name, able, surely))
    candidates.sort(key=lambda each: (each[0], each[1]))
    short: list[str] = []
    for _, name, able, surely in candidates:
        if drawn.get(name) and short:
            yield f"{name} pays, before it {short} could"
        if surely and drawn.get(name, 0) < able:
            short.append(name)
    if owed and short:
        yield f"it owes, and {short} could pay"


def able_at_least(line: Row, holdings: Holdings, lives: Lives, terms: Terms) -> Fraction:
    """What the grants that have not ended can pay for a line; others may add to it."""
    able = Fraction(0)
    for name, held in holdings.of[line["account"]].items():
        if held.ended is None:
            able += _spendable(line, lives.of[line["account"]][name], held, terms)
    return able


def _spendable(line: Row, life: Life, held: Held, terms: Terms) -> Fraction:
    """At event time; what has expired, while the account's grace lasts."""
    time, end = line["time"], _NEVER if life.stops is None else life.stops
    waits = life.pending or life.closed or time < life.root_begins
    if waits or time >= end or not life.pays(terms, line["product"], line["contract"]):
        return Fraction(0)
    if held.ended is None:
        return held.free
    grace = max(int(text[2:-1]) for text in terms.graces[line["account"]]) * _HOUR
    if held.ended != "expired" or line["at"] >= end + grace:
        return Fraction(0)
    return held.expired


def _key(life: Life, held: Held, line: Row, terms: Terms) -> list[Any]:
    policy = None
    if line["contract"] is not None:
        revision = terms.contracts[line["account"], line["contract"]].at(line["time"])[1]
        policy = revision.get("burn_policy")
    policy = policy or terms.accounts[line["account"]].get("burn_policy") or _DEFAULT
    return [_by(name, life, held) for name in policy]


def _by(name: str, life: Life, held: Held) -> Any:
    """What one key of a burn policy compares, lowest first."""
    grant = life.terms
    cost = grant.get("cost") or {}
    basis = life.basis(held)
    if name == "specificity":
        products, tags = grant.get("products"), grant.get("tags")
        return (0, len(products)) if products else (1, len(tags)) if tags else (2, 0)
    found: dict[str, Any] = {
        "priority": grant.get("priority", 50),
        "contract_first": life.contract is None,
        "wallet_first": life.contract is not None,
        "promotional_first": grant["type"] != "promotional",
        "prepaid_first": grant["type"] != "prepaid",
        "rolled_over_first": life.times == 0,
        "expires_at": _NEVER if life.stops is None else life.stops,
        "effective_at": life.root_begins,
        "cost_basis": (cost.get("currency", ""), basis),
        "-cost_basis": (not cost, cost.get("currency", ""), -basis),
        "issued_at": held.number,
    }
    return found[name]
