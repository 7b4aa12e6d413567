"""The token broker: serves a connection with a usable access token, refreshing it when needed.

One process wins the right to refresh (a committed claim), spends the refresh token outside any
transaction and saves the new pair by compare-and-set (refresh.py); everybody else waits for what it
saves and never asks the identity server.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from integrations_hub.domain.connection import ADOPT, LOCKED, Connection, ServedConnection
from integrations_hub.errors import ConfigurationError, Disconnected
from integrations_hub.failpoints import hit
from integrations_hub.ports.credentials import MISPLACED, Sealed, Spool, TokenStore, Vault
from integrations_hub.ports.outside import Clock
from integrations_hub.ports.provider import Refresher
from integrations_hub.refresh import (
    CLAIM_TTL_S,
    Refresh,
    RefreshFacts,
    TokenPair,
    intent_of,
    left_s,
    open_pair,
)

_USABLE_S = 30  # an older token with this much life left is still worth serving
_POLL_S = (0.05, 0.3)  # first and longest pause between two looks
_RECONNECT = "Open the Hub and reconnect it; if that fails, check the app's client id and secret."
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Row:
    connection: Connection
    sealed: Sealed | None
    rejected: int

    def life_s(self, clock: Clock) -> float:
        """Seconds that the access token still lives; 0 for one that a task saw rejected."""
        ends = self.connection.token_expires_at
        if ends is None or self.rejected >= self.connection.token_version:
            return 0.0
        return (ends - clock.now()).total_seconds()


def margin_s(connection: Connection, facts: RefreshFacts) -> float:
    """How long before its end this token is refreshed, so that a short outage costs nothing.

    Up to a fifth longer than the metadata says, by connection and version, so that connections made
    together don't refresh together. A token that lives shortly is used for most of its life.
    """
    seed = f"{connection.id}:{connection.token_version}".encode()
    share = int.from_bytes(hashlib.sha256(seed).digest()[:4], "big") / 2**32
    wanted = facts.margin_s * (1 + share / 5)
    life = connection.token_life_s
    return wanted if life is None else min(wanted, life / 4)


class Broker:
    """`tokens` is used on the caller's thread; `own_tokens` opens a store for the refresh thread.

    `instance_id`: which Hub this is; tokens of another Hub are neither served nor spent.
    """

    def __init__(
        self,
        *,
        tokens: TokenStore,
        own_tokens: Callable[[], AbstractContextManager[TokenStore]],
        vault: Vault,
        spool: Spool,
        auth_client: Callable[[Connection], Refresher],
        clock: Clock,
        instance_id: str,
        facts_of: Callable[[Connection], RefreshFacts] = lambda _: RefreshFacts(),
    ) -> None:
        self._facts_of = facts_of
        self._tokens = tokens
        self._own_tokens = own_tokens
        self._vault = vault
        self._spool = spool
        self._auth_client = auth_client
        self._clock = clock
        self._instance_id = instance_id

    def serve(self, connection_id: int, *, wait_s: float = 2.0) -> ServedConnection:
        """The connection as a task may have it, within about `wait_s` seconds.

        Trouble with the provider or the settings never raises: `refused` says why, `refreshing`
        asks to come back. While a refresh fails for now, the old token is served as long as it
        lives. Raises NotFound and database errors.
        """
        self._pick_up(connection_id)
        row = _Row(*self._tokens.read(connection_id))
        refused = self._refusal(row)
        if refused is not None:
            return refused
        facts = self._facts_of(row.connection)
        if row.life_s(self._clock) >= margin_s(row.connection, facts):
            return self._ready(row)
        trouble = self._refresh(row, facts, wait_s)
        now = _Row(*self._tokens.read(connection_id))
        return self._answer(now, row.connection.token_version, trouble)

    def _pick_up(self, connection_id: int) -> None:
        """Save what an earlier refresh could not; whatever the store has moved on to wins."""
        for claim, pair in self._spool.find(connection_id):
            saved = self._tokens.save_refreshed(claim, pair, expires_in_s=left_s(pair, self._clock))
            self._spool.drop(claim)
            _log.warning("token_pair_picked_up connection_id=%s saved=%s", connection_id, saved)

    def _refresh(self, row: _Row, facts: RefreshFacts, wait_s: float) -> ConfigurationError | None:
        """Refresh in the background, or wait for whoever does; returns what an admin must mend."""
        connection = row.connection
        try:
            client = self._auth_client(connection)
            refresh_token = self._pair(row)["refresh_token"]
        except ConfigurationError as error:
            return error
        version, before = connection.token_version, self._clock.monotonic()
        claim = self._tokens.claim(
            connection.id, uuid.uuid4().hex, CLAIM_TTL_S, version=version,
            intent=intent_of(version, refresh_token) if facts.rotates and refresh_token else None,
        )  # fmt: skip
        if claim is None:
            # after a failed refresh nobody may be at it: no need to wait with a usable token
            if connection.auth_state == "connected" or row.life_s(self._clock) <= _USABLE_S:
                self._wait_for_winner(row, wait_s)
            return None
        hit("refresh_claimed")
        job = Refresh(
            claim, before, refresh_token, client, facts,
            self._own_tokens, self._vault, self._spool, self._clock,
        )  # fmt: skip
        # not a daemon: the process may not end between the provider's answer and our commit
        thread = threading.Thread(target=job.run, name=f"refresh-{connection.id}", daemon=False)
        thread.start()
        thread.join(wait_s)
        return job.trouble

    def _wait_for_winner(self, row: _Row, wait_s: float) -> None:
        end = self._clock.monotonic() + wait_s
        seen, pause = row.connection, _POLL_S[0]
        while self._clock.monotonic() < end:
            now = self._tokens.read(seen.id)[0]
            if now.token_version != seen.token_version or now.auth_state != seen.auth_state:
                return  # saved, or failed
            self._clock.sleep(pause)
            pause = min(pause * 1.5, _POLL_S[1])

    def _answer(
        self, row: _Row, seen_version: int, trouble: ConfigurationError | None
    ) -> ServedConnection:
        """Serve a newer token at any life (short-lived ones exist), an older one while it is good."""
        connection = row.connection
        refused = self._refusal(row)
        if refused is not None:
            return refused
        newer = connection.token_version > seen_version and row.rejected < connection.token_version
        if newer or row.life_s(self._clock) > _USABLE_S:
            return self._ready(row)
        if trouble is not None:
            return _served(connection, "refused", reason=trouble.message, hint=trouble.hint)
        reason = "its token is being refreshed"
        if connection.auth_state != "connected":
            reason = "the provider's identity server did not refresh its token yet"
        hint = connection.trouble() or "Ask again in a second."
        return _served(connection, "refreshing", reason=reason, hint=hint)

    def _ready(self, row: _Row) -> ServedConnection:
        connection = row.connection
        try:
            access_token = self._pair(row)["access_token"]
        except ConfigurationError as error:
            if error.code == MISPLACED:
                _log.error("secret_misplaced connection_id=%s: %s", connection.id, error.message)
                self._tokens.misplaced(
                    connection.id, connection.token_version, code=error.code, detail=error.message
                )
            return _served(connection, "refused", reason=error.message, hint=error.hint)
        return ServedConnection(
            state="ready",
            provider_key=connection.provider_key,
            connection_key=connection.key,
            access_token=access_token,
            token_version=connection.token_version,
            api_base_url=connection.api_base_url or "",
        )

    def _pair(self, row: _Row) -> TokenPair:
        """Raises ConfigurationError when the ring cannot open it."""
        if row.sealed is None:
            raise ConfigurationError("The connection holds no tokens.", hint=_RECONNECT)
        return open_pair(self._vault, row.connection.id, row.sealed)

    def _refusal(self, row: _Row) -> ServedConnection | None:
        connection = row.connection
        if connection.instance_id not in (None, self._instance_id):
            return _served(connection, "refused", reason=LOCKED, hint=ADOPT)
        because = connection.not_ready_because()
        if because is None and row.sealed is None:
            because = "it holds no tokens"
        if because is None:
            return None
        refused = _served(connection, "refused", reason=because, hint=_hint(connection))
        return replace(refused, code=Disconnected.default_code) if connection.withdrawn else refused


def _hint(connection: Connection) -> str:
    if connection.is_disabled:
        return "Open the Hub and enable it."
    if connection.needs_reauth:
        return connection.auth_detail or _RECONNECT
    return ADOPT if connection.is_locked else "Open the Hub and connect it."


def _served(connection: Connection, state: str, *, reason: str, hint: str) -> ServedConnection:
    return ServedConnection(
        state=state,
        provider_key=connection.provider_key,
        connection_key=connection.key,
        token_version=connection.token_version,
        reason=reason,
        hint=hint,
    )
