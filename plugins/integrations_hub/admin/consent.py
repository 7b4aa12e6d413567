"""The OAuth consent: start at the Hub, leave for the provider, come back to the callback.

The state is signed, the row behind it is spent by exactly one callback, and that callback must come
from the browser and the person that started. Everything is refused with one text.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from integrations_hub.access import seal_pair
from integrations_hub.admin.oauth_state import OAuthState, StateSeal
from integrations_hub.catalog.metadata import Provider
from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.connection import Connection, TokenGrant
from integrations_hub.errors import ConfigurationError, FlowRejected, HubError
from integrations_hub.failpoints import hit
from integrations_hub.ports.credentials import OAuthFlowStore, TokenStore, Vault
from integrations_hub.ports.outside import Clock
from integrations_hub.ports.provider import AuthClient
from integrations_hub.ports.records import AuditStore, ConnectionStore

TTL_S = 600
_log = logging.getLogger(__name__)
# RFC 6749 4.1.2.1, in our words; whatever else the provider writes stays out of the page
_DENIALS = {
    "access_denied": "The provider says that the consent was not given.",
    "invalid_scope": "The provider does not grant what the Hub asked for (invalid_scope).",
    "unauthorized_client": "The provider does not let this app sign people in (unauthorized_client).",
    "server_error": "The provider had an error of its own (server_error).",
    "temporarily_unavailable": "The provider is not available for the moment.",
}


@dataclass(frozen=True)
class Started:
    """Where to send the browser, and the value of the cookie that it must bring back."""

    authorize_url: str
    cookie: str


@dataclass(frozen=True)
class Answer:
    """What a callback brings. `signed_in`: the user's name when the browser is signed in to Airflow."""

    provider_key: str
    state: str
    code: str
    error: str
    cookie: str
    signed_in: str | None
    request_id: str | None


@dataclass(frozen=True)
class Consents:
    """`check_host` pins an API base; `expected_company` is the operator's own pin, None without one."""

    connections: ConnectionStore
    tokens: TokenStore
    flows: OAuthFlowStore
    audit: AuditStore
    registry: Registry
    vault: Vault
    seal: StateSeal
    clock: Clock
    auth_client: Callable[[Provider], AuthClient]
    pkce_pair: Callable[[], tuple[str, str]]
    check_host: Callable[[Provider, str], str]
    expected_company: Callable[[Provider], str | None]

    def start(
        self,
        connection: Connection,
        *,
        redirect_uri: str,
        actor: str,
        request_id: str | None,
    ) -> Started:
        """A new flow, good for ten minutes. Raises SettingInvalid when the client is not configured."""
        client = self.auth_client(self.registry.get_provider(connection.provider_key))
        verifier, challenge = self.pkce_pair()
        nonce, cookie = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
        state = OAuthState(
            nonce=nonce,
            connection_id=connection.id,
            provider_key=connection.provider_key,
            actor=actor,
            expires_at=int(self.clock.now().timestamp()) + TTL_S,
        )
        self.flows.start(
            nonce_hash=_hash(nonce),
            connection_id=connection.id,
            actor=actor,
            cookie_hash=_hash(cookie),
            verifier=self.vault.seal(verifier, purpose=_purpose(connection.id)),
            redirect_uri=redirect_uri,
            ttl_s=TTL_S,
        )
        self._record("connection.connect_started", connection, actor, request_id)
        url = client.authorize_url(
            redirect_uri=redirect_uri, state=self.seal.write(state), code_challenge=challenge
        )
        return Started(url, cookie)

    def finish(self, answer: Answer) -> Connection:
        """Exchange the code and keep the tokens; at most once per start.

        Raises FlowRejected (forged, expired, replayed, another person or browser, consent denied),
        ConfigurationError (another company than expected) or what the exchange raises.
        """
        state = self.seal.read(answer.state, self.clock.now())
        if state is None:
            _log.warning("callback_refused provider=%s why=state", answer.provider_key[:60])
            raise _refused()
        connection, verifier, redirect_uri = self._spend(state, answer)
        try:
            if answer.error or not answer.code:
                raise _denied(answer.error)
            grant = self.auth_client(self.registry.get_provider(connection.provider_key)).exchange(
                code=answer.code, redirect_uri=redirect_uri, code_verifier=verifier
            )
            return self._keep(connection, grant, state.actor, answer.request_id)
        except HubError as error:
            self._record(
                "connection.connect_failed", connection, state.actor, answer.request_id, error.code
            )
            raise

    def _spend(self, state: OAuthState, answer: Answer) -> tuple[Connection, str, str]:
        """The flow of this state, for the one callback that fits it."""
        person = answer.signed_in in (None, state.actor)
        fits = person and state.provider_key == answer.provider_key and bool(answer.cookie)
        row = (
            self.flows.consume(
                nonce_hash=_hash(state.nonce), actor=state.actor, cookie_hash=_hash(answer.cookie)
            )
            if fits
            else None
        )
        if row is None or row[0] != state.connection_id:
            self.audit.add(
                actor=state.actor,
                action="connection.callback_refused",
                target=f"connection:{state.connection_id}",
                detail={"expected_browser": bool(answer.cookie), "expected_person": person},
                request_id=answer.request_id,
            )
            raise _refused()
        hit("state_consumed")
        connection = self.connections.by_id(state.connection_id)
        return connection, self.vault.open(row[1], purpose=_purpose(connection.id)), row[2]

    def _keep(
        self, connection: Connection, grant: TokenGrant, actor: str, request_id: str | None
    ) -> Connection:
        provider = self.registry.get_provider(connection.provider_key)
        company_id = _company(connection, grant, provider, self.expected_company(provider))
        base = grant.api_base_url or provider.base_url_variants[connection.environment].url
        return self.tokens.save_connected(
            connection.id,
            seal_pair(
                self.vault,
                connection.id,
                access=grant.access_token,
                refresh=grant.refresh_token,
            ),
            expires_in_s=grant.expires_in_s,
            api_base_url=self.check_host(provider, base),
            company_id=company_id,
            actor=actor,
            request_id=request_id,
        )

    def _record(
        self,
        action: str,
        connection: Connection,
        actor: str,
        request_id: str | None,
        code: str | None = None,
    ) -> None:
        self.audit.add(
            actor=actor,
            action=action,
            target=f"connection:{connection.provider_key}:{connection.key}",
            detail={"code": code} if code else {},
            request_id=request_id,
        )


def _company(
    connection: Connection, grant: TokenGrant, provider: Provider, expected: str | None
) -> str:
    """The company that signed in; a silent change of company would mix two companies' data."""
    found = grant.company_id or expected or connection.company_id
    if not found:
        raise ConfigurationError(
            f"{provider.display_name} did not say which company signed in.",
            hint=f"Set {provider.oauth.env_prefix}_COMPANY_ID to the company's id and connect again.",
            code="COMPANY_UNKNOWN",
        )
    if expected and found != expected:
        raise ConfigurationError(
            f"Company {found} signed in, but this Hub is set up for company {expected}.",
            hint=(
                f"Sign in as company {expected}, or correct {provider.oauth.env_prefix}_COMPANY_ID."
            ),
            code="COMPANY_UNEXPECTED",
        )
    if connection.company_id and found != connection.company_id:
        raise ConfigurationError(
            f"Company {found} signed in, but {connection.key} belongs to company "
            f"{connection.company_id}. Nothing was changed.",
            hint=f"Sign in as company {connection.company_id}, or create another connection.",
            code="COMPANY_SWITCHED",
        )
    return found


def _refused() -> FlowRejected:
    return FlowRejected("This sign-in does not belong to a connection that you just started.")


def _denied(error: str) -> FlowRejected:
    text = _DENIALS.get(error, "The provider ended the sign-in without a consent.")
    return FlowRejected(
        text, code="CONSENT_DENIED", hint="Start the connection again from the Hub."
    )


def _purpose(connection_id: int) -> str:
    return f"{connection_id}:oauth_verifier"


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
