"""`drawdown send` and `drawdown apply` as they are typed."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from deploy.provision import create_topics
from ingest.commands import register
from ingest.loader import SendReport
from ingest.terminal import describe_report
from schemas.errors import ConfigurationError, DocumentError

EVENT = b'{"time":"2026-01-01T00:00:00Z","type":"t","subject":"a","id":"1","source":"s"}'


@dataclass(frozen=True)
class Where:
    """The settings of a run."""

    kafka_access: str = "127.0.0.1:1"
    topic_prefix: str = ""


def run(*arguments: str | Path, where: Where = Where(), stdin: bytes = b"") -> Result:
    app = typer.Typer()
    register(app, lambda: where)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def test_a_dry_run_prints_the_events_and_needs_no_broker(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"T,N\n2026-01-01 00:00:00,7\nsoon,8\n")
    options = ("--map", "time=T data.n=N", "--set", "type=t", "--set", "subject=a", "--dry-run")
    result = run("send", path, *options, "--rebase-time", "END=2026-02-01T00:00:00Z")
    assert result.exit_code == 1
    [event] = [json.loads(line) for line in result.stdout.splitlines()]
    assert (event["time"], event["data"]) == ("2026-02-01T00:00:00Z", {"n": 7})
    assert "row 2: " in result.stderr


def test_standard_input_is_json_lines() -> None:
    result = run("send", "-", "--dry-run", stdin=EVENT + b"\n" + EVENT)
    assert result.exit_code == 0
    assert result.stdout_bytes == EVENT + b"\n" + EVENT + b"\n"


def test_standard_input_cannot_be_resumed() -> None:
    assert isinstance(run("send", "-", "--resume").exception, ConfigurationError)


def test_documents_are_checked_without_a_broker(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("kind: Account\nid: acme\n")
    assert run("apply", path, "--dry-run").stdout == "checked Account acme\n"
    path.write_text("kind: Account\nid: acme\ncolour: red\n")
    assert isinstance(run("apply", path).exception, DocumentError)


@pytest.mark.integration
def test_what_was_sent_is_counted(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    where = Where(kafka, topic_prefix)
    create_topics(kafka, topic_prefix, 2, 1)
    path = tmp_path / "events.jsonl"
    path.write_bytes(EVENT + b"\n{\n")
    result = run("send", path, where=where)
    assert result.exit_code == 1
    assert result.stdout.startswith("read 2 · sent 1 · failed 1 · ")
    account = tmp_path / "a.yaml"
    account.write_text("kind: Account\nid: acme\n")
    assert run("apply", account, where=where).stdout == "sent Account acme\n"


def test_a_report_is_one_line() -> None:
    report = SendReport(
        read=1200,
        sent=1000,
        failed=200,
        sent_before=5,
        failed_before=1,
        shift=-1_500_000,
        seconds=2.0,
    )
    assert describe_report(report) == (
        "read 1,200 · sent 1,000 · failed 200 · 500 events/s · before: sent 5, failed 1"
        " · times moved by -1.500000 s"
    )
