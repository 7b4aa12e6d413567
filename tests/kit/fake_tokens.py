"""A token store in memory with the promises of the real one, and an identity server's client."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta

from integrations_hub.domain.connection import Connection, TokenGrant
from integrations_hub.errors import DatabaseUnavailable
from integrations_hub.ports.credentials import Failure, NewPair, RefreshClaim, Sealed
from tests.kit.fake_time import FakeClock


class PlainVault:
    """Fulfils ports.Vault without a cipher."""

    def seal(self, plaintext: str, *, purpose: str) -> Sealed:
        return Sealed("plain", f"{purpose}\0{plaintext}".encode())

    def open(self, sealed: Sealed, *, purpose: str) -> str:
        found, _, plaintext = sealed.ciphertext.decode().partition("\0")
        assert found == purpose
        return plaintext


class FakeTokens:
    """One connection; claims do not expire by themselves. `unknown_since` is what a claim tells."""

    def __init__(self, connection: Connection, sealed: Sealed | None, clock: FakeClock) -> None:
        self.connection, self.sealed, self.clock = connection, sealed, clock
        self.rejected = -1
        self.held: str | None = None
        self.unknown_since: datetime | None = None
        self.failures: list[Failure] = []
        self.given_back = 0
        self.intents: list[str | None] = []
        self.database_away = 0
        self.expires_in_s: float = 0
        self.lock = threading.RLock()

    def read(self, connection_id: int):
        with self.lock:
            return self.connection, self.sealed, self.rejected

    def claim(self, connection_id: int, claim: str, ttl_s: int, *, version: int, intent):
        with self.lock:
            if self.held or version != self.connection.token_version or self.sealed is None:
                return None
            self.held = claim
            self.intents.append(intent)
            return RefreshClaim(connection_id, claim, version, intent, self.unknown_since)

    def save_refreshed(self, claim, pair, *, expires_in_s) -> bool:
        with self.lock:
            if self.database_away:
                self.database_away -= 1
                raise DatabaseUnavailable("away")
            if self.connection.token_version != claim.version:
                return False
            self.sealed, self.held, self.expires_in_s = pair.tokens, None, expires_in_s
            self.connection = replace(
                self.connection,
                token_version=claim.version + 1,
                token_expires_at=self.clock.now() + timedelta(seconds=expires_in_s),
                auth_state="connected",
            )
            return True

    def fail(self, claim, failure) -> None:
        with self.lock:
            if self.database_away:
                self.database_away -= 1
                raise DatabaseUnavailable("away")
            self.held = None
            self.failures.append(failure)
            self.connection = replace(
                self.connection,
                needs_reauth=failure.for_good,
                reauth_reason="grant_rejected" if failure.for_good else None,
                auth_state="needs_reauth" if failure.for_good else "degraded",
                auth_code=failure.code,
                auth_detail=failure.detail,
            )

    def give_back(self, claim) -> None:
        with self.lock:
            self.held = None
            self.given_back += 1

    def reject(self, connection_id: int, version: int) -> None:
        self.rejected = max(self.rejected, version)

    def own(self):
        """What a refresh thread opens."""
        return nullcontext(self)


class FakeSpool:
    """Fulfils ports.Spool in memory; `log` keeps what was asked."""

    def __init__(self) -> None:
        self.kept: dict[int, tuple[RefreshClaim, NewPair]] = {}
        self.log: list[str] = []
        self.full = False

    def put(self, claim, pair) -> None:
        self.log.append("put")
        if self.full:
            raise OSError("no space")
        self.kept[claim.version] = (claim, pair)

    def find(self, connection_id: int):
        return list(self.kept.values())

    def drop(self, claim) -> None:
        self.log.append("drop")
        self.kept.pop(claim.version, None)


class FakeIdp:
    """Fulfils the refresh of ports.AuthClient: one-time tokens r0 -> r1 -> ..., scripted errors.

    `gate` holds answers back until it is set.
    """

    def __init__(self) -> None:
        self.posts: list[str] = []
        self.errors: list[Exception] = []
        self.expires_in_s = 3600
        self.rotates = True
        self.gate = threading.Event()
        self.gate.set()

    def refresh(self, refresh_token: str) -> TokenGrant:
        self.posts.append(refresh_token)
        self.gate.wait(10)
        if self.errors:
            raise self.errors.pop(0)
        number = len(self.posts)
        return TokenGrant(
            access_token=f"a{number}",
            refresh_token=f"r{number}" if self.rotates else None,
            expires_in_s=self.expires_in_s,
            api_base_url=None,
            company_id=None,
            scope="",
        )
