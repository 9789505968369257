"""Which scenarios show which rule of schemas/CREDITS.md: `tests/scenarios/RULES.json`.

A scenario names the rules that it shows in its header (`# rules: 3.14, 3.15`); what no scenario can
show is shown by the tests of `ELSEWHERE`. `python -m tests.scenarios_table` writes the table anew.
"""

import json
import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
CREDITS: Final = ROOT / "schemas" / "CREDITS.md"
SCENARIOS: Final = ROOT / "tests" / "scenarios"
TABLE: Final = SCENARIOS / "RULES.json"
ELSEWHERE: Final = {
    "1.4": [
        "tests/schemas/test_numbers.py::test_what_is_not_an_exact_number_in_range_is_refused",
        "tests/deploy/test_simulate.py::test_a_bad_field_is_told_with_its_path",
    ],
    "1.8": [
        "tests/projections/test_cost_basis.py::test_the_slices_of_a_used_grant_sum_to_what_was_paid",
    ],
    "1.9": ["tests/schemas/test_numbers.py::test_two_kinds_do_not_mix"],
    "2.5": [
        "tests/processors/test_admission_order.py::test_the_merge_is_the_plain_rule_for_any_logs",
    ],
    "3.7": [
        "tests/schemas/test_document_faults.py::test_a_fault_is_refused_with_its_path",
        "tests/schemas/test_document_faults.py::test_every_contradiction_is_told_at_once",
    ],
    "3.52": [
        "tests/projections/test_contracts.py::test_the_lineage_can_be_read_back",
    ],
    "6.20": [
        "tests/projections/test_recorded.py::test_a_void_carries_the_time_and_the_lines_of_its_usage",
    ],
    "7.16": [
        "tests/projections/test_alerts.py::test_the_event_names_the_account_and_says_what_has_a_value",
    ],
    "7.17": [
        "tests/projections/test_alerts.py::test_an_alert_about_something_else_has_another_id",
        "tests/projections/test_alerts.py::test_where_and_when_a_crossing_was_found_does_not_change_its_id",
    ],
    "8.1": [
        "tests/projections/test_entitlement.py::test_a_check_says_what_then_happens",
        "tests/projections/test_entitlement.py::test_what_has_no_price_is_denied",
    ],
    "10.5": [
        "tests/projections/test_holds.py::test_an_account_has_ten_thousand_open_holds_at_most",
    ],
    "10.17": [
        "tests/projections/test_holds.py::test_the_ledger_explains_every_hold",
    ],
}
"""Rules about what cannot be written in a scenario, and the tests that show them."""


def order(rule: str) -> tuple[int, ...]:
    """The key that sorts rules by section, then number."""
    return tuple(map(int, rule.split(".")))


def numbered_rules() -> list[str]:
    """The rules of CREDITS.md in their order there."""
    return re.findall(r"^\*\*(\d+\.\d+)\*\* ", CREDITS.read_text(), re.MULTILINE)


def rules_of(scenario: Path) -> list[str]:
    """The rules that the header of a scenario names, in its order."""
    named = re.findall(r"^# rules: (.+)$", scenario.read_text(), re.MULTILINE)
    return [rule.strip() for line in named for rule in line.split(",")]


def table() -> dict[str, list[str]]:
    """Each rule that something shows, with the scenarios by name and then the tests."""
    shown: dict[str, list[str]] = {}
    for scenario in sorted(SCENARIOS.glob("*.yaml")):
        for rule in rules_of(scenario):
            shown.setdefault(rule, []).append(scenario.name)
    for rule, tests in ELSEWHERE.items():
        shown.setdefault(rule, []).extend(tests)
    return {rule: shown[rule] for rule in sorted(shown, key=order)}


def text() -> str:
    """The table as it is committed."""
    return json.dumps(table(), indent=2) + "\n"


if __name__ == "__main__":
    TABLE.write_text(text())
