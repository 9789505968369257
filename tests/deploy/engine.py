"""The compose file on a Docker engine: started, used as its readers would, killed by pieces.

    python -m tests.deploy.engine [--without SERVICE ...] [--keep]

Builds the image, `up --wait`, sends documents and usage, kills each service while more is sent,
then all of them at once, and ends with a balance to the credit, `reconcile`, a second worker and
every target of Prometheus. A project of its own, whose volumes are removed at the end; the ports
are the file's. Raises where anything is not as it should be. Without an engine, `test_compose.py`
reads the file and `test_composed.py` runs its services.
"""

import argparse
import secrets
import subprocess
import sys
import time
from typing import Any, Final

from tests.deploy.driven import EVENTS, ISSUED, SCOPES, call, documents, usage
from tests.deploy.tools import ROOT

FILE: Final = ROOT / "deploy" / "compose.yaml"
GATEWAY, API, PROMETHEUS = 8888, 8889, 9090
ENDS: Final = ("secrets", "topics")
"""Services that end by themselves."""
NOT_OURS: Final = ("kafka", "redis", "prometheus", "grafana")
TAKES: Final = ("gateway", "kafka")
"""Without these no usage is taken: it is sent when they are back."""
_FOLDED_SECONDS: Final = 60.0
_KEY_SECONDS: Final = 2.5
"""Until the gateway and the API know a new key."""


class Engine:
    """A compose project of a name that nothing else has; `sent` counts events that were taken."""

    def __init__(self) -> None:
        self._project = f"drawdown-{secrets.token_hex(4)}"
        self._token, self.sent = "", 0

    def compose(self, *arguments: str) -> str:
        """`docker compose …`; what it says. Raises CalledProcessError when it fails."""
        command = ("docker", "compose", "-p", self._project, "-f", str(FILE), *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stdout[-3_000:], done.stderr[-3_000:], sep="\n", file=sys.stderr)
            done.check_returncode()
        return done.stdout

    def key(self) -> None:
        """Make a key that may do all that is done here."""
        scopes = (f"--scope={each}" for each in SCOPES)
        self._token = self.compose("run", "--rm", "keys", "create", "all", *scopes).split()[-1]
        time.sleep(_KEY_SECONDS)

    def call(self, port: int, path: str, body: object = None, **headers: str) -> Any:
        """What a port answers, decoded. Raises HTTPError."""
        return call(f"http://127.0.0.1:{port}{path}", self._token, body, **headers)

    def send(self, called: str) -> None:
        """Usage that must be taken."""
        answer = self.call(GATEWAY, "/v1/events", usage(called, 1))
        assert answer == {"accepted": EVENTS, "invalid": []}, answer
        self.sent += EVENTS

    def wait_for_balance(self) -> None:
        """Until all that was taken is drawn, and not a credit more."""
        give_up, wanted = time.monotonic() + _FOLDED_SECONDS, str(ISSUED - self.sent)
        while (found := self.call(API, "/v1/accounts/a0/balance")["available"]) != wanted:
            assert time.monotonic() < give_up, f"{found} credits are left, expected {wanted}"
            time.sleep(0.5)

    def wait_for_targets(self, count: int) -> None:
        """Until Prometheus has so many, all of them up."""
        give_up = time.monotonic() + _FOLDED_SECONDS
        while True:
            found = self.call(PROMETHEUS, "/api/v1/targets")["data"]["activeTargets"]
            health = {each["scrapeUrl"]: each["health"] for each in found}
            if list(health.values()) == ["up"] * count:
                return
            assert time.monotonic() < give_up, health
            time.sleep(1.0)


def use(engine: Engine, services: list[str]) -> None:
    """All that the module's docstring says, but for the end."""
    begin = time.monotonic()
    engine.compose("up", "--wait", *services)
    print(f"up --wait: every service healthy in {time.monotonic() - begin:.0f} s", flush=True)
    engine.key()
    engine.call(API, "/v1/documents", documents(1), Prefer="wait=30")
    engine.send("first")
    engine.wait_for_balance()
    stay = [each for each in services if each not in ENDS]
    for name in stay:
        begin = time.monotonic()
        engine.compose("kill", "--signal", "KILL", name)
        if name not in TAKES:
            engine.send(name)
        engine.compose("up", "--wait", name)
        if name in TAKES:
            engine.send(name)
        print(f"{name}: killed, healthy again after {time.monotonic() - begin:.0f} s", flush=True)
    begin = time.monotonic()
    engine.compose("kill", "--signal", "KILL")
    engine.compose("up", "--wait", "--scale", "rating=2", *services)
    print(f"all at once: healthy again after {time.monotonic() - begin:.0f} s", flush=True)
    engine.send("two of rating")
    engine.wait_for_balance()
    print(f"{engine.sent:,} events sent, {engine.sent:,} credits drawn")
    print(engine.compose("run", "--rm", "command", "reconcile").strip().splitlines()[-1])
    if "prometheus" in services:
        targets = len([each for each in stay if each not in NOT_OURS]) + 1
        engine.wait_for_targets(targets)
        print(f"{targets} targets of Prometheus are up")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.engine", description=__doc__)
    parser.add_argument("--without", action="append", default=[], metavar="SERVICE")
    parser.add_argument("--keep", action="store_true", help="leave it running")
    given = parser.parse_args()
    engine = Engine()
    services = engine.compose("config", "--services").split()
    try:
        use(engine, [each for each in services if each not in given.without])
    finally:
        if not given.keep:
            engine.compose("down", "--volumes")


if __name__ == "__main__":
    main()
