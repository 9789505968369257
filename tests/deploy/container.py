"""A process as a container would run it: its command, its environment and nothing of this one's."""

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.servers.process import leashed
from tests.deploy.image import health_check

_HEALTHY_SECONDS: Final = 300.0
_END_SECONDS: Final = 240.0
_STOP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.5
_TAIL: Final = 3_000


@dataclass
class Container:
    """`environment` has PATH, too; what the process says goes to `log`."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it; it does not outlive the thread that starts it."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                leashed(self._found(self.command), signal.SIGTERM),
                env=dict(self.environment),
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self) -> "subprocess.CompletedProcess[str]":
        """Run it to its end."""
        return subprocess.run(
            self._found(self.command),
            env=dict(self.environment),
            cwd=self.log.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_END_SECONDS,
            check=False,
        )

    def wait_until_healthy(self) -> None:
        """Wait until the image's health check says so; fails when the process ends before."""
        give_up = time.monotonic() + _HEALTHY_SECONDS
        while not self._healthy():
            assert self.runs(), f"{self.name} ended: {self.said()}"
            assert time.monotonic() < give_up, f"{self.name} is not healthy: {self.said()}"
            time.sleep(_POLL_SECONDS)

    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def said(self) -> str:
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-_TAIL:]

    def stop(self) -> None:
        """End it as `docker stop` does."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _healthy(self) -> bool:
        command = self._found(health_check())
        done = subprocess.run(
            command, env=dict(self.environment), capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0

    def _found(self, command: Sequence[str]) -> list[str]:
        program = shutil.which(command[0], path=self.environment["PATH"])
        assert program is not None, command[0]
        return [program, *command[1:]]
