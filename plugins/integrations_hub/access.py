"""The token broker: serves a connection with a usable access token, refreshing it when needed.

One process wins the right to refresh (a committed claim), spends the refresh token outside any
transaction and saves the new pair by compare-and-set; everybody else waits for what it saves.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from integrations_hub.domain.connection import Connection, ServedConnection, TokenGrant
from integrations_hub.errors import ConfigurationError, DatabaseUnavailable, GrantRejected, HubError
from integrations_hub.failpoints import hit
from integrations_hub.ports.credentials import RefreshClaim, Sealed, TokenStore, Vault
from integrations_hub.ports.outside import Clock
from integrations_hub.ports.provider import AuthClient

CLAIM_TTL_S = 40  # longer than connect plus the deadline of the token request
_USABLE_S = 30  # an older token with this much life left is still worth serving
_POLL_S = 0.05
_SAVE_FOR_S = 60.0
_RECONNECT = "Open the Hub and reconnect it; if that fails, check the app's client id and secret."
_log = logging.getLogger(__name__)


def purpose_of(connection_id: int) -> str:
    """What stands inside the ciphertext of a connection's token pair."""
    return f"{connection_id}:oauth_tokens"


def seal_pair(vault: Vault, connection_id: int, *, access: str, refresh: str | None) -> Sealed:
    """The token pair as the store keeps it."""
    pair = json.dumps({"access_token": access, "refresh_token": refresh})
    return vault.seal(pair, purpose=purpose_of(connection_id))


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


class Broker:
    """`tokens` is used on the caller's thread; `own_tokens` opens a store for the refresh thread.

    `margin_s`: how long before its end a token is refreshed, so that a short outage of the
    provider costs nothing.
    """

    def __init__(
        self,
        *,
        tokens: TokenStore,
        own_tokens: Callable[[], AbstractContextManager[TokenStore]],
        vault: Vault,
        auth_client: Callable[[Connection], AuthClient],
        clock: Clock,
        margin_s: Callable[[Connection], int] = lambda _: 300,
    ) -> None:
        self._margin_s = margin_s
        self._tokens = tokens
        self._own_tokens = own_tokens
        self._vault = vault
        self._auth_client = auth_client
        self._clock = clock

    def serve(self, connection_id: int, *, wait_s: float = 3.0) -> ServedConnection:
        """The connection as a task may have it, within about `wait_s` seconds.

        Trouble with the provider or the settings never raises: `refused` says why, `refreshing`
        asks to come back. While a refresh fails for now, the old token is served as long as it
        lives. Raises NotFound and database errors.
        """
        row = _Row(*self._tokens.read(connection_id))
        refused = _refusal(row)
        if refused is not None:
            return refused
        if row.life_s(self._clock) >= self._margin_s(row.connection):
            return self._ready(row)
        trouble = self._refresh(row, wait_s)
        now = _Row(*self._tokens.read(connection_id))
        return self._answer(now, row.connection.token_version, trouble)

    def _refresh(self, row: _Row, wait_s: float) -> ConfigurationError | None:
        """Refresh in the background, or wait for whoever does; returns what an admin must mend."""
        connection = row.connection
        try:
            client = self._auth_client(connection)
        except ConfigurationError as error:
            return error
        claim = self._tokens.claim(
            connection.id, uuid.uuid4().hex, CLAIM_TTL_S, version=connection.token_version
        )
        if claim is None:
            # after a failed refresh nobody may be at it: no need to wait with a usable token
            if connection.auth_state == "connected" or row.life_s(self._clock) <= _USABLE_S:
                self._wait_for_winner(row, wait_s)
            return None
        hit("refresh_claimed")
        job = _RefreshJob(claim, client, self._own_tokens, self._vault, self._clock)
        # not a daemon: the process may not end between the provider's answer and our commit
        thread = threading.Thread(target=job.run, name=f"refresh-{connection.id}", daemon=False)
        thread.start()
        thread.join(wait_s)
        return job.trouble

    def _wait_for_winner(self, row: _Row, wait_s: float) -> None:
        end = self._clock.monotonic() + wait_s
        seen = row.connection
        while self._clock.monotonic() < end:
            now = self._tokens.read(seen.id)[0]
            if now.token_version != seen.token_version or now.auth_state != seen.auth_state:
                return  # saved, or failed
            self._clock.sleep(_POLL_S)

    def _answer(
        self, row: _Row, seen_version: int, trouble: ConfigurationError | None = None
    ) -> ServedConnection:
        """Serve a newer token at any life (short-lived ones exist), an older one while it is good."""
        connection = row.connection
        refused = _refusal(row)
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
        return _served(connection, "refreshing", reason=reason, hint="Ask again in a second.")

    def _ready(self, row: _Row) -> ServedConnection:
        connection = row.connection
        try:
            pair = json.loads(self._vault.open(_sealed(row), purpose=purpose_of(connection.id)))
        except ConfigurationError as error:
            return _served(connection, "refused", reason=error.message, hint=error.hint)
        return ServedConnection(
            state="ready",
            provider_key=connection.provider_key,
            connection_key=connection.key,
            access_token=pair["access_token"],
            token_version=connection.token_version,
            api_base_url=connection.api_base_url or "",
        )


@dataclass
class _RefreshJob:
    """Spends one claim on one thread: HTTP without a transaction, then compare-and-set.

    A claim that an earlier process left behind without a result means that nobody knows whether
    the old refresh token was spent; it is tried once, and a rejection then asks for a reconnect.
    """

    _claim: RefreshClaim
    _client: AuthClient
    _own_tokens: Callable[[], AbstractContextManager[TokenStore]]
    _vault: Vault
    _clock: Clock
    trouble: ConfigurationError | None = None

    def run(self) -> None:
        """Never raises a Hub error: the outcome is in the store and in `trouble`."""
        with self._own_tokens() as tokens:
            try:
                self._run(tokens)
            except HubError as error:
                # no error of ours may hold secrets, so its text may be logged
                _log.error(
                    "token_refresh_unsaved connection_id=%s: %s",
                    self._claim.connection_id,
                    error.message,
                )

    def _run(self, tokens: TokenStore) -> None:
        claim = self._claim
        if claim.interrupted:
            _log.warning(
                "refresh_outcome_unknown connection_id=%s: trying the old token once",
                claim.connection_id,
            )
        try:
            old = json.loads(
                self._vault.open(claim.tokens, purpose=purpose_of(claim.connection_id))
            )
            grant = self._client.refresh(_spendable(old))
        except GrantRejected as error:
            self._failed(tokens, error, reason="grant_rejected", needs_reauth=True)
        except HubError as error:
            self._failed(tokens, error, reason="unreachable", needs_reauth=False)
        else:
            hit("refresh_answered")
            self._save(tokens, grant, old["refresh_token"])

    def _failed(
        self, tokens: TokenStore, error: HubError, *, reason: str, needs_reauth: bool
    ) -> None:
        _log.warning(
            "token_refresh_failed connection_id=%s code=%s: %s",
            self._claim.connection_id, error.code, error.message,
        )  # fmt: skip
        if isinstance(error, ConfigurationError):
            self.trouble = error
        self._persist(lambda: tokens.fail(self._claim, reason=reason, needs_reauth=needs_reauth))

    def _save(self, tokens: TokenStore, grant: TokenGrant, old_refresh: str | None) -> None:
        """An answer without a refresh token keeps the old one."""
        sealed = seal_pair(
            self._vault,
            self._claim.connection_id,
            access=grant.access_token,
            refresh=grant.refresh_token or old_refresh,
        )

        def save() -> None:
            # False: overtaken by a reconnect, or our own lost commit; what is stored is newer
            tokens.save_refreshed(
                self._claim,
                sealed,
                expires_in_s=grant.expires_in_s,
                api_base_url=grant.api_base_url,
            )

        self._persist(save)
        hit("refresh_saved")
        _log.info("token_refreshed connection_id=%s", self._claim.connection_id)

    def _persist(self, write: Callable[[], None]) -> None:
        """A new pair exists only here: go on trying while the database is away, on new sessions."""
        end = self._clock.monotonic() + _SAVE_FOR_S
        while self._clock.monotonic() < end:
            with suppress(DatabaseUnavailable):
                return write()
            self._clock.sleep(0.5)
        return write()


def _spendable(pair: dict[str, str | None]) -> str:
    """Raises GrantRejected when the consent came without a refresh token: only a new one helps."""
    token = pair["refresh_token"]
    if not token:
        raise GrantRejected(
            "The provider granted no refresh token.",
            hint="Check that the app may ask for offline access, then reconnect.",
        )
    return token


def _refusal(row: _Row) -> ServedConnection | None:
    because = row.connection.not_ready_because()
    if because is None and row.sealed is None:
        because = "it holds no tokens"
    if because is None:
        return None
    return _served(row.connection, "refused", reason=because, hint=_hint(row.connection))


def _hint(connection: Connection) -> str:
    if connection.is_disabled:
        return "Open the Hub and enable it."
    return _RECONNECT if connection.needs_reauth else "Open the Hub and connect it."


def _served(connection: Connection, state: str, *, reason: str, hint: str) -> ServedConnection:
    return ServedConnection(
        state=state,
        provider_key=connection.provider_key,
        connection_key=connection.key,
        token_version=connection.token_version,
        reason=reason,
        hint=hint,
    )


def _sealed(row: _Row) -> Sealed:
    if row.sealed is None:
        raise ConfigurationError("The connection holds no tokens.", hint=_RECONNECT)
    return row.sealed
