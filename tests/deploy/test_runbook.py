"""The runbook's commands exist, and its figures are those of the README."""

import re
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from deploy import cli
from deploy.settings import Settings
from schemas import errors
from schemas.ends import REASONS

ROOT: Final = Path(__file__).parents[2]
RUNBOOK: Final = (ROOT / "deploy" / "README.md").read_text()
README: Final = (ROOT / "README.md").read_text()
ALERTS: Final = (ROOT / "deploy" / "prometheus" / "alerting.yaml").read_text()
GROUPS: Final = {"acl": ("kafka", "redis"), "keys": ("create", "revoke"), "contract": ("show",)}


def _commands() -> list[tuple[str, ...]]:
    found = set(re.findall(r"(?:^|`|\| )drawdown ([a-z]+)", RUNBOOK, re.MULTILINE))
    plain = {(name,) for name in found - GROUPS.keys()}
    return sorted(plain | {(name, each) for name in found & GROUPS.keys() for each in GROUPS[name]})


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_every_command_exists(command: tuple[str, ...]) -> None:
    assert CliRunner().invoke(cli.app, [*command, "--help"]).exit_code == 0


def test_every_option_exists() -> None:
    for name, options in re.findall(r"drawdown ((?:acl )?[a-z]+)((?: [^`\n|]*)?)", RUNBOOK):
        given = re.findall(r"--[a-z-]+", options.partition(" | ")[0])
        if given and name in {"acl kafka", "acl redis", "rebuild", "backfill", "check"}:
            told = CliRunner().invoke(cli.app, [*name.split(), "--help"]).stdout
            assert [each for each in given if each not in told] == [], (name, given)


def test_every_setting_exists() -> None:
    known = {f"DRAWDOWN_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"`(DRAWDOWN_[A-Z_]+)[`=]", RUNBOOK)) <= known


def test_a_file_for_compose_is_mounted_where_the_command_reads_it() -> None:
    """The container sees nothing of the host but what the line mounts."""
    (given,) = re.findall(r"compose\.yaml run --rm (.*command apply \S+)", RUNBOOK)
    mounted = re.fullmatch(r'-v "\$PWD:(/\w+):ro" command apply (/\w+)/\w+\.yaml', given)
    assert mounted is not None, given
    assert mounted[1] == mounted[2]


def test_every_file_exists() -> None:
    for name in re.findall(r"`((?:tests|deploy)/[a-z_/.]+)`", RUNBOOK):
        assert (ROOT / name).exists(), name


def test_every_exit_code_stands_in_the_table() -> None:
    table = re.findall(r"^\| ([^|]*\bexits? [^|]*)\|", RUNBOOK, re.MULTILINE)
    told = {int(code) for cell in table for code in re.findall(r"\b\d+\b", cell)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.DrawdownError)}
    assert told == codes


def test_every_reason_to_restart_is_explained() -> None:
    """Of those that the alert is about; the others have alerts of their own."""
    (rule,) = re.findall(r"DrawdownRestarting\n +expr: .*reason!~\"([^\"]+)", ALERTS)
    (told,) = re.findall(r"### DrawdownRestarting\n(.*?)\n#", RUNBOOK, re.DOTALL)
    reasons = set(REASONS) - set(rule.split("|"))
    assert {each for each in reasons if f"`{each}`" not in told} == set()


@pytest.mark.parametrize(
    "figure",
    [
        *("54,390", "75,381", "31.9", "36.9", "15.4", "1.15"),
        *("22.8", "36.1", "59.3", "1.58", "2.60", "37 of the 59"),
    ],
)
def test_a_measured_figure_is_the_readmes(figure: str) -> None:
    assert figure in README
    assert figure in RUNBOOK


@pytest.mark.parametrize(
    ("mean", "hours", "said"),
    [(1_000, 1, "0.24 GB"), (1_000, 72, "17 GB"), (10_000, 24, "57 GB"), (50_000, 72, "855 GB")],
)
def test_memory_is_what_the_formula_gives(mean: int, hours: int, said: str) -> None:
    size = 2 * 33 * mean * hours * 3_600 / 1e9
    amount = float(said.removesuffix(" GB"))
    assert abs(size - amount) / amount < 0.03
    assert said in RUNBOOK


_GROWTH: Final = [
    [float(figure.replace(",", "")) for figure in row]
    for row in re.findall(
        r"^\| ([\d,]+), 1 \| [\d,]+ \| ([\d.]+) \| ([\d.]+) \| ([\d,]+), ([\d,]+) \|$",
        README,
        re.MULTILINE,
    )
]
"""Of the README: accounts, CPU-seconds a million, to that of the first, MB of all, of Redis."""


def test_growth_was_measured_at_three_counts() -> None:
    assert [row[0] for row in _GROWTH] == [10_000, 100_000, 1_000_000]


@pytest.mark.parametrize(("accounts", "cpu", "ratio", "everything", "redis"), _GROWTH)
def test_accounts_take_what_growth_gives(
    accounts: float, cpu: float, ratio: float, everything: float, redis: float
) -> None:
    """The bytes of an account are of the first step, the larger; what grows is balances' work."""
    first, second, _ = _GROWTH
    each = round((second[4] - first[4]) * 1e6 / (second[0] - first[0]), -2)
    assert f"{each / 1e3:.1f} kB" in RUNBOOK
    size = accounts * each / 1e9
    memory = f"{size:.2g} GB" if size > 0.1 else f"{size * 1e3:.0f} MB"
    balances = 8.3 + cpu - first[1]
    others = f"{(everything - redis) / 1e3:.1f} GB"
    row = f"| {accounts:,.0f} | {memory} | {others} | {ratio:.2f} | {balances:.1f} |"
    assert row in RUNBOOK
