"""One deployment on secured servers: a user for every role, and what each is told."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.acl.lists import kafka_entries, kafka_roles, redis_line, redis_roles
from deploy.servers.process import LOOPBACK
from tests.deploy.secured.calls import Calls
from tests.deploy.secured.servers import Certificates, SecuredKafka, SecuredRedis
from tests.faults.proxy import Proxy

PREFIX: Final = "secured."
NOBODY: Final = "nobody"
WINDOW: Final = "PT30S"
"""Short, so that a generation of claims is dropped within the test."""
END_SECONDS: Final = 240


@dataclass(frozen=True)
class Secured:
    """Both servers, and the settings of each user as an environment has them."""

    kafka: SecuredKafka
    store: SecuredRedis
    certificates: Certificates
    folder: Path
    doors: Mapping[str, Proxy]
    """To Redis, one for each user, which Redis knows it by."""
    calls: Calls

    def settings(self, role: str, user: str = "worker") -> dict[str, str]:
        """Settings of a role on Kafka and one on Redis."""
        return {
            "kafka": self.kafka.address,
            "kafka_security": "sasl_ssl",
            "kafka_ca": str(self.certificates.ca),
            "kafka_username": f"drawdown-{role}",
            "kafka_password_file": self._password(f"drawdown-{role}"),
            "redis_url": self.redis_url(user),
            "redis_ca": str(self.certificates.ca),
            "redis_username": user,
            "redis_password_file": self._password(user),
            "topic_prefix": PREFIX,
            "key_prefix": PREFIX,
            "partitions": "2",
            "max_event_age": WINDOW,
            "dedupe_window": WINDOW,
            "tick_idle_seconds": "1",
            "progress_seconds": "300",
        }

    def redis_url(self, user: str) -> str:
        """Where Redis is for a user; it names nobody."""
        return f"rediss://{LOOPBACK}:{self.doors[user].port}/0"

    def run(self, given: Mapping[str, str], *command: str) -> "subprocess.CompletedProcess[str]":
        """A command as it is typed, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "deploy.cli", *command],
            env={**os.environ, **environment(given)},
            capture_output=True,
            text=True,
            timeout=END_SECONDS,
            check=False,
        )

    def _password(self, user: str) -> str:
        return str(self.folder / f"{user}.password")


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Settings as an environment has them."""
    return {f"DRAWDOWN_{name.upper()}": value for name, value in given.items()}


@contextmanager
def deployed(folder: Path) -> Iterator[Secured]:
    """Both servers with the lists that are shipped, and `nobody`, who may do nothing."""
    made = Certificates(folder / "certificates")
    broker = SecuredKafka(folder / "kafka", log=folder / "kafka.log", certificates=made)
    store = SecuredRedis(folder / "redis", log=folder / "redis.log", certificates=made)
    store.process.start()
    try:
        with broker, ExitStack() as stack:
            broker.add_users(
                [*(f"drawdown-{role}" for role in kafka_roles()), f"drawdown-{NOBODY}"]
            )
            broker.allow(kafka_entries(PREFIX, PREFIX))
            users = {user: secrets.token_urlsafe() for user in (*redis_roles(), NOBODY)}
            store.allow(redis_line(user, user, PREFIX, users[user]) for user in redis_roles())
            store.allow([f"user {NOBODY} on >{users[NOBODY]}"])
            for user, password in (broker.passwords | users).items():
                (folder / f"{user}.password").write_text(password + "\n")
            sources = {user: f"127.0.0.{number}" for number, user in enumerate(users, 2)}
            doors = {
                user: stack.enter_context(Proxy(store.port, source=source))
                for user, source in sources.items()
            }
            calls = Calls(store.access, {at: user for user, at in sources.items()}, PREFIX)
            yield Secured(broker, store, made, folder, doors, calls)
    finally:
        store.process.stop()
