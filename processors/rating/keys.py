"""The keys that lines are counted by, kept from batch to batch (CREDITS.md 3.26)."""

from collections.abc import Iterable
from dataclasses import dataclass

from processors.rating.curves import Curve
from processors.rating.fields import ONE
from projections.rates.rows import QuantityRow, RatingRow, SeenRow, seen_key
from projections.rows import Rows


@dataclass(slots=True, eq=False)
class Key:
    """A key's quantity, and the maximum of a `max`. `cost` is what `curve` gives for `total`."""

    name: str
    total: int
    maximum: int | None
    moved: bool = False
    curve: Curve | None = None
    cost: int = 0

    def measure(self, aggregation: str, value: int | str | None, rows: Rows[RatingRow]) -> int:
        """What a line is for: the rise of the maximum, or 1 for the first sight of a value."""
        if aggregation == "max":
            assert isinstance(value, int)
            return max(value - (self.maximum or 0), 0)
        assert isinstance(value, str)
        return ONE if rows.get(seen_key(self.name, value)) is None else 0

    def keep(self, aggregation: str, value: int | str | None, rows: Rows[RatingRow]) -> None:
        """A line of this value was priced."""
        if aggregation == "max":
            assert isinstance(value, int)
            self.maximum = max(value, self.maximum or 0)
        else:
            assert isinstance(value, str)
            seen = seen_key(self.name, value)
            if rows.get(seen) is None:
                rows.put(seen, SeenRow())


class KeyBook:
    """Keys by account and by number, several of which may stand for one key.

    What is in the book is what the rows say, or will once `put` has written it.
    """

    def __init__(self, rows: Rows[RatingRow]) -> None:
        self._rows = rows
        self._accounts: dict[str, dict[int, Key]] = {}
        self.size = 0

    def of(self, account: str) -> dict[int, Key]:
        """The account's keys by number."""
        found = self._accounts.get(account)
        if found is None:
            found = self._accounts[account] = {}
        return found

    def add(self, missing: Iterable[tuple[str, int, str]]) -> None:
        """Take in keys by (account, number, name), as their rows say."""
        wanted = list(missing)
        self._rows.load(name for _, _, name in wanted)
        named: dict[str, Key] = {}
        for account in dict.fromkeys(account for account, _, _ in wanted):
            named.update((key.name, key) for key in self.of(account).values())
        for account, number, name in wanted:
            key = named.get(name)
            if key is None:
                key = named[name] = self._read(name)
            self.of(account)[number] = key
            self.size += 1

    def put(self, keys: Iterable[Key]) -> None:
        """Write down those that have moved."""
        moved = [key for key in keys if key.moved]
        names = [key.name for key in moved]
        rows = self._rows.change_all(names, lambda: QuantityRow("0"))
        for key, row in zip(moved, rows, strict=True):
            assert isinstance(row, QuantityRow), key.name
            row.total = str(key.total)
            row.maximum = None if key.maximum is None else str(key.maximum)
            key.moved = False

    def forget(self, account: str) -> None:
        """The account's rows were written without the book."""
        self.size -= len(self._accounts.pop(account, ()))

    def _read(self, name: str) -> Key:
        row = self._rows.get(name)
        if not isinstance(row, QuantityRow):
            return Key(name, 0, None)
        return Key(name, int(row.total), None if row.maximum is None else int(row.maximum))
