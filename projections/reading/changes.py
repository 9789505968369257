"""What changed between two JSON documents, path by path. Pure."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, NamedTuple


class Change(NamedTuple):
    """One changed path, written `overrides[0].multiplier`; None where there is, or was, nothing."""

    path: str
    before: Any
    after: Any


def changed_paths(before: Any, after: Any, path: str = "") -> Iterator[Change]:  # noqa: ANN401
    """The smallest parts that differ, in the order of their names; nothing where both are equal."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            inner = f"{path}.{name}" if path else name
            yield from changed_paths(before.get(name), after.get(name), inner)
    elif isinstance(before, list) and isinstance(after, list):
        for index, (one, other) in enumerate(zip_longest(before, after)):
            yield from changed_paths(one, other, f"{path}[{index}]")
    else:
        yield Change(path, before, after)
