"""The chart in a Kubernetes cluster: upgraded, killed and scaled while usage flows.

    python -m tests.deploy.cluster RELEASE --namespace NS --values FILE --token-file FILE

The release is installed already, with `--values`; the token's key may `ingest`, `read`, `write`.
To be run where pods' addresses can be reached, on a node say, with kubectl and helm. It upgrades
the release pod by pod, deletes a pod of each worker without grace, and scales rating out and in.
Every event that the gateway took must be drawn, once; `drawdown reconcile` says the rest.
"""

import argparse
import json
import secrets
import subprocess
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from tests.deploy.driven import call, documents, usage
from tests.deploy.tools import ROOT, tool

CHART: Final = ROOT / "deploy" / "helm" / "drawdown"
ACCOUNTS: Final = 20
PORTS: Final = {"gateway": 8888, "api": 8889}
STRUCK: Final = ("admission", "rating", "balances")
_AGAIN: Final = {
    HTTPStatus.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
}
_GIVE_UP_SECONDS: Final = 120.0
_BETWEEN_SECONDS: Final = 8.0


@dataclass
class Release:
    """A release of the chart. `sent` counts events that were taken, by account."""

    name: str
    namespace: str
    values: Path
    token: str
    sent: Counter[str] = field(default_factory=Counter)

    def kubectl(self, *arguments: str) -> str:
        """What kubectl says. Raises CalledProcessError."""
        command = ("kubectl", "-n", self.namespace, *arguments)
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout

    def upgrade(self) -> None:
        """A new round of every pod, and wait until it is ready."""
        command = (tool("helm"), "-n", self.namespace, "upgrade", self.name, str(CHART))
        note = f"podAnnotations.round={secrets.token_hex(4)}"
        options = ("--values", str(self.values), "--set", note, "--wait", "--timeout", "10m")
        subprocess.run((*command, *options), stdout=subprocess.DEVNULL, check=True)

    def ready(self, component: str) -> list[str]:
        """The addresses of a component's pods that are ready, and not about to end."""
        label = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}"
        pods = json.loads(self.kubectl("get", "pods", "-l", label, "-o", "json"))["items"]
        return [pod["status"]["podIP"] for pod in pods if _serves(pod)]

    def call(self, component: str, path: str, body: object = None, **headers: str) -> Any:
        """What a pod answers, another one where it is gone or busy; as a client would go on."""
        give_up = time.monotonic() + _GIVE_UP_SECONDS
        while time.monotonic() < give_up:
            for address in self.ready(component):
                try:
                    place = f"http://{address}:{PORTS[component]}{path}"
                    return call(place, self.token, body, **headers)
                except urllib.error.HTTPError as error:
                    if error.code not in _AGAIN:
                        raise
                except OSError:
                    continue
            time.sleep(0.3)
        raise AssertionError(f"{component} does not answer {path}")

    def feed(self, stop: threading.Event) -> None:
        """Send until told to stop; what was answered with less than all of it ends the run."""
        run, number = secrets.token_hex(4), 0
        while not stop.wait(0.1):
            events = usage(f"{run}-{number}", ACCOUNTS)
            assert self.call("gateway", "/v1/events", events)["accepted"] == len(events)
            self.sent.update(event["subject"] for event in events)
            number += 1

    def available(self) -> dict[str, int]:
        """The credits of each account, which are whole ones here."""
        names = [f"a{number}" for number in range(ACCOUNTS)]
        answers = (self.call("api", f"/v1/accounts/{name}/balance") for name in names)
        return dict(zip(names, (int(each["available"]) for each in answers), strict=True))

    def wait_for_balances(self, before: Mapping[str, int]) -> None:
        """Until each account has drawn what was taken of it, and not a credit more."""
        give_up = time.monotonic() + _GIVE_UP_SECONDS
        wanted = {account: credits_ - self.sent[account] for account, credits_ in before.items()}
        while (found := self.available()) != wanted:
            assert time.monotonic() < give_up, (found, wanted)
            time.sleep(1.0)


def _serves(pod: Mapping[str, Any]) -> bool:
    containers = pod["status"].get("containerStatuses", ())
    ready = any(containers) and all(each["ready"] for each in containers)
    return ready and "deletionTimestamp" not in pod["metadata"]


def disturb(release: Release) -> None:
    """All that is done to it while usage flows."""
    begin = time.monotonic()
    release.upgrade()
    print(f"upgraded in {time.monotonic() - begin:.0f} s", flush=True)
    for worker in STRUCK:
        release.kubectl(
            "delete", "pod", f"{release.name}-{worker}-0", "--grace-period=0", "--force"
        )
        time.sleep(_BETWEEN_SECONDS)
    for replicas in (3, 1, 2):
        name = f"{release.name}-rating"
        release.kubectl("scale", "statefulset", name, f"--replicas={replicas}")
        time.sleep(_BETWEEN_SECONDS)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.cluster", description=__doc__)
    parser.add_argument("release")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--values", type=Path, required=True)
    parser.add_argument("--token-file", type=Path, required=True)
    given = parser.parse_args()
    token = given.token_file.read_text().strip()
    release = Release(given.release, given.namespace, given.values, token)
    release.call("api", "/v1/documents", documents(ACCOUNTS), Prefer="wait=60")
    before, stop = release.available(), threading.Event()
    with ThreadPoolExecutor(1) as aside:
        feeding = aside.submit(release.feed, stop)
        try:
            disturb(release)
        finally:
            stop.set()
        feeding.result()
    release.wait_for_balances(before)
    total = sum(release.sent.values())
    print(f"{total:,} events sent, {total:,} credits drawn")


if __name__ == "__main__":
    main()
