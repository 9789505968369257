"""Batches grow while folding is quick and shrink while it is slow, within bounds."""

from types import SimpleNamespace
from typing import Any

from projections.fold.batches import MOST_BYTES, MOST_FRAMES, SLOW_SECONDS, Batches


def taken(*partitions: int, size: int = 10) -> Any:
    """Frames of these partitions, one after another."""
    return [
        SimpleNamespace(message=SimpleNamespace(partition=number, value=bytes(size), offset=offset))
        for offset, number in enumerate(partitions)
    ]


def sizes(batches: Batches, events: Any, seconds: float) -> list[int]:
    """The sizes of the batches, each of which is folded in so many seconds."""
    found = []
    for _, batch in batches.cut(events):
        found.append(len(batch))
        batches.took(seconds)
    return found


def test_a_worker_begins_with_one_frame_and_doubles_while_folding_is_quick() -> None:
    batches = Batches()
    assert sizes(batches, taken(*[0] * 10), 0.1) == [1, 2, 4, 3]
    assert max(sizes(batches, taken(*[0] * 1_000), 0.1)) == MOST_FRAMES


def test_folding_that_takes_long_halves_the_batches_down_to_one_frame() -> None:
    batches = Batches()
    sizes(batches, taken(*[0] * 15), 0.1)
    assert sizes(batches, taken(*[0] * 33), SLOW_SECONDS + 1) == [16, 8, 4, 2, 1, 1, 1]


def test_in_between_the_size_stays() -> None:
    batches = Batches()
    sizes(batches, taken(*[0] * 3), 0.1)
    assert sizes(batches, taken(*[0] * 8), SLOW_SECONDS / 2) == [4, 4]


def test_a_batch_is_of_one_partition_in_its_order() -> None:
    batches = Batches()
    sizes(batches, taken(*[0] * 15), 0.1)
    found = [
        (number, [event.message.offset for event in batch])
        for number, batch in batches.cut(taken(0, 1, 0, 1))
    ]
    assert found == [(0, [0, 2]), (1, [1, 3])]


def test_bytes_bound_a_batch_too_but_one_frame_always_passes() -> None:
    batches = Batches()
    sizes(batches, taken(*[0] * 15), 0.1)
    assert sizes(batches, taken(0, 0, 0, size=MOST_BYTES // 2), SLOW_SECONDS / 2) == [2, 1]
    assert sizes(batches, taken(0, 0, size=MOST_BYTES + 1), SLOW_SECONDS / 2) == [1, 1]
