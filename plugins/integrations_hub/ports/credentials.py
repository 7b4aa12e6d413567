"""Sealed secrets, token pairs and OAuth flows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from integrations_hub.domain.connection import Connection


@dataclass(frozen=True)
class Sealed:
    key_id: str
    ciphertext: bytes


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
    """A won claim: the sealed token pair to spend and the version to compare and set."""

    connection_id: int
    claim: str
    version: int
    tokens: Sealed
    interrupted: bool = False  # an earlier refresh never told its outcome


class TokenStore(Protocol):
    """Auth columns of integration_connection plus its secret row of purpose `oauth_tokens`."""

    def read(self, connection_id: int) -> tuple[Connection, Sealed | None, int]:
        """Connection, sealed token pair and rejected_version, read in one statement."""

    def claim(
        self, connection_id: int, claim: str, ttl_s: int, *, version: int
    ) -> RefreshClaim | None:
        """Win the right to refresh (committed).

        None while another claim or a back-off lives, or when the token is no longer at `version`.
        """

    def save_refreshed(
        self, claim: RefreshClaim, tokens: Sealed, *, expires_in_s: int, api_base_url: str | None
    ) -> bool:
        """Compare-and-set on version and claim; False when it was overtaken."""

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
    ) -> Connection:
        """First consent or reconnect: tokens, state and audit entry in one transaction."""

    def fail(self, claim: RefreshClaim, *, reason: str, needs_reauth: bool) -> None:
        """Give the claim back; note the reason (degraded, or needs_reauth at once)."""

    def reject(self, connection_id: int, version: int) -> None:
        """A task saw 401 with this token version."""


class OAuthFlowStore(Protocol):
    def start(
        self,
        *,
        nonce_hash: str,
        connection_id: int,
        actor: str,
        cookie_hash: str,
        verifier: Sealed,
        redirect_uri: str,
        ttl_s: int,
    ) -> None: ...

    def consume(
        self, *, nonce_hash: str, actor: str, cookie_hash: str
    ) -> tuple[int, Sealed, str] | None:
        """(connection_id, verifier, redirect_uri) for exactly one caller, else None."""
