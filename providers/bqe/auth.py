"""BQE CORE's identity server: authorization code with PKCE, one-time refresh tokens.

The token answer names the company's API base (`endpoint`), which is used only on pinned hosts, and
its id token names the company (`companyId`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from integrations_hub.catalog.metadata import Provider
from integrations_hub.domain.connection import TokenGrant
from integrations_hub.errors import HostNotAllowed, ProviderContractError
from integrations_hub.ports.outside import FormPoster
from integrations_hub.ports.provider import AuthClient
from integrations_hub.transport import oauth
from integrations_hub.transport.hosts import HostGuard, check_base_url

_log = logging.getLogger(__name__)


def build(
    provider: Provider,
    *,
    poster: FormPoster,
    client_id: str,
    client_secret: str,
    environ: Mapping[str, str],
) -> AuthClient:
    """The client; BQE_AUTH_BASE_URL, BQE_SCOPES and BQE_ALLOWED_HOSTS override the metadata."""
    return _BqeAuth(provider, poster, client_id, client_secret, environ)


class _BqeAuth:
    def __init__(
        self,
        provider: Provider,
        poster: FormPoster,
        client_id: str,
        client_secret: str,
        environ: Mapping[str, str],
    ) -> None:
        facts = provider.oauth
        setting = f"{facts.env_prefix}_AUTH_BASE_URL"
        self._facts = facts
        self._poster = poster
        self._client_id = client_id
        self._client_secret = client_secret
        self._base = check_base_url(environ.get(setting) or facts.auth_base_url, setting=setting)
        scopes = environ.get(f"{facts.env_prefix}_SCOPES", "").replace(",", " ").split()
        self._scope = " ".join(scopes or facts.scopes)
        self._hosts = HostGuard(
            facts.allowed_hosts, environ.get(f"{facts.env_prefix}_ALLOWED_HOSTS", "")
        )

    def authorize_url(self, *, redirect_uri: str, state: str, code_challenge: str) -> str:
        return oauth.authorize_url(
            self._base + self._facts.authorize_path,
            client_id=self._client_id,
            redirect_uri=redirect_uri,
            scope=self._scope,
            state=state,
            code_challenge=code_challenge if self._facts.pkce else None,
        )

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str) -> TokenGrant:
        form = oauth.code_form(
            code=code,
            redirect_uri=redirect_uri,
            code_verifier=code_verifier if self._facts.pkce else None,
            client_id=self._client_id,
            client_secret=self._client_secret,
        )
        grant = self._grant(form)
        if grant.api_base_url is None:
            raise ProviderContractError(
                f"The identity server's answer holds no {self._facts.endpoint_from_token}, "
                "so the company's API address is unknown.",
                code="ENDPOINT_MISSING",
            )
        return replace(grant, api_base_url=self._hosts.check(grant.api_base_url))

    def refresh(self, refresh_token: str) -> TokenGrant:
        """An answer without an `endpoint` that may be used keeps the known one.

        The old refresh token is spent by then, so the new pair must not be thrown away.
        """
        grant = self._grant(
            oauth.refresh_form(
                refresh_token, client_id=self._client_id, client_secret=self._client_secret
            )
        )
        if grant.api_base_url is None:
            return grant
        try:
            return replace(grant, api_base_url=self._hosts.check(grant.api_base_url))
        except HostNotAllowed as error:
            _log.warning("endpoint_ignored at refresh: %s", error.message)
            return replace(grant, api_base_url=None)

    def _grant(self, form: dict[str, str]) -> TokenGrant:
        answer = self._poster.post_form(self._base + self._facts.token_path, form)
        return oauth.parse_token_answer(
            answer,
            endpoint_member=self._facts.endpoint_from_token,
            company_claim=self._facts.company_claim,
        )
