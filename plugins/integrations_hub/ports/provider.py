"""What a provider package offers; each of its modules exposes one build(...)."""

from __future__ import annotations

from typing import Protocol

from integrations_hub.domain.connection import TokenGrant
from integrations_hub.domain.listing import FilterProbe, ListQuery, RawPage


class Refresher(Protocol):
    """What the token broker needs of an identity server."""

    def refresh(self, refresh_token: str) -> TokenGrant:
        """One attempt, never repeated after an unknown outcome. Raises as AuthClient.exchange."""

    def revoke(self, token: str) -> bool:
        """End the grant behind a refresh token (or one access token); False: there is no way to.

        A token that is dead already is no error. Raises as AuthClient.exchange.
        """


class AuthClient(Refresher, Protocol):
    """providers/<key>/auth.py: `build(provider, poster, client_id, client_secret, environ)`."""

    @property
    def issuer(self) -> str:
        """What `iss` must be when a callback names it (RFC 9207)."""

    def authorize_url(self, *, redirect_uri: str, state: str, code_challenge: str) -> str: ...

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str) -> TokenGrant:
        """Raises GrantRejected, TransientError or ProviderContractError."""

    def client_credentials(self) -> TokenGrant:
        """A token for the app itself, without a person. Raises as `exchange`."""


class ObjectClient(Protocol):
    """providers/<key>/objects/<object>.py: `build(provider, obj, http) -> ObjectClient`."""

    def count(self, query: ListQuery) -> int: ...

    def page(self, query: ListQuery, number: int, size: int) -> RawPage:
        """Page `number` counts from 1; an empty page is b"[]"."""

    def presence(self, external_id: str) -> str:
        """What the provider says of one record.

        present | child (there, below another) | forbidden (403) | gone (404, 410) | unproven (unclear).
        """

    def probe_parent_only(self) -> FilterProbe: ...
