"""YAML whose numbers and times stay the text that was written.

YAML's own rules turn `0.1` into a binary float and a date into an object. Here scalars are typed by the
rules of JSON: null, true, false and integers; a number with a fraction or an exponent is kept as its
literal (`NumberText`), everything else is text. A key that stands twice is an error, and so are anchors and
tags, with which a small file becomes a large value.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import yaml

from schemas.errors import DocumentError

_INTEGER: Final = r"^-?(?:0|[1-9][0-9]{0,62})$"
_NUMBER: Final = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"


class NumberText(str):
    """A number with a fraction or an exponent, as the text that was written."""

    __slots__ = ()


class _Loader(yaml.SafeLoader):
    """A safe loader with JSON's scalars."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, Any]]] = {}  # noqa: RUF012 - the base's form

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.YAMLError(f"line {event.start_mark.line + 1}: aliases are not taken")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the base's form
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.YAMLError(f"line {key.start_mark.line + 1}: expected a text as key")
            if key.value in seen:
                raise yaml.YAMLError(f"line {key.start_mark.line + 1}: {key.value!r} stands twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep=True)


def _resolver(tag: str, pattern: str, first: Iterable[str]) -> None:
    _Loader.add_implicit_resolver(tag, re.compile(pattern, re.ASCII), list(first))


_DIGITS: Final = "-0123456789"
_resolver("tag:yaml.org,2002:null", r"^(?:null|~|)$", ("n", "~", ""))
_resolver("tag:yaml.org,2002:bool", r"^(?:true|false)$", "tf")
_resolver("tag:yaml.org,2002:int", _INTEGER, _DIGITS)
_resolver("!number", _NUMBER, _DIGITS)
_Loader.add_constructor("!number", lambda loader, node: NumberText(loader.construct_scalar(node)))
_Loader.add_constructor(
    "tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node))
)


def load_yaml(text: str) -> list[Any]:
    """Every document of `text`, empty ones left out. Raises DocumentError that says where."""
    try:
        return [item for item in yaml.load_all(text, Loader=_Loader) if item is not None]  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "YAML"
        problem = getattr(error, "problem", None) or str(error)
        raise DocumentError([(where, problem)]) from error
    except RecursionError as error:
        raise DocumentError([("YAML", "expected less deeply nested values")]) from error
