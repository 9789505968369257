"""Killed anywhere, among zombies, rating and balances end as one undisturbed worker would."""

from collections.abc import Iterator

import pytest
import redis

from processors.rating import stage as rating
from projections.balances.books import accounts_in
from projections.balances.row import check_conservation
from projections.fold import position, stage
from tests.protocol.mutation import mutant, script
from tests.protocol.test_position import JOURNAL_UNSEEN
from tests.protocol.test_stage import DELIVERY_FIRST, NO_WAIT
from tests.protocol.test_store import COMMIT_CHECK, READ_CHECK
from tests.protocol.world import EVENTS, World, balances_world, rating_world

pytestmark = pytest.mark.integration

SEEDS = range(25)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """The session's Redis."""
    with redis.Redis.from_url(redis_url) as found:
        yield found


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_anywhere_rating_ends_as_one_worker_would(
    client: redis.Redis, topic_prefix: str, seed: int
) -> None:
    """I1, I4 and I5: every event is in the rated log once, in order, at the same price."""
    world = rating_world(client, topic_prefix, seed)
    world.run()
    found = world.outcome()
    rated = [row["id"] for row in found.read if row["id"] is not None]
    assert rated == [f"e{number}" for number in range(EVENTS)]
    assert found == world.truth()


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_anywhere_balances_end_as_one_worker_would(
    client: redis.Redis, topic_prefix: str, seed: int
) -> None:
    """I3, I4, I5 and I6: ledger, alerts and balances, from a log with its own repeats."""
    world = balances_world(client, topic_prefix, seed)
    world.run()
    found = world.outcome()
    assert found == world.truth()
    assert found.alerts
    for account, row in accounts_in(found.rows).items():
        assert check_conservation(account, row.grants) == []


MUTATIONS = (
    "outputs before the commit",
    "checked reads",
    "checked commits",
    "repeats skipped",
    "refused workers end",
)


def take_out(name: str, world: World, patch: pytest.MonkeyPatch) -> None:
    """Let `world` run without the clause called `name`."""
    match name:
        case "outputs before the commit":
            world.stage = mutant(stage, DELIVERY_FIRST, NO_WAIT)
        case "checked reads":
            bare = "if operation == 'read' then"
            world.lua = script("projections.fold", "store.lua", READ_CHECK, bare)
        case "checked commits":
            bare = "  local at = 5"
            world.lua = script("projections.fold", "store.lua", COMMIT_CHECK, bare)
        case "repeats skipped":
            changed = mutant(position, JOURNAL_UNSEEN, "pass")
            patch.setattr(rating, "JournalReader", changed.JournalReader)
        case _:
            world.refused_go_on = True


@pytest.mark.parametrize("name", MUTATIONS)
def test_without_a_clause_the_simulation_finds_the_damage(
    client: redis.Redis, topic_prefix: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A simulation that finds nothing proves nothing: it must see each clause missing."""

    def damages(seed: int) -> bool:
        world = rating_world(client, topic_prefix, seed)
        expected = world.truth()
        with monkeypatch.context() as patch:
            take_out(name, world, patch)
            world.run()
        return world.outcome() != expected

    assert any(map(damages, SEEDS))
