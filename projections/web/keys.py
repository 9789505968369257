"""API keys: who may do what. A key's secret is told once; what is kept is its digest. Pure.

A token is `dd_<id>_<secret>` with 256 random bits of secret, so a plain SHA-256 of it cannot be
searched; it is compared in constant time, also where no key has that id. Scopes: `ingest` usage,
`read` what is folded and check, `write` documents and holds; `admin` is all of them.
"""

import hmac
import re
import secrets
from collections.abc import Iterable
from hashlib import sha256
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from schemas.documents.fields import Id
from schemas.events import Attribute

Scope = Literal["ingest", "read", "write", "admin"]
_TOKEN: Final = re.compile(r"dd_([0-9a-f]{16})_([A-Za-z0-9_-]{43})", re.ASCII)
_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32
_NOBODYS: Final = sha256(b"no key").hexdigest()


class Key(BaseModel):
    """One API key. None of `sources` or of `accounts` means all; revoked keys open nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the secret")]
    name: Annotated[str, Field(max_length=128)] = ""
    scopes: frozenset[Scope]
    sources: frozenset[Attribute] | None = None
    accounts: frozenset[Id] | None = None
    events_per_second: Annotated[int, Field(ge=1)] | None = None
    revoked: bool = False

    def permits(self, scope: Scope) -> bool:
        """Whether it has the scope; `admin` has every one."""
        return scope in self.scopes or "admin" in self.scopes

    def sends_of(self, source: str) -> bool:
        """Whether it may send events of `source`."""
        return self.sources is None or source in self.sources

    def sends_for(self, account: str) -> bool:
        """Whether it may send events of `account`."""
        return self.accounts is None or account in self.accounts


class Keys(BaseModel):
    """All keys of a deployment, as the file of keys holds them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[Key, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [key.id for key in self.keys]
        if len(ids) != len(set(ids)):
            message = "two keys have the same id"
            raise ValueError(message)
        return self

    def of(self, token: str) -> Key | None:
        """The key that `token` opens, None for none."""
        found = _TOKEN.fullmatch(token)
        identity, secret = found.groups() if found else ("", "")
        key = next((key for key in self.keys if key.id == identity), None)
        known = _NOBODYS if key is None else key.digest
        fits = hmac.compare_digest(sha256(secret.encode()).hexdigest(), known)
        return key if key is not None and fits and not key.revoked else None

    def with_key(self, key: Key) -> "Keys":
        """These and one more."""
        return Keys(keys=(*self.keys, key))

    def without(self, identity: str) -> "Keys":
        """These, with one of them revoked. Raises KeyError when there is none of that id."""
        if all(key.id != identity for key in self.keys):
            raise KeyError(identity)
        changed = {"revoked": True}
        return Keys(
            keys=tuple(
                key.model_copy(update=changed) if key.id == identity else key for key in self.keys
            )
        )


_scopes: Final = TypeAdapter(frozenset[Scope])


def new_key(
    name: str,
    scopes: Iterable[str],
    sources: Iterable[str] = (),
    accounts: Iterable[str] = (),
    events_per_second: int | None = None,
) -> tuple[Key, str]:
    """A new key, and its token, which nothing can tell again. Raises ValueError."""
    identity, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    key = Key(
        id=identity,
        digest=sha256(secret.encode()).hexdigest(),
        name=name,
        scopes=_scopes.validate_python(set(scopes)),
        sources=frozenset(sources) or None,
        accounts=frozenset(accounts) or None,
        events_per_second=events_per_second,
    )
    return key, f"dd_{identity}_{secret}"
