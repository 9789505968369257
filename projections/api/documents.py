"""Documents and commands: `POST /v1/documents`, what `drawdown apply` does, over HTTP.

For two commands the ledger is read first, within bounds (`lookup.py`): a `void_usage` carries the
lines that it recorded, a `backfill` is refused where it has any.
"""

import asyncio
import re
from contextlib import ExitStack
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from projections.api.bodies import read_documents
from projections.api.decisions import DocumentsChecked, DocumentsDecided, DocumentsSent
from projections.api.docs import documents_body, problems
from projections.api.parameters import answer
from projections.api.problems import forbidden, invalid, unavailable
from projections.api.refusals import Expected, Refused, Stand
from projections.api.sending import Covered, Sent
from projections.api.service import Served, Service, Writer, of_account, of_source
from projections.api.tokens import encode
from projections.api.watch import TooManyWait
from projections.reading.usage import faults_in, source_of
from projections.web.keys import Key
from schemas.destination import destination
from schemas.documents import Account, Document, parse_document
from schemas.errors import LogUnavailable
from schemas.partition import partition_of
from schemas.reasons import Refusal
from schemas.topics import CATALOG

router = APIRouter(tags=["documents"])
MOST: Final = 1_000
"""Documents of a request."""
LONGEST_WAIT: Final = 30
_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*([0-9]{1,4})\s*(?=$|[,;])", re.ASCII)
_MOST_FAULTS: Final = 100


@router.post(
    "/v1/documents",
    status_code=202,
    response_model=DocumentsSent,
    responses={
        **problems(408, 413, 415, 429),
        200: {
            "model": DocumentsChecked | DocumentsDecided,
            "description": "Checked only, or decided within the time to wait",
        },
    },
    openapi_extra=documents_body(),
)
async def documents(
    service: Served,
    key: Writer,
    request: Request,
    dry_run: Annotated[bool, Query(description="check the documents; send nothing")] = False,
    prefer: Annotated[
        str | None, Header(max_length=256, description="`wait=SECONDS`: answer what became of them")
    ] = None,
) -> Response:
    """Check documents and commands and send them: all, or none of them.

    The catalog's are sent and confirmed first, then the others in their order; sent again, each
    changes nothing. 202 once every in-sync replica has them, what becomes of them is decided in the
    log. With `Prefer: wait=SECONDS` the answer says what became of each, as far as it is known by
    then. After a 503 they may be in the log: send them again. YAML is taken up to 100,000 bytes.

    A `void_usage` names its usage by source and event; its lines are looked up in the ledger, and
    without any it is refused (`unknown_usage`): that usage was not accepted, or not drawn yet. A
    `backfill` is refused (`duplicate`) once the ledger has its usage, so also one that is sent
    again after it was drawn. Where the ledger is longer than is read for a request, both are
    refused (`unsupported`): `drawdown apply` takes them. A dry run looks nothing up.
    """
    found = _parsed(await read_documents(request))
    _permitted(key, found)
    if dry_run:
        return answer({"documents": list(map(_entry, found))})
    service.access.limit(key, len(found))
    looked_up = await service.look_ups.entered(found, service.log, service.scan)
    found = _all([[each] if isinstance(each, Refusal) else each for each in looked_up])
    seconds = _wait(prefer)
    if seconds is not None:
        return await _decided(service, found, seconds)
    sent = await _send(service, found)
    token = encode(service.sending.written(sent))
    told = {"documents": list(map(_entry, found)), "min_position": token}
    return answer(told, HTTPStatus.ACCEPTED)


def _parsed(values: list[Any]) -> list[Document]:
    """The documents. Raises Problem 422 with every fault of each."""
    if not 1 <= len(values) <= MOST:
        raise invalid(f"expected 1 to {MOST} documents, got {len(values)}")
    return _all([_checked(parse_document(value)) for value in values])


def _checked(parsed: Document | list[Refusal]) -> Document | list[Refusal]:
    return parsed if isinstance(parsed, list) else faults_in(parsed) or parsed


def _all(found: list[Document | list[Refusal]]) -> list[Document]:
    """The documents, where none of them is refused. Raises Problem 422 with each fault of each."""
    documents: list[Document] = []
    faults: list[dict[str, Any]] = []
    for index, each in enumerate(found):
        if isinstance(each, list):
            faults += [_fault(index, refusal) for refusal in each]
        else:
            documents.append(each)
    if faults:
        detail = f"{len(faults)} faults: nothing was sent"
        raise invalid(detail, faults=faults[:_MOST_FAULTS])
    return documents


def _fault(index: int, refusal: Refusal) -> dict[str, Any]:
    return {
        "index": index,
        "path": refusal.path,
        "reason": str(refusal.reason),
        "detail": refusal.detail,
    }


def _permitted(key: Key | None, documents: list[Document]) -> None:
    """Raises Problem 403 for accounts that the key is not of, and for usage of other sources.

    The catalog is of all accounts.
    """
    if key is None:
        return
    for document in documents:
        if (source := source_of(document)) is not None:
            of_source(key, source)
        topic, account, _ = destination(document)
        if topic is not CATALOG:
            of_account(key, account)
        elif key.accounts is not None:
            raise forbidden(f"every account, as {document.kind} {document.id} is")


def _wait(prefer: str | None) -> int | None:
    """The seconds of a Prefer header (RFC 7240) that has any, at most LONGEST_WAIT."""
    found = _WAIT.search(prefer or "")
    return None if found is None else min(int(found[1]), LONGEST_WAIT)


async def _send(service: Service, documents: list[Document]) -> list[Sent]:
    try:
        return await service.sending.send(documents)
    except LogUnavailable as error:
        raise unavailable(f"the documents may not be stored; send them again. {error}") from error


async def _decided(service: Service, documents: list[Document], seconds: int) -> Response:
    """Send, and say what became of each as far as it is known after `seconds`."""
    sending = service.sending
    with ExitStack() as stack:
        expected = {
            value: stack.enter_context(service.refusals.expect(value))
            for value in {destination(each)[2] for each in documents}
        }
        partitions = sending.concerned(documents)
        above = await sending.reached(partitions)
        sent = await _send(service, documents)
        written = sending.written(sent)
        loop = asyncio.get_running_loop()
        give_up = loop.time() + seconds
        try:
            covered = await sending.covered(written, partitions, seconds)
            told = covered is not None and await sending.told(max(0.0, give_up - loop.time()))
        except TooManyWait:
            covered, told = None, False
        by_id = {id(each.document): each for each in sent}
        found = [
            _outcome(by_id[id(each)], expected, above, covered if told else None, service)
            for each in documents
        ]
    status = HTTPStatus.OK if told else HTTPStatus.ACCEPTED
    response = answer({"documents": found, "min_position": encode(written)}, status)
    response.headers["preference-applied"] = f"wait={seconds}"
    return response


def _outcome(
    sent: Sent,
    expected: dict[bytes, Expected],
    above: dict[int, int],
    covered: dict[int, Covered] | None,
    service: Service,
) -> dict[str, Any]:
    """What became of one document; of one of the catalog's, in any partition."""
    outcome, why = "pending", None
    if covered is not None:
        stands = [
            Stand(sent.topic, sent.place, number, above[number], each.below)
            for number, each in covered.items()
            if _decides(service, sent.document, number)
        ]
        found = [expected[sent.value].of(stand) for stand in stands]
        why = next((each for each in found if each is not None), None)
        outcome = "applied" if why is None else "refused"
    return {**_entry(sent.document), "outcome": outcome, **_why(why)}


def _why(refused: Refused | None) -> dict[str, str | None]:
    if refused is None:
        return {"reason": None, "detail": None}
    return {"reason": refused.reason, "detail": refused.detail}


def _decides(service: Service, document: Document, partition: int) -> bool:
    """Whether that partition decides of the document."""
    topic, key, _ = destination(document)
    return topic is CATALOG or partition_of(key, service.partitions) == partition


def _entry(document: Document) -> dict[str, Any]:
    account = document.id if isinstance(document, Account) else getattr(document, "account", None)
    return {"kind": document.kind, "id": document.id, "account": account}
