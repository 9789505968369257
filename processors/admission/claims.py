"""Claims: which usage record owns an idempotency key, kept in Redis within 40 bytes a key.

A claim is (digest of the key) -> (offset of the record that claimed it, digest of its content).
Seen again at the same offset it is a replay, at another a duplicate, with other content a conflict
(architecture.md section 3, rule 1). Claims are a fold of the usage partition: `through` is the
offset they were made up to, and a batch that starts above it is refused, so claims that Redis lost
are made again by whoever resumes from the stored vector.

All of a partition lies in one hash slot, `<prefix>:{<partition>}:claims`. Keys fall in two
generations of the partition's clock, each of one dedupe window: a key is found for at least one
window after it was claimed. A generation is dropped when the acknowledged clock is two past it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, cast

import redis
from redis.exceptions import RedisError, ResponseError

from projections.refusals import redis_refusal
from schemas.errors import ClaimsBehind, ConfigurationError, Fenced, StoreUnavailable
from schemas.frames import Vector

CLAIMED: Final = ord("0")
DUPLICATE: Final = ord("1")
CONFLICT: Final = ord("2")
OFFSET_BYTES: Final = 5
MOST_FREED: Final = 1_000
"""Buckets freed by one acknowledgement: about a millisecond of the server."""

_BEGIN: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'through', ARGV[1], 'vector', ARGV[2], 'clock', '0', 'width', ARGV[3])
end
return redis.status_reply('OK')
"""


@dataclass(frozen=True, slots=True)
class Held:
    """What Redis holds of a partition: claimed through, the acknowledged vector and its clock."""

    through: int
    vector: Vector
    clock: int


def pack(digest: bytes, offset: int, content: bytes) -> bytes:
    """One item of `Claims.claim`: key digest, usage offset (below 2**40), content digest."""
    return digest + offset.to_bytes(OFFSET_BYTES, "big") + content


def generations(clocks: Sequence[int], width: int) -> Iterator[tuple[int, int, int]]:
    """(generation, start, stop) of each stretch of never-falling `clocks` in one generation."""
    if clocks and clocks[0] // width == clocks[-1] // width:
        yield clocks[0] // width, 0, len(clocks)
        return
    start = 0
    for stop in range(1, len(clocks) + 1):
        generation = clocks[start] // width
        if stop == len(clocks) or clocks[stop] // width != generation:
            yield generation, start, stop
            start = stop


class Claims:
    """The claims of all partitions. `width` is the dedupe window in microseconds.

    Every method raises StoreUnavailable when Redis cannot answer or write now; a call may then be
    repeated: each is idempotent. One that refuses this client: ConfigurationError.
    """

    def __init__(
        self, client: redis.Redis, key_prefix: str, width: int, keys_per_generation: int
    ) -> None:
        self._client, self._prefix = client, key_prefix
        self._width, self._expected = width, keys_per_generation
        folder = files(__package__)
        self._claim = client.register_script((folder / "claims.lua").read_text())
        self._acknowledge = client.register_script((folder / "acknowledge.lua").read_text())
        self._find = client.register_script((folder / "find.lua").read_text())
        self._begin = client.register_script(_BEGIN)

    def key(self, partition: int) -> str:
        """The hash that describes a partition's claims; its buckets' keys start with it."""
        return f"{self._prefix}:{{{partition}}}:claims"

    def held(self, partition: int) -> Held | None:
        """What is stored, None when there is nothing.

        Raises ConfigurationError when the claims were made under another dedupe window.
        """
        try:
            through, vector, clock, width = cast(
                "list[bytes | None]",
                self._client.hmget(self.key(partition), ["through", "vector", "clock", "width"]),
            )
        except RedisError as error:
            raise _mapped(error) from error
        if through is None or vector is None or clock is None or width is None:
            return None
        if int(width) != self._width:
            raise ConfigurationError(
                f"partition {partition} was claimed under a dedupe window of {int(width)} us, not"
                f" {self._width} us: keep it, or delete {self.key(partition)} to claim again"
            )
        catalog, credits_, usage = (int(text) for text in vector.split(b","))
        return Held(int(through), (catalog, credits_, usage), int(clock))

    def begin(self, partition: int, vector: Vector) -> None:
        """Start a partition that has no state at its first available offsets; else do nothing."""
        self._run(self._begin, partition, [vector[2], _text(vector), self._width])

    def claim(
        self, partition: int, start: int, stop: int, generation: int, items: Sequence[bytes]
    ) -> bytes:
        """Claim `items` (see `pack`) of the usage offsets `start` to `stop` (exclusive).

        One byte an item: CLAIMED, DUPLICATE or CONFLICT. Raises ClaimsBehind when what was claimed
        does not reach `start`, Fenced when another worker is two generations ahead.
        """
        arguments: list[int | str | bytes] = [
            start,
            stop,
            generation,
            self._expected,
            b"".join(items),
        ]
        answer = cast("bytes", self._run(self._claim, partition, arguments))
        assert len(answer) == len(items), (len(answer), len(items))
        return answer

    def find(self, partition: int, generation: int, items: Sequence[bytes]) -> bytes:
        """Whether each key is claimed by usage below the offset of its item (see `pack`).

        One byte an item: CLAIMED is what nothing else owns, DUPLICATE, CONFLICT. Nothing is
        claimed. Raises ClaimsBehind when what was claimed does not reach an item's offset.
        """
        answer = cast("bytes", self._run(self._find, partition, [generation, b"".join(items)]))
        assert len(answer) == len(items), (len(answer), len(items))
        return answer

    def acknowledge(self, partition: int, vector: Vector, clock: int) -> None:
        """Store that the journal holds everything below `vector`. Raises ClaimsBehind."""
        self._run(self._acknowledge, partition, [*vector, clock, MOST_FREED])

    def _run(
        self,
        script: "redis.commands.core.Script",
        partition: int,
        arguments: list[int | str | bytes],
    ) -> object:
        try:
            return script(keys=[self.key(partition)], args=arguments)
        except RedisError as error:
            raise _mapped(error) from error


def _text(vector: Vector) -> str:
    return ",".join(map(str, vector))


def _mapped(error: RedisError) -> Exception:
    """The error of this project that a Redis error means."""
    text = str(error)
    if refusal := redis_refusal(error):
        return ConfigurationError(refusal)
    if isinstance(error, ResponseError):
        if text.startswith("CLAIMSBEHIND"):
            return ClaimsBehind(text)
        if text.startswith("FENCED"):
            return Fenced(text)
        assert not text.startswith(("MALFORMED", "WRONGTYPE")), text
    return StoreUnavailable(f"Redis: {text or type(error).__name__}")
