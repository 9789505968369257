"""The auditor knows nothing of the product: what it expects comes from credits.md alone."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import tests.simulation.audit

ROOT = Path(__file__).parents[2]
AUDIT = Path(next(iter(tests.simulation.audit.__path__)))


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, also within its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, path
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(paths: list[Path]) -> set[str]:
    """All that is imported by files, through whatever of `tests` they import."""
    found: set[str] = set()
    seen: set[Path] = set()
    while paths:
        seen.add(path := paths.pop())
        names = set(imported(path))
        found |= names
        files = [ROOT / Path(*name.split(".")) for name in names if name.startswith("tests.")]
        known = {file.with_suffix(".py") for file in files} | {
            file / "__init__.py" for file in files
        }
        paths += [file for file in known - seen if file.is_file()]
    return {name.partition(".")[0] for name in found}


def test_the_auditor_imports_nothing_of_the_product_but_its_schemas() -> None:
    """Whatever it shared with a fold, it could not find wrong."""
    own = reached([*AUDIT.glob("*.py"), AUDIT.parent / "auditor.py"]) - sys.stdlib_module_names
    assert own == {"schemas", "tests"}


def test_what_imports_the_product_through_another_test_is_seen() -> None:
    """As the world does, which runs the folds."""
    assert {"processors", "projections"} <= reached([AUDIT.parent / "world.py"])
