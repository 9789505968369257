"""The commands `drawdown send` and `drawdown apply`: options in, a summary and an exit code out."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ingest.documents import load_documents, send_documents
from ingest.loader import Sending, SendReport, Tell, preview, send_file
from ingest.mapping import parse_mapping
from ingest.rebase import parse_rebase
from ingest.sources import Format
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


def register(app: typer.Typer, settings: Callable[[], Addresses]) -> None:
    """Add `send` and `apply` to the command line."""

    @app.command()
    def send(
        file: Annotated[
            str, typer.Argument(help="a .jsonl, .csv or .parquet file; - is standard input")
        ],
        maps: Annotated[
            list[str] | None,
            typer.Option(
                "--map",
                help='"TARGET=COLUMN …", e.g. "data.input_tokens=ContextTokens time=TIMESTAMP"',
            ),
        ] = None,
        constants: Annotated[
            list[str] | None,
            typer.Option("--set", help="TARGET=TEXT or TARGET:=JSON, e.g. --set type=llm.request"),
        ] = None,
        given_format: Annotated[
            Format | None, typer.Option("--format", help="default: by the file's name; - is jsonl")
        ] = None,
        rebase_time: Annotated[
            str | None,
            typer.Option(help="END=now, START=INSTANT, …: move all times by one constant"),
        ] = None,
        failed: Annotated[
            Path | None, typer.Option(help="write the rows that fail here, as JSON lines")
        ] = None,
        resume: Annotated[
            bool, typer.Option("--resume", help="keep FILE.drawdown-progress and continue from it")
        ] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="print the events; send nothing")
        ] = False,
    ) -> None:
        """Send the rows of a file as usage events, and wait until all are confirmed.

        Ids of rows that have none derive from the file's bytes and the row number: sending a file
        again makes duplicates, which are dropped. Times without an offset are UTC. Exit code 1: a
        row failed.
        """
        now = time.time_ns() // 1000
        sending = Sending(
            file=file,
            mapping=parse_mapping(maps or (), constants or ()),
            format=given_format,
            rebase=parse_rebase(rebase_time, now) if rebase_time else None,
            failed=failed,
            resume=resume,
        )
        run_send(sending, settings, dry_run=dry_run)

    @app.command()
    def apply(
        files: Annotated[
            list[Path], typer.Argument(help="YAML or JSON files of documents and commands")
        ],
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="check the documents; send nothing")
        ] = False,
    ) -> None:
        """Check documents and commands and send them: all, or none of them.

        Documents: Product, RateCard, Pack; Account, Contract, Grant. Commands, each with an id and
        an account: void_grant, refund_grant, adjust_grant, fund_grant, purchase, void_usage,
        replay, backfill, amend_contract, terminate_contract, set_seats, settle_overage,
        top_up_failed, place_hold, capture_hold, release_hold. Sent again, each changes nothing.

        The catalog's are sent and confirmed first, then the others in their order. A void_usage
        names its usage by source and event; its lines are looked up in the ledger, and it is
        refused (unknown_usage) where there are none. A backfill holds its event as a text of JSON,
        and is refused (duplicate) where the ledger has it. Exit code 2: something was refused.
        """
        documents = load_documents(files)
        if not dry_run:
            where = settings()
            send_documents(documents, where.kafka_access, where.topic_prefix)
        for document in documents:
            typer.echo(f"{'checked' if dry_run else 'sent'} {describe(document)}")


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
