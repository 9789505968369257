"""The job that every contender does, in exact integers of 10^-9 credits (*nano*). Pure.

Usage is that of `tests.bench.load.usage`: structured CloudEvents, keyed by account, of which 3 %
repeat one that was sent before. Whoever does the job

* counts each key (subject, source, id) once;
* prices an event by its model and region: `cost`;
* draws the cost from the account's promotional grant first, then from its main one; what neither
  holds is overage;
* says `low` when what is left first is a fifth of what was granted or less, and `depleted` when it
  first is nothing: each once for an account (a repeat must carry the same id, so that consumers
  can drop it).

None of it depends on the order of the events, so the input file alone says what is right.
"""

from dataclasses import dataclass
from typing import Final

from tests.bench.load import MODELS, REGIONS

NANO: Final = 10**9
LOW_PERCENT: Final = 20
LOW: Final = "low"
DEPLETED: Final = "depleted"

PRICES: Final[dict[tuple[str, str], tuple[int, int]]] = {
    (model, region): (
        (2_050 + 1_000 * m + 100 * r) * 1_000,
        (8_200 + 4_000 * m + 400 * r) * 1_000,
    )
    for m, model in enumerate(MODELS)
    for r, region in enumerate(REGIONS)
}
"""Nano for each input token and for each output token, by model and region."""

_LIMITED: Final = (5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
_EVERY: Final = 10
_AMPLE: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Grants:
    """The two grants of an account, in nano. The promotional one is drained first."""

    promo: int
    main: int

    @property
    def issued(self) -> int:
        """Both together."""
        return self.promo + self.main


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account came to, in nano: consumed, what is left of each grant, and overage."""

    consumed: int
    promo: int
    main: int
    overage: int


def account_name(number: int) -> str:
    """The key and the subject of an account's usage."""
    return f"account-{number}"


def grants_of(number: int) -> Grants:
    """What account `number` is granted.

    One account in ten has little, from 5 to 50,000 credits, so that at any number of events some
    become low, and some of those run dry; the others have 100 million.
    """
    limited, other = divmod(number, _EVERY)
    total = (_AMPLE if other else _LIMITED[limited % len(_LIMITED)]) * NANO
    return Grants(total // 5, total - total // 5)


def cost(model: str, region: str, input_tokens: int, output_tokens: int) -> int:
    """What an event costs, in nano: exact, nothing is rounded."""
    of_input, of_output = PRICES[model, region]
    return input_tokens * of_input + output_tokens * of_output


def drawn(grants: Grants, consumed: int) -> Balance:
    """The balance when `consumed` nano have been drawn."""
    promo = max(grants.promo - consumed, 0)
    main = min(max(grants.issued - consumed, 0), grants.main)
    return Balance(consumed, promo, main, max(consumed - grants.issued, 0))


def crossed(grants: Grants, consumed: int) -> set[str]:
    """The types of alerts that are due when `consumed` nano have been drawn."""
    left = max(grants.issued - consumed, 0)
    said = {LOW} if left * 100 <= LOW_PERCENT * grants.issued else set()
    return said | ({DEPLETED} if left == 0 else set())
