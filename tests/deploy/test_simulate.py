import json
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from deploy.simulate.command import register
from deploy.simulate.contents import SUPPORTED
from deploy.simulate.folds import Folds
from deploy.simulate.printed import simulate
from deploy.simulate.report import report
from deploy.simulate.run import Running, run
from deploy.simulate.scenario import Entry, parse_scenario
from projections.balances.row import check_conservation
from schemas.errors import DocumentError

SCENARIOS = Path(__file__).parents[1] / "scenarios"
WORKED = sorted(path.stem for path in SCENARIOS.glob("[a-z]*.json"))
GRANT = "id: g, account: a, type: prepaid, amount: '1', effective_at: '2026-01-01T00:00:00Z'"
KINDS = ", ".join(SUPPORTED)
AT = 'at: "2026-01-01T00:00:00Z"'
EVENT = "id: e, source: s, type: t, subject: a, time: '2026-01-01T00:00:00Z'"


def _scenario(name: str) -> str:
    return (SCENARIOS / f"{name}.yaml").read_text()


def _faults(text: str) -> list[tuple[str, str]]:
    with pytest.raises(DocumentError) as caught:
        parse_scenario(text)
    return caught.value.faults


def _entry_faults(entry: str) -> list[tuple[str, str]]:
    return _faults(f"timeline:\n  - {{{AT}, {entry}}}\n")


@pytest.mark.parametrize("name", WORKED)
def test_a_scenario_gives_the_numbers_worked_out_by_hand(name: str) -> None:
    expected = json.loads((SCENARIOS / f"{name}.json").read_text())
    assert expected == json.loads(simulate(_scenario(name), as_json=True))


@pytest.mark.parametrize("name", sorted(path.stem for path in SCENARIOS.glob("*.yaml")))
def test_the_reference_gives_the_same_bytes(name: str) -> None:
    text = _scenario(name)
    columnar = simulate(text, as_json=True)
    assert simulate(text, as_json=True, reference=True) == columnar
    assert simulate(text, as_json=True) == columnar


@pytest.mark.parametrize("name", WORKED)
def test_credits_are_conserved(name: str) -> None:
    outcome = run(parse_scenario(_scenario(name)))
    for account, row in outcome.accounts.items():
        assert check_conservation(account, [*row.grants, *outcome.retired[account]]) == []


@pytest.mark.parametrize("name", WORKED)
def test_more_ticks_change_nothing(name: str) -> None:
    entries = parse_scenario(_scenario(name))
    ticked = [entries[0]]
    for before, after in pairwise(entries):
        ticked += [Entry((before.at + after.at) // 2, None), Entry(after.at, None), after]
    assert report(ticked, run(ticked)) == report(entries, run(entries))


@pytest.mark.parametrize("name", WORKED)
def test_where_the_log_is_cut_changes_nothing(name: str) -> None:
    entries = parse_scenario(_scenario(name))
    running = Running(Folds(reference=False))
    for index, entry in enumerate(entries):
        running.take(index, entry)
        running.fold()
    assert report(entries, running.outcome()) == report(entries, run(entries))


def test_a_backfill_sent_again_changes_nothing_and_with_another_event_it_is_a_conflict() -> None:
    def backfill(event: str, name: str) -> str:
        fields = {"specversion": "1.0", "id": name, "source": "s", "type": "t", "subject": "a"}
        text = json.dumps({**fields, "time": "2025-06-01T00:00:00Z"})
        return f"  - {{{AT}, backfill: {{account: a, id: {event}, event: '{text}'}}}}"

    entries = [backfill("b1", "e1"), backfill("b1", "e1"), backfill("b2", "e1")]
    text = "\n".join(["timeline:", f"  - {{{AT}, account: {{id: a}}}}", *entries])
    text += "\n" + backfill("b1", "e2")
    rejected = json.loads(simulate(text, as_json=True))["rejected"]
    assert [one["reason"] for one in rejected] == ["duplicate", "conflict"]


def test_the_json_has_sorted_keys_and_two_spaces() -> None:
    printed = simulate(_scenario("first"), as_json=True)
    assert printed == json.dumps(json.loads(printed), sort_keys=True, indent=2)


def test_the_tables_name_every_account_line_alert_and_refusal() -> None:
    printed = simulate(_scenario("first"), as_json=False).splitlines()
    assert printed[:3] == [
        "acme: available 0, consumed 0.2, overage 0",
        "  id  type     issued  consumed  expired  remaining  state",
        "  g1  prepaid  10      0.2       9.8      0          expired",
    ]
    assert "  e1     acme     api-calls  standard   1        1         0.2   g1:0.2  0" in printed
    assert "  e1     duplicate  2026-01-02T00:00:01Z" in printed
    assert "unrated: none" in printed


@pytest.mark.parametrize(
    ("entry", "path", "expected"),
    [
        ("tick: {n: 1}", "tick", "expected {}: a tick has no fields"),
        ("void_grant: {grant: g}", "void_grant.account", "required"),
        ("void_grant: {account: a, grant: g, kind: fund_grant}", "void_grant.kind", "or no kind"),
        ("void_grant: {account: a, grant: g, id: a b}", "void_grant.id", "pattern"),
        ("void_usage: {account: a, source: s}", "void_usage.id", "required"),
        ("void_usage: {account: a, source: s, id: 7}", "void_usage.id", "valid string"),
        ("void_usage: {account: a, source: s, id: e, event: e}", "void_usage.event", "unknown"),
        ("void_usage: {account: a, source: s, id: e, lines: []}", "void_usage.lines", "unknown"),
        ("replay: {account: a, source: s, id: e, product: -p}", "replay.product", "pattern"),
        (f"backfill: {{{EVENT}, account: 7}}", "backfill.account", "valid string"),
        (f"backfill: {{{EVENT.replace('type', 'tpye')}}}", "backfill.type", "required"),
        ("backfill: {account: a, event: 7}", "backfill.event", "valid string"),
        ("pack: {}", "pack", "unknown field, expected one of usage, tick, catalog"),
        ("grant: 7", "grant", "expected the fields of one, as an object"),
        (f"grant: {{{GRANT}, kind: Account}}", "grant.kind", "expected Grant, or no kind"),
        (f"grant: {{{GRANT}, priority: 101}}", "grant.priority", "less than or equal to 100"),
        (f"grant: {{{GRANT}, rollover: {{}}}}", "grant.rollover.mode", "required"),
        (f"grant: {{{GRANT}, colour: red}}", "grant.colour", "unknown field"),
        (
            f"grant: {{{GRANT.replace(chr(39) + '1' + chr(39), '0.1e-9')}}}",
            "grant.amount",
            "9 deci",
        ),
        ("account: {id: a, time_zone: Mars}", "account.time_zone", "expected an IANA time zone"),
        ("account: {id: 12}", "account.id", "valid string"),
        ("catalog: 7", "catalog", "expected an object"),
        (f"catalog: {{kind: Grant, {GRANT}}}", "catalog.kind", "one of Product, RateCard, Pack"),
        ("catalog: {kind: set_seats}", "catalog.kind", "one of Product, RateCard, Pack"),
        (f"usage: {{{EVENT}, contract: a b}}", "usage.contract", "pattern"),
        (f"usage: {{{EVENT}, data_base64: e30=}}", "usage", "not supported yet"),
        (f"usage: {{{EVENT.replace('subject: a', 'subject: a b')}}}", "usage.subject", "pattern"),
        (f"usage: {{{EVENT.replace('id: e', 'id: 1.5')}}}", "usage.id", "expected a string"),
        (f"usage: {{{EVENT.replace('time', 'when')}}}", "usage.time", "required"),
        (f"usage: {{{EVENT}, data: {'[' * 65 + ']' * 65}}}", "usage", "at most 64"),
    ],
)
def test_a_bad_field_is_told_with_its_path(entry: str, path: str, expected: str) -> None:
    (fault,) = _entry_faults(entry)
    assert fault[0] == f"timeline[0].{path}"
    assert expected in fault[1]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("[]", [("scenario", "expected one YAML document with catalog and timeline")]),
        ("", [("scenario", "expected one YAML document with catalog and timeline")]),
        ("timeline: []", [("timeline", "expected at least one entry: its `at` is the clock")]),
        ("catalog: []", [("timeline", "expected a list")]),
        (
            f"timelime: []\ncatalog: 1\ntimeline: [{{{AT}, tick: {{}}}}]",
            [
                ("timelime", "unknown field, expected catalog and timeline"),
                ("catalog", "expected a list"),
            ],
        ),
        ("a: [", [("line 1, column 5", "expected the node content, but found '<stream end>'")]),
        (
            'timeline: ["x"]',
            [("timeline[0]", f"expected `at` and one of {KINDS}")],
        ),
        (
            "timeline: [{tick: {}}]",
            [("timeline[0].at", "expected an RFC 3339 time such as 2026-01-01T00:00:00Z")],
        ),
        (
            "timeline: [{at: '1969-12-31T23:59:59Z', tick: {}}]",
            [("timeline[0].at", "expected a year from 1970 to 2200, got 1969")],
        ),
        (
            f"timeline: [{{{AT}}}]",
            [
                (
                    "timeline[0]",
                    f"expected exactly one of {KINDS}, got none",
                )
            ],
        ),
        (
            f"timeline: [{{{AT}, tick: {{}}, grant: {{}}}}]",
            [
                (
                    "timeline[0]",
                    f"expected exactly one of {KINDS}, got tick and grant",
                )
            ],
        ),
        (
            f'timeline: [{{{AT}, tick: {{}}}}, {{at: "2025-12-31T23:59:59Z", tick: {{}}}}]',
            [
                (
                    "timeline[1].at",
                    "expected no earlier than 2026-01-01T00:00:00Z, where the timeline has been",
                )
            ],
        ),
    ],
)
def test_a_file_of_another_shape_is_refused(text: str, faults: list[tuple[str, str]]) -> None:
    assert faults == _faults(text)


def test_all_faults_of_a_file_are_told_at_once() -> None:
    found = _faults(f"""
catalog:
  - {{kind: Product, id: p, meter: {{event_type: t, aggregation: mean, value: n}}}}
  - {{kind: Rebate, id: r}}
timeline:
  - {{at: soon, account: {{id: a, limits: 1}}}}
  - {{{AT}, grant: {{id: g, account: a, type: gift, amount: "-1", effective_at: "2026-01-01"}}}}
  - {{{AT}, usage: {{id: e}}}}
""")
    assert [path for path, _ in found] == [
        "catalog[0].meter.aggregation",
        "catalog[1].kind",
        "timeline[0].at",
        "timeline[0].account.limits",
        "timeline[1].grant.type",
        "timeline[1].grant.amount",
        "timeline[1].grant.effective_at",
        "timeline[2].usage.source",
        "timeline[2].usage.type",
        "timeline[2].usage.subject",
        "timeline[2].usage.time",
    ]


def test_numbers_of_data_keep_their_digits() -> None:
    data = 'data: {n: 0.10, m: 12345678901234567890123, s: "1.0", deep: [1e2, true, null]}'
    (entry,) = parse_scenario(f"timeline: [{{{AT}, usage: {{{EVENT}, {data}}}}}]")
    assert entry.what is not None
    assert getattr(entry.what, "data", None) == (
        b'{"n":0.10,"m":12345678901234567890123,"s":"1.0","deep":[1e2,true,null]}'
    )


def _app() -> typer.Typer:
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    return app


def test_the_command_prints_json_and_ends_with_0() -> None:
    file = str(SCENARIOS / "first.yaml")
    result = CliRunner().invoke(_app(), ["simulate", file, "--json"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == simulate(_scenario("first"), as_json=True) + "\n"


def test_the_command_reads_standard_input() -> None:
    result = CliRunner().invoke(_app(), ["simulate", "-"], input=_scenario("first"))
    assert result.stdout == simulate(_scenario("first"), as_json=False) + "\n"


def test_a_file_that_is_not_valid_ends_with_2_and_each_path_on_standard_error(
    tmp_path: Path,
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(f"timeline: [{{{AT}, grant: {{{GRANT}, tags: [7]}}}}, {{at: x, tick: {{}}}}]")
    result = CliRunner().invoke(_app(), ["simulate", str(file)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "timeline[0].grant.tags[0]: Input should be a valid string",
        "timeline[1].at: expected an RFC 3339 time such as 2026-01-01T00:00:00Z, got 'x'",
    ]


def test_bytes_that_are_no_text_are_not_valid(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(b"\xff")
    result = CliRunner().invoke(_app(), ["simulate", str(file)])
    assert result.exit_code == 2
    assert "expected UTF-8" in result.stderr


def test_a_file_that_cannot_be_read_ends_with_1(tmp_path: Path) -> None:
    result = CliRunner().invoke(_app(), ["simulate", str(tmp_path / "absent.yaml")])
    assert result.exit_code == 1
    assert "No such file" in result.stderr
