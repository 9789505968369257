"""What the fold decided of a hold's command: sent, waited for, answered.

The hold's row is the evidence. A command that its row shows was applied. One that its row does not
show as of a position that contains it was refused; the topic of rejected records says why.
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, get_args

from starlette.responses import Response

from projections import metrics
from projections.api import entries
from projections.api.coverage import Coverage
from projections.api.parameters import answer
from projections.api.problems import refused, unavailable
from projections.api.refusals import Stand
from projections.api.sending import Sent, furthest, reason
from projections.api.service import WAIT_SECONDS, Service
from projections.api.tokens import encode
from projections.api.watch import Judge, TooManyWait
from projections.balances.books import hold_key
from projections.balances.hold_rows import HoldRow
from projections.balances.new import digest_of
from projections.balances.stage import STAGE as BALANCES
from projections.balances.wire import decode_row
from projections.fold.snapshot import Snapshot
from projections.rates.rows import STAGE as RATING
from projections.web.problem import Problem
from schemas.documents import CaptureHold, PlaceHold, ReleaseHold, canonical
from schemas.errors import LogUnavailable

HoldCommand = PlaceHold | CaptureHold | ReleaseHold
HOLD_KINDS: Final = tuple(one.model_fields["kind"].default for one in get_args(HoldCommand))


@dataclass(frozen=True, slots=True)
class Seen:
    """The hold's row as of a position, and whether the command was applied."""

    row: HoldRow | None
    snapshot: Snapshot
    applied: bool
    certain: bool
    """Whether the row alone says so."""


async def decided(
    service: Service, command: HoldCommand, hold: str, status: HTTPStatus
) -> Response:
    """Send the command and answer what the fold decided. Raises Problem."""
    if service.watch.full:
        raise unavailable("more requests wait than are looked after: nothing was sent")
    account, digest = command.account, digest_of(command)
    partition = service.partition_of(account)
    key, slot = hold_key(account, hold), (partition, BALANCES)
    with service.refusals.expect(canonical(command)) as expected:
        taken = await service.rows.take({(partition, RATING): (), slot: [key]})
        above = furthest(taken[partition, RATING].position, taken[slot].position)
        before = hold_in(taken[slot], account, hold) if isinstance(command, PlaceHold) else None
        (sent,) = await _send(service, command, hold)
        written = service.sending.written([sent])
        coverage = Coverage(*written.needed(partition))

        def judge(rating: Snapshot, balances: Snapshot) -> Seen | None:
            row = hold_in(balances, account, hold)
            applied = is_applied(command, digest, row)
            if coverage.folded(rating.position, balances.position):
                certain = row is None or is_certain(row, before, rating.position.clock)
                return Seen(row, balances, applied, certain)
            at_once = applied and before is None
            return Seen(row, balances, applied=True, certain=True) if at_once else None

        loop = asyncio.get_running_loop()
        give_up = loop.time() + WAIT_SECONDS
        seen = await _seen(service, partition, key, judge)
        if seen is None:
            raise _unknown(command, hold, f"it is not decided after {WAIT_SECONDS:.0f} s")
        remembered = coverage.remembered
        stand = Stand(sent.topic, sent.place, partition, above, remembered[0] if remembered else 0)
        if seen.applied and not seen.certain and not await service.sending.told(WAIT_SECONDS):
            raise _unknown(command, hold, "the rejected topic is behind")
        applied = seen.applied and (seen.certain or expected.of(stand) is None)
        if applied and seen.row is not None:
            metrics.API_COMMANDS.labels(command.kind, "applied").inc()
            told = entries.hold_of(account, hold, seen.row)
            where = {**entries.at(partition, seen.snapshot), "min_position": encode(written)}
            return answer({"hold": told, **where}, status)
        why = await reason(expected, stand, max(give_up - loop.time(), 1.0))
    metrics.API_COMMANDS.labels(command.kind, "refused" if why is None else why.reason).inc()
    if why is None:
        detail = "the command was refused; why stands in the rejected topic, which is behind"
        raise Problem(HTTPStatus.CONFLICT, detail)
    raise refused(why.reason, why.detail)


async def _send(service: Service, command: HoldCommand, hold: str) -> list[Sent]:
    try:
        return await service.sending.send([command])
    except LogUnavailable as error:
        raise _unknown(command, hold, str(error)) from error


async def _seen(service: Service, partition: int, key: str, judge: Judge[Seen]) -> Seen | None:
    try:
        return await service.watch.until(partition, [key], judge, WAIT_SECONDS)
    except TooManyWait:
        return None


def _unknown(command: HoldCommand, hold: str, why: str) -> Problem:
    """Neither applied nor refused as far as is known: the id asks again."""
    metrics.API_COMMANDS.labels(command.kind, "unknown").inc()
    ask = f"/v1/holds/{command.account}/{hold}"
    detail = f"whether {command.kind} {command.id} is applied is not known: {why}; ask {ask}, or"
    detail += " send it again with the same id"
    return unavailable(detail, account=command.account, hold=hold, id=command.id, state="unknown")


def hold_in(snapshot: Snapshot, account: str, hold: str) -> HoldRow | None:
    """The row of a hold."""
    raw = snapshot.rows.get(hold_key(account, hold))
    row = None if raw is None else decode_row(raw)
    assert row is None or isinstance(row, HoldRow), row
    return row


def is_certain(row: HoldRow, before: HoldRow | None, clock: int) -> bool:
    """Whether the row of an applied placing was so when the command was folded.

    It was not if it is the row of before, of a hold that ended so long ago by journal time that it
    counted as never placed: the command may have been refused then, and left it as it was.
    """
    if before is None or row.placed_at != before.placed_at:
        return True
    return row.forgotten_at is None or row.forgotten_at > clock


def is_applied(command: HoldCommand, digest: str, row: HoldRow | None) -> bool:
    """Whether the row is what this command made, or the same command before."""
    if row is None:
        return False
    if isinstance(command, PlaceHold):
        return row.digest == digest
    state = "captured" if isinstance(command, CaptureHold) else "released"
    return row.state == state and row.ended_by == (command.id, digest)
