"""Every scenario, in the order of the table: importing a module registers its scenarios."""

from tests.faults import kills
from tests.faults.scenario import SCENARIOS, chosen

__all__ = ["SCENARIOS", "chosen", "kills"]
