"""One seed's world: raw records come, processes work, die and go on as zombies, Redis goes back.

Every choice comes from one seeded generator, so a seed replays exactly.
"""

from collections.abc import Iterator
from typing import Any, Final

from tests.simulation.auditor import audit
from tests.simulation.cluster import KINDS, Between, Cluster
from tests.simulation.odds import pick, swarm
from tests.simulation.ports import installed
from tests.simulation.processes import PREFIX, Folding, Process
from tests.simulation.redis import LONGEST_TAIL
from tests.simulation.replay import replayed
from tests.simulation.traffic import Traffic

MOST_STEPS: Final = 3_000


class World(Cluster):
    """A deployment of one or two partitions, its traffic and its faults."""

    def __init__(self, seed: int, strike: Between | None = None) -> None:
        super().__init__(seed, strike)
        self.traffic = Traffic(self.chance, self.broker, self.partitions)
        self._faults = swarm(
            self.chance,
            {
                self._lose_member: 2,
                self._replace_some: 2,
                self._rebalance: 1,
                self._roll_back: 2,
                self._twin: 1,
                self._expire: 1,
            },
        )
        self._snapshots: list[tuple[str, dict[str, Any]]] = []

    def run(self) -> None:
        """The whole history, and then calm until everything has been read to its end."""
        with installed(self.broker, self.state, self._who_starts, self.odds):
            while self.traffic.left:
                self._act()
            for _ in range(self.chance.randint(0, 30)):
                self._act()
            self._settle()

    def _act(self) -> None:
        """One thing that happens somewhere."""
        self._supervise()
        if self.chance.random() < 0.1:
            prefix = self._some_state()
            self._snapshots = [*self._snapshots[-8:], (prefix, self.state.copy(prefix))]
        number = self.chance.random()
        if number < 0.22:
            for _ in range(self.chance.randint(1, 5)):
                self.traffic.send(self.note)
        elif number < 0.29:
            pick(self.chance, self._faults)()
        elif number < 0.31 and self._wires:
            self.chance.choice(self._wires).land(2)
        elif number < 0.38 and self.zombies:
            self._haunt(self.chance.choice(self.zombies))
        elif number < 0.65:
            self._step(self.chance.choice(self.members))
        else:
            self._step(self.chance.choice(list(self.folding.values())))

    def effect(self, process: Process, name: str) -> None:
        """Redis, too, may die at each effect of a process."""
        super().effect(process, name)
        if self.chaos and self.chance.random() < self.odds.outage:
            self._cut_tails()

    def _haunt(self, zombie: Process) -> None:
        for _ in range(self.chance.randint(1, 5)):
            if zombie.alive:
                self._step(zombie)
        if not zombie.alive or self.chance.random() < 0.07:
            self._bury(zombie)
            self.zombies.remove(zombie)

    def _lose_member(self) -> None:
        self._forget(self.chance.choice(self.members))
        self._rebalance()

    def _replace_some(self) -> None:
        folding = list(self.folding.values())
        busy = [each for each in folding if each.alive and each.partition.pending]
        self._replace(self.chance.choice(busy or folding))

    def _twin(self) -> None:
        """A second worker opens a partition, and sleeps: all it will read is newer than that."""
        kind, number = self.chance.choice(KINDS), self.chance.randrange(self.partitions)
        twin = Folding(self, self._name(f"{kind.name}-twin"), kind=kind, number=number)
        self._start(twin)
        self.zombies.append(twin)

    def _expire(self) -> None:
        sending = [each for each in self._processes() if any(each.producer.queues.values())]
        if sending:
            process = self.chance.choice(sending)
            self.note("a record expires", process.name)
            process.producer.expire()

    def _some_state(self) -> str:
        part = self.chance.choice(("claims", "rating", "balances"))
        return f"{PREFIX}:{{{self.chance.randrange(self.partitions)}}}:{part}"

    def _roll_back(self) -> None:
        """Redis comes back older: claims or a stage's state, or one of them is lost entirely."""
        if self.chance.random() < 0.3:
            self.traffic.storm(self.note)
        if self.chance.random() < 0.5:
            self._cut_tails()
            return
        if self._snapshots and self.chance.random() < 0.7:
            prefix, older = self.chance.choice(self._snapshots)
        else:
            prefix, older = self._some_state(), {}
        self.note("redis goes back", prefix, "flushed" if not older else "")
        self.state.restore(prefix, older)
        if self.chance.random() < 0.1:
            self.state.restore(PREFIX, {})

    def _cut_tails(self) -> None:
        """Redis is killed before it syncs: each slot lacks its own last commands."""
        longest = self.chance.choice((1, 5, LONGEST_TAIL))
        for number in range(self.partitions):
            count = self.state.cut(f"{PREFIX}:{{{number}", self.chance.randint(0, longest))
            self.note("redis lacks its last", count, "commands of slot", number)

    def _settle(self) -> None:
        """No more faults: whatever is on the wire lands, new workers read everything."""
        self.chaos = False
        for process in [*self.zombies, *self.members, *self.folding.values()]:
            self._bury(process)
        self.zombies.clear()
        self.members.clear()
        self.folding.clear()
        for producer in self._wires:
            producer.land(1_000)
        self._supervise()
        (member,) = self.members
        for _ in range(MOST_STEPS):
            self._step(member)
            assert member.alive, self.trace[-1]
            if member.done:
                break
        else:
            raise AssertionError("admission does not come to an end")
        for kind in KINDS:
            for number in range(self.partitions):
                process = self.folding[kind.name, number]
                while not process.done:
                    self._step(process)
                    process.guarded(process.drain)
                    assert process.alive, self.trace[-1]

    def faults(self) -> Iterator[str]:
        """What is wrong after `run`: by the audit, and by folding the journal again from zero."""
        yield from audit(self.broker, self.partitions)
        for number in range(self.partitions):
            yield from replayed(self.broker, self.state, number)
