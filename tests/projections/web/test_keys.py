"""API keys: a token opens its key and no other, and nothing that is kept can open it."""

import hmac
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from deploy import cli
from projections import files
from projections.web.keyring import KeyRing, change_keys, load_keys, save_keys
from projections.web.keys import Key, Keys, new_key
from schemas.errors import ConfigurationError


def test_a_token_opens_its_key() -> None:
    (one, first), (two, second) = new_key("one", ["ingest"]), new_key("two", ["read", "admin"])
    keys = Keys(keys=(one, two))
    assert keys.of(first) == one
    assert keys.of(second) == two
    secrets = first.removeprefix(f"dd_{one.id}_"), second.removeprefix(f"dd_{two.id}_")
    assert keys.of(f"dd_{one.id}_{secrets[1]}") is None
    assert all(len(secret) == 43 and secret not in keys.model_dump_json() for secret in secrets)


@given(st.text(max_size=80))
def test_anything_else_opens_nothing(text: str) -> None:
    key, token = new_key("", ["ingest"])
    assert Keys(keys=(key,)).of(text) is None
    assert Keys(keys=(key,)).of(token + text) == (None if text else key)


@pytest.mark.parametrize("fits", [True, False])
def test_a_comparison_in_constant_time_decides_alone(
    fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else compares would tell by its time how much of a secret is right."""
    compared: list[tuple[str, str]] = []

    def compare_digest(given: str, known: str) -> bool:
        compared.append((given, known))
        return fits

    (one, first), (two, _) = new_key("one", ["ingest"]), new_key("two", ["ingest"])
    keys, secret = Keys(keys=(one, two)), first.removeprefix(f"dd_{one.id}_")
    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    assert keys.of(first) == (one if fits else None)
    assert keys.of(f"dd_{two.id}_{secret}") == (two if fits else None)
    assert keys.of(f"dd_{'0' * 16}_{secret}") is None
    assert keys.of("no token") is None
    digest = sha256(secret.encode()).hexdigest()
    nobodys = {known for _, known in compared[2:]}
    assert compared[:2] == [(digest, one.digest), (digest, two.digest)]
    assert [given for given, _ in compared[2:]] == [digest, sha256(b"").hexdigest()]
    assert len(nobodys) == 1
    assert nobodys.isdisjoint({one.digest, two.digest})


def test_a_revoked_key_opens_nothing() -> None:
    key, token = new_key("", ["ingest"])
    keys = Keys(keys=(key,)).without(key.id)
    assert keys.of(token) is None
    with pytest.raises(KeyError):
        keys.without("0" * 16)


def test_what_a_key_may_send() -> None:
    free, _ = new_key("", ["ingest"])
    assert free.sends_of("anything")
    assert free.sends_for("anybody")
    bound, _ = new_key("", ["ingest"], ["api", "web"], ["acme"])
    assert bound.sends_of("web")
    assert not bound.sends_of("batch")
    assert bound.sends_for("acme")
    assert not bound.sends_for("acme2")


@pytest.mark.parametrize(
    ("scopes", "accounts"), [(["root"], []), (["ingest"], ["not an id"]), (["ingest"], [""])]
)
def test_keys_that_make_no_sense_are_refused(scopes: list[str], accounts: list[str]) -> None:
    with pytest.raises(ValidationError):
        new_key("", scopes, [], accounts)


def test_the_file_is_read_again_and_a_bad_one_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LOOK_SECONDS", -1.0)
    path = tmp_path / "keys.json"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        KeyRing(path)
    key, token = new_key("", ["ingest"])
    save_keys(path, Keys(keys=(key,)))
    assert path.stat().st_mode & 0o777 == 0o600
    ring = KeyRing(path)
    assert ring.keys.of(token) == key
    path.write_text("{")
    assert ring.keys.of(token) == key
    assert ring.fault is not None
    save_keys(path, Keys(keys=(key,)).without(key.id))
    assert ring.keys.of(token) is None
    assert ring.fault is None
    path.write_text('{"keys": [{"id": "x"}]}')
    with pytest.raises(ConfigurationError, match=r"keys\.0\.id"):
        load_keys(path)


def test_a_secret_that_kubernetes_swaps_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is a link through `..data`, which points to another folder from one moment on."""
    monkeypatch.setattr(files, "_LOOK_SECONDS", -1.0)
    key, token = new_key("", ["ingest"])
    for folder, keys in (("..1", Keys(keys=(key,))), ("..2", Keys(keys=(key,)).without(key.id))):
        (tmp_path / folder).mkdir()
        save_keys(tmp_path / folder / "keys.json", keys)
    data, path = tmp_path / "..data", tmp_path / "keys.json"
    data.symlink_to("..1")
    path.symlink_to("..data/keys.json")
    ring = KeyRing(path)
    assert ring.keys.of(token) == key
    fresh = tmp_path / "..data_tmp"
    fresh.symlink_to("..2")
    fresh.rename(data)
    assert ring.keys.of(token) is None


def test_no_change_is_lost_when_several_are_made_at_once(tmp_path: Path) -> None:
    """Otherwise a key that was revoked while another was made would be back."""
    path = tmp_path / "keys.json"
    old = [new_key(f"old {number}", ["ingest"])[0] for number in range(20)]
    new = [new_key(f"new {number}", ["ingest"])[0] for number in range(20)]
    save_keys(path, Keys(keys=tuple(old)))

    def make(key: Key) -> None:
        change_keys(path, lambda known: known.with_key(key))

    def revoke(key: Key) -> None:
        change_keys(path, lambda known: known.without(key.id))

    with ThreadPoolExecutor(4) as threads:
        made, revoked = threads.map(make, new), threads.map(revoke, old)
        assert len([*made, *revoked]) == 40
    keys = {key.id: key for key in load_keys(path).keys}
    assert keys.keys() == {key.id for key in (*old, *new)}
    assert all(keys[key.id].revoked for key in old)


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    monkeypatch.setenv("DRAWDOWN_GATEWAY_KEYS", str(path))
    cli.settings.cache_clear()
    try:
        run = CliRunner().invoke
        made = run(cli.app, ["keys", "create", "shop", "--source", "api", "--account", "acme"])
        token = made.output.strip()
        key = load_keys(path).of(token)
        assert key is not None
        assert key.name == "shop"
        assert key.scopes == {"ingest"}
        assert key.sources == frozenset({"api"})
        listed = run(cli.app, ["keys", "list"]).output
        assert key.id in listed
        assert "account acme" in listed
        assert run(cli.app, ["keys", "revoke", key.id]).exit_code == 0
        assert load_keys(path).of(token) is None
        assert run(cli.app, ["keys", "revoke", "0" * 16]).exit_code == 1
    finally:
        cli.settings.cache_clear()
