"""How far a file has been sent, for `--resume`: the confirmed prefix of its rows, beside the file.

Because ids are stable, sending a row again is harmless (a duplicate); the state only saves the
work. It also keeps the shift of `--rebase-time`, so that a resumed file moves by the same constant.
State of another file content or of another mapping is refused, never used.
"""

from collections import deque
from pathlib import Path
from typing import Final

import msgspec

from projections.files import replace_file
from schemas.errors import ConfigurationError

ROWS_PER_CHUNK: Final = 5_000


class SendProgress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows up to `confirmed` are confirmed or reported as failed; `shift` is in microseconds."""

    digest: str
    mapping: str
    shift: int
    confirmed: int
    sent: int
    failed: int


def progress_path(path: Path) -> Path:
    """`FILE.drawdown-progress`, beside the file."""
    return path.with_name(path.name + ".drawdown-progress")


def load_progress(path: Path, digest: str, mapping: str) -> SendProgress | None:
    """The state to continue from; None where there is none.

    Raises ConfigurationError when the state is unreadable or belongs to other bytes or another
    mapping.
    """
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=SendProgress)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        message = f"{path}: {error}; remove it to start from the first row"
        raise ConfigurationError(message) from error
    if (kept.digest, kept.mapping) != (digest, mapping):
        what = "mapping" if kept.digest == digest else "file content"
        message = f"{path} belongs to another {what}; remove it to start from the first row"
        raise ConfigurationError(message)
    return kept


def save_progress(path: Path, progress: SendProgress) -> None:
    """Replace the state, all of it or nothing of it."""
    replace_file(path, msgspec.json.encode(progress))


class Chunk:
    """Consecutive rows, and how many of their records are not confirmed yet."""

    __slots__ = ("_outstanding", "complete", "failed", "last", "sent")

    def __init__(self) -> None:
        self._outstanding = self.last = self.sent = self.failed = 0
        self.complete = False

    def row(self, number: int, *, failed: bool) -> None:
        """Row `number` belongs to this chunk: it is about to be sent, or has failed."""
        self.last = number
        if failed:
            self.failed += 1
        else:
            self.sent += 1
            self._outstanding += 1

    def confirm(self) -> None:
        """One of its records is confirmed."""
        self._outstanding -= 1

    @property
    def settled(self) -> bool:
        """Nothing of it is on the way and nothing will be added."""
        return self.complete and self._outstanding == 0


class Prefix:
    """The contiguous confirmed prefix of the rows: it never passes a row that is not confirmed."""

    def __init__(self) -> None:
        self._chunks: deque[Chunk] = deque([Chunk()])
        self._rows = 0

    def current(self) -> Chunk:
        """The chunk that the next row belongs to."""
        self._rows += 1
        if self._rows > ROWS_PER_CHUNK:
            self.end()
            self._rows = 1
        return self._chunks[-1]

    def end(self) -> None:
        """No more rows go to the current chunk."""
        self._chunks[-1].complete = True
        self._chunks.append(Chunk())

    def advance(self, progress: SendProgress) -> SendProgress:
        """`progress` with all that is settled by now."""
        while self._chunks[0].settled:
            chunk = self._chunks.popleft()
            if chunk.last:
                progress = msgspec.structs.replace(
                    progress,
                    confirmed=chunk.last,
                    sent=progress.sent + chunk.sent,
                    failed=progress.failed + chunk.failed,
                )
        return progress
