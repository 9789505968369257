"""`drawdown api`."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from projections.logs import log_as

if TYPE_CHECKING:
    from projections.api.settings import ApiSettings


def register(app: typer.Typer, settings: Callable[[], "ApiSettings"]) -> None:
    """Add the command to `app`."""

    @app.command("api")
    def api() -> None:
        """Serve balances, contracts, the ledger, checks, documents and holds over HTTP."""
        from projections.api.server import STAGE, run_api

        log_as(STAGE)
        run_api(settings())
