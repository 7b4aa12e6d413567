"""The auth client that most providers need: OAuth 2.0 as their metadata declares it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from integrations_hub.catalog.metadata import Provider
from integrations_hub.domain.connection import TokenGrant
from integrations_hub.errors import HostNotAllowed, ProviderContractError
from integrations_hub.ports.outside import FormPoster, HttpResponse
from integrations_hub.transport import oauth
from integrations_hub.transport.hosts import check_base_url, host_guard
from integrations_hub.transport.log_guard import GUARD

_log = logging.getLogger(__name__)
_FOR_PEOPLE = ("openid", "offline_access")  # scopes that mean nothing without a person


class StandardAuth:
    """Fulfils ports.AuthClient.

    <PREFIX>_AUTH_BASE_URL, <PREFIX>_SCOPES and <PREFIX>_ALLOWED_HOSTS override the metadata. An API
    base that a token answer names is used only on a pinned host.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        poster: FormPoster,
        client_id: str,
        client_secret: str,
        environ: Mapping[str, str],
    ) -> None:
        facts = provider.oauth
        setting = f"{facts.env_prefix}_AUTH_BASE_URL"
        own_base = environ.get(setting)
        self._facts = facts
        self._poster = poster
        self._client_id = client_id
        self._client_secret = client_secret
        self._base = check_base_url(own_base or facts.auth_base_url, setting=setting)
        scopes = environ.get(f"{facts.env_prefix}_SCOPES", "").replace(",", " ").split()
        self._scope = " ".join(scopes or facts.scopes)
        self._hosts = host_guard(provider, environ)
        self._issuer = self._base if own_base else facts.issuer or self._base

    @property
    def issuer(self) -> str:
        """The metadata's, or the base that an operator set."""
        return self._issuer

    def authorize_url(self, *, redirect_uri: str, state: str, code_challenge: str) -> str:
        """Where to send the browser."""
        return oauth.authorize_url(
            self._base + self._facts.authorize_path,
            client_id=self._client_id,
            redirect_uri=redirect_uri,
            scope=self._scope,
            state=state,
            code_challenge=code_challenge if self._facts.pkce else None,
        )

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str) -> TokenGrant:
        """Raises HostNotAllowed, or ProviderContractError without the API base that is declared."""
        GUARD.hide(code)
        form = oauth.code_form(
            code=code,
            redirect_uri=redirect_uri,
            code_verifier=code_verifier if self._facts.pkce else None,
            client_id=self._client_id,
            client_secret=self._client_secret,
        )
        grant = self._grant(form, self._scope)
        if grant.api_base_url is None and self._facts.endpoint_from_token:
            raise ProviderContractError(
                f"The identity server's answer holds no {self._facts.endpoint_from_token}, "
                "so the company's API address is unknown.",
                code="ENDPOINT_MISSING",
            )
        return self._pinned(grant)

    def refresh(self, refresh_token: str) -> TokenGrant:
        """An answer without an API base that may be used keeps the known one.

        The old refresh token is spent by then, so the new pair must not be thrown away.
        """
        form = oauth.refresh_form(
            refresh_token, client_id=self._client_id, client_secret=self._client_secret
        )
        grant = self._grant(form, self._scope)
        try:
            return self._pinned(grant)
        except HostNotAllowed as error:
            _log.warning("endpoint_ignored at refresh: %s", error.message)
            return replace(grant, api_base_url=None)

    def client_credentials(self) -> TokenGrant:
        """Raises HostNotAllowed for an API base that is not pinned."""
        scope = " ".join(one for one in self._scope.split() if one not in _FOR_PEOPLE)
        form = oauth.client_credentials_form(
            client_id=self._client_id, client_secret=self._client_secret, scope=scope
        )
        return self._pinned(self._grant(form, scope))

    def revoke(self, token: str) -> bool:
        """The identity server ends the whole grant with its refresh token."""
        if self._facts.revocation_path is None:
            return False
        form = oauth.revocation_form(
            token, client_id=self._client_id, client_secret=self._client_secret
        )
        oauth.accept_revocation(self._post(form, self._facts.revocation_path))
        return True

    def _pinned(self, grant: TokenGrant) -> TokenGrant:
        if grant.api_base_url is None:
            return grant
        return replace(grant, api_base_url=self._hosts.check(grant.api_base_url))

    def _grant(self, form: dict[str, str], scope: str) -> TokenGrant:
        grant = oauth.parse_token_answer(
            self._post(form, self._facts.token_path),
            endpoint_member=self._facts.endpoint_from_token,
            company_claim=self._facts.company_claim,
        )
        return replace(grant, missing_scopes=oauth.missing_scopes(scope, grant.scope))

    def _post(self, form: dict[str, str], path: str) -> HttpResponse:
        url = self._base + path
        if self._facts.client_auth == "body":
            return self._poster.post_form(url, form)
        named = ("client_id", "client_secret")
        bare = {name: value for name, value in form.items() if name not in named}
        return self._poster.post_form(url, bare, basic=(self._client_id, self._client_secret))
