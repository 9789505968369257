"""`drawdown api`."""

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from projections.api.settings import ApiSettings


def register(app: typer.Typer, settings: Callable[[], "ApiSettings"]) -> None:
    """Add the command to `app`."""

    @app.command("api")
    def api() -> None:
        """Serve balances, contracts, the ledger, checks, documents and holds over HTTP."""
        from projections.api.server import run_api

        logging.basicConfig(
            stream=sys.stderr,
            level=logging.INFO,
            format="%(asctime)s api %(levelname)s %(message)s",
            force=True,
        )
        run_api(settings())
