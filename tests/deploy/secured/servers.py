"""Apache Kafka and Redis as production has them: TLS, passwords, and nothing that is not allowed.

Kafka takes SCRAM and PLAIN over TLS on one port and client certificates on another, and denies what
no ACL allows; which ACL allowed what, it writes down. Redis takes TLS only, and users of a file.
"""

import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import redis
import trustme
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from deploy.acl.lists import Entry
from deploy.servers.apache import ApacheKafka
from deploy.servers.process import LOOPBACK, ServerProcess, answers, free_port
from deploy.servers.redis import redis_binary
from projections.access import KafkaAccess, Mechanism, RedisAccess
from projections.fold.connection import redis_client
from tests.projections.delivery.processes import until

ADMIN: Final = "admin"
_ITERATIONS: Final = 4096
_USED: Final = re.compile(
    r"Principal = User:(\S+) is Allowed operation = (\w+) .*"
    r"resourceType=(\w+), resourceName=([^,]+),.*permissionType=ALLOW"
)


_ANY: Final = AclBindingFilter(
    ResourceType.ANY,
    None,  # type: ignore[arg-type]  # any
    ResourcePatternType.ANY,
    None,  # type: ignore[arg-type]  # any
    None,  # type: ignore[arg-type]  # any
    AclOperation.ANY,
    AclPermissionType.ANY,
)


class Certificates:
    """An authority, one that nobody trusts, and what the first has signed, as files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        authority, other = trustme.CA(), trustme.CA()
        self.ca, self.wrong_ca = folder / "ca.pem", folder / "wrong-ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        other.cert_pem.write_to_path(self.wrong_ca)
        self.server, self.server_key = self._write(folder, authority, LOOPBACK)
        self.client, self.client_key = self._write(folder, authority, "client.test")
        self.keystore = folder / "keystore.pem"
        self.keystore.write_bytes(self.server_key.read_bytes() + self.server.read_bytes())

    @staticmethod
    def _write(folder: Path, authority: trustme.CA, name: str) -> tuple[Path, Path]:
        made = authority.issue_cert(name)
        chain, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
        chain.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
        # Kafka reads PKCS 8 only.
        private = load_pem_private_key(made.private_key_pem.bytes(), None)
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key.write_bytes(private.private_bytes(*form))
        return chain, key


class SecuredKafka(ApacheKafka):
    """A broker that denies what no ACL allows; `admin` may do everything."""

    def __init__(self, folder: Path, *, log: Path, certificates: Certificates) -> None:
        self._certificates, self._audit = certificates, log
        self.mutual_port = free_port()
        self.passwords = {ADMIN: secrets.token_urlsafe(), "plain": secrets.token_urlsafe()}
        super().__init__(folder, log=log)
        self.process.ready, self.process.ready_seconds = self._answers, 240.0

    def access(self, user: str, mechanism: Mechanism = "SCRAM-SHA-512") -> KafkaAccess:
        """How a user reaches it."""
        return KafkaAccess(
            self.address,
            "sasl_ssl",
            ca=self._certificates.ca,
            mechanism=mechanism,
            username=user,
            password=self.passwords[user],
        )

    def admin(self) -> AdminClient:
        """A client that may do everything."""
        return AdminClient({**self.access(ADMIN).options(), "log_level": 0})

    def add_users(self, names: Iterable[str]) -> None:
        """Users of these names, with passwords of their own, that may do nothing yet.

        The broker has them when this ends: its controller is done a moment earlier.
        """
        made: list[Any] = []
        for name in names:
            self.passwords[name] = secrets.token_urlsafe()
            info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
            made.append(UserScramCredentialUpsertion(name, info, self.passwords[name].encode()))
        admin = self.admin()  # it lives until it has answered
        for done in admin.alter_user_scram_credentials(made).values():
            done.result(timeout=30)
        until(lambda: all(_knows(admin, each.user) for each in made), "users")

    def allow(self, entries: Iterable[Entry]) -> None:
        """Allow each entry to the user `drawdown-ROLE`; the broker does when this ends."""
        wanted = [_binding(entry) for entry in entries]
        admin = self.admin()
        for done in admin.create_acls(wanted).values():
            done.result(timeout=30)
        until(lambda: set(wanted) <= set(admin.describe_acls(_ANY).result(timeout=30)), "ACLs")

    def used(self) -> set[Entry]:
        """What the users `drawdown-ROLE` did that an ACL of that resource allowed."""
        found = set()
        for user, operation, kind, name in _USED.findall(self._audit.read_text(errors="replace")):
            if user.startswith("drawdown-"):
                role, resource = user.removeprefix("drawdown-"), kind.lower()
                found.add(Entry(role, resource, name, operation.capitalize()))
        return found

    def _answers(self) -> bool:
        if not answers(self.port):
            return False
        try:
            return bool(self.admin().list_topics(timeout=10).brokers)
        except KafkaException:
            return False

    def _java(self, main: str, *arguments: str) -> list[str]:
        java, *rest = super()._java(main, *arguments)
        return [java, "-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=debug", *rest]

    def _storage(self, cluster: str) -> tuple[str, ...]:
        credential = f"SCRAM-SHA-512=[name={ADMIN},password={self.passwords[ADMIN]}]"
        return (*super()._storage(cluster), "--add-scram", credential)

    def _settings(self) -> str:
        names = {"BROKER": self.port, "MUTUAL": self.mutual_port}
        listeners = ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in names.items())
        controller = f"CONTROLLER://{LOOPBACK}:{self._controller_port}"
        package = "org.apache.kafka.common.security"
        login = f'username="{ADMIN}" password="{self.passwords[ADMIN]}"'
        plain = f'user_plain="{self.passwords["plain"]}"'
        changed = {
            "listeners": f"{listeners},{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "BROKER:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "listener.name.broker.scram-sha-512.sasl.jaas.config": (
                f"{package}.scram.ScramLoginModule required {login};"
            ),
            "listener.name.broker.plain.sasl.jaas.config": (
                f"{package}.plain.PlainLoginModule required {plain};"
            ),
            "listener.name.mutual.ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._certificates.keystore,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self._certificates.ca,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # Nobody but the broker itself comes without a name: by the controller's listener.
            "super.users": f"User:{ADMIN};User:ANONYMOUS",
        }
        # Of a setting that stands twice, the later counts.
        return super()._settings() + "".join(f"{key}={value}\n" for key, value in changed.items())


def _knows(admin: AdminClient, user: str) -> bool:
    """Whether the broker knows the user."""
    asked: Any = admin.describe_user_scram_credentials([user])
    try:
        asked[user].result(timeout=30)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.RESOURCE_NOT_FOUND:
            raise
        return False
    return True


def _binding(entry: Entry) -> AclBinding:
    kind = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}[entry.resource]
    return AclBinding(
        kind,
        entry.name,
        ResourcePatternType.LITERAL,
        f"User:drawdown-{entry.role}",
        "*",
        AclOperation[entry.operation.upper()],
        AclPermissionType.ALLOW,
    )


class SecuredRedis:
    """A Redis that speaks TLS only; `admin` may do everything, others what lines of a file say."""

    def __init__(self, folder: Path, *, log: Path, certificates: Certificates) -> None:
        binary = redis_binary()
        assert binary is not None, "redis-server is not installed"
        folder.mkdir(parents=True)
        self._certificates, self._users = certificates, folder / "users.acl"
        self.port = free_port()
        self.password = secrets.token_urlsafe()
        self._users.write_text(f"user default off\nuser {ADMIN} on >{self.password} ~* &* +@all\n")
        options = {
            "bind": LOOPBACK,
            "port": "0",
            "tls-port": str(self.port),
            "tls-cert-file": str(certificates.server),
            "tls-key-file": str(certificates.server_key),
            "tls-ca-cert-file": str(certificates.ca),
            "tls-auth-clients": "no",
            "aclfile": str(self._users),
            "dir": str(folder),
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        parts = (part for name, value in options.items() for part in (f"--{name}", value))
        self.process = ServerProcess(
            name="redis-server", command=[binary, *parts], log=log, ready=self._answers
        )

    @property
    def address(self) -> str:
        """The URL that clients take; it names nobody."""
        return f"rediss://{LOOPBACK}:{self.port}/0"

    @property
    def access(self) -> RedisAccess:
        """How who may do everything reaches it."""
        return RedisAccess(self.address, self._certificates.ca, ADMIN, self.password)

    def admin(self) -> redis.Redis:
        """A client that may do everything."""
        return redis_client(self.access)

    def allow(self, lines: Iterable[str]) -> None:
        """Add lines to the file of users, and read it again."""
        with self._users.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
        with self.admin() as client:
            client.acl_load()

    def writing(self) -> set[str]:
        """Every command that writes."""
        with self.admin() as client:
            known = client.command()
        return {name for name, each in known.items() if "write" in each["flags"]}

    def _answers(self) -> bool:
        try:
            with self.admin() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
