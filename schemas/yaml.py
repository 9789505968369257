"""YAML whose numbers and times stay the text that was written.

YAML's own rules turn `0.1` into a binary float and a date into an object. Here scalars are typed by
the rules of JSON: null, true, false and integers; a number with a fraction or an exponent is kept
as its literal (`NumberText`), everything else is text, and so is every key. A key that stands twice
is an error, and so are aliases and tags, with which a small file becomes a large value or a
float.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import yaml

from schemas.errors import DocumentError
from schemas.numbers import NumberText

_INTEGER: Final = r"^-?(?:0|[1-9][0-9]{0,62})$"
_NUMBER: Final = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"


class _Loader(yaml.SafeLoader):
    """A safe loader with JSON's scalars."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, Any]]] = {}  # noqa: RUF012 - the base's form

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _error(event.start_mark, "aliases are not taken")
        if getattr(event, "tag", None) is not None:
            raise _error(event.start_mark, "tags are not taken")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _error(key.start_mark, "expected a text as key")
            if key.value in mapping:
                raise _error(key.start_mark, f"the key {key.value!r} stands twice")
            mapping[key.value] = self.construct_object(value, deep=deep)
        return mapping


def _error(mark: Any, problem: str) -> yaml.MarkedYAMLError:  # noqa: ANN401 - a yaml.Mark, of either parser
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _number(loader: _Loader, node: Any) -> NumberText:  # noqa: ANN401 - PyYAML's own type is too wide
    return NumberText(loader.construct_scalar(node))


def _integer(loader: _Loader, node: Any) -> int:  # noqa: ANN401
    return int(loader.construct_scalar(node))


def _resolver(tag: str, pattern: str, first: Iterable[str]) -> None:
    _Loader.add_implicit_resolver(tag, re.compile(pattern, re.ASCII), list(first))


_DIGITS: Final = "-0123456789"
_resolver("tag:yaml.org,2002:null", r"^(?:null|~|)$", ("n", "~", ""))
_resolver("tag:yaml.org,2002:bool", r"^(?:true|false)$", "tf")
_resolver("tag:yaml.org,2002:int", _INTEGER, _DIGITS)
_resolver("!number", _NUMBER, _DIGITS)
_Loader.add_constructor("!number", _number)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def load_yaml(text: str) -> list[Any]:
    """Every document of `text`, empty ones left out. Raises DocumentError that says where."""
    try:
        return [item for item in yaml.load_all(text, Loader=_Loader) if item is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "YAML"
        problem = getattr(error, "problem", None) or str(error)
        raise DocumentError([(where, problem)]) from error
    except RecursionError as error:
        raise DocumentError([("YAML", "expected less deeply nested values")]) from error
