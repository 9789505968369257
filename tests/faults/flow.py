"""Traffic in a thread of its own: at a steady rate, whatever happens to servers and workers."""

import threading
import time
from typing import Final, Self

from ingest import Producer
from schemas.errors import LogUnavailable
from tests.system.pipeline import Pipeline
from tests.system.traffic import ACCOUNTS, Traffic

_STEP_SECONDS: Final = 0.05


class Flow:
    """Sends `traffic` until `stop` or its end, with a top-up now and then.

    `sent` counts usage records. Leaving the context confirms all that was sent and raises what the
    thread met.
    """

    def __init__(self, pipeline: Pipeline, traffic: Traffic, rate: int) -> None:
        self.sent = 0
        self._pipeline, self._traffic, self._rate = pipeline, traffic, rate
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flow", daemon=True)
        self._failure: BaseException | None = None

    @property
    def ended(self) -> bool:
        """Whether everything was sent, or sending failed."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Send no more, and wait until what was sent is confirmed. Raises what the thread met."""
        self._stopping.set()
        while self._thread.is_alive():
            self._pipeline.poll()
            self._thread.join(_STEP_SECONDS)
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stopping.set()
        if kind is None:
            self.stop()

    def _run(self) -> None:
        try:
            self._send()
        except BaseException as error:  # noqa: BLE001 - raised again by `stop`
            self._failure = error

    def _send(self) -> None:
        settings, topped_up = self._pipeline.settings, 0
        started = time.monotonic()
        with Producer(settings.kafka, settings.topic_prefix) as producer:
            for account, value in self._traffic.records():
                producer.send_encoded(account, value)
                self.sent += 1
                if self.sent * ACCOUNTS >= (topped_up + 1) * self._traffic.count:
                    topped_up += self._top_up(topped_up)
                while self.sent >= (time.monotonic() - started) * self._rate:
                    producer.poll()
                    if self._stopping.wait(_STEP_SECONDS):
                        break
                if self._stopping.is_set():
                    return

    def _top_up(self, number: int) -> bool:
        """Whether Kafka has it. What is sent again is the same grant, which is issued once."""
        try:
            self._pipeline.apply([self._traffic.top_up(number)])
        except LogUnavailable:
            return False
        return True
