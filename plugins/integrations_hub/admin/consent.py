"""The OAuth consent: start at the Hub, leave for the provider, come back to the callback.

The state is signed, the row behind it is spent by exactly one callback, and that callback must come
from the browser and the person that started, from the provider that was asked.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from integrations_hub.admin.granted import Asked, Granted, offered
from integrations_hub.admin.oauth_answer import Answer, refuse_unusable, refused
from integrations_hub.admin.oauth_state import OAuthState, StateSeal
from integrations_hub.catalog.metadata import Provider
from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.audit import connection_target
from integrations_hub.domain.connection import Connection, TokenGrant
from integrations_hub.errors import ConfigurationError, HubError
from integrations_hub.failpoints import hit
from integrations_hub.ports.connections import ConnectionStore
from integrations_hub.ports.credentials import OAuthFlowStore, StartedFlow, Vault
from integrations_hub.ports.outside import Clock
from integrations_hub.ports.provider import AuthClient
from integrations_hub.ports.records import AuditStore

TTL_S = 600
FLOW = "authorization_code"
_STRANGERS_PER_MINUTE = 60
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Started:
    """Where to send the browser, and the value of the cookie that it must bring back."""

    authorize_url: str
    cookie: str


@dataclass(frozen=True)
class Consents:
    """`auth_client`: the provider's client with the credentials of the connection's app."""

    connections: ConnectionStore
    flows: OAuthFlowStore
    audit: AuditStore
    registry: Registry
    vault: Vault
    seal: StateSeal
    clock: Clock
    granted: Granted
    auth_client: Callable[[Connection], AuthClient]
    pkce_pair: Callable[[], tuple[str, str]]

    def start(self, connection: Connection, asked: Asked, *, redirect_uri: str) -> Started:
        """A new flow, good for ten minutes.

        Raises SettingInvalid when the client is not configured, ConfigurationError when the
        provider has no such flow.
        """
        provider = self.registry.get_provider(connection.provider_key)
        offered(provider, FLOW)
        client = self.auth_client(connection)
        verifier, challenge = self.pkce_pair()
        nonce, cookie = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
        state = OAuthState(
            nonce=nonce,
            connection_id=connection.id,
            provider_key=connection.provider_key,
            actor=asked.actor,
            expires_at=int(self.clock.now().timestamp()) + TTL_S,
        )
        self.flows.start(
            StartedFlow(
                connection.id,
                self.vault.seal(verifier, purpose=_purpose(connection.id)),
                redirect_uri,
                asked.confirm_company_change,
            ),
            nonce_hash=_hash(nonce),
            actor=asked.actor,
            cookie_hash=_hash(cookie),
            ttl_s=TTL_S,
        )
        detail = {"confirm_company_change": asked.confirm_company_change}
        self._record("connection.connect_started", connection, asked, detail)
        url = client.authorize_url(
            redirect_uri=redirect_uri, state=self.seal.write(state), code_challenge=challenge
        )
        return Started(url, cookie)

    def finish(self, answer: Answer) -> Connection:
        """Exchange the code and keep the tokens; at most once per start.

        Raises FlowRejected (a callback that does not fit, a consent that was not given),
        ConfigurationError (another company than expected, no refresh token) or what the exchange
        raises; the connection keeps its old tokens then.
        """
        state = self._state(answer)
        flow = self._spend(state, answer)
        connection = self.connections.by_id(flow.connection_id)
        asked = Asked(state.actor, answer.request_id, flow.confirm_company_change)
        try:
            return self._exchange(connection, flow, answer, asked)
        except HubError as error:
            self._record("connection.connect_failed", connection, asked, {"code": error.code})
            raise

    def _exchange(
        self, connection: Connection, flow: StartedFlow, answer: Answer, asked: Asked
    ) -> Connection:
        provider = self.registry.get_provider(connection.provider_key)
        client = self.auth_client(connection)
        refuse_unusable(answer, client.issuer)
        grant = client.exchange(
            code=answer.code,
            redirect_uri=flow.redirect_uri,
            code_verifier=self.vault.open(flow.verifier, purpose=_purpose(connection.id)),
        )
        return self.granted.keep(
            provider,
            connection,
            grant,
            flow=FLOW,
            refresh=_refresh_token(provider, grant),
            asked=asked,
        )

    def _state(self, answer: Answer) -> OAuthState:
        """The state that this Hub wrote for this provider's address."""
        state = self.seal.read(answer.state)
        if state is None:
            raise self._refusal("OAUTH_FLOW_REJECTED", answer, None)
        if state.provider_key != answer.provider_key:
            raise self._refusal("OAUTH_MIXED_UP", answer, state)
        if state.expires_at <= self.clock.now().timestamp():
            raise self._refusal("OAUTH_FLOW_EXPIRED", answer, state)
        if answer.signed_in not in (None, state.actor):
            raise self._refusal("OAUTH_OTHER_PERSON", answer, state)
        return state

    def _spend(self, state: OAuthState, answer: Answer) -> StartedFlow:
        """The flow of this state, for the one callback that fits it."""
        nonce_hash, cookie_hash = _hash(state.nonce), _hash(answer.cookie)
        flow = self.flows.consume(nonce_hash=nonce_hash, actor=state.actor, cookie_hash=cookie_hash)
        if flow is None:
            raise self._refusal(self._misfit(nonce_hash, cookie_hash, state), answer, state)
        if flow.connection_id != state.connection_id:
            raise self._refusal("OAUTH_FLOW_REJECTED", answer, state)
        hit("state_consumed")
        return flow

    def _misfit(self, nonce_hash: str, cookie_hash: str, state: OAuthState) -> str:
        known = self.flows.explain(nonce_hash)
        if known is None or (known.connection_id, known.actor) != (
            state.connection_id,
            state.actor,
        ):
            return "OAUTH_FLOW_REJECTED"
        if known.cookie_hash != cookie_hash:
            return "OAUTH_OTHER_BROWSER"
        return "OAUTH_FLOW_SPENT" if known.spent else "OAUTH_FLOW_EXPIRED"

    def _refusal(self, code: str, answer: Answer, state: OAuthState | None) -> HubError:
        """The refusal, with its audit entry; a flood of forged callbacks does not fill the audit."""
        _log.warning("callback_refused provider=%s code=%s", answer.provider_key, code)
        if state is not None or self.flows.strangers_last_minute() < _STRANGERS_PER_MINUTE:
            self.audit.add(
                actor=state.actor if state else "anonymous",
                action="connection.callback_refused",
                target=f"connection:{state.connection_id}" if state else "connection:unknown",
                detail={"code": code, "provider": answer.provider_key},
                request_id=answer.request_id,
            )
        return refused(code)

    def _record(
        self, action: str, connection: Connection, asked: Asked, detail: Mapping[str, object]
    ) -> None:
        self.audit.add(
            actor=asked.actor,
            action=action,
            target=connection_target(connection.provider_key, connection.key),
            detail=dict(detail),
            request_id=asked.request_id,
        )


def _refresh_token(provider: Provider, grant: TokenGrant) -> str:
    if grant.refresh_token is None:
        raise ConfigurationError(
            f"{provider.display_name} granted no refresh token, so the connection would end with "
            "its first access token. Nothing was changed.",
            hint="Check at the provider that the app may ask for offline access, then connect again.",
            code="REFRESH_TOKEN_MISSING",
        )
    return grant.refresh_token


def _purpose(connection_id: int) -> str:
    return f"{connection_id}:oauth_verifier"


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
