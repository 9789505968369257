import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schemas import generate
from schemas.topics import TOPICS
from tests.schemas.documents import account, command, contract, grant, product
from tests.schemas.test_documents import SAME, WHOLE
from tests.schemas.test_events import event


def validator(name: str) -> Draft202012Validator:
    """A validator of the generated schema of that name."""
    return Draft202012Validator(json.loads(generate.generate()[generate.schema_file(name)]))


def test_the_committed_files_are_current() -> None:
    """The committed files are current."""
    assert generate.stale_files() == [], "run `drawdown schema`"


def test_missing_changed_and_left_over_files_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing changed and left over files are written."""
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    assert sorted(generate.generate()) == generate.write_files()
    assert generate.stale_files() == []
    (tmp_path / "json" / "Gone.json").write_text("{}")
    (tmp_path / "asyncapi.json").write_text("{}")
    assert generate.stale_files() == ["asyncapi.json", "json/Gone.json"]
    assert generate.write_files() == ["asyncapi.json", "json/Gone.json"]
    assert generate.write_files() == []


@pytest.mark.parametrize("name", generate.PUBLISHED)
def test_each_schema_is_one_of_its_dialect(name: str) -> None:
    """Each schema is one of its dialect."""
    Draft202012Validator.check_schema(generate.json_schema(name))


@pytest.mark.parametrize("document", [left for left, _ in SAME] + WHOLE)
def test_a_document_that_is_taken_fits_its_schema(document: dict[str, Any]) -> None:
    """A document that is taken fits its schema."""
    assert validator(document["kind"]).is_valid(document)


@pytest.mark.parametrize("changes", [{"contract": "-c"}, {"data_base64": "eA=="}, {"Id": "x"}])
def test_the_schema_of_usage_refuses_what_admission_does(changes: dict[str, Any]) -> None:
    """The schema of usage refuses what admission does."""
    assert validator("UsageEvent").is_valid(event())
    assert not validator("UsageEvent").is_valid(event(**changes))


@pytest.mark.parametrize(
    "document",
    [
        product(colour="red"),
        account(covers={"products": ["tokens"]}),
        account(burn_policy=["luck"]),
        contract(rate_card={"id": "standard"}),
        contract(grants=[grant()]),
        command("void_grant", grant="g 1"),
        grant(id="-g"),
        grant(amount="1e3 "),
        grant(amount="0.0000000001"),
        {name: value for name, value in grant().items() if name != "kind"},
    ],
)
def test_a_schema_refuses_what_is_unknown_or_wrong(
    document: dict[str, Any],
) -> None:
    """A schema refuses what is unknown or wrong."""
    assert not validator(document.get("kind", "Grant")).is_valid(document)


def test_each_topic_is_a_channel_and_every_reference_leads_somewhere() -> None:
    """Each topic is a channel and every reference leads somewhere."""
    files = generate.generate()
    api = json.loads(files["asyncapi.json"])
    addresses = [channel["address"] for channel in api["channels"].values()]
    assert [topic.name for topic in TOPICS] == addresses
    references = list(_references(api))
    assert references
    for reference in references:
        if reference.startswith("./"):
            assert reference.removeprefix("./") in files
        else:
            _resolve(api, reference)


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        found = [value["$ref"]] if "$ref" in value else []
        return found + [item for inner in value.values() for item in _references(inner)]
    if isinstance(value, list):
        return [item for inner in value for item in _references(inner)]
    return []


def _resolve(api: dict[str, Any], reference: str) -> object:
    value: Any = api
    for part in reference.removeprefix("#/").split("/"):
        value = value[part]
    return value
