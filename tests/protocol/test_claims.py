"""Rule 1 on a real Redis: a claim names its owner, and obeys rule 3."""

from collections.abc import Callable, Iterator

import pytest
import redis

from processors.admission.claims import CLAIMED, CONFLICT, DUPLICATE, Claims, pack
from processors.admission.fingerprint import content_digest, key_digest
from schemas.errors import ClaimsBehind, Fenced
from tests.protocol.mutation import CLAUSE, script

pytestmark = pytest.mark.integration

WIDTH = 1_000
GENERATION = 7
OK, TWICE, OTHER = bytes((CLAIMED,)), bytes((DUPLICATE,)), bytes((CONFLICT,))

SAME_OFFSET = "if not found or sub(found, 1, 5) == sub(value, 1, 5) then"
SAME_CONTENT = "elseif #found ~= #value or sub(found, 6) == sub(value, 6) then"
BEHIND = "if not through or through < from then"
DROPPED = "if generation < floor(tonumber(stored[2]) / tonumber(stored[3])) - 1 then"
ONLY_NEW = "if call('HSETNX', bucket, field, value) == 1 then"
THROUGH_FORWARD = "if to > through then"
PASSES = "if not through or through < usage then"
NEVER_BACK = "if tonumber(offset) > tonumber(vector[index]) then vector[index] = offset end"

Open = Callable[..., Claims]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as found:
        yield found


@pytest.fixture
def open_claims(client: redis.Redis, topic_prefix: str) -> Open:
    """Opens the claims for one more worker, `without` one line of one of the scripts."""

    def open_one(without: str | None = None, by: str = "", name: str = "claims.lua") -> Claims:
        claims = Claims(client, topic_prefix, WIDTH, 1_000)
        claims.begin(0, (0, 0, 0))
        if without is not None:
            changed = client.register_script(script("processors.admission", name, without, by))
            if name == "claims.lua":
                claims._claim = changed
            else:
                claims._acknowledge = changed
        return claims

    return open_one


def item(name: str, offset: int, data: bytes = b"{}") -> bytes:
    return pack(key_digest("acme", "api", name), offset, content_digest("call", data))


def held(claims: Claims) -> tuple[int, tuple[int, int, int]]:
    found = claims.held(0)
    assert found is not None
    return found.through, found.vector


def accepted(claims: Claims, start: int, *names: str) -> list[str]:
    """The events, one an offset from `start`, that may be written into the journal."""
    items = [item(name, start + index) for index, name in enumerate(names)]
    answers = claims.claim(0, start, start + len(names), GENERATION, items)
    return [name for name, answer in zip(names, answers, strict=True) if answer == CLAIMED]


@CLAUSE
def test_the_owner_of_a_claim_is_accepted_again(open_claims: Open, *, clause: bool) -> None:
    """Killed after the claim, before the journal: the replay must not take itself for a repeat."""
    worker = open_claims()
    assert accepted(worker, 0, "a", "b", "a") == ["a", "b"]

    successor = open_claims() if clause else open_claims(SAME_OFFSET, "if not found then")
    assert accepted(successor, 0, "a", "b", "a") == (["a", "b"] if clause else [])


@CLAUSE
def test_another_offset_with_the_same_key_is_a_duplicate(
    open_claims: Open, *, clause: bool
) -> None:
    worker = open_claims() if clause else open_claims(SAME_OFFSET, "if true then")
    assert accepted(worker, 0, "a") == ["a"]
    assert accepted(worker, 1, "a") == ([] if clause else ["a"])


@CLAUSE
def test_another_content_under_the_same_key_is_a_conflict(
    open_claims: Open, *, clause: bool
) -> None:
    """Taken out, the sender would be told that the event it corrected is known already."""
    worker = open_claims() if clause else open_claims(SAME_CONTENT, "elseif true then")
    worker.claim(0, 0, 1, GENERATION, [item("a", 0, b"1")])
    answer = worker.claim(0, 1, 2, GENERATION, [item("a", 1, b"2")])
    assert answer == (OTHER if clause else TWICE)


@CLAUSE
def test_the_first_claim_stands(open_claims: Open, *, clause: bool) -> None:
    """Else the duplicate takes the key over, and its owner's replay is refused: an event lost."""
    overwritten = "if call('HSET', bucket, field, value) == 1 then"
    worker = open_claims() if clause else open_claims(ONLY_NEW, overwritten)
    accepted(worker, 0, "a", "a")
    in_bucket = open_claims().claim(0, 0, 1, GENERATION, [item("a", 0)])
    assert in_bucket == (OK if clause else TWICE)


@CLAUSE
def test_claims_rolled_back_refuse_the_running_worker(
    open_claims: Open, client: redis.Redis, *, clause: bool
) -> None:
    """Redis comes back as it was before `b`; `b` is sent again: it would be accepted again."""
    worker = open_claims() if clause else open_claims(BEHIND, "if false then")
    journal = accepted(worker, 0, "a")
    older = {key: client.dump(key) or b"" for key in client.scan_iter(f"{worker.key(0)}*")}
    journal += accepted(worker, 1, "b")
    restore(client, worker.key(0), older)

    if clause:
        with pytest.raises(ClaimsBehind):
            accepted(worker, 2, "b")
        through, _ = held(worker)
        assert through == 1
        assert accepted(open_claims(), through, "b", "b") == ["b"]  # replayed: in the journal once
    else:
        journal += accepted(worker, 2, "b")
        assert journal == ["a", "b", "b"]


@CLAUSE
def test_acknowledging_refuses_to_pass_what_was_claimed(
    open_claims: Open, client: redis.Redis, *, clause: bool
) -> None:
    """Claims rolled back between claim and acknowledgement: all successors would resume above."""
    names = (PASSES, "if false then", "acknowledge.lua")
    worker = open_claims() if clause else open_claims(*names)
    older = {key: client.dump(key) or b"" for key in client.scan_iter(f"{worker.key(0)}*")}
    accepted(worker, 0, "a")
    restore(client, worker.key(0), older)

    if clause:
        with pytest.raises(ClaimsBehind):
            worker.acknowledge(0, (0, 0, 1), GENERATION * WIDTH)
        assert held(worker) == (0, (0, 0, 0))
    else:
        worker.acknowledge(0, (0, 0, 1), GENERATION * WIDTH)
        _, (_, _, resumed) = held(worker)
        assert resumed == 1
        with pytest.raises(ClaimsBehind):  # and so for every successor: nobody claims `a` again
            accepted(open_claims(), resumed, "b")


def restore(client: redis.Redis, base: str, older: dict[bytes, bytes]) -> None:
    """Everything under `base` as it was."""
    for key in client.scan_iter(f"{base}*"):
        client.delete(key)
    for key, value in older.items():
        client.restore(key, 0, value, replace=True)


@CLAUSE
def test_a_zombies_acknowledgement_moves_nothing_back(open_claims: Open, *, clause: bool) -> None:
    """A document below the vector is admitted already; at the head of the log it may be gone."""
    worker = open_claims()
    worker.claim(0, 0, 5, GENERATION, [])
    worker.acknowledge(0, (3, 4, 5), GENERATION * WIDTH)
    zombie = open_claims() if clause else open_claims(NEVER_BACK, "", "acknowledge.lua")
    zombie.acknowledge(0, (3, 2, 1), GENERATION * WIDTH)
    assert held(worker) == (5, (3, 4, 5) if clause else (3, 2, 1))


@CLAUSE
def test_a_zombies_claim_moves_nothing_back(open_claims: Open, *, clause: bool) -> None:
    """Else the running worker is refused for claims that are there."""
    worker = open_claims()
    accepted(worker, 0, "a", "b")
    zombie = open_claims() if clause else open_claims(THROUGH_FORWARD, "do")
    accepted(zombie, 0, "a")
    if clause:
        assert accepted(worker, 2, "c") == ["c"]
    else:
        with pytest.raises(ClaimsBehind):
            accepted(worker, 2, "c")


@CLAUSE
def test_a_zombie_two_generations_behind_is_refused(open_claims: Open, *, clause: bool) -> None:
    """Its generation was dropped, so every key of it would seem new."""
    worker = open_claims()
    assert accepted(worker, 0, "a", "a") == ["a"]
    worker.acknowledge(0, (0, 0, 2), (GENERATION + 2) * WIDTH)
    zombie = open_claims() if clause else open_claims(DROPPED, "if false then")
    if clause:
        with pytest.raises(Fenced):
            accepted(zombie, 1, "a")
    else:
        assert accepted(zombie, 1, "a") == ["a"]
