"""Every rule of schemas/CREDITS.md is shown, and every scenario says which rules it shows."""

import re
from pathlib import Path

import pytest

from tests import scenarios_table
from tests.scenarios_table import ELSEWHERE, ROOT, SCENARIOS, TABLE, numbered_rules, order, rules_of

WORKED = sorted(SCENARIOS.glob("[a-z]*.json"))


def test_the_rules_are_numbered_without_gap_in_their_sections() -> None:
    rules = [order(rule) for rule in numbered_rules()]
    sections = sorted({section for section, _ in rules})
    assert rules == [
        (section, number)
        for section in sections
        for number in range(1, sum(rule[0] == section for rule in rules) + 1)
    ]


def test_every_rule_is_shown_and_only_rules_are() -> None:
    shown = set(scenarios_table.table())
    rules = set(numbered_rules())
    unshown = sorted(rules - shown, key=order)
    unknown = sorted(shown - rules, key=order)
    assert (unshown, unknown) == ([], [])


def test_the_table_is_current() -> None:
    """`python -m tests.scenarios_table` writes it."""
    assert TABLE.read_text() == scenarios_table.text()


@pytest.mark.parametrize("worked", WORKED, ids=lambda path: path.stem)
def test_a_worked_scenario_names_its_rules_once(worked: Path) -> None:
    rules = rules_of(worked.with_suffix(".yaml"))
    assert rules
    assert sorted(set(rules)) == sorted(rules)


@pytest.mark.parametrize("test", sorted({test for tests in ELSEWHERE.values() for test in tests}))
def test_a_named_test_exists(test: str) -> None:
    file, _, name = test.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
