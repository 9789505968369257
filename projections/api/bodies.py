"""Bodies of requests: bounded, strict, and exact; no float is made of a number."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
from fastapi import Request
from pydantic import BaseModel, ValidationError

from projections.api.problems import invalid
from projections.web.body import read_whole
from projections.web.problem import Problem
from schemas.documents import MAX_DOCUMENT_BYTES, load_json
from schemas.errors import DocumentError
from schemas.reasons import Reason, Refusal
from schemas.yaml import load_yaml

JSON: Final = "application/json"
YAML: Final = ("application/yaml", "application/x-yaml", "text/yaml")
MOST_YAML_BYTES: Final = 100_000
"""It takes seconds to parse, and fifty times as long as the same in JSON."""
_apart: Final = ThreadPoolExecutor(1, thread_name_prefix="documents")
M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, most_bytes: int = MAX_DOCUMENT_BYTES) -> bytes:
    """The bytes of the body.

    Raises Problem 400, 408, 413 beyond `most_bytes`, and 415 for encoded ones.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected a body without encoding")
    return await read_whole(request, most_bytes)


def media_type(request: Request) -> str:
    """What the body is said to be."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_json(request: Request) -> None:
    """Raises Problem 415 for a body that is not said to be JSON."""
    if (media := media_type(request)) != JSON:
        detail = f"content type {media[:100]!r}: expected {JSON}"
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)


def loaded(raw: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value of a body, numbers as they came. Raises Problem 400."""
    value = load_json(raw)
    if isinstance(value, Refusal):
        raise malformed(value)
    return value


async def read_model(request: Request, model: type[M], empty: bytes = b"") -> M:
    """The body as a model; `empty` stands for no body. Raises Problem 400, 413, 415, 422."""
    raw = await read_body(request)
    if raw or not empty:
        check_json(request)
    return modelled(loaded(raw or empty), model)


def modelled(value: Any, model: type[M]) -> M:  # noqa: ANN401 - any JSON value
    """The value as a model. Raises Problem 422 with each fault and its path."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [
            {"path": ".".join(map(str, fault["loc"])), "detail": fault["msg"]}
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise invalid("the body is not as expected", faults=faults) from None


async def read_documents(request: Request) -> list[Any]:
    """The documents of a body: one, or a list, as JSON; or YAML, as `drawdown apply` takes it.

    Taken apart beside the event loop, one body at a time: checks and holds go on meanwhile. Raises
    Problem 400, 413 (for YAML beyond MOST_YAML_BYTES), 415.
    """
    if media_type(request) in YAML:
        read, raw = _of_yaml, await read_body(request, MOST_YAML_BYTES)
    else:
        check_json(request)
        read, raw = _of_json, await read_body(request)
    return await asyncio.get_running_loop().run_in_executor(_apart, read, raw)


def raw_member(raw: bytes, name: str) -> bytes | None:
    """The bytes of a member of a JSON object that `loaded` took."""
    member = _members.decode(raw).get(name)
    return None if member is None else bytes(member)


_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _of_json(raw: bytes) -> list[Any]:
    value = loaded(raw)
    return value if isinstance(value, list) else [value]


def _of_yaml(raw: bytes) -> list[Any]:
    try:
        return load_yaml(raw.decode())
    except UnicodeDecodeError as error:
        raise malformed(Refusal(Reason.NOT_UTF8, str(error))) from None
    except DocumentError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not YAML: {error}") from None


def malformed(refusal: Refusal) -> Problem:
    """A body that is no value at all."""
    too_large = refusal.reason is Reason.TOO_LARGE
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if too_large else HTTPStatus.BAD_REQUEST
    return Problem(status, f"the body: {refusal.detail}", more={"reason": str(refusal.reason)})
