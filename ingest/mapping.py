"""Which column becomes which part of a CloudEvent: `--map` and `--set`, parsed and checked.

* `--map "data.input_tokens=ContextTokens time=TIMESTAMP"`: entries `TARGET=COLUMN`, separated by
  white space, quoted as in a shell where a name has a space (`--map "time='Start time'"`);
  repeatable.
* `--set type=llm.request`: one constant `TARGET=TEXT`; `--set data.count:=1` is a JSON literal
  instead of text; repeatable.

A TARGET is a CloudEvents attribute (`id`, `source`, `type`, `subject`, `time`, `contract`, an
extension named `[a-z0-9]{1,20}`) or a dotted path into `data`. Without `--map`, the columns that
are named like a target are taken as they are. Pure: no I/O.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ingest.cells import json_string
from schemas.errors import ConfigurationError

ATTRIBUTES: Final = ("id", "source", "type", "subject", "time", "contract")
_RESERVED: Final = frozenset({"specversion", "datacontenttype", "data_base64"})
_EXTENSION: Final = re.compile(r"[a-z0-9]{1,20}")
_PATH: Final = re.compile(r"data(?:\.[^.\s=]+)+")

Tree = dict[str, "Leaf | Tree"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value of the event: from a column, or a constant as JSON (and as text, if it is one)."""

    column: str | None = None
    constant: bytes = b""
    constant_text: str | None = None


@dataclass(frozen=True, slots=True)
class EventMapping:
    """The parsed form: attributes by name, and the tree of `data`, or one value for all of it."""

    attributes: Mapping[str, Leaf] = field(default_factory=dict)
    data: Tree = field(default_factory=dict)
    whole_data: Leaf | None = None
    mapped: bool = False
    """True where at least one column is named by `--map`."""

    def columns(self) -> tuple[str, ...]:
        """Every column that is read, in the order of the targets."""
        leaves = [*self.attributes.values(), *_leaves(self.data)]
        if self.whole_data is not None:
            leaves.append(self.whole_data)
        return tuple(dict.fromkeys(leaf.column for leaf in leaves if leaf.column is not None))


def parse_mapping(maps: Sequence[str] = (), constants: Sequence[str] = ()) -> EventMapping:
    """The mapping of the options `--map` and `--set`.

    Raises ConfigurationError that names the entry.
    """
    entries = [_map_entry(entry) for text in maps for entry in _split(text)]
    entries += [_set_entry(entry) for entry in constants]
    return _build(entries, mapped=any(leaf.column is not None for _, leaf in entries))


def with_columns(mapping: EventMapping, columns: Iterable[str]) -> EventMapping:
    """The mapping to use on a table with these columns.

    Raises ConfigurationError when a mapped column is not there, or when nothing names the time.
    """
    there = list(columns)
    missing = [name for name in mapping.columns() if name not in there]
    if missing:
        message = f"no column {', '.join(map(repr, missing))}; the file has {', '.join(there)}"
        raise ConfigurationError(message)
    if not mapping.mapped:
        mapping = _named_like_targets(mapping, there)
    absent = [name for name in ("time", "type", "subject") if name not in mapping.attributes]
    if absent:
        message = (
            f"nothing gives the event's {', '.join(absent)}: say --map {absent[0]}=COLUMN "
            f"or --set {absent[0]}=VALUE"
        )
        raise ConfigurationError(message)
    return mapping


def _named_like_targets(mapping: EventMapping, columns: Sequence[str]) -> EventMapping:
    given: dict[tuple[str, ...], Leaf] = {
        (name,): leaf for name, leaf in mapping.attributes.items()
    }
    given |= dict(_paths(mapping.data, ("data",)))
    taken = {name: Leaf(column=name) for name in columns if _is_target(name)}
    entries = {tuple(name.split(".")): leaf for name, leaf in taken.items()} | given
    return _build([(".".join(path), leaf) for path, leaf in entries.items()], mapped=True)


def _is_target(name: str) -> bool:
    return name in ATTRIBUTES or _PATH.fullmatch(name) is not None


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        message = f"--map {text!r}: {error}"
        raise ConfigurationError(message) from error


def _map_entry(entry: str) -> tuple[str, Leaf]:
    target, equals, column = entry.partition("=")
    if not equals or not column:
        message = f"--map {entry!r}: expected TARGET=COLUMN"
        raise ConfigurationError(message)
    return target, Leaf(column=column)


def _set_entry(entry: str) -> tuple[str, Leaf]:
    target, equals, value = entry.partition("=")
    if not equals:
        message = f"--set {entry!r}: expected TARGET=TEXT or TARGET:=JSON"
        raise ConfigurationError(message)
    if not target.endswith(":"):
        return target, Leaf(constant=json_string(value), constant_text=value)
    try:
        msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        message = f"--set {entry!r}: {error}"
        raise ConfigurationError(message) from error
    return target[:-1], Leaf(constant=value.encode())


def _build(entries: Sequence[tuple[str, Leaf]], *, mapped: bool) -> EventMapping:
    attributes: dict[str, Leaf] = {}
    data: Tree = {}
    whole: Leaf | None = None
    for target, leaf in entries:
        if target == "data":
            _once(whole is None, target)
            whole = leaf
        elif _PATH.fullmatch(target):
            _place(data, target, leaf)
        elif _EXTENSION.fullmatch(target) and target not in _RESERVED:
            _once(target not in attributes, target)
            if leaf.column is None and leaf.constant_text is None:
                message = f"{target}: an attribute is text, so use {target}=TEXT"
                raise ConfigurationError(message)
            attributes[target] = leaf
        else:
            message = f"{target!r} is not a CloudEvents attribute nor a path data.…"
            raise ConfigurationError(message)
    _once(whole is None or not data, "data")
    return EventMapping(attributes, data, whole, mapped)


def _place(tree: Tree, target: str, leaf: Leaf) -> None:
    *folders, name = target.split(".")[1:]
    for folder in folders:
        below = tree.setdefault(folder, {})
        if isinstance(below, Leaf):
            raise _twice(target)
        tree = below
    _once(name not in tree, target)
    tree[name] = leaf


def _once(holds: bool, target: str) -> None:
    if not holds:
        raise _twice(target)


def _twice(target: str) -> ConfigurationError:
    return ConfigurationError(f"{target} is given twice, or both as a value and as an object")


def _leaves(tree: Tree) -> Iterable[Leaf]:
    return (leaf for _, leaf in _paths(tree, ()))


def _paths(tree: Tree, above: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], Leaf]]:
    for name, node in tree.items():
        if isinstance(node, Leaf):
            yield (*above, name), node
        else:
            yield from _paths(node, (*above, name))
