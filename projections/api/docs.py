"""How routes are told to OpenAPI: problems, bodies, the schemas of documents."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from projections.api.requests import (
    CaptureRequest,
    CheckRequest,
    HoldRequest,
    Problem,
    ReleaseRequest,
)
from projections.web.problem import CONTENT_TYPE
from schemas.documents import MODELS

_REFERENCE: Final = "#/components/schemas/{model}"
_EVERYWHERE: Final = (400, 401, 403, 422, 503)
_REQUESTS: Final = (CheckRequest, HoldRequest, CaptureRequest, ReleaseRequest)
_DESCRIPTION: Final = """\
What is folded, as of a stated position, and commands that travel the log.

Reads take `min_position`, which every write answers: they wait until the rows contain that
write, and answer 503 where they do not in time. Amounts are exact decimal texts, never floats.
"""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer, beside those of every route."""
    schema = {"$ref": _REFERENCE.format(model="Problem")}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {CONTENT_TYPE: {"schema": schema}},
        }
        for status in sorted({*_EVERYWHERE, *statuses})
    }


def body(model: type, *, required: bool = True) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its body itself."""
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}
    }


def documents_body() -> dict[str, Any]:
    """One document or a list of them, as JSON or as YAML."""
    kinds = [{"$ref": _REFERENCE.format(model=model.__name__)} for model in MODELS.values()]
    one = {"oneOf": kinds}
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": 1_000}
    content = {
        "application/json": {"schema": {"oneOf": [one, many]}},
        "application/yaml": {"schema": {"type": "string"}},
    }
    return {"requestBody": {"required": True, "content": content}}


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title="Drawdown",
        version="1",
        openapi_version="3.1.0",
        summary="Query and control API",
        description=_DESCRIPTION,
        routes=app.routes,
    )
    models = [*MODELS.values(), *_REQUESTS, Problem]
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REFERENCE
    )
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas["$defs"])
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}, {}]
    app.openapi_schema = document
    return document


def queries_of(document: dict[str, Any]) -> dict[tuple[str, str], frozenset[str]]:
    """The names of each route's query parameters, by path and method."""
    return {
        (path, method.upper()): frozenset(
            each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"
        )
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
