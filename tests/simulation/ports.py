"""The pipeline's ports, led to one world's log, store and clock while that world runs."""

# ruff: noqa: D102 - as an executor calls it

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Final

from processors.admission import (
    batch,
    control,
    examine,
    fingerprint,
    group,
    metered,
    outbox,
    stamps,
    worker,
    writer,
)
from processors.rating import accounts
from processors.rating import documents as rating_documents
from processors.rating import stage as rating
from projections import contracts
from projections.balances import reference, terms
from projections.balances import stage as balances
from projections.fold import log, retry, stage
from projections.rates import catalog
from schemas.documents import parse_document
from tests.simulation.admin import AdminClient
from tests.simulation.consumer import Consumer
from tests.simulation.log import Broker
from tests.simulation.node import Node
from tests.simulation.odds import Odds
from tests.simulation.producer import Producer
from tests.simulation.redis import Redis, State

_PARSING: Final = (
    examine,
    metered,
    accounts,
    rating_documents,
    contracts,
    catalog,
    reference,
    terms,
)


@lru_cache(maxsize=4_096)
def _parsed(value: bytes) -> Any:
    """Documents are immutable: what each process reads again is parsed once."""
    return parse_document(value)


class Inline:
    """An executor that does its work at once, or only when the answer is asked for."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def submit(self, call: Callable[[], Any]) -> Any:
        if self._node.luck(0.3):
            return SimpleNamespace(result=call, done=lambda: self._node.luck(0.5))
        future: Future[Any] = Future()
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)
        return future


@contextmanager
def installed(
    broker: Broker, state: State, starting: Callable[[], Node], odds: Odds
) -> Iterator[None]:
    """Clients made meanwhile belong to the process that `starting` names."""

    def consumer(config: dict[str, object]) -> Consumer:
        return Consumer(broker, starting(), config)

    def producer(_config: dict[str, object]) -> Producer:
        node: Any = starting()
        made = Producer(broker, node, odds.landing)
        node.producer = made
        return made

    def admin(_config: dict[str, object]) -> AdminClient:
        return AdminClient(broker, starting())

    clock = broker.clock
    ports: list[tuple[Any, str, object]] = [
        (worker, "AdminClient", admin),
        (worker, "redis_client", lambda _url: Redis(state, starting())),
        (worker, "time", clock),
        (outbox, "Producer", producer),
        (control, "Consumer", consumer),
        (control, "monotonic", clock.monotonic),
        (group, "Consumer", consumer),
        (group, "time", clock),
        (stamps, "time", clock),
        (writer, "ThreadPoolExecutor", lambda *_, **__: Inline(starting())),
        (log, "Consumer", consumer),
        (log, "AdminClient", admin),
        (log, "time", clock),
        (retry, "time", clock),
        (stage, "time", clock),
        *((module, "parse_document", _parsed) for module in _PARSING),
        (rating, "CACHED_ROWS", odds.kept),
        (balances, "CACHED_ROWS", odds.kept),
        (batch, "FEW", odds.few),
        (fingerprint, "FEW", odds.few),
    ]
    before = [getattr(module, name) for module, name, _ in ports]
    for module, name, port in ports:
        setattr(module, name, port)
    try:
        yield
    finally:
        for (module, name, _), port in zip(ports, before, strict=True):
            setattr(module, name, port)
