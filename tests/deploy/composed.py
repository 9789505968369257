"""The services of the compose file as plain processes: what `docker compose up` would run, unboxed.

Compose's own reader says what each service is. Each sees under /secrets what it mounts there and
nothing else; the names of Kafka and Redis, and the ports, are those of this machine's loopback.
"""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from deploy.servers.apache import ApacheKafka
from deploy.servers.process import LOOPBACK, ServerProcess, free_port
from tests.deploy.container import Container
from tests.deploy.image import entrypoint, variables
from tests.deploy.tools import ROOT, tool
from tests.deploy.written import Writes

FILE: Final = ROOT / "deploy" / "compose.yaml"
_KAFKA: Final = re.compile(r"(?:\bkafka|\b127\.0\.0\.1)?:(9092|9093|19092)\b")
_SECRETS: Final = re.compile(r"(?<![\w.])/secrets/")
_PORT: Final = {"gateway": "DRAWDOWN_GATEWAY_PORT", "api": "DRAWDOWN_API_PORT"}


def services() -> dict[str, dict[str, Any]]:
    """Every service as compose understands the file."""
    done = subprocess.run(
        [tool("compose"), "-format", "json", FILE.name],
        cwd=FILE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)["services"]
    return found


class Composed:
    """The services, over `folder`; `programs` are those of the image."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.services = services()
        self._folder, self._programs = folder, programs
        self.kafka = ComposedKafka(
            folder / "kafka", folder / "kafka.log", self.services["kafka"]["environment"]
        )
        self.redis_port = free_port()
        self.redis = ServerProcess(
            name="redis", command=self._redis(), log=folder / "redis.log", ready=self._redis_answers
        )
        self._temporary = folder / "tmp"
        self._temporary.mkdir()
        self.ports: dict[str, int] = {}
        self.writes = Writes(folder / "writes")

    def container(self, name: str, *command: str, program: tuple[str, ...] = ()) -> Container:
        """A service, with `command` in the place of its own, and `program` in that of its entry."""
        service = self.services[name]
        start = list(program) or service.get("entrypoint") or entrypoint()
        line = [*start, *(command or service.get("command") or ())]
        return Container(
            name,
            [self.mapped(name, each) for each in line],
            self._environment(name),
            self._folder / f"{name}.log",
        )

    def mapped(self, name: str, text: str) -> str:
        """What a service says, with this machine's paths and addresses."""
        for mount in self.services[name].get("volumes", ()):
            if mount["type"] == "bind" and text == mount["target"]:
                return str(self._script(name, Path(mount["source"])))
        text = _SECRETS.sub(f"{self._seen(name)}/", text)
        text = text.replace("kafka:9092", self.kafka.address)
        return text.replace("redis:6379", f"{LOOPBACK}:{self.redis_port}")

    def volume(self, name: str) -> Path:
        """The folder of a volume."""
        folder = self._folder / "volumes" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _seen(self, name: str) -> Path:
        """The folder /secrets as a service sees it."""
        seen = self._folder / "seen" / name
        seen.mkdir(parents=True, exist_ok=True)
        for mount in self.services[name].get("volumes", ()):
            target = Path(mount["target"])
            link = seen / target.name
            if target.parent == Path("/secrets") and not link.is_symlink():
                link.symlink_to(self.volume(mount["source"]))
        return seen

    def writable(self) -> list[str]:
        """What ours may write: /tmp, and volumes that one of them does not mount read-only."""
        ours = (each for each in self.services.values() if "build" in each)
        mounts = [mount for each in ours for mount in each.get("volumes", ())]
        volumes = [
            f"{self.volume(mount['source'])}/"
            for mount in mounts
            if mount["type"] == "volume" and not mount.get("read_only", False)
        ]
        return [*volumes, f"{self._temporary}/"]

    def _environment(self, name: str) -> dict[str, str]:
        given = {
            **variables(),
            **self.writes.environment(),
            "PATH": f"{self._programs}:/usr/bin:/bin",
            "HOSTNAME": f"{name}-1",
            "HOME": str(self._temporary),
            "TMPDIR": str(self._temporary),
        }
        stated: Mapping[str, str] = self.services[name].get("environment") or {}
        given |= {key: self.mapped(name, value) for key, value in stated.items()}
        if "HEALTH_URL" in stated:
            port = self.ports.setdefault(name, free_port())
            given[_PORT.get(name, "DRAWDOWN_HEALTH_PORT")] = str(port)
            given["HEALTH_URL"] = re.sub(r":\d+/", f":{port}/", stated["HEALTH_URL"])
        return given

    def _script(self, name: str, source: Path) -> Path:
        """A script names paths itself."""
        copy = self._folder / source.name
        copy.write_text(self.mapped(name, source.read_text()))
        return copy

    def _redis(self) -> list[str]:
        stated = [self.mapped("redis", each) for each in self.services["redis"]["command"]]
        here = ("--bind", LOOPBACK, "--port", str(self.redis_port))
        return ["/usr/bin/env", *stated, *here, "--dir", str(self.volume("redis"))]

    def told_in_redis(self, script: str, *arguments: str) -> str:
        """What `docker compose exec redis sh -c SCRIPT redis ARGUMENTS…` says."""
        done = self._in_redis(script, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _in_redis(self, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        here = self.mapped("redis", script).replace("redis-cli", f"redis-cli -p {self.redis_port}")
        line = ["/bin/sh", "-c", here, "redis", *arguments]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    def _redis_answers(self) -> bool:
        """Its own health check."""
        kind, check = self.services["redis"]["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        return self._in_redis(check).returncode == 0


class ComposedKafka(ApacheKafka):
    """A broker with the settings that the image makes of the environment."""

    def __init__(self, folder: Path, log: Path, environment: Mapping[str, str]) -> None:
        self._stated = {
            name.removeprefix("KAFKA_").lower().replace("_", "."): value
            for name, value in environment.items()
            if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
        }
        super().__init__(folder, log=log)
        self.process.ready_seconds = 240.0
        self._host_port = free_port()

    def _settings(self) -> str:
        ports = {"9092": self.port, "9093": self._controller_port, "19092": self._host_port}

        def here(found: re.Match[str]) -> str:
            return f"{LOOPBACK}:{ports[found[1]]}"

        given = {name: _KAFKA.sub(here, value) for name, value in self._stated.items()}
        given["log.dirs"] = str(self._folder / "log")
        return "".join(f"{name}={value}\n" for name, value in given.items())
