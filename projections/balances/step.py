"""What one rated row does: postings, alerts and refusals, gathered in order. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from projections.balances.alerts import RANK, Alert, Cause
from projections.balances.books import Books
from projections.balances.postings import ORDINAL_BITS, Posting
from projections.balances.row import WALLET
from schemas.reasons import Reason


@dataclass(frozen=True, slots=True)
class Refused:
    """A document that drawdown refused, with its bytes."""

    journal_offset: int
    row: int
    account: str
    reason: str
    detail: str
    data: bytes


@dataclass(slots=True)
class Step:
    """One rated row on its way through the `books`.

    `now` is the moment being folded and how it is stamped, `instant` the due time of what is due:
    both the record's journal time, or for what became known too late, the stamp is the later.
    """

    rated: Mapping[str, Any]
    books: Books
    postings: list[Posting] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    now: Cause = field(init=False)
    instant: int = field(init=False)
    _moment: list[Alert] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = self.cause()
        self.instant = self.now.at

    @property
    def position(self) -> str:
        """`journal offset:row:ordinal` of the rated row."""
        return f"{self.rated['journal_offset']}:{self.rated['row']}:{self.rated['ordinal']}"

    def cause(self) -> Cause:
        """The record itself as a cause."""
        return Cause(self.rated["at"], self.position, self.position)

    def post(
        self,
        account: str,
        posting: str,
        grant: str | None,
        amount: int,
        line: Mapping[str, Any] | None = None,
        *,
        unauthorised: bool = False,
        reference: str | None = None,
        contract: str | None = None,
    ) -> None:
        """Add a posting at `now`; its ordinal counts those of this rated row."""
        number = len(self.postings)
        ordinal = (self.rated["ordinal"] << ORDINAL_BITS) + number
        self.postings.append(
            Posting(
                self.rated["journal_offset"],
                self.rated["row"],
                ordinal,
                self.now.at,
                account,
                posting,
                grant,
                amount,
                line,
                unauthorised or None,
                reference,
                contract or None,
            )
        )

    def alert(self, kind: str, account: str, scope: str | None = None, **about: Any) -> None:  # noqa: ANN401
        """Add an alert of this moment; `scope` WALLET or None: no contract."""
        contract = scope if scope not in (None, WALLET) else None
        self._moment.append(Alert(kind, account, self.now, contract=contract, **about))

    def end_moment(self) -> None:
        """Put the moment's alerts in the order of credits.md section 7."""
        self.alerts.extend(sorted(self._moment, key=lambda alert: RANK[alert.type]))
        self._moment.clear()

    def refuse(self, account: str, reason: Reason, detail: str) -> None:
        """The record is refused; nothing of it was applied."""
        self.refused.append(
            Refused(
                self.rated["journal_offset"],
                self.rated["row"],
                account,
                str(reason),
                detail,
                self.rated["data"],
            )
        )
