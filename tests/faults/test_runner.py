"""The table says what came of each scenario: also of those that fail, differ or are left out."""

import json
from pathlib import Path
from typing import Final

import pytest

from deploy.servers.find import Servers
from tests.faults.catalogue import SCENARIOS, chosen
from tests.faults.runner import Result, Runner
from tests.faults.scenario import LeftOut, Outcome, Run, Scenario, Strike
from tests.faults.table import cells, write_report

NOWHERE: Final = Servers("embedded", "", "", append_time=False)


def test_a_scenario_without_differences_holds(tmp_path: Path) -> None:
    result = run_one(tmp_path, lambda _: Outcome(3, 1_000, [2.0, 1.0, 9.0]))
    assert result.holds
    assert cells(result)[1:5] == ["3", "1,000", "2.0, 9.0", "0"]


def test_a_difference_does_not_hold_and_is_told(tmp_path: Path) -> None:
    result = run_one(tmp_path, lambda _: Outcome(3, 10, differences=["a1 paid 2, expected 1"]))
    assert not result.holds
    assert cells(result)[4] == "1"
    assert result.differences == ["a1 paid 2, expected 1"]


def test_what_a_scenario_raises_is_its_failure_and_the_next_still_runs(tmp_path: Path) -> None:
    def broken(_run: Run) -> Outcome:
        raise AssertionError("rating is gone")

    runner = Runner(NOWHERE, tmp_path, 1, quick=True, told=print)
    fine = Scenario("fine", "", lambda _: Outcome(1, 1), quick=True, needs=None)
    results = list(runner.run([Scenario("broken", "", broken, quick=True, needs=None), fine]))
    assert [each.holds for each in results] == [False, True]
    assert "rating is gone" in results[0].differences[0]


@pytest.mark.parametrize(("ci", "holds"), [("true", False), ("", True)])
def test_what_is_left_out_is_a_failure_in_ci(
    ci: str, holds: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def left_out(_run: Run) -> Outcome:
        raise LeftOut("no disk of its own")

    monkeypatch.setenv("CI", ci)
    result = run_one(tmp_path, left_out)
    assert result.holds is holds
    assert cells(result)[4] == "left out: no disk of its own"


def test_the_report_is_json_or_markdown_by_its_name(tmp_path: Path) -> None:
    results = [run_one(tmp_path, lambda _: Outcome(2, 5, [1.5], ["one"], "note"))]
    write_report(results, "title", tmp_path / "r.json")
    row = json.loads((tmp_path / "r.json").read_text())["scenarios"][0]
    assert (row["struck"], row["differences"], row["holds"]) == (2, ["one"], False)
    write_report(results, "title", tmp_path / "r.md")
    assert "| one (note) | 2 | 5 | 1.5, 1.5 | 1 |" in (tmp_path / "r.md").read_text()


def test_what_only_apache_can_do_is_not_chosen_elsewhere() -> None:
    assert {each.needs for each in chosen([], "embedded", quick=False)} == {None}
    assert {each.quick for each in chosen([], "apache", quick=True)} == {True}
    assert len(chosen([], "apache", quick=False)) == len(SCENARIOS)
    with pytest.raises(ValueError, match="no such scenario: nonesuch"):
        chosen(["nonesuch"], "apache", quick=False)


def run_one(folder: Path, strike: Strike) -> Result:
    runner = Runner(NOWHERE, folder, 1, quick=True, told=print)
    return runner.run_one(Scenario("one", "", strike, quick=True, needs=None))
