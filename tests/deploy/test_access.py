"""How Kafka and Redis are reached: settings, what clients are told, and that all of them are."""

import pickle
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy import cli
from deploy.acl.lists import kafka_entries, redis_keys, redis_line, redis_roles, redis_rules
from deploy.settings import Settings, load_settings
from projections.access import KafkaAccess, RedisAccess
from schemas.errors import ConfigurationError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("PEM")
    (tmp_path / "password").write_text("s3cret\n")
    return tmp_path


def sasl(files: Path, **changes: object) -> Settings:
    given: dict[str, object] = {
        "kafka": "a:9093,b:9093",
        "kafka_security": "sasl_ssl",
        "kafka_ca": files / "ca.pem",
        "kafka_username": "drawdown",
        "kafka_password_file": files / "password",
        "redis_url": "rediss://store:6380/0",
        "redis_ca": files / "ca.pem",
        "redis_username": "drawdown",
        "redis_password_file": files / "password",
    }
    return load_settings(**(given | changes))


def test_librdkafka_is_told_all_of_it(files: Path) -> None:
    assert sasl(files).kafka_access.options() == {
        "bootstrap.servers": "a:9093,b:9093",
        "security.protocol": "sasl_ssl",
        "ssl.ca.location": str(files / "ca.pem"),
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "drawdown",
        "sasl.password": "s3cret",
    }


def test_a_bare_address_is_reached_as_before() -> None:
    assert KafkaAccess("a:9092").options() == {"bootstrap.servers": "a:9092"}
    assert KafkaAccess("a:9092").context() is None
    assert RedisAccess("redis://a:6379/0").options() == {}


def test_redis_is_told_all_of_it(files: Path) -> None:
    told = sasl(files).redis_access.options()
    assert told.pop("ssl_min_version") is not None
    assert told == {
        "ssl_ca_certs": str(files / "ca.pem"),
        "username": "drawdown",
        "password": "s3cret",
    }


def test_no_secret_is_in_a_repr_or_shown(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = sasl(files, kafka_password="s3cret", kafka_password_file=None)
    assert "s3cret" not in repr(given)
    assert "s3cret" not in repr(given.kafka_access) + repr(given.redis_access)
    monkeypatch.setattr(cli, "settings", lambda: given)
    shown = CliRunner().invoke(cli.app, ["settings"])
    assert shown.exit_code == 0
    assert "DRAWDOWN_KAFKA_USERNAME=drawdown" in shown.stdout
    assert "s3cret" not in shown.stdout


def test_settings_cross_to_another_process(files: Path) -> None:
    assert pickle.loads(pickle.dumps(sasl(files))).kafka_access == sasl(files).kafka_access


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"kafka_security": "plaintext"}, "kafka_ca is not used"),
        ({"kafka_security": "ssl"}, "kafka_username is not used"),
        ({"kafka_username": None}, "sasl_ssl needs kafka_username"),
        ({"kafka_password": "too"}, "both set"),
        ({"kafka_certificate": "cert.pem"}, "go together"),
        ({"kafka_security": "sasl_plaintext"}, "kafka_security"),
        ({"redis_url": "redis://store:6379/0"}, "redis_ca is not used"),
        ({"redis_url": "rediss://me:it@store:6380/0"}, "names a user already"),
        ({"redis_password_file": None}, "redis_username needs"),
    ],
)
def test_what_would_not_be_used_is_refused(
    files: Path, changes: dict[str, object], fault: str
) -> None:
    given = {
        name: getattr(sasl(files), name)
        for name in (
            "kafka",
            "kafka_security",
            "kafka_ca",
            "kafka_username",
            "kafka_password_file",
            "redis_url",
            "redis_ca",
            "redis_username",
            "redis_password_file",
        )
    }
    with pytest.raises(ConfigurationError, match=fault):
        load_settings(**(given | changes))


def test_a_secret_that_is_not_there_is_an_error(files: Path) -> None:
    (files / "password").write_text("\n")
    with pytest.raises(ConfigurationError, match="is empty"):
        _ = sasl(files).kafka_access
    (files / "password").unlink()
    with pytest.raises(ConfigurationError, match="kafka_password_file"):
        _ = sasl(files).kafka_access
    with pytest.raises(ConfigurationError, match="redis_ca: there is no file"):
        _ = sasl(files, redis_ca=files / "nowhere").redis_access


def test_a_certificate_that_cannot_be_used_is_an_error(files: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        sasl(files).kafka_access.context()


def test_every_client_goes_through_access() -> None:
    """A bare address handed to a client would reach a secured server as nobody."""
    makers = re.compile(r"\"bootstrap\.servers\"|Redis\.from_url|redis\.Redis\(|bootstrap_servers")
    bare = re.compile(r"(?<!servers)(?<!self)\.(kafka|redis_url)\b")
    made, handed = set(), set()
    for folder in ("deploy", "ingest", "processors", "projections"):
        for path in (ROOT / folder).rglob("*.py"):
            name, text = str(path.relative_to(ROOT)), path.read_text()
            if makers.search(text):
                made.add(name)
            if folder in {"deploy", "ingest"} and bare.search(text):
                handed.add(name)
    assert made == {
        "deploy/servers/kafka.py",  # a server of ours, on loopback
        "projections/access.py",
        "projections/fold/connection.py",
    }
    assert handed == set(), "use settings.kafka_access and settings.redis_access"


def test_the_lists_are_printed_as_the_tools_take_them(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    runner = CliRunner()
    printed = runner.invoke(cli.app, ["acl", "kafka", "--role", "gateway", "--user", "front"])
    assert printed.stdout == (
        "--allow-principal User:front --operation Write --topic metering.usage.v1\n"
    )
    everything = runner.invoke(cli.app, ["acl", "kafka"]).stdout.splitlines()
    assert len(everything) == len(set(everything)) == len(kafka_entries("", "drawdown"))
    rules = runner.invoke(cli.app, ["acl", "redis", "--role", "reader"])
    assert rules.stdout == " ".join(redis_rules("reader", "drawdown")) + "\n"
    line = runner.invoke(
        cli.app, ["acl", "redis", "--password-file", str(tmp_path / "password"), "--user", "w"]
    )
    assert line.stdout == redis_line("w", "worker", "drawdown", "s3cret") + "\n"
    assert "s3cret" not in line.stdout
    given = ["acl", "redis", "--role", "api", "--password-file", str(tmp_path / "password")]
    assert runner.invoke(cli.app, given).stdout == (
        redis_line("drawdown-api", "api", "drawdown", "s3cret") + "\n"
    )


def test_keys_are_told_with_the_prefix_and_the_braces_of_their_slot() -> None:
    """A partition's by its number, so none of the webhooks', whatever a subscription is called."""
    assert redis_keys("webhooks", "eu.x") == ["~eu.x:{webhooks}:*"]
    assert redis_keys("exporter", "eu.x")[0] == "%R~eu.x:{[0-9]*}:balances"
    for role in redis_roles():
        for pattern in redis_keys(role, "eu.x"):
            glob = pattern.partition("~")[2]
            theirs = fnmatchcase("eu.x:{webhooks}:balances:waiting", glob)
            assert theirs is (role == "webhooks"), pattern
            assert not fnmatchcase("eu.xy:{0}:balances", glob)
