"""Sealed secrets, token pairs and OAuth flows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from integrations_hub.domain.connection import Connection


@dataclass(frozen=True)
class Sealed:
    key_id: str
    ciphertext: bytes


MISPLACED = "SECRET_MISPLACED"  # code of the error: a secret was sealed for another purpose


class Vault(Protocol):
    def seal(self, plaintext: str, *, purpose: str) -> Sealed: ...

    def open(self, sealed: Sealed, *, purpose: str) -> str:
        """Raises ConfigurationError when no key fits or the purpose inside differs."""


class KeyRing(Vault, Protocol):
    """What a rotation asks: the first key writes, every key reads."""

    @property
    def key_id(self) -> str: ...

    @property
    def key_ids(self) -> tuple[str, ...]: ...

    def can_open(self, sealed: Sealed) -> bool: ...

    def is_current(self, sealed: Sealed) -> bool:
        """Whether the first key alone opens it, and its label says so."""

    def rotate(self, sealed: Sealed) -> Sealed:
        """The same content under the first key. Raises ConfigurationError when no key opens it."""


@dataclass(frozen=True)
class SealedRow:
    """A stored secret (`kind` secret) or a sign-in's verifier (flow), as it was read."""

    kind: str
    ref: str
    version: int
    sealed: Sealed

    @property
    def name(self) -> str:
        """For a person: never what is inside."""
        return f"{self.kind} {self.ref[:12]} (key {self.sealed.key_id})"


class SecretStore(Protocol):
    def batches(self, size: int) -> Iterator[list[SealedRow]]:
        """Every sealed row once; no empty batch."""

    def replace(self, changed: Sequence[tuple[SealedRow, Sealed]], *, actor: str) -> int:
        """In one transaction with audit, each by compare-and-set; how many were still as read."""

    def forget(self, lost: Sequence[SealedRow], *, actor: str) -> list[int]:
        """Drop these rows, with audit; ids of the connections that must reconnect."""


class Signer(Protocol):
    """Signs what leaves for a browser and comes back."""

    def sign(self, data: bytes) -> str: ...

    def verify(self, data: bytes, signature: str) -> bool: ...


@dataclass(frozen=True)
class RefreshClaim:
    """A won claim on one version: the compare-and-set of its outcome.

    `intent` names version and token being spent (None: the provider's refresh tokens live on);
    `unknown_since`: start of an earlier refresh of the same token that never told its outcome.
    """

    connection_id: int
    claim: str
    version: int
    intent: str | None = None
    unknown_since: datetime | None = None


@dataclass(frozen=True)
class NewPair:
    """What a refresh brought, sealed. `answered_at` is aware UTC, `life_s` counts from it."""

    tokens: Sealed
    life_s: int
    answered_at: datetime
    api_base_url: str | None


@dataclass(frozen=True)
class Failure:
    """Why a refresh brought nothing.

    `for_good`: the identity server refused grant or app, a person must act. `unknown`: the refresh
    token may be spent. `wait_s`: how long the server asks to be left alone.
    """

    code: str
    detail: str
    for_good: bool = False
    unknown: bool = False
    wait_s: float = 0.0


class TokenStore(Protocol):
    """Auth columns of integration_connection plus its secret row of purpose `oauth_tokens`."""

    def read(self, connection_id: int) -> tuple[Connection, Sealed | None, int]:
        """Connection, sealed token pair and rejected_version, read in one statement."""

    def claim(
        self, connection_id: int, claim: str, ttl_s: int, *, version: int, intent: str | None
    ) -> RefreshClaim | None:
        """Win the right to refresh and write the intent down (committed).

        None while another claim or a back-off lives, or when the token is no longer at `version`.
        """

    def save_refreshed(self, claim: RefreshClaim, pair: NewPair, *, expires_in_s: float) -> bool:
        """Compare-and-set on version and intent; False when it was overtaken."""

    def save_connected(
        self,
        connection_id: int,
        tokens: Sealed,
        *,
        expires_in_s: int,
        api_base_url: str,
        company_id: str,
        actor: str,
        request_id: str | None,
        flow: str = "authorization_code",
        missing_scopes: Sequence[str] = (),
    ) -> Connection:
        """First consent or reconnect: tokens, state and audit entry in one transaction.

        Another company than before starts a new generation of every rule: the old marks say nothing
        about it. Raises ConflictingChange while a run reads the old company.
        """

    def fail(self, claim: RefreshClaim, failure: Failure) -> None:
        """Give the claim back and note why (degraded, or needs_reauth at once)."""

    def misplaced(self, connection_id: int, version: int, *, code: str, detail: str) -> None:
        """The stored pair was sealed for another connection: needs_reauth at once, with audit."""

    def give_back(self, claim: RefreshClaim) -> None:
        """The call was never made: as if the claim had not been won."""

    def reject(self, connection_id: int, version: int) -> None:
        """A task saw 401 with this token version."""


class InstanceLock(Protocol):
    """Which Hub holds the tokens of this database's connections."""

    def adopt(
        self, connection_id: int, instance_id: str, *, actor: str, request_id: str | None
    ) -> bool:
        """Hold them here from now on (audited); False when they are ours already."""

    def lock_foreign(self, instance_id: str) -> list[str]:
        """Mark what belongs to another Hub, free what came home; the names now locked."""


class Spool(Protocol):
    """Where a new pair waits while the database does not take it; it exists nowhere else."""

    def put(self, claim: RefreshClaim, pair: NewPair) -> None:
        """Keep it until `drop`. Raises OSError."""

    def find(self, connection_id: int) -> list[tuple[RefreshClaim, NewPair]]: ...

    def drop(self, claim: RefreshClaim) -> None: ...


@dataclass(frozen=True)
class StartedFlow:
    """What a callback needs of the start. `confirm_company_change`: the admin expects another company."""

    connection_id: int
    verifier: Sealed
    redirect_uri: str
    confirm_company_change: bool = False


@dataclass(frozen=True)
class FlowState:
    """Why a flow may not be consumed."""

    connection_id: int
    actor: str
    cookie_hash: str
    spent: bool


class OAuthFlowStore(Protocol):
    def start(
        self,
        flow: StartedFlow,
        *,
        nonce_hash: str,
        actor: str,
        cookie_hash: str,
        ttl_s: int,
    ) -> None: ...

    def consume(self, *, nonce_hash: str, actor: str, cookie_hash: str) -> StartedFlow | None:
        """The flow for exactly one caller, else None."""

    def explain(self, nonce_hash: str) -> FlowState | None:
        """None for a flow that nobody started."""

    def strangers_last_minute(self) -> int:
        """Refused callbacks without a flow of ours; counted up to 60."""
