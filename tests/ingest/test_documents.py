"""`drawdown apply` checks every document of every file before it sends any."""

import json
from pathlib import Path

import pytest

from ingest.documents import load_documents
from schemas.destination import destination
from schemas.documents import Grant
from schemas.errors import ConfigurationError, DocumentError
from schemas.numbers import Credits
from schemas.topics import CATALOG, CREDITS

GRANT = """\
kind: Grant
id: g1
account: acme
type: promotional
amount: 0.1
effective_at: 2026-01-01T00:00:00Z
"""
PACK = "kind: Pack\nid: small\ntype: promotional\namount: 10\n"
SEATS = "kind: set_seats\nid: s1\naccount: acme\ncontract: k\nseats: 3\n"
PRODUCT = '{"kind":"Product","id":"calls","meter":{"event_type":"t","aggregation":"count"}}'


def test_documents_of_yaml_and_json_come_in_order_and_exact(tmp_path: Path) -> None:
    one, two, three = tmp_path / "a.yaml", tmp_path / "b.json", tmp_path / "c.json"
    one.write_text(f"kind: Account\nid: acme\n---\n{GRANT}")
    two.write_text(f"[{PRODUCT}]")
    three.write_text(PRODUCT.replace(":", ":\t"))
    documents = load_documents([one, two, three])
    assert [document.kind for document in documents] == ["Account", "Grant", "Product", "Product"]
    grant = documents[1]
    assert isinstance(grant, Grant)
    assert grant.amount == Credits.parse("0.1")


def test_documents_and_commands_know_their_topic_and_key(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(f"kind: Account\nid: acme\n---\n{GRANT}---\n{PRODUCT}\n---\n{PACK}---\n{SEATS}")
    places = [destination(document)[:2] for document in load_documents([path])]
    assert places == [
        (CREDITS, "acme"),
        (CREDITS, "acme"),
        (CATALOG, "calls"),
        (CATALOG, "small"),
        (CREDITS, "acme"),
    ]


def test_what_a_void_takes_back_is_not_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "void.yaml"
    void = "kind: void_usage\nid: v1\naccount: acme\nsource: api\nevent: e1\n"
    path.write_text(void)
    assert len(load_documents([path])) == 1
    path.write_text(f"{void}time: 2026-01-01T00:00:00Z\n")
    with pytest.raises(DocumentError, match=r"\[0\]\.time: expected neither time nor lines"):
        load_documents([path])


def test_the_event_of_a_backfill_is_of_its_account(tmp_path: Path) -> None:
    path = tmp_path / "backfill.yaml"
    event = {"specversion": "1.0", "id": "e1", "source": "api", "type": "t", "subject": "globex"}
    text = json.dumps(event | {"time": "2026-01-01T00:00:00Z"})
    path.write_text(f"kind: backfill\nid: b1\naccount: acme\nevent: '{text}'\n")
    with pytest.raises(DocumentError, match=r"\[0\]\.event\.subject: expected acme, got globex"):
        load_documents([path])


def test_every_fault_of_every_file_is_named(tmp_path: Path) -> None:
    one, two, three = tmp_path / "a.yaml", tmp_path / "b.json", tmp_path / "c.yaml"
    one.write_text(f"kind: Account\nid: acme\nburn_policy: [luck]\n---\n{GRANT}colour: red\n")
    two.write_text("{")
    three.write_text("a: &x 1\nb: *x\n")
    with pytest.raises(DocumentError) as caught:
        load_documents([one, two, three])
    said = str(caught.value)
    assert f"{one}[0].burn_policy[0]: Input should be" in said
    assert f"{one}[1].colour: unknown field (invalid_document)" in said
    assert f"{two}: " in said
    assert "malformed_json" in said
    assert f"{three}: " in said


def test_bytes_that_are_no_text_and_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"kind: \xff")
    with pytest.raises(DocumentError, match="not UTF-8"):
        load_documents([path])
    with pytest.raises(ConfigurationError, match="No such file"):
        load_documents([tmp_path / "absent.yaml"])
