"""What a process says on standard error: one form for everything that runs long.

A line is `2026-01-01T00:00:00.000Z gateway INFO taking usage at …`: the instant in UTC, the
process, the level, the message. Ours begin at INFO, for they are few and hold no secret; libraries
begin at WARNING, for at INFO some of them tell of every request, heartbeat or setting.
"""

import logging
import sys
import time
from typing import Final

from schemas.errors import DrawdownError

OURS: Final = "drawdown"
"""The logger of every module here."""


class _Line(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


def log_as(name: str) -> None:
    """Log as the process `name` from now on, whatever was set up before."""
    _log_in(_Line(f"%(asctime)s {name} %(levelname)s %(message)s"))
    logging.getLogger(OURS).setLevel(logging.INFO)


def log_plainly() -> None:
    """Log as a command that a person has typed: warnings and worse, nothing but their words."""
    _log_in(logging.Formatter("%(message)s"))


def say_wait(before: str | None, cause: str | None) -> None:
    """Log when a wait for a server begins, and when it ends; `before` is what was waited for."""
    if before is None and cause is not None:
        logging.getLogger(OURS).warning("waiting: %s", cause)
    elif before is not None and cause is None:
        logging.getLogger(OURS).info("waits no longer")


def say_failure(error: DrawdownError) -> None:
    """The last words of a process or a command, in its form."""
    logging.getLogger(OURS).error("drawdown: %s", error)


def _log_in(form: logging.Formatter) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(form)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
