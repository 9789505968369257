"""Accounts with their customer-level ("wallet") terms (credits.md section 3)."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from schemas.documents.fields import ExactDuration, Fault, Id, Name, TimeZone
from schemas.documents.terms import AlertRule, Terms, id_twice


class Account(Terms):
    """A customer's account. An update replaces it from its place in the log.

    `alerts` None: the one rule of `DEFAULT_THRESHOLDS`; an empty list: no rule.
    """

    kind: Literal["Account"] = "Account"
    id: Id
    name: Name | None = None
    time_zone: TimeZone = "UTC"
    rate_card: Id | None = None
    alerts: tuple[AlertRule, ...] | None = Field(default=None, max_length=100)
    late_grace: ExactDuration = "PT48H"

    def contradictions(self) -> Iterable[Fault]:
        """Those of the terms, an alert rule's id twice, seats that only a contract has."""
        yield from super().contradictions()
        yield from id_twice((rule.id for rule in self.alerts or ()), "alerts")
        yield from _per_seat("recurring", (rule.per_seat for rule in self.recurring))
        yield from _per_seat("fees", (fee.per_seat for fee in self.fees))


def _per_seat(name: str, flags: Iterable[bool]) -> Iterable[Fault]:
    for index, per_seat in enumerate(flags):
        if per_seat:
            yield f"{name}[{index}].per_seat", "expected false: only a contract has seats"
