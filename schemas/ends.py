"""Why a process ended, by its exit code (`schemas.errors`)."""

from typing import Final

from schemas.errors import (
    ClaimsBehind,
    ConfigurationError,
    DeliveryError,
    Fenced,
    LogError,
    ProgressError,
    ReleaseError,
    StoreError,
    StoreUnavailable,
)

STOPPED: Final = "stopped"
KILLED: Final = "killed"
CRASHED: Final = "crashed"
_BY_CODE: Final = {
    0: STOPPED,
    ConfigurationError.exit_code: "configuration",
    StoreUnavailable.exit_code: "unavailable",
    StoreError.exit_code: "store",
    Fenced.exit_code: "fenced",
    ClaimsBehind.exit_code: "claims_behind",
    LogError.exit_code: "log",
    DeliveryError.exit_code: "delivery",
    ProgressError.exit_code: "no_progress",
    ReleaseError.exit_code: "release",
}
REASONS: Final = (*_BY_CODE.values(), KILLED, CRASHED)
BY_ITSELF: Final = tuple(reason for reason in REASONS if reason not in {STOPPED, KILLED})
"""Those that a process which ends can tell of: an error, not a wish, and it lives long enough."""


def reason_of(code: int) -> str:
    """One of `REASONS`; a negative code is the signal that ended the process."""
    return KILLED if code < 0 else _BY_CODE.get(code, CRASHED)
