"""The API's process: connections, the tail of refusals, uvicorn; until SIGTERM or Ctrl-C."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from projections.api.allowed import check_store
from projections.api.app import build_app, guarded
from projections.api.deciding import HOLD_KINDS
from projections.api.refusals import Refusals
from projections.api.rows import LiveRows
from projections.api.sending import CONFIGURATION, MOST_PENDING, Sending
from projections.api.service import Service
from projections.api.settings import ApiSettings
from projections.api.watch import Watch
from projections.confirming import ConfirmingProducer
from projections.fold.connection import live_redis_client
from projections.fold.log import Log
from projections.metrics.errors import count_as
from projections.metrics.series import begin_api
from projections.web.access import Access
from projections.web.keyring import open_keys
from projections.web.server import serve
from schemas.errors import ConfigurationError
from schemas.topics import CATALOG, CREDITS, JOURNAL

log = logging.getLogger("drawdown")
STAGE: Final = "api"
_MOST_CONNECTIONS: Final = 20_000
_GARBAGE: Final = (50_000, 20, 20)


def run_api(settings: ApiSettings) -> None:
    """Serve until stopped; what is under way is answered first.

    Raises ConfigurationError and LogUnavailable before it serves.
    """
    count_as(STAGE)
    access = Access(open_keys("API", settings.api_host, settings.gateway_keys))
    reading = Log(settings.kafka_access, settings.topic_prefix)
    partitions = reading.partitions(JOURNAL.name)
    if not partitions:
        raise ConfigurationError("the topics do not exist yet: `drawdown topics` creates them")
    check_store(settings.redis_access, settings.key_prefix)

    @asynccontextmanager
    async def opening() -> AsyncIterator[Service]:
        async with opened(settings, access, reading, partitions) as service:
            yield service

    log.info("serving the API at http://%s:%d/v1", settings.api_host, settings.api_port)
    app = build_app(opening)
    begin_api(STAGE, app.openapi()["paths"], HOLD_KINDS)
    gc.collect()
    gc.freeze()  # what lives as long as the process is not looked at again
    gc.set_threshold(*_GARBAGE)
    served = guarded(app, settings.api_body_bytes)
    serve(served, settings.api_host, settings.api_port, _MOST_CONNECTIONS)


@asynccontextmanager
async def opened(
    settings: ApiSettings, access: Access, reading: Log, partitions: int
) -> AsyncIterator[Service]:
    """A service, for as long as it is served."""
    producer = ConfirmingProducer(settings.kafka_access, MOST_PENDING, CONFIGURATION)
    prefix = settings.topic_prefix
    refusals = Refusals(settings.kafka_access, prefix)
    client = live_redis_client(settings.redis_access)
    await asyncio.to_thread(producer.connect, prefix + CREDITS.name, prefix + CATALOG.name)
    await asyncio.to_thread(refusals.start, asyncio.get_running_loop())
    rows = LiveRows(client, settings.key_prefix)
    watch = Watch(rows)
    sending = Sending(producer, prefix, partitions, rows, watch, refusals)
    service = Service(access, partitions, rows, watch, refusals, sending, reading)
    try:
        yield service
    finally:
        await asyncio.to_thread(service.scans.shutdown)
        refusals.stop()
        await asyncio.to_thread(producer.close)
        await client.aclose()
