"""A public trace of LLM requests, sent twice: the balances are the sums of its columns."""

import time
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from deploy.servers.find import Servers
from ingest.loader import Sending, SendReport, send_file
from ingest.mapping import parse_mapping
from ingest.rebase import parse_rebase
from schemas.times import DAY, format_instant
from tests.system.pipeline import Pipeline, in_ci, running

pytestmark = [pytest.mark.integration, pytest.mark.slow]
TRACE = Path(__file__).parents[2].parent / "shared/data/AzureLLMInferenceTrace_conv.csv"
ROWS = 19_366
INPUT_TOKENS, OUTPUT_TOKENS = 22_361_870, 4_088_665  # by awk, over the two columns
ISSUED = 100_000_000
MAP = "data.input_tokens=ContextTokens data.output_tokens=GeneratedTokens time=TIMESTAMP"
SETTLE_SECONDS = 120


@pytest.fixture
def trace() -> Path:
    """The file, which is not part of the repository."""
    if not TRACE.exists():
        message = f"the public trace is not at {TRACE}"
        if in_ci():
            pytest.fail(message)
        pytest.skip(message)
    return TRACE


def test_balances_are_the_sums_of_the_trace(
    servers: Servers, topic_prefix: str, tmp_path: Path, trace: Path
) -> None:
    """The second sending is rebased anew, and is all duplicates."""
    with running(servers, topic_prefix, tmp_path) as pipeline:
        pipeline.apply(documents(time.time_ns() // 1_000))
        pipeline.wait_until_settled(SETTLE_SECONDS)
        first = send(pipeline, trace)
        pipeline.wait_until_settled(SETTLE_SECONDS)
        assert (first.sent, first.failed) == (ROWS, 0)
        check(pipeline)
        counted = pipeline.figures(pipeline.reconcile(), "I1")
        assert (counted["accepted"], counted["duplicate"]) == (ROWS, 0)

        again = send(pipeline, trace)
        pipeline.wait_until_settled(SETTLE_SECONDS)
        assert (again.sent, again.failed) == (ROWS, 0)
        check(pipeline)
        counted = pipeline.figures(pipeline.reconcile(), "I1")
        assert (counted["accepted"], counted["duplicate"], counted["conflict"]) == (ROWS, ROWS, 0)


def check(pipeline: Pipeline) -> None:
    """The balance, and the ledger by product."""
    balance = pipeline.balance("azure")
    assert balance["consumed"] == str(INPUT_TOKENS + OUTPUT_TOKENS)
    assert balance["available"] == str(ISSUED - INPUT_TOKENS - OUTPUT_TOKENS)
    consumed = (
        pipeline.ledger()
        .filter(pl.col("product").is_not_null())
        .group_by("product")
        .agg(pl.col("amount").sum().abs(), pl.col("quantity").sum())
    )
    by_product = {name: (amount, quantity) for name, amount, quantity in consumed.iter_rows()}
    assert by_product == {
        "input": (Decimal(INPUT_TOKENS), Decimal(INPUT_TOKENS)),
        "output": (Decimal(OUTPUT_TOKENS), Decimal(OUTPUT_TOKENS)),
    }


def send(pipeline: Pipeline, trace: Path) -> SendReport:
    """`drawdown send FILE --map … --set … --rebase-time END=now`."""
    mapping = parse_mapping([MAP], ["type=llm.request", "subject=azure", "source=azure"])
    rebase = parse_rebase("END=now", time.time_ns() // 1_000)
    sending = Sending(str(trace), mapping, rebase=rebase)
    return send_file(sending, pipeline.settings.kafka, pipeline.settings.topic_prefix)


def documents(now: int) -> list[dict[str, object]]:
    """One credit a token, to one account with more than enough."""
    meters = {"input": "input_tokens", "output": "output_tokens"}
    products: list[dict[str, object]] = [
        {
            "kind": "Product",
            "id": name,
            "meter": {"event_type": "llm.request", "aggregation": "sum", "value": value},
        }
        for name, value in meters.items()
    ]
    rates = [{"product": name, "price": {"model": "unit", "unit_price": "1"}} for name in meters]
    since = format_instant(now - 10 * DAY)
    version = {"version": 1, "effective_from": since, "rates": rates}
    return [
        *products,
        {"kind": "RateCard", "id": "standard", "versions": [version]},
        {"kind": "Account", "id": "azure", "rate_card": "standard"},
        {
            "kind": "Grant",
            "id": "prepaid",
            "account": "azure",
            "type": "prepaid",
            "amount": str(ISSUED),
            "effective_at": since,
        },
    ]
