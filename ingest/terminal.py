"""What a person sees of `drawdown send` and `drawdown apply`: progress, failed rows, a summary."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ingest.loader import Sending, SendReport, Tell, preview, send_file
from projections.access import Kafka
from schemas.documents import Document

SHOWN_FAULTS: Final = 20
"""How many failed rows are shown; `--failed FILE` keeps them all."""
_MICROSECONDS: Final = 1_000_000


class Addresses(Protocol):
    """The settings that these commands need."""

    @property
    def kafka_access(self) -> Kafka: ...  # noqa: D102 - says it all

    @property
    def topic_prefix(self) -> str: ...  # noqa: D102


def run_send(sending: Sending, settings: Callable[[], Addresses], *, dry_run: bool) -> None:
    """Send or preview, show what happened, and exit with 1 if a row failed."""
    console = Console(stderr=True, highlight=False)
    faults = _Faults(console)
    if dry_run:
        failed = preview(sending, sys.stdout.buffer, faults.tell)
        sys.stdout.buffer.flush()
    else:
        where = settings()
        with _progress(console) as tell:
            report = send_file(
                sending, where.kafka_access, where.topic_prefix, tell=tell, tell_fault=faults.tell
            )
        failed = report.failed + report.failed_before
        faults.end()
        typer.echo(describe_report(report))
    if failed:
        raise typer.Exit(1)


def describe_report(report: SendReport) -> str:
    """One line: rows read, sent and failed, the speed, and how far the times were moved."""
    rate = report.sent / report.seconds if report.seconds > 0 else 0
    line = f"read {report.read:,} · sent {report.sent:,} · failed {report.failed:,}"
    line += f" · {rate:,.0f} events/s"
    if report.sent_before or report.failed_before:
        line += f" · before: sent {report.sent_before:,}, failed {report.failed_before:,}"
    if report.shift:
        whole, part = divmod(abs(report.shift), _MICROSECONDS)
        line += f" · times moved by {'-' if report.shift < 0 else '+'}{whole}.{part:06d} s"
    return line


def describe(document: Document) -> str:
    """`Grant g1 (account acme)`: what a person calls the document."""
    account = getattr(document, "account", None)
    return f"{document.kind} {document.id}" + (f" (account {account})" if account else "")


class _Faults:
    """Shows the first failed rows, and counts the others."""

    def __init__(self, console: Console) -> None:
        self._console, self._count = console, 0

    def tell(self, number: int, reason: str) -> None:
        self._count += 1
        if self._count <= SHOWN_FAULTS:
            self._console.print(f"row {number}: {reason}", markup=False, soft_wrap=True)

    def end(self) -> None:
        if self._count > SHOWN_FAULTS:
            more = self._count - SHOWN_FAULTS
            self._console.print(f"… and {more:,} more rows failed (--failed FILE keeps them)")


@contextmanager
def _progress(console: Console) -> Iterator[Tell]:
    columns = (
        TextColumn("sending"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("send", total=None, failed=0)

        def tell(done: int, failed: int, total: int) -> None:
            bar.update(task, completed=done, total=max(total, done), failed=failed)

        yield tell
