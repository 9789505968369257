"""Everything that can end a command or a worker, under one root.

    DrawdownError
    ├── ConfigurationError      settings, topics or arguments that cannot work
    ├── DocumentError           a document or scenario that is not valid: holds each fault
    ├── StoreError              Redis answered what it never should
    │   ├── StoreUnavailable    Redis did not answer for longer than is waited
    │   ├── Fenced              another writer holds another position: this worker must end
    │   └── ClaimsBehind        claims were lost: the successor replays raw from their position
    ├── LogError
    │   ├── LogUnavailable      Kafka did not answer for longer than is waited
    │   ├── LogReplacedError    the log is not the one that was read: truncated or recreated
    │   ├── GapError            records are missing in the log and stay missing
    │   ├── FrameError          a record is no frame, or a damaged one
    │   └── DeliveryError       a record could not be written
    ├── ProgressError           a worker made no progress while there was lag
    └── ReleaseError            another release wrote a form that this one does not read

An expected refusal of an input is not an error but a value: `schemas.reasons.Refusal`. A bug is an
`assert`. Foreign exceptions are mapped at the edge where they arise.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a command that refuses its arguments need not load pydantic for it
    from pydantic import ValidationError


class DrawdownError(Exception):
    """The root; `exit_code` is what the process ends with."""

    exit_code = 1


def exit_code_of(error: BaseException) -> int:
    """What a process ends with that ends for `error`: 1 for a bug."""
    return error.exit_code if isinstance(error, DrawdownError) else 1


class ConfigurationError(DrawdownError):
    """Settings, topics or arguments that cannot work."""

    exit_code = 2


class DocumentError(DrawdownError):
    """A document or scenario that is not valid; `faults` are (path, what was expected)."""

    exit_code = 2

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{path}: {expected}" for path, expected in faults))
        self.faults = list(faults)


def faults_of(error: "ValidationError", whole: str = "") -> str:
    """Each fault and where it is, on one line; `whole` names what has no path."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or whole}: {fault['msg']}" for fault in error.errors()
    )


class StoreError(DrawdownError):
    """Redis answered what it never should."""

    exit_code = 70


class StoreUnavailable(StoreError):
    """Redis did not answer for longer than is waited."""

    exit_code = 69


class Fenced(StoreError):
    """Another writer holds another position: this worker must end."""

    exit_code = 71


class ClaimsBehind(StoreError):
    """Claims were lost: the successor replays raw from where they stand."""

    exit_code = 72


class LogError(DrawdownError):
    """The log is not as it must be."""

    exit_code = 73


class LogUnavailable(LogError):
    """Kafka did not answer for longer than is waited."""

    exit_code = 69


class LogReplacedError(LogError):
    """The log is not the one that was read: truncated, cut off or recreated."""


class GapError(LogError):
    """Records are missing in the log and stay missing."""


class FrameError(LogError):
    """Bytes that are not a frame: the log is not ours, or damaged."""


class DeliveryError(LogError):
    """A record could not be written."""

    exit_code = 74


class ProgressError(DrawdownError):
    """A worker made no progress while there was lag."""

    exit_code = 75


class ReleaseError(DrawdownError):
    """Another release wrote a form that this one does not read: nothing was folded or written."""

    exit_code = 76


def newer(what: str) -> ReleaseError:
    """`what` was met, which this release cannot know: a person is told what to do."""
    return ReleaseError(
        f"{what}: written by a newer release; run that release here too, readers before writers"
        ' (deploy/README.md, "Upgrading without stopping")'
    )
