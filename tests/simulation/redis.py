"""Redis in memory: the commands and the scripts that stages and claims use, in Python.

They obey the contract suite that the Lua scripts on a real Redis obey (`test_contracts`). `without`
names clauses that are taken out, to see that the world then finds damage.
"""

# ruff: noqa: D102 - as the client calls it

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as AnswerLost

from processors.admission import claims as claims_module
from tests.simulation.node import Calm, Node

_ITEM, _DIGEST, _OFFSET = 26, 16, 5
Arguments = Sequence[Any]
LONGEST_TAIL: Final = 60
Before = list[tuple[str, Any]]
"""What the keys of one command held before it, None: nothing."""


@dataclass
class State:
    """What the server holds, by key; shared by the clients of all processes.

    `tails` are the latest commands of each slot, as what their keys held before: a server that is
    killed before it syncs its append-only file comes back without the last of them.
    """

    held: dict[str, Any] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    tails: dict[str, deque[Before]] = field(default_factory=dict)

    def copy(self, prefix: str) -> dict[str, Any]:
        """A snapshot of every key that starts with `prefix`."""
        return {key: _copied(value) for key, value in self.held.items() if key.startswith(prefix)}

    def restore(self, prefix: str, older: dict[str, Any]) -> None:
        """Everything under `prefix` is as it was in a snapshot; with {}, it is flushed."""
        self.tails.clear()
        for key in [key for key in self.held if key.startswith(prefix)]:
            del self.held[key]
        self.held |= _copied(older)

    def remember(self, keys: Sequence[str]) -> None:
        """A command is about to write `keys`, which lie in one slot."""
        tail = self.tails.setdefault(keys[0].partition("}")[0], deque(maxlen=LONGEST_TAIL))
        tail.append([(key, _copied(self.held.get(key))) for key in keys])

    def cut(self, slot: str, count: int) -> int:
        """Take back the last `count` commands of a slot, each as a whole; how many there were."""
        tail = self.tails.get(slot, deque())
        taken = min(count, len(tail))
        for _ in range(taken):
            for key, before in tail.pop():
                self.held.pop(key, None)
                if before is not None:
                    self.held[key] = before
        return taken


def _copied(value: Any) -> Any:
    """A copy down to the bytes, which nobody changes."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return set(value) if isinstance(value, set) else value


class Redis:
    """A client. Each call is an effect; an answer may be lost after the server applied it."""

    def __init__(self, state: State, node: Node | None = None) -> None:
        self._state, self._node = state, node or Calm()

    def get(self, key: str) -> Any:
        return self._call("get", lambda: self._state.held.get(key))

    def set(self, key: str, value: str, *, nx: bool = False) -> None:
        def apply() -> None:
            if not (nx and key in self._state.held):
                self._state.remember([key])
                self._state.held[key] = value.encode()

        self._call("set", apply)

    def hmget(self, key: str, names: Sequence[str]) -> Any:
        return self._call(
            "hmget", lambda: [self._state.held.get(key, {}).get(name) for name in names]
        )

    def register_script(self, text: str) -> Callable[..., Any]:
        script = _SCRIPTS[text]

        def run(keys: Sequence[str], args: Arguments) -> Any:
            name = args[0] if script is _store else script.__name__[1:]
            return self._call(
                str(name), lambda: script(self._state, keys, [_bytes(part) for part in args])
            )

        return run

    def _call(self, name: str, apply: Callable[[], Any]) -> Any:
        self._node.effect(f"redis {name}")
        if self._node.luck(0.01):
            raise AnswerLost("before the server had it")
        answer = apply()
        self._node.effect(f"redis {name} applied")
        if self._node.luck(0.02):
            raise AnswerLost("after the server applied it")
        return answer


def _bytes(part: Any) -> bytes:
    return part if isinstance(part, bytes) else str(part).encode()


def _store(state: State, keys: Sequence[str], args: Arguments) -> Any:
    """`projections/fold/store.lua`."""
    held, without = state.held, state.without
    pointer, position, rows, due = keys
    operation, namespace, expected = args[:3]
    rest = args[3:]
    if held.get(pointer) != namespace:
        raise ResponseError("FENCED the namespace pointer has moved")
    current = held.get(position, b"")
    fenced = ResponseError(f"FENCED position is {current.decode()}")
    if operation == b"commit":
        target, rest = rest[0], rest[1:]
        if current == target:
            return b"already"
        if current != expected and "checked commits" not in without:
            raise fenced
        state.remember(keys)
        written, rest = _counted(rest)
        gone, rest = _counted(rest)
        past, rest = _counted(rest)
        come, _ = _counted(rest)
        stored = held.setdefault(rows, {})
        stored.update(zip(written[::2], written[1::2], strict=True))
        for key in gone:
            stored.pop(key, None)
        index: set[bytes] = held.setdefault(due, set())
        index.difference_update(past)
        index.update(come[1::2])
        held[position] = target
        return b"committed"
    if current != expected and "checked reads" not in without:
        raise fenced
    if operation == b"read":
        found = held.get(rows, {})
        return [found.get(key) for key in rest]
    assert operation == b"due", operation
    return sorted(member for member in held.get(due, ()) if member < rest[0])


def _counted(parts: Arguments) -> tuple[Arguments, Arguments]:
    count = int(parts[0])
    return parts[1 : count + 1], parts[count + 1 :]


def _begin(state: State, keys: Sequence[str], args: Arguments) -> bytes:
    if keys[0] not in state.held:
        state.remember(keys)
        through, vector, width = args
        meta = {"through": through, "vector": vector, "clock": b"0", "width": width}
        state.held[keys[0]] = meta
    return b"OK"


def _claim(state: State, keys: Sequence[str], args: Arguments) -> bytes:
    """`processors/admission/claims.lua`: a generation is a dict, whatever buckets it has there."""
    meta = state.held.get(keys[0], {})
    start, stop, generation = (int(part) for part in args[:3])
    items = args[4]
    behind = "through" not in meta or int(meta["through"]) < start
    if behind and not ("claims through" in state.without and meta):
        raise ResponseError(f"CLAIMSBEHIND claimed through {meta.get('through')}, from {start}")
    if generation < int(meta["clock"]) // int(meta["width"]) - 1:
        raise ResponseError(f"FENCED generation {generation} was dropped")
    state.remember([keys[0], f"{keys[0]}:generations"])
    generations = state.held.setdefault(f"{keys[0]}:generations", {})
    current = generations.setdefault(generation, {})
    answers = []
    for at in range(0, len(items), _ITEM):
        digest, value = items[at : at + _DIGEST], items[at + _DIGEST : at + _ITEM]
        before = {} if "older generation" in state.without else generations.get(generation - 1, {})
        found = before.get(digest) or current.setdefault(digest, value)
        same = found[:_OFFSET] == value[:_OFFSET] and "claims name owners" not in state.without
        if same or found is value:
            answers.append("0")
        else:
            answers.append("1" if found[_OFFSET:] == value[_OFFSET:] else "2")
    if stop > int(meta["through"]):
        meta["through"] = str(stop).encode()
    return "".join(answers).encode()


def _find(state: State, keys: Sequence[str], args: Arguments) -> bytes:
    """`processors/admission/find.lua`."""
    meta = state.held.get(keys[0], {})
    through, generation, items = int(meta.get("through", -1)), int(args[0]), args[1]
    generations = state.held.get(f"{keys[0]}:generations", {})
    answers = []
    for at in range(0, len(items), _ITEM):
        digest, value = items[at : at + _DIGEST], items[at + _DIGEST : at + _ITEM]
        if through < int.from_bytes(value[:_OFFSET], "big"):
            raise ResponseError(f"CLAIMSBEHIND claimed through {through}")
        answer = "0"
        for each in (generation - 1, generation):
            found = generations.get(each, {}).get(digest)
            if found is not None and found[:_OFFSET] < value[:_OFFSET]:
                answer = "1" if found[_OFFSET:] == value[_OFFSET:] else "2"
        answers.append(answer)
    return "".join(answers).encode()


def _acknowledge(state: State, keys: Sequence[str], args: Arguments) -> bytes:
    """`processors/admission/acknowledge.lua`."""
    meta = state.held.get(keys[0], {})
    *vector, clock, _most = (int(part) for part in args)
    behind = "through" not in meta or int(meta["through"]) < vector[2]
    if behind and not ("acknowledged through" in state.without and meta):
        raise ResponseError(f"CLAIMSBEHIND claimed through {meta.get('through')}, to {vector[2]}")
    state.remember([keys[0], f"{keys[0]}:generations"])
    kept = [int(offset) for offset in meta["vector"].split(b",")]
    furthest = map(max, vector, kept)
    meta["vector"] = ",".join(map(str, furthest)).encode()
    clock = max(clock, int(meta["clock"]))
    meta["clock"] = str(clock).encode()
    keep = clock // int(meta["width"]) - 1
    generations = state.held.get(f"{keys[0]}:generations", {})
    for generation in [number for number in generations if number < keep]:
        del generations[generation]
    return b"OK"


def _text(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text()


_SCRIPTS: dict[str, Callable[[State, Sequence[str], Arguments], Any]] = {
    _text("projections.fold", "store.lua"): _store,
    _text("processors.admission", "claims.lua"): _claim,
    _text("processors.admission", "acknowledge.lua"): _acknowledge,
    _text("processors.admission", "find.lua"): _find,
    claims_module._BEGIN: _begin,
}
