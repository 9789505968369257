"""The lists of `kafka.yaml` and `redis.yaml`, with a deployment's names in them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from typing import Any, Final, Literal

import yaml

_GROUP: Final = "group"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One operation of a role on one topic or group."""

    role: str
    resource: Literal["topic", "group"]
    name: str
    operation: str


def kafka_entries(topic_prefix: str, key_prefix: str) -> list[Entry]:
    """Every entry of every role."""
    names = {"topic_prefix": topic_prefix, "key_prefix": key_prefix}
    return list(_entries(_roles("kafka.yaml"), names))


def _entries(roles: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Entry]:
    for role, listed in roles.items():
        for each in listed:
            group = each.get(_GROUP)
            name = names["topic_prefix"] + each["topic"] if group is None else group.format(**names)
            for operation in each["operations"]:
                yield Entry(role, "topic" if group is None else "group", name, operation)


def redis_commands(role: str) -> list[str]:
    """The commands of a role, `command` or `command|subcommand`."""
    listed: list[str] = _roles("redis.yaml")[role]["commands"]
    return listed


def redis_keys(role: str, key_prefix: str) -> list[str]:
    """The patterns of a role's keys, `~GLOB`, or `%R~GLOB` for what it only reads."""
    listed: list[str] = _roles("redis.yaml")[role]["keys"]
    return [each.replace("{key_prefix}", key_prefix) for each in listed]  # other braces are Redis's


def redis_rules(role: str, key_prefix: str) -> list[str]:
    """The rules of a role, as `ACL SETUSER` takes them."""
    commands = (f"+{command}" for command in redis_commands(role))
    keys = redis_keys(role, key_prefix)
    return ["resetkeys", "resetchannels", "-@all", *keys, *commands]


def redis_line(user: str, role: str, key_prefix: str, password: str) -> str:
    """A line of an ACL file: the password stands in it as its SHA-256."""
    digest = sha256(password.encode()).hexdigest()
    return " ".join(["user", user, "on", f"#{digest}", *redis_rules(role, key_prefix)])


def kafka_roles() -> list[str]:
    """The roles on Kafka."""
    return list(_roles("kafka.yaml"))


def redis_roles() -> list[str]:
    """The roles on Redis."""
    return list(_roles("redis.yaml"))


def _roles(file: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
    roles: dict[str, Any] = yaml.safe_load(text)["roles"]
    return roles
