"""The one key -> partition function: murmur2 of the account, as Kafka's Java clients compute it.

Every topic that is keyed by account uses it, so an account lives in one partition everywhere
(architecture.md section 1). Source: `org.apache.kafka.common.utils.Utils.murmur2`.
"""

from functools import lru_cache
from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """The 32-bit murmur2 of `key`, unsigned."""
    length = len(key)
    digest = (_SEED ^ length) & _MASK
    whole = length & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(key[start : start + 4], "little")
        word = (word * _M) & _MASK
        word = ((word ^ (word >> 24)) * _M) & _MASK
        digest = ((digest * _M) & _MASK) ^ word
    rest = key[whole:]
    if rest:
        digest = ((digest ^ int.from_bytes(rest, "little")) * _M) & _MASK
    digest = ((digest ^ (digest >> 13)) * _M) & _MASK
    return digest ^ (digest >> 15)


@lru_cache(maxsize=1 << 18)
def partition_of(account: str, partitions: int) -> int:
    """The partition of `account` among `partitions`, as librdkafka's `murmur2` gives it."""
    return (murmur2(account.encode()) & 0x7FFFFFFF) % partitions
