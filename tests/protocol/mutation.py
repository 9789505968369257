"""Taking one clause of the protocol out, to see that its test then fails.

Each protocol test runs twice: `kept`, where the clause holds, and `taken out`, where its one line
is replaced. The second run asserts the very loss or doubling that the clause is there to prevent.
"""

import itertools
import sys
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import pytest

_numbers = itertools.count()

CLAUSE = pytest.mark.parametrize("clause", [True, False], ids=["kept", "taken out"])


def replaced(text: str, line: str, by: str) -> str:
    """`text` with `line`, which it must hold exactly once, replaced."""
    assert text.count(line) == 1, f"{text.count(line)} times in the source: {line}"
    return text.replace(line, by)


def mutant(module: ModuleType, line: str, by: str) -> ModuleType:
    """A copy of `module` in which `line` reads `by`; the module itself is left alone."""
    assert module.__file__ is not None
    source = replaced(Path(module.__file__).read_text(), line, by)
    copy = ModuleType(f"{module.__name__}_without_{next(_numbers)}")
    copy.__package__ = module.__package__
    sys.modules[copy.__name__] = copy
    exec(compile(source, f"{module.__file__} (mutated)", "exec"), copy.__dict__)
    return copy


def script(package: str, name: str, line: str, by: str) -> str:
    """The text of a Lua script with `line` replaced."""
    return replaced((files(package) / name).read_text(), line, by)
