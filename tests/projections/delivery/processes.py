"""The dispatcher's process, a receiver's process, and alerts in the log, for integration tests."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from typer.testing import CliRunner

from deploy.cli import app, settings
from deploy.servers.process import answers, free_port
from projections.balances.alerts import LOW, Alert, Cause
from projections.fold.outbox import Outbox, Output
from schemas.errors import ConfigurationError
from schemas.topics import ALERTS

ROOT: Final = Path(__file__).parents[3]
_START_SECONDS: Final = 120.0
_WAIT_SECONDS: Final = 120.0
_READY: Final = b"GET /readyz HTTP/1.0\r\n\r\n"


def until(condition: Callable[[], bool], what: str, pause_seconds: float = 0.1) -> None:
    """Wait for it; fail when it does not come."""
    give_up = time.monotonic() + _WAIT_SECONDS
    while not condition():
        assert time.monotonic() < give_up, f"this did not come: {what}"
        time.sleep(pause_seconds)


def is_ready(port: int) -> bool:
    """Whether a worker says so of itself."""
    return answers(port, _READY, b"HTTP/1.0 200")


@dataclass
class Receiver:
    """What answers webhooks; `plan` says how, by path."""

    folder: Path
    port: int = field(default_factory=free_port)
    secrets: list[str] = field(default_factory=list)
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pem: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None

    def url(self, path: str = "/") -> str:
        """Where it is called."""
        origin = "http://127.0.0.1" if self.pem is None else "https://localhost"
        return f"{origin}:{self.port}{path}"

    def plan(self, path: str, *answers: dict[str, Any]) -> None:
        """How to answer the calls of a path from the next start on; the last stays."""
        self.answers[path] = list(answers)
        self.write()

    def write(self) -> None:
        """Let the process know the plan and the secrets."""
        fresh = self.folder / "plan.new"
        fresh.write_text(json.dumps({"secrets": self.secrets, "answers": self.answers}))
        fresh.replace(self.folder / "plan.json")

    def start(self) -> None:
        """Begin to listen."""
        self.write()
        pem = [] if self.pem is None else [str(self.pem)]
        module = "tests.projections.delivery.receiver"
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, str(self.port), str(self.folder), *pem], cwd=ROOT
        )
        until(lambda: answers(self.port), "the receiver")

    def stop(self) -> None:
        """Listen no more."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def seen(self, path: str | None = None) -> list[dict[str, Any]]:
        """Every request that came, in order."""
        file = self.folder / "seen.jsonl"
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        return [each for each in found if path in (None, each["path"])]

    def accepted(self, path: str | None = None) -> set[str]:
        """The ids that were answered with 2xx."""
        return {each["id"] for each in self.seen(path) if 200 <= each["status"] < 300}


@contextmanager
def receiver(folder: Path, pem: Path | None = None) -> Iterator[Receiver]:
    """A receiver that listens, killed with the context."""
    folder.mkdir(exist_ok=True)
    made = Receiver(folder, pem=pem)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@dataclass(frozen=True)
class Place:
    """Where one test's dispatcher works."""

    kafka: str
    redis_url: str
    prefix: str
    file: Path
    more: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Of its commands."""
        return {
            **os.environ,
            "DRAWDOWN_KAFKA": self.kafka,
            "DRAWDOWN_REDIS_URL": self.redis_url,
            "DRAWDOWN_TOPIC_PREFIX": self.prefix,
            "DRAWDOWN_KEY_PREFIX": self.prefix,
            "DRAWDOWN_WEBHOOKS_FILE": str(self.file),
            "DRAWDOWN_WEBHOOKS_DELAYS": "PT1S PT1S PT1S PT1S PT1S PT1S",
            "DRAWDOWN_WEBHOOKS_TIMEOUT_SECONDS": "2",
            **self.more,
        }

    def with_settings(self, **values: str) -> "Place":
        """The same with other settings."""
        named = {f"DRAWDOWN_WEBHOOKS_{name.upper()}": value for name, value in values.items()}
        return Place(self.kafka, self.redis_url, self.prefix, self.file, {**self.more, **named})

    def command(self, *arguments: str) -> str:
        """What a command prints. In this process: a fresh one takes seconds to import it all."""
        settings.cache_clear()
        try:
            ran = CliRunner().invoke(app, arguments, env=self.environment)
        finally:
            settings.cache_clear()
        assert ran.exception is None, (arguments, ran.output, ran.exception)
        return ran.stdout

    def refused(self, *arguments: str) -> str:
        """Why the command, a process of its own, does not do it."""
        ran = subprocess.run(
            [sys.executable, "-m", "deploy.cli", *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == ConfigurationError.exit_code, (arguments, ran.stdout, ran.stderr)
        return ran.stderr

    def subscribe(self, to: Receiver, name: str, *more: str, path: str | None = None) -> str:
        """Add a subscription that calls `to`; its secret, which `to` knows now."""
        url = to.url(f"/{name}" if path is None else path)
        secret = self.command("subscriptions", "add", name, url, "--allow-private", *more).strip()
        to.secrets.append(secret)
        to.write()
        return secret

    @contextmanager
    def dispatcher(self) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
        """A dispatcher that is ready, and the port of its health; killed with the context."""
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", "webhooks"],
            env={**self.environment, "DRAWDOWN_HEALTH_PORT": str(port)},
            cwd=ROOT,
        )
        give_up = time.monotonic() + _START_SECONDS
        try:
            while not is_ready(port):
                assert process.poll() is None, "the dispatcher ended"
                assert time.monotonic() < give_up, "the dispatcher is not ready"
                time.sleep(0.05)
            yield process, port
        finally:
            process.kill()
            process.wait()

    def write(self, *alerts: bytes) -> None:
        """Put alerts into the log, keyed by account."""
        outbox = Outbox(self.kafka, self.prefix)
        keys = [json.loads(each)["subject"].encode() for each in alerts]
        sent = [
            outbox.send(Output(ALERTS, each, key)) for each, key in zip(alerts, keys, strict=True)
        ]
        outbox.delivered(sent, wait=True)
        outbox.close()


def alert(number: int, account: str = "acme", type_: str = LOW, **more: Any) -> bytes:
    """An alert as balances write it; its id follows from its arguments."""
    made = Alert(type_, account, Cause(number, f"test:{number}", f"{number}:0:0"), **more)
    return made.to_cloudevent()


def ids(*alerts: bytes) -> set[str]:
    """Their ids."""
    return {json.loads(each)["id"] for each in alerts}
