"""What each grant is, from its document, pack, rule or parent, and how it ends (credits.md 3, 6).

A grant is known by the posting that issues it. Where it comes from says all else: when it begins
and ends, whose it is, what it may pay for and what of it lives on.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from schemas.times import DAY, parse_instant
from tests.simulation.audit.calendar import later
from tests.simulation.audit.grants import Life, bought, earlier, heir, instant, rolling
from tests.simulation.audit.holding import BEGINS, Held, Holdings
from tests.simulation.audit.reading import Row
from tests.simulation.audit.recurring import occurrence
from tests.simulation.audit.terms import Fields, Terms

ISSUED: Final = "credits.grant.issued"
ENDS: Final = {
    "expired": "credits.grant.expired",
    "voided": "credits.grant.voided",
    "refunded": "credits.grant.refunded",
}
ROLLED: Final = "credits.grant.rolled_over"
_FUNDED: Final = {"issued", "adjusted"}


class Lives:
    """All grants that were issued, by account and id.

    `funded` is what was paid by scope, as adjusted; `paid` those that were and are not yet seen to.
    """

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Life]] = {}
        self.funded: dict[tuple[str, str | None], Fraction] = {}
        self.paid: list[Life] = []
        self._ended: set[tuple[str, str]] = set()

    def post(
        self, row: Row, document: Fields, holdings: Holdings, terms: Terms
    ) -> Iterator[str | Fields]:
        """Faults of one posting of a grant, and what is to be told of it; then it counts."""
        account, name, amount = row["account"], row["grant"], Fraction(row["amount"])
        lives = self.of.setdefault(account, {})
        if row["posting"] in BEGINS:
            life = self._born(row, document, holdings, terms)
            if life is None:
                yield f"{name} is issued by nothing"
                return
            lives[name] = life
            if amount != life.amount or row["contract"] != life.contract:
                yield f"{name} is issued as {amount} of {row['contract']}, expected {life}"
            yield _alert(ISSUED, row, life)
        elif name not in lives:
            return
        else:
            yield from self._ending(row, lives[name], holdings.of[account][name], terms)
        life = lives[name]
        if row["posting"] in _FUNDED and not life.pending:
            self._fund(account, life, amount)
            self.paid += [life] if row["posting"] == "issued" else []
        holdings.post(row)

    def _fund(self, account: str, life: Life, amount: Fraction) -> None:
        scope = (account, life.contract)
        self.funded[scope] = self.funded.get(scope, Fraction(0)) + amount

    def _born(self, row: Row, document: Fields, holdings: Holdings, terms: Terms) -> Life | None:
        account, name = row["account"], row["grant"]
        if row["posting"] == "received":
            return self._rolled(row, holdings, terms)
        kind = document.get("kind")
        found: Fields | None = None
        if kind == "Grant" and document["id"] == name:
            found = document
        elif kind == "Contract":
            own = {"effective_at": document["starts_at"], "contract": document["id"]}
            found = next(
                (own | one for one in document.get("grants", ()) if one["id"] == name), None
            )
        elif kind == "purchase" and document["id"] == name:
            found = bought(document, terms, row["at"])
        if found is None and "@" in name:
            found = occurrence(terms, account, name, row["at"])
        if found is None:
            return None
        contract, expires = found.get("contract"), found.get("expires_at")
        begins = instant(found["effective_at"])
        ends = None if expires is None else instant(expires)
        if contract is not None:
            start = terms.contracts[account, contract].revisions[0][1]["starts_at"]
            begins = max(begins, parse_instant(start))
        return Life(
            found,
            Fraction(found["amount"]),
            contract,
            begins,
            ends,
            earlier(ends, terms.end(account, contract, row["at"])),
            row["at"],
            found.get("funding") == "pending",
            name,
            begins,
        )

    def _rolled(self, row: Row, holdings: Holdings, terms: Terms) -> Life | None:
        """The child of a grant that has just ended."""
        account, (root, _, number) = row["account"], row["grant"].partition("~")
        times = int(number or 0)
        name = root if times == 1 else f"{root}~{times - 1}"
        parent = self.of[account].get(name)
        if parent is None or parent.stops is None:
            return None
        rule = parent.terms["rollover"]
        contract = heir(parent, account, terms)
        zone = terms.accounts[account].get("time_zone", "UTC")
        ends = parent.stops + (parent.stops - parent.begins)
        if rule.get("expiry"):
            ends = later(parent.stops, rule["expiry"], zone)
        ends = max(ends, parent.stops + DAY)
        return Life(
            parent.terms,
            Fraction(row["amount"]),
            contract,
            parent.stops,
            ends,
            earlier(ends, terms.end(account, contract, parent.stops)),
            row["at"],
            pending=False,
            root=root,
            root_begins=parent.root_begins,
            times=times,
            rolled_basis=parent.basis(holdings.of[account][name]),
        )

    def _ending(self, row: Row, life: Life, held: Held, terms: Terms) -> Iterator[str | Fields]:
        """What rolls over, expires, is voided or refunded, when, and that it is told."""
        posting, name = row["posting"], row["grant"]
        if posting == "rolled_over":
            if (rolls := rolling(row["account"], life, held, terms)) != Fraction(row["amount"]):
                yield f"{name} rolls {row['amount']} over, expected {rolls}"
            held.rolled = True
            yield _alert(ROLLED, row, life)
        if posting not in ENDS or held.ended is not None:
            return
        yield _alert(ENDS[posting], row, life)
        at_its_end = life.stops is not None and row["at"] == max(life.stops, life.known)
        if posting == "expired" and not life.closed:
            if not at_its_end:
                yield f"{name} expires at {row['at']}, its end is {life.stops}, known {life.known}"
            if not held.rolled and (rolls := rolling(row["account"], life, held, terms)):
                yield f"{name} expires, and {rolls} should roll over"

    def fund(self, account: str, grant: str, held: Held | None) -> None:
        """`fund_grant`: one that waits, and has not ended, was paid."""
        life = self.of.get(account, {}).get(grant)
        if life is not None and held is not None and life.pending and held.ended is None:
            life.pending = False
            self._fund(account, life, held.issued)
            self.paid.append(life)

    def stopping(self, account: str, clock: int, terms: Terms) -> list[int]:
        """When contracts are terminated, up to `clock`, that were not yet."""
        return sorted(
            contract.stopped
            for key, contract in terms.contracts.items()
            if key[0] == account and key not in self._ended
            if contract.stopped is not None and contract.stopped <= clock
        )

    def terminated(self, account: str, clock: int, terms: Terms, holdings: Holdings) -> None:
        """Contracts that were terminated by `clock`: their credits stop, or are the account's.

        What had ended before stays as it was.
        """
        for (owner, name), contract in terms.contracts.items():
            over = contract.stopped is not None and contract.stopped <= clock
            if owner != account or not over or (owner, name) in self._ended:
                continue
            self._ended.add((owner, name))
            for grant, life in self.of.get(account, {}).items():
                if holdings.of[account][grant].ended is not None:
                    continue
                if life.contract == name and contract.policy != "to_account":
                    life.closed = True
                elif life.contract == name:
                    life.contract, life.stops = None, life.ends

    def overdue(self, account: str, clock: int, holdings: Holdings) -> Iterator[str]:
        """Grants whose end has come, and which have not ended."""
        for name, life in self.of.get(account, {}).items():
            due = life.stops is not None and life.stops <= clock and not life.closed
            if due and holdings.of[account][name].ended is None:
                yield f"{name} should have ended at {life.stops}"

    def active(self, account: str, clock: int, holdings: Holdings) -> Iterator[tuple[Life, Held]]:
        """Grants that count as active at journal time."""
        for name, life in self.of.get(account, {}).items():
            if name in holdings.of[account]:
                held = holdings.of[account][name]
                if (
                    held.ended is None
                    and not (life.pending or life.closed)
                    and life.begins <= clock
                ):
                    yield life, held


def _alert(kind: str, row: Row, life: Life) -> Fields:
    about = {"grant": row["grant"], "amount": row["amount"], "contract": life.contract}
    return {"type": kind} | about
