"""Which rows of a file can be backfilled, and why the others cannot.

Usage inside the time window of ordinary usage is refused here: it is sent, so that admission's
claims know of it (credits.md section 9).
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from ingest.encode import Encoder, Fault, Row
from ingest.mapping import EventMapping
from ingest.sources import Format, Spooled, contents_of, open_source
from processors.admission.fingerprint import content_digest, key_digest
from processors.admission.window import Window
from projections.reading.usage import Key
from schemas.documents import Backfill, canonical
from schemas.envelope import Usage, decode_structured
from schemas.reasons import Reason, Refusal
from schemas.strict_json import MAX_DOCUMENT_BYTES
from schemas.times import format_instant

STDIN: Final = "-"


class Candidate(NamedTuple):
    """A row that could be backfilled, and the command that does it."""

    number: int
    key: Key
    command: Backfill


class Excluded(NamedTuple):
    """A row that is not backfilled, and why."""

    number: int
    why: str


@dataclass
class Candidates:
    """What a file holds: `refused` rows are faults, `known` ones are there already."""

    taken: list[Candidate] = field(default_factory=list)
    refused: list[Excluded] = field(default_factory=list)
    known: list[Excluded] = field(default_factory=list)

    def without(self, there: Iterable[Key], where: str) -> "Candidates":
        """The same, but for the usage that is `there` already."""
        gone = set(there)
        known = [Excluded(each.number, where) for each in self.taken if each.key in gone]
        taken = [each for each in self.taken if each.key not in gone]
        return Candidates(taken, self.refused, self.known + known)


def read_candidates(
    file: str, given: Format | None, window: Window, now: int, account: str | None
) -> Candidates:
    """The rows of a file of CloudEvents; those of other accounts than `account` are passed over.

    Raises ConfigurationError for a file that cannot be read.
    """
    with ExitStack() as stack:
        from_stdin = file == STDIN
        path = stack.enter_context(Spooled()) if from_stdin else Path(file)
        source = open_source(path, given or ("jsonl" if from_stdin else None))
        mapping = source.checked(EventMapping())
        encoder = Encoder(mapping, source.kind, contents_of(path).digest)
        return candidates_of(source.rows(encoder), window, now, account)


def candidates_of(
    rows: Iterable[Row], window: Window, now: int, account: str | None = None
) -> Candidates:
    """Sort the rows; `now` is when ordinary usage would be received, microseconds."""
    found = Candidates()
    seen: dict[Key, bytes] = {}
    for number, result, _ in rows:
        usage = _usage(result)
        if isinstance(usage, str):
            found.refused.append(Excluded(number, usage))
            continue
        if account not in (None, usage.account):
            continue
        key = usage.account, usage.source, usage.id
        content = content_digest(usage.type, usage.data, usage.contract)
        if key in seen:
            _repeated(found, number, same=seen[key] == content)
            continue
        seen[key] = content
        made = _inside(usage, window, now) or _command(usage, _value(result))
        if isinstance(made, str):
            found.refused.append(Excluded(number, made))
        else:
            found.taken.append(Candidate(number, key, made))
    return found


def _usage(result: object) -> Usage | str:
    """The event of a row, or what is wrong with it."""
    if isinstance(result, Fault):
        return result.reason
    usage = decode_structured(_value(result))
    if isinstance(usage, Refusal):
        return f"{usage.path or 'event'}: {usage.detail} ({usage.reason})"
    return usage


def _value(result: object) -> bytes:
    value: bytes = result.value  # type: ignore[attr-defined]
    return value


def _repeated(found: Candidates, number: int, *, same: bool) -> None:
    if same:
        found.known.append(Excluded(number, f"the file has it before ({Reason.DUPLICATE})"))
    else:
        why = f"the file has it before, with other content ({Reason.CONFLICT})"
        found.refused.append(Excluded(number, why))


def _inside(usage: Usage, window: Window, now: int) -> str | None:
    refusal = window.refuse(usage.time, now)
    if refusal is not None and refusal.reason == Reason.TOO_OLD:
        return None
    if refusal is not None:
        return f"time: {refusal.detail} ({refusal.reason})"
    at = format_instant(usage.time)
    return f"time: {at} lies inside the window of ordinary usage: `drawdown send` it"


def _command(usage: Usage, value: bytes) -> Backfill | str:
    """The command, whose id stands for the usage: sent again it changes nothing."""
    identity = key_digest(usage.account, usage.source, usage.id).hex()
    command = Backfill(id=f"backfill-{identity}", account=usage.account, event=value.decode())
    size = len(canonical(command))
    if size > MAX_DOCUMENT_BYTES:
        return f"event: {size} bytes as a command; at most {MAX_DOCUMENT_BYTES} are taken"
    return command
