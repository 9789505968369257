"""Requests made from the API's own OpenAPI document: no answer is a fault, each is as it says."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi import checks

from deploy.servers.find import Servers
from projections.api.app import build_app
from projections.api.service import Service
from projections.web.keyring import save_keys
from projections.web.keys import Keys, new_key
from tests.projections.api.process import api
from tests.projections.api.world import World, account, catalog, world

pytestmark = [pytest.mark.integration, pytest.mark.slow]

EXAMPLES: Final = 15
CHECKS: Final = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
KNOWN: Final = {"account": "0", "hold": "0", "grant": "g0"}
"""What there is of it; other names are mostly of nothing."""
OPERATIONS: Final = 15


@contextlib.asynccontextmanager
async def nothing() -> AsyncIterator[Service]:
    """No service: only the document is asked for."""
    raise NotImplementedError
    yield  # makes it a generator


DOCUMENT: Final[dict[str, Any]] = build_app(nothing).openapi()
NAMES: Final = [
    (method.upper(), path)
    for path, operations in DOCUMENT["paths"].items()
    for method in operations
]
EACH: Final = pytest.mark.parametrize(
    ("method", "path"), NAMES, ids=[" ".join(name) for name in NAMES]
)


@pytest.fixture(scope="module")
def here(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An API whose account `0` has what a generated request may ask for."""
    prefix = f"t{secrets.token_hex(4)}."
    with world(servers, prefix, tmp_path_factory.mktemp("schema")) as found:
        found.apply(catalog() + account("0", "100", grants=2))
        with found.client() as client:
            body = {"account": "0", "product": "calls", "amount": "1", "id": "0"}
            assert client.post("/v1/holds", json=body).status_code == 201
        yield found


@pytest.fixture(scope="module")
def locked(here: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """An API of the same deployment that wants keys, and one that may read."""
    key, token = new_key("reader", ["read"], accounts=["0"])
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    save_keys(path, Keys(keys=(key,)))
    with api(here.environment, path) as (_, address):
        yield address, f"Bearer {token}"


def test_the_document_is_of_openapi_3_1_and_knows_every_route() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    assert len(NAMES) == OPERATIONS, NAMES


def asked(address: str, method: str, path: str, authorizations: Sequence[str]) -> set[int]:
    """The statuses of generated requests, each answered as the document says."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operation = schema[path][method]
    statuses = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(), st.booleans(), st.sampled_from(authorizations))
    def run(case: schemathesis.Case[Any], known: bool, authorization: str) -> None:
        if known:
            case.path_parameters = {n: KNOWN.get(n, v) for n, v in case.path_parameters.items()}
        response = case.call(headers={"authorization": authorization} if authorization else {})
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    run()
    return statuses


@EACH
def test_every_answer_is_as_the_document_says(here: World, method: str, path: str) -> None:
    statuses = asked(here.address, method, path, [""])
    if method == "GET" and "contract}" not in path:
        assert 200 in statuses, statuses


@EACH
def test_who_may_not_is_told_as_the_document_says(
    locked: tuple[str, str], method: str, path: str
) -> None:
    address, reader = locked
    statuses = asked(address, method, path, ["", "Basic x", "Bearer dd_x", reader])
    assert 401 in statuses, statuses
    if method == "POST" and path != "/v1/check":
        assert statuses & {401, 403} == statuses, statuses
