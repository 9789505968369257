"""`drawdown up` with all its doors: usage in over HTTP, a balance and a webhook out."""

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from deploy.servers.process import answers, free_port
from schemas.errors import ConfigurationError
from tests.projections.delivery.processes import receiver, until
from tests.projections.web.problems import once_there

ROOT: Final = Path(__file__).parents[2]
DOORS: Final = ("--with", "gateway", "--with", "api", "--with", "webhooks")
READY: Final = b"GET /readyz HTTP/1.0\r\n\r\n"
PATIENCE: Final = 60.0
SINCE: Final = "2026-01-01T00:00:00Z"
DOCUMENTS: Final = [
    {
        "kind": "Product",
        "id": "api-calls",
        "meter": {"event_type": "api.call", "aggregation": "count"},
    },
    {
        "kind": "RateCard",
        "id": "standard",
        "versions": [
            {
                "version": 1,
                "effective_from": SINCE,
                "rates": [
                    {
                        "product": "api-calls",
                        "price": {"model": "unit", "unit_price": "1", "per": "5"},
                    }
                ],
            }
        ],
    },
    {"kind": "Account", "id": "acme", "rate_card": "standard"},
    {
        "kind": "Grant",
        "id": "g1",
        "account": "acme",
        "type": "prepaid",
        "amount": "10",
        "effective_at": SINCE,
        "expires_at": "2099-01-01T00:00:00Z",
    },
]


@dataclass(frozen=True)
class Up:
    """`drawdown up` that has said where everything is."""

    process: "subprocess.Popen[str]"
    gateway: int
    api: int
    environment: dict[str, str]

    def command(self, *arguments: str) -> str:
        """What a command prints, in the other terminal."""
        ran = subprocess.run(
            [sys.executable, "-m", "deploy.cli", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, (arguments, ran.stdout, ran.stderr)
        return ran.stdout

    def balance(self) -> str | None:
        """What acme has available; None where it is not known yet."""
        asked = f"http://127.0.0.1:{self.api}/v1/accounts/acme/balance"
        answer = httpx.get(asked, timeout=PATIENCE)
        return str(answer.json()["available"]) if answer.is_success else None


@contextmanager
def up(folder: Path) -> Iterator[Up]:
    """All of it, told apart from what else runs on this machine by its ports."""
    gateway, api = free_port(), free_port()
    environment = {
        **os.environ,
        "DRAWDOWN_GATEWAY_PORT": str(gateway),
        "DRAWDOWN_API_PORT": str(api),
        "DRAWDOWN_HEALTH_PORT": "0",
        "DRAWDOWN_WEBHOOKS_FILE": str(folder / "to.json"),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "up", *DOORS],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            exported = _exported(_said(process), folder / "to.json", (gateway, api))
            for port in (gateway, api):
                until(partial(answers, port, READY, b"HTTP/1.1 200"), f"an answer at {port}")
            yield Up(process, gateway, api, {**environment, **exported})
        finally:
            process.terminate()


def _exported(said: str, file: Path, ports: Iterable[int]) -> dict[str, str]:
    """What it says to export in the other terminal; it has said where its doors are, too."""
    assert f"made {file}" in said
    assert "no API keys: for this machine only" in said
    for port in ports:
        assert f"http://127.0.0.1:{port}/v1" in said
    exported = dict(re.findall(r"(DRAWDOWN_\w+)=(\S+)", said))
    assert exported["DRAWDOWN_WEBHOOKS_FILE"] == str(file)
    return exported


def _said(process: "subprocess.Popen[str]") -> str:
    """All that it prints until everything is started."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Ctrl-C drains"):
        line = process.stdout.readline()
        assert line, f"it ended: {''.join(lines)}"
        lines.append(line)
    return "".join(lines)


def event(identity: str) -> dict[str, Any]:
    """A call by acme, now."""
    now = dt.datetime.now(dt.UTC).isoformat()
    head = {"specversion": "1.0", "id": identity, "source": "api", "type": "api.call"}
    return {**head, "subject": "acme", "time": now, "data": {}}


@pytest.mark.integration
def test_usage_goes_in_and_balances_and_alerts_come_out(tmp_path: Path) -> None:
    with up(tmp_path) as running, receiver(tmp_path / "receiver") as crm:
        added = ("subscriptions", "add", "crm", crm.url("/crm"), "--allow-private")
        crm.secrets.append(running.command(*added).strip())
        crm.write()
        documents, wait = f"http://127.0.0.1:{running.api}/v1/documents", {"prefer": "wait=30"}
        applied = once_there(
            lambda: httpx.post(documents, json=DOCUMENTS, headers=wait, timeout=PATIENCE)
        )
        assert applied.is_success, applied.text
        until(lambda: running.balance() == "10", "the grant")
        twice = [event("e1"), event("e1"), event("e2")]
        events = f"http://127.0.0.1:{running.gateway}/v1/events"
        posted = once_there(lambda: httpx.post(events, json=twice, timeout=PATIENCE))
        assert posted.json() == {"accepted": 3, "invalid": []}
        until(lambda: running.balance() == "9.6", "the balance of two calls")
        until(lambda: bool(crm.accepted("/crm")), "the alert")
        [issued] = [json.loads(each["body"]) for each in crm.seen("/crm")]
        assert (issued["type"], issued["subject"]) == ("credits.grant.issued", "acme")
        assert lag_of_webhooks(running) == {"position": 1, "lag": 0}
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(120) == 0
        assert running.process.stdout is not None
        assert "draining" in running.process.stdout.read()
        assert not answers(running.gateway)
        assert not answers(running.api)


def lag_of_webhooks(running: Up) -> dict[str, int]:
    """What `drawdown lag` says of the dispatcher, over all partitions."""
    told = json.loads(running.command("lag", "--json"))
    rows = [each for each in told if each["stage"] == "webhooks"]
    assert {each["topic"] for each in rows} == {"metering.alerts.v1"}
    assert len(rows) == len({each["partition"] for each in told})
    return {name: sum(each[name] for each in rows) for name in ("position", "lag")}


@pytest.mark.parametrize(
    ("door", "environment", "why"),
    [
        ("webhooks", {}, "DRAWDOWN_WEBHOOKS_FILE names no file"),
        ("gateway", {"DRAWDOWN_GATEWAY_HOST": "0.0.0.0"}, "loopback only"),
        ("api", {"DRAWDOWN_API_HOST": "0.0.0.0"}, "loopback only"),
        ("api", {"DRAWDOWN_GATEWAY_KEYS": "/nowhere/keys.json"}, "cannot be read"),
    ],
)
def test_what_could_not_run_is_refused_before_anything_starts(
    door: str, environment: dict[str, str], why: str
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "up", "--with", door],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == ConfigurationError.exit_code
    assert why in ran.stderr
    assert ran.stdout == ""
