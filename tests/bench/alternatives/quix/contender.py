"""Quix Streams with state in RocksDB, exactly-once."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from deploy.servers.apache import kafka_folder
from tests.bench.alternatives.records import ByGroup, create, records, sent_alerts
from tests.bench.alternatives.wallet import balance
from tests.bench.contender import Command, Work
from tests.bench.job import Balance

_APP: Final = "tests.bench.alternatives.quix.app"
_ROOT: Final = Path(__file__).parents[4]
_REQUIREMENTS: Final = ("quixstreams==3.28.1", "msgspec>=0.22")
_WALLET: Final = b"wallet"


class QuixStreams(ByGroup):
    """One application a process; balances are what its changelog topic holds."""

    name = "Quix Streams"

    def __init__(self) -> None:
        super().__init__(_group)

    def missing(self) -> str | None:
        """None: pip, which made this environment, makes its environment too."""
        return None

    def prepare(self, work: Work) -> None:
        """Its environment (once for all runs), and the topic of alerts."""
        _environment()
        create(work.kafka, work.alerts(self.name), work.partitions, {})

    def commands(self, work: Work) -> list[Command]:
        """`workers` processes of the app."""
        python = str(_environment())
        names = [f"quix-{number}" for number in range(work.workers)]
        arguments = [work.kafka, work.usage, work.alerts(self.name), _group(work)]
        return [
            Command(
                name,
                [python, "-m", _APP, *arguments, str(work.folder), name],
                {"PYTHONPATH": str(_ROOT)},
            )
            for name in names
        ]

    def balances(self, work: Work) -> dict[str, Balance]:
        """The last wallet of each account in the changelog: what a new process would restore."""
        changelog = f"changelog__{_group(work)}--{work.usage}--default"
        wallets: dict[str, bytes] = {}
        for key, value in records(work.kafka, changelog):
            account, _, name = key.partition(b"|")
            if name == _WALLET and value is not None:
                wallets[account.decode()] = value
        return {account: balance(packed) for account, packed in wallets.items()}

    def alerts(self, work: Work) -> list[tuple[str, str, str]]:
        """Those of committed transactions."""
        return sent_alerts(work, self.name)


def _group(work: Work) -> str:
    return f"{work.prefix}quix"


def _environment() -> Path:
    """The interpreter of an environment of its own: Quix wants older clients than Drawdown."""
    folder = kafka_folder().with_name(_REQUIREMENTS[0].replace("==", "-"))
    python = folder / "bin" / "python"
    marker = folder / "complete"
    if not marker.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *_REQUIREMENTS], check=True)
        marker.touch()
    return python
