"""The commands `drawdown send` and `drawdown apply`: options in, a summary and an exit code out."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from ingest.terminal import Addresses


def register(app: typer.Typer, settings: Callable[[], "Addresses"]) -> None:
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
            Literal["jsonl", "csv", "parquet"] | None,
            typer.Option("--format", help="default: by the file's name; - is jsonl"),
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
        from ingest.loader import Sending
        from ingest.mapping import parse_mapping
        from ingest.rebase import parse_rebase
        from ingest.terminal import run_send

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
        from ingest.documents import load_documents, send_documents
        from ingest.terminal import describe

        documents = load_documents(files)
        if not dry_run:
            where = settings()
            send_documents(documents, where.kafka_access, where.topic_prefix)
        for document in documents:
            typer.echo(f"{'checked' if dry_run else 'sent'} {describe(document)}")
