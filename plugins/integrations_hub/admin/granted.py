"""What becomes of a token answer: the company it belongs to is judged, then the tokens are kept, sealed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from integrations_hub.catalog.metadata import Provider
from integrations_hub.domain.connection import Connection, TokenGrant
from integrations_hub.errors import ConfigurationError
from integrations_hub.ports.credentials import TokenStore, Vault
from integrations_hub.refresh import seal_pair


@dataclass(frozen=True)
class Asked:
    """Who asked for the tokens. `confirm_company_change`: another company than so far is meant."""

    actor: str
    request_id: str | None
    confirm_company_change: bool = False


@dataclass(frozen=True)
class Granted:
    """`check_host` pins an API base; `expected_company` is the operator's own pin, None without one."""

    tokens: TokenStore
    vault: Vault
    check_host: Callable[[Provider, str], str]
    expected_company: Callable[[Provider], str | None]

    def api_base(self, provider: Provider, connection: Connection, grant: TokenGrant) -> str:
        """Where the tokens may be used. Raises HostNotAllowed."""
        base = grant.api_base_url or provider.base_url_variants[connection.environment].url
        return self.check_host(provider, base)

    def keep(
        self,
        provider: Provider,
        connection: Connection,
        grant: TokenGrant,
        *,
        flow: str,
        refresh: str,
        asked: Asked,
        named_company: str | None = None,
    ) -> Connection:
        """Store the pair; `refresh` is what the broker spends for the next access token.

        Raises ConfigurationError for another company than expected, ConflictingChange, or
        HostNotAllowed; nothing is changed then.
        """
        found = grant.company_id or named_company
        company_id = self._company(provider, connection, found, asked.confirm_company_change)
        return self.tokens.save_connected(
            connection.id,
            seal_pair(self.vault, connection.id, access=grant.access_token, refresh=refresh),
            expires_in_s=grant.expires_in_s,
            api_base_url=self.api_base(provider, connection, grant),
            company_id=company_id,
            actor=asked.actor,
            request_id=asked.request_id,
            flow=flow,
            missing_scopes=grant.missing_scopes,
        )

    def _company(
        self, provider: Provider, connection: Connection, found: str | None, change: bool
    ) -> str:
        """The company that signed in; a silent change of company would mix two companies' data."""
        expected, prefix = self.expected_company(provider), provider.oauth.env_prefix
        company = found or expected or connection.company_id
        if not company:
            raise ConfigurationError(
                f"{provider.display_name} did not say which company signed in.",
                hint=f"Set {prefix}_COMPANY_ID to the company's id and connect again.",
                code="COMPANY_UNKNOWN",
            )
        if expected and company != expected:
            raise ConfigurationError(
                f"Company {company} signed in, but this Hub is set up for company {expected}.",
                hint=f"Sign in as company {expected}, or correct {prefix}_COMPANY_ID.",
                code="COMPANY_UNEXPECTED",
            )
        if connection.company_id and company != connection.company_id and not change:
            raise ConfigurationError(
                f"Company {company} signed in, but {connection.key} belongs to company "
                f"{connection.company_id}. Nothing was changed.",
                hint=(
                    f"Sign in as company {connection.company_id}, create another connection, or "
                    "start again and confirm the change of company."
                ),
                code="COMPANY_SWITCHED",
            )
        return company


def offered(provider: Provider, flow: str) -> None:
    """Raise ConfigurationError unless the provider's metadata lists the flow (D13)."""
    if flow not in provider.oauth.flows:
        listed = ", ".join(provider.oauth.flows)
        raise ConfigurationError(
            f"{provider.display_name} does not offer the flow {flow}: its metadata lists {listed}.",
            hint=(
                "If the provider does offer it, an operator adds it in the file that "
                "HUB_METADATA_OVERLAY names."
            ),
            code="FLOW_NOT_OFFERED",
        )
