"""How a clause of the product is taken out, in memory."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FunctionType
from typing import Any, cast

from projections.balances import stage as balances
from projections.balances.columnar import fold
from tests.protocol.mutation import replaced
from tests.simulation.run import Change
from tests.simulation.world import World


def without(clause: str) -> Change:
    """A Redis whose scripts lack a clause."""

    @contextmanager
    def change(world: World) -> Iterator[None]:
        world.state.without = frozenset({clause})
        yield

    return change


def altered(function: Callable[..., Any], line: str, by: str) -> Change:
    """A function in which `line` reads `by`, for all who have imported it."""
    changed = cast("FunctionType", function)
    source = replaced(textwrap.dedent(inspect.getsource(changed)), line, by)
    made: dict[str, Any] = {}
    exec(source, changed.__globals__, made)
    code = made[changed.__name__].__code__

    @contextmanager
    def change(_world: World) -> Iterator[None]:
        kept, changed.__code__ = changed.__code__, code
        try:
            yield
        finally:
            changed.__code__ = kept

    return change


def replacing(module: Any, name: str, by: Any) -> Change:
    """Another thing by that name in a module."""

    @contextmanager
    def change(_world: World) -> Iterator[None]:
        kept = getattr(module, name)
        setattr(module, name, by)
        try:
            yield
        finally:
            setattr(module, name, kept)

    return change


def silent_about(kind: str) -> Change:
    """Balances that do not tell of something."""

    def silent(batch: Any, books: Any) -> Any:
        folded = fold(batch, books)
        told = [alert for alert in folded.alerts if not alert.type.startswith(kind)]
        return replace(folded, alerts=told)

    return replacing(balances, "fold", silent)
