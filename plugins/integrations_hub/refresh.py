"""Spending a refresh token once: HTTP outside any transaction, compare-and-set, and what a failure means.

A refresh token may be spent only once, and nobody can take back a call. So the claim writes down
first what is about to be spent, an unknown outcome is never repeated at once, and a new pair is
kept on disk as soon as the database refuses it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from integrations_hub.domain.connection import REQUEST_REFUSED, ROTATION_LOST, TokenGrant
from integrations_hub.errors import (
    ConfigurationError,
    GrantRejected,
    HubError,
    OutcomeUnknown,
    ProviderContractError,
)
from integrations_hub.failpoints import hit
from integrations_hub.ports.credentials import (
    Failure,
    NewPair,
    RefreshClaim,
    Sealed,
    Spool,
    TokenStore,
    Vault,
)
from integrations_hub.ports.outside import Clock
from integrations_hub.ports.provider import Refresher

CLAIM_TTL_S = 90  # longer than START_WITHIN_S plus connects and deadline of the token request
START_WITHIN_S = 10.0  # a process that was frozen after its claim must not spend the token any more
_SAVE_FOR_S = 60.0
_RETRY_SAVE_S = 0.5
_log = logging.getLogger(__name__)


def purpose_of(connection_id: int) -> str:
    """What stands inside the ciphertext of a connection's token pair."""
    return f"{connection_id}:oauth_tokens"


class TokenPair(TypedDict):
    """What a connection's ciphertext holds."""

    access_token: str
    refresh_token: str | None


def seal_pair(vault: Vault, connection_id: int, *, access: str, refresh: str | None) -> Sealed:
    """The token pair as the store keeps it."""
    pair: TokenPair = {"access_token": access, "refresh_token": refresh}
    return vault.seal(json.dumps(pair), purpose=purpose_of(connection_id))


def open_pair(vault: Vault, connection_id: int, sealed: Sealed) -> TokenPair:
    """What seal_pair sealed. Raises ConfigurationError when the ring cannot open it."""
    pair: TokenPair = json.loads(vault.open(sealed, purpose=purpose_of(connection_id)))
    return pair


def intent_of(version: int, refresh_token: str) -> str:
    """What the database remembers of a token about to be spent; the token cannot be read from it."""
    return f"{version}:{hashlib.sha256(refresh_token.encode()).hexdigest()[:32]}"


@dataclass(frozen=True)
class RefreshFacts:
    """What a provider's metadata says about refreshing.

    `margin_s`: how long before its end a token is refreshed. `rotates`: each refresh kills the token
    it spent. `reuse`: grace | none | unknown, whether the spent one works again for a while.
    """

    margin_s: int = 300
    rotates: bool = True
    reuse: str = "unknown"


@dataclass
class Refresh:
    """Spends one claim on one thread. `claimed_at`: monotonic, before the claim was asked for."""

    claim: RefreshClaim
    claimed_at: float
    refresh_token: str | None
    client: Refresher
    facts: RefreshFacts
    own_tokens: Callable[[], AbstractContextManager[TokenStore]]
    vault: Vault
    spool: Spool
    clock: Clock
    trouble: ConfigurationError | None = None

    def run(self) -> None:
        """Never raises a Hub error: the outcome is in the store and in `trouble`."""
        with self.own_tokens() as tokens:
            try:
                self._run(tokens)
            except HubError as error:
                # no error of ours may hold secrets, so its text may be logged
                _log.error(
                    "token_refresh_unnoted connection_id=%s: %s",
                    self.claim.connection_id,
                    error.message,
                )

    def _run(self, tokens: TokenStore) -> None:
        claim = self.claim
        if self.clock.monotonic() - self.claimed_at > START_WITHIN_S:
            _log.warning("token_refresh_too_late connection_id=%s", claim.connection_id)
            tokens.give_back(claim)
            return
        if claim.unknown_since is not None:
            _log.warning(
                "refresh_outcome_unknown connection_id=%s since=%s: trying the old token once",
                claim.connection_id,
                claim.unknown_since,
            )
        try:
            grant = self.client.refresh(_spendable(self.refresh_token))
        except HubError as error:
            self._failed(tokens, error)
        else:
            answered_at = self.clock.now()
            hit("refresh_answered")
            self._save(tokens, grant, answered_at)

    # --- failures --------------------------------------------------------------------------------

    def _failed(self, tokens: TokenStore, error: HubError) -> None:
        _log.warning(
            "token_refresh_failed connection_id=%s code=%s: %s",
            self.claim.connection_id, error.code, error.message,
        )  # fmt: skip
        if isinstance(error, ConfigurationError):
            # a setting of ours: the identity server was never asked
            self.trouble = error
            self._persist(lambda: tokens.give_back(self.claim))
            return
        failure = self._classify(error)
        self._persist(lambda: tokens.fail(self.claim, failure))

    def _classify(self, error: HubError) -> Failure:
        detail = f"{error.message} {error.hint}"
        since = self.claim.unknown_since
        if isinstance(error, GrantRejected):
            if since is not None and error.code == GrantRejected.default_code:
                # not revoked by anybody: the answer with the new pair never reached us
                text = (
                    f"A refresh was interrupted at {since:%Y-%m-%d %H:%M:%S} UTC; please reconnect."
                )
                return Failure(ROTATION_LOST, text, for_good=True)
            return Failure(error.code, detail, for_good=True)
        unknown = self.facts.rotates and _may_be_spent(error)
        if unknown:
            detail = f"{error.message} {_WHAT_NEXT[self.facts.reuse]}"
        wait_s = getattr(error, "retry_after_s", None) or 0.0
        return Failure(error.code, detail, unknown=unknown, wait_s=wait_s)

    def _persist(self, write: Callable[[], None]) -> None:
        """Note an outcome, on new sessions while the database is away; what stays unnoted lapses."""
        end = self.clock.monotonic() + _SAVE_FOR_S
        while True:
            try:
                return write()
            except HubError:
                if self.clock.monotonic() >= end:
                    raise
            self.clock.sleep(_RETRY_SAVE_S)

    # --- the new pair ----------------------------------------------------------------------------

    def _save(self, tokens: TokenStore, grant: TokenGrant, answered_at: datetime) -> None:
        """An answer without a refresh token keeps the old one."""
        sealed = seal_pair(
            self.vault,
            self.claim.connection_id,
            access=grant.access_token,
            refresh=grant.refresh_token or self.refresh_token,
        )
        pair = NewPair(sealed, grant.expires_in_s, answered_at, grant.api_base_url)
        if self._saved(tokens, pair):
            hit("refresh_saved")
            _log.info("token_refreshed connection_id=%s", self.claim.connection_id)

    def _saved(self, tokens: TokenStore, pair: NewPair) -> bool:
        """The pair exists only here: on disk at the first refusal, then again and again for 60 s."""
        end = self.clock.monotonic() + _SAVE_FOR_S
        spooled = False
        while True:
            try:
                # False: overtaken by a reconnect or a disconnect, or our own lost commit
                if not tokens.save_refreshed(
                    self.claim, pair, expires_in_s=left_s(pair, self.clock)
                ):
                    self._give_back(tokens, pair)
            except Exception as error:  # noqa: BLE001 - whatever the database says, the pair must live
                spooled = spooled or self._spooled(pair, error)
                if self.clock.monotonic() >= end:
                    _log.critical(
                        "token_pair_unsaved connection_id=%s spooled=%s: the next use of the "
                        "connection saves it",
                        self.claim.connection_id,
                        spooled,
                    )
                    return False
                self.clock.sleep(_RETRY_SAVE_S)
            else:
                if spooled:
                    self.spool.drop(self.claim)
                return True

    def _give_back(self, tokens: TokenStore, pair: NewPair) -> None:
        """Nobody keeps the pair of a connection that was disconnected meanwhile: it must not live on.

        With a stored pair it was a reconnect, or our own commit: then nothing is revoked.
        """
        if tokens.read(self.claim.connection_id)[1] is not None:
            return
        _log.info("token_given_back connection_id=%s", self.claim.connection_id)
        new = open_pair(self.vault, self.claim.connection_id, pair.tokens)
        with suppress(HubError):  # the disconnect has told what to do at the provider
            self.client.revoke(new["refresh_token"] or new["access_token"])

    def _spooled(self, pair: NewPair, error: Exception) -> bool:
        _log.error(
            "token_pair_refused connection_id=%s error=%s: keeping it on disk, trying again",
            self.claim.connection_id,
            type(error).__name__,
        )
        try:
            self.spool.put(self.claim, pair)
        except OSError as problem:
            _log.critical(
                "token_pair_not_spooled connection_id=%s error=%s",
                self.claim.connection_id,
                type(problem).__name__,
            )
            return False
        return True


def left_s(pair: NewPair, clock: Clock) -> float:
    """What is left of the access token's life; the new refresh token is worth saving without it."""
    return max(0.0, pair.life_s - (clock.now() - pair.answered_at).total_seconds())


def _may_be_spent(error: HubError) -> bool:
    """Whether the server may have taken the refresh token although no pair came back."""
    unusable = isinstance(error, ProviderContractError) and error.code != REQUEST_REFUSED
    return unusable or isinstance(error, OutcomeUnknown)


def _spendable(token: str | None) -> str:
    """Raises GrantRejected when the consent came without a refresh token: only a new one helps."""
    if not token:
        raise GrantRejected(
            "The provider granted no refresh token.",
            hint="Check that the app may ask for offline access, then reconnect.",
        )
    return token


_WHAT_NEXT = {
    "grace": "The old token is tried once more: the provider accepts it again for a while.",
    "none": "The old token is tried once more; if the provider counted it, a reconnect is needed.",
    "unknown": "The old token is tried once more; if the provider counted it, a reconnect may be needed.",
}
