"""Runs scenarios one after another on servers that they share, and keeps what came of each."""

import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.servers.find import Servers
from tests.faults.scenario import LeftOut, Outcome, Run, Scenario


@dataclass(frozen=True)
class Result:
    """One row of the table. `outcome` is None when the scenario was left out or failed."""

    scenario: Scenario
    seconds: float
    outcome: Outcome | None = None
    failure: str = ""
    left_out: str = ""

    @property
    def holds(self) -> bool:
        """Nothing differs. What is left out holds, except in CI."""
        if self.left_out:
            return os.environ.get("CI", "").lower() != "true"
        return self.outcome is not None and not self.outcome.differences

    @property
    def differences(self) -> Sequence[str]:
        """What differs, or why the scenario failed."""
        if self.outcome is None:
            return [self.failure] if self.failure else []
        return self.outcome.differences


@dataclass(frozen=True)
class Runner:
    """`told` is called with the name of the scenario at hand and what it is doing."""

    servers: Servers
    folder: Path
    seed: int
    quick: bool
    told: Callable[[str, str], None]

    def run(self, scenarios: Sequence[Scenario]) -> Iterator[Result]:
        """One result after another."""
        for each in scenarios:
            yield self.run_one(each)

    def run_one(self, scenario: Scenario) -> Result:
        """Let it strike. What it raises is a failure of this scenario alone."""
        folder = self.folder / scenario.name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)

        def progress(line: str) -> None:
            self.told(scenario.name, line)

        progress("starting")
        started = time.monotonic()
        run = Run(self.servers, folder, self.seed, self.quick, progress)
        try:
            outcome = scenario.strike(run)
        except LeftOut as why:
            return Result(scenario, time.monotonic() - started, left_out=str(why))
        except Exception:  # noqa: BLE001 - the other scenarios still run
            failure = traceback.format_exc()
            return Result(scenario, time.monotonic() - started, failure=failure)
        return Result(scenario, time.monotonic() - started, outcome)
