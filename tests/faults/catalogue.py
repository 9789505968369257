"""Every scenario, in the order of the table: importing a module registers its scenarios."""

# isort: off
from tests.faults import kills
from tests.faults import zombies
from tests.faults import crossing
from tests.faults import copies
from tests.faults import poison
from tests.faults import loads
from tests.faults import broker_faults
from tests.faults import redis_faults
from tests.faults import hangs

# isort: on
from tests.faults.scenario import SCENARIOS, chosen

__all__ = [
    "SCENARIOS",
    "broker_faults",
    "chosen",
    "copies",
    "crossing",
    "hangs",
    "kills",
    "loads",
    "poison",
    "redis_faults",
    "zombies",
]
