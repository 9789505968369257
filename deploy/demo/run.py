"""What `drawdown demo` does: run everything, show it, prove it."""

import tempfile
import threading
import time
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from deploy.demo.sample import ACCOUNTS, CONTRACT, Day, documents
from deploy.reading import report as reports
from deploy.reading.alerts import read_alerts
from deploy.reading.lag import measure
from deploy.reading.reconcile import reconcile
from deploy.reading.surroundings import Surroundings, surroundings
from deploy.servers.find import open_servers
from deploy.settings import Settings, load_settings
from deploy.supervisor import Supervisor
from deploy.up import running_pipeline
from ingest import Producer
from ingest.documents import load_documents, send_documents
from projections.fold.log import Log
from projections.reading.balance import read_balance
from projections.reading.contract import read_contract
from schemas.documents import parse_document
from schemas.errors import ProgressError
from schemas.rejected import REASON_HEADER
from schemas.topics import REJECTED, UNRATED

_PATIENCE_SECONDS: Final = 120.0
_ANY_PORT: Final = "0"
_SHOWN: Final = ("id", "type", "issued", "consumed", "rolled_over", "remaining", "state")


def run_demo(events: int, seed: int) -> bool:
    """Play a day of `events` usage events on embedded servers, tell of it, say whether all holds.

    Raises ConfigurationError, ServerError, ProgressError.
    """
    console = Console()
    logs = Path(tempfile.mkdtemp(prefix="drawdown-demo-"))
    console.print(f"Starting the embedded broker and Valkey; the workers' logs are in {logs}")
    with open_servers("embedded") as servers:
        changes = {"DRAWDOWN_HEALTH_PORT": _ANY_PORT}
        settings = load_settings(kafka=servers.kafka, redis_url=servers.redis_url)
        with running_pipeline(servers, changes, logs) as supervisor:
            run = _Run(settings, supervisor, Day(events, time.time_ns() // 1000, seed), console)
            run.play()
            holds = run.tell()
    console.print("Everything holds." if holds else "SOMETHING DOES NOT HOLD: see above.")
    return holds


class _Run:
    """One demo on running servers."""

    def __init__(
        self, settings: Settings, supervisor: Supervisor, day: Day, console: Console
    ) -> None:
        self._settings, self._supervisor, self._day = settings, supervisor, day
        self._console = console
        self._around: Surroundings = surroundings(settings)
        self._sent = 0
        self._failure: BaseException | None = None
        self._seconds = 0.0

    def play(self) -> None:
        """Apply the catalog and accounts, send the day, wait until all of it is in the balances."""
        kafka = self._settings.kafka_access
        catalog = resources.files(__package__).joinpath("catalog.yaml")
        with resources.as_file(catalog) as path:
            made = [parse_document(fields) for fields in documents(self._day.now)]
            send_documents([*load_documents([path]), *made], kafka)  # type: ignore[list-item]
        self._console.print(
            "Applied 3 products, 1 rate card, 3 accounts, 5 grants, 1 contract and its amendment"
        )
        self._settle("starting the workers", lambda: True)
        started = time.monotonic()
        sender = threading.Thread(target=self._send, daemon=True)
        sender.start()
        self._settle("metering a day of usage", lambda: not sender.is_alive())
        self._seconds = time.monotonic() - started
        if self._failure is not None:
            raise self._failure

    def _send(self) -> None:
        try:
            with Producer(self._settings.kafka_access) as producer:
                for record in self._day.records():
                    producer.send_encoded(record.account, record.value)
                    self._sent += 1
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._failure = error

    def _settle(self, doing: str, sent: "object") -> None:
        """Show progress until there is no lag and nothing more comes."""
        give_up = time.monotonic() + _PATIENCE_SECONDS
        quiet = 0
        with Live(console=self._console, refresh_per_second=4) as live:
            while quiet < 2:
                self._supervisor.poll()
                done = sent()  # type: ignore[operator]
                lag: Counter[str] = Counter()
                for each in measure(self._around):
                    lag[each.stage] += each.records
                behind = "  ".join(f"{stage} {count:,} behind" for stage, count in lag.items())
                live.update(f"{doing}: {self._sent:,} records sent   {behind}")
                quiet = quiet + 1 if done and not any(lag.values()) else 0
                if time.monotonic() > give_up:
                    message = f"{doing}: still behind after {_PATIENCE_SECONDS:.0f} s: {behind}"
                    raise ProgressError(message)
                time.sleep(0.1)

    def tell(self) -> bool:
        """Report balances, alerts, refusals, speed and every invariant; gives whether all hold."""
        for account in ACCOUNTS:
            self._tell_account(account)
        self._tell_contract(*CONTRACT)
        log = Log(self._settings.kafka_access)
        kinds = Counter(alert["type"] for alert in read_alerts(log, follow=False))
        self._tell_counts("Alerts", kinds)
        report = reconcile(self._settings, Console(stderr=True))
        refused = _reasons(log)
        self._tell_counts("Refused, by reason", refused)
        rate = self._sent / self._seconds
        self._console.print(
            f"{self._sent:,} records in {self._seconds:.1f} s: {rate:,.0f} events/s, "
            "sender, broker, Redis and workers on this machine"
        )
        reports.show(report, self._console)
        as_planned = refused == self._day.expected
        if not as_planned:
            self._console.print(f"expected refusals: {dict(self._day.expected)}")
        return report.holds and as_planned

    def _tell_account(self, account: str) -> None:
        entry = read_balance(self._around, account)
        assert entry is not None, account
        title = f"{account}: available {entry['available']}, overage {entry['overage']}"
        table, grants = Table(title=title, title_justify="left", box=None), entry["grants"]
        rolled = any(grant["rolled_over"] != "0" for grant in grants)
        shown = [name for name in _SHOWN if rolled or name != "rolled_over"]
        for name in shown:
            table.add_column(name.replace("_", " "), overflow="fold")
        for grant in grants:
            table.add_row(*(grant[name] for name in shown))
        self._console.print(table)

    def _tell_contract(self, account: str, contract: str) -> None:
        entry = read_contract(self._around, account, contract)
        assert entry is not None, contract
        for each in entry["revisions"]:
            why = f": {each['reason']} (by {each['by']})" if each["reason"] else ""
            line = f"Contract {contract} of {account}, revision {each['revision']},"
            self._console.print(f"{line} in force from {each['effective_at']}{why}")

    def _tell_counts(self, title: str, counts: Counter[str]) -> None:
        listed = "  ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
        self._console.print(f"{title}: {listed or 'none'}")


def _reasons(log: Log) -> Counter[str]:
    """Refused and unrated records by reason, each counted once by where it stood."""
    seen: dict[tuple[bytes | None, ...], bytes | None] = {}
    for topic in (REJECTED.name, UNRATED.name):
        numbers = range(log.partitions(topic))
        for number, end in log.ends(topic, list(numbers)).items():
            for record in log.read(topic, number, 0, end):
                headers = dict(record[4])
                place = tuple(
                    headers[f"__connect.errors.{name}"] for name in ("topic", "partition", "offset")
                )
                seen[*place, record[2]] = headers[REASON_HEADER]
    return Counter((reason or b"").decode() for reason in seen.values())
