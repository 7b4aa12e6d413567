"""Apps, consents and tokens. Tokens are kept as hashes only, so the state file holds no secret."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

from providers.bqe.sandbox.clock import Clock
from providers.bqe.sandbox.people import fixed_id

KNOWN_SCOPES = (
    "read:core",
    "readwrite:core",
    "offline_access",
    "openid",
    "profile",
    "email",
    "address",
)


@dataclass(frozen=True)
class App:
    """A registration in the developer portal; no `secret` = a public (native) app."""

    client_id: str
    label: str
    secret: str | None = None
    offline: bool = True


@dataclass(frozen=True)
class Company:
    """A tenant that a person may choose on the consent page."""

    key: str
    name: str
    has_projects: bool = True

    @property
    def company_id(self) -> str:
        """The `companyId` claim."""
        return fixed_id("company", self.key)


APPS = {
    app.client_id: app
    for app in (
        App("hub-sandbox-web", "Integrations Hub (sandbox app)", "hub-sandbox-secret"),
        App("hub-sandbox-native", "Native app (sandbox)", offline=False),
        App(
            "hub-sandbox-web-no-offline",
            "Web app without offline access (sandbox)",
            "hub-sandbox-secret",
            offline=False,
        ),
    )
}
COMPANIES = {
    company.key: company
    for company in (
        Company("A", "Aurora Studio Ltd"),
        Company("B", "Birchwood Interiors Ltd"),
        Company("C", "Cinder & Clay Landscape Ltd", has_projects=False),
    )
}


@dataclass
class Grant:
    """One consent: which app may see which company, with which scopes."""

    client_id: str
    company: str
    scope: str
    consented_at: float


@dataclass(frozen=True)
class Bearer:
    """What a valid access token stands for."""

    client_id: str
    company: str
    scopes: frozenset[str]


@dataclass
class GrantStore:
    """Codes, refresh tokens and access tokens, by hash."""

    clock: Clock
    static_token: str | None = None
    grants: dict[str, Grant] = field(default_factory=dict)
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    refresh: dict[str, dict[str, Any]] = field(default_factory=dict)
    access: dict[str, dict[str, Any]] = field(default_factory=dict)

    def new_code(self, grant: Grant, **details: str | float | None) -> str:
        """Remember a consent; `details` come back from `spend_code`."""
        grant_id, code = secrets.token_hex(8), secrets.token_urlsafe(24)
        self.grants[grant_id] = grant
        self.codes[token_hash(code)] = {"grant": grant_id, **details}
        return code

    def spend_code(self, code: str) -> dict[str, Any] | None:
        """The code's details, once."""
        return self.codes.pop(token_hash(code), None)

    def new_access(self, grant_id: str, lifetime_s: int) -> str:
        """An access token for `lifetime_s` seconds of the sandbox's clock."""
        token = secrets.token_urlsafe(32)
        now = self.clock.epoch()
        self.access = {
            key: value for key, value in self.access.items() if value["expires_at"] > now - 86_400
        }
        self.access[token_hash(token)] = {"grant": grant_id, "expires_at": now + lifetime_s}
        return token

    def new_refresh(self, grant_id: str) -> str:
        """A refresh token; the grant's earlier one is dead from now on."""
        token = secrets.token_urlsafe(32)
        for entry in self.refresh.values():
            if entry["grant"] == grant_id:
                entry["live"] = False
        self.refresh[token_hash(token)] = {"grant": grant_id, "live": True}
        return token

    def find_refresh(self, token: str) -> dict[str, Any] | None:
        """A refresh token's entry, `live` or spent; None when it is unknown."""
        return self.refresh.get(token_hash(token))

    def bearer(self, token: str) -> Bearer | None:
        """Who an access token speaks for; None when it is unknown, expired or revoked."""
        if self.static_token and secrets.compare_digest(token, self.static_token):
            return Bearer("hub-sandbox-web", "A", frozenset({"read:core"}))
        entry = self.access.get(token_hash(token))
        if entry is None or entry["expires_at"] <= self.clock.epoch():
            return None
        grant = self.grants[entry["grant"]]
        return Bearer(grant.client_id, grant.company, frozenset(grant.scope.split()))

    def revoke_token(self, token: str) -> None:
        """A refresh token takes its whole grant with it, an access token only itself."""
        key = token_hash(token)
        self.access.pop(key, None)
        entry = self.refresh.get(key)
        if entry is not None:
            self.revoke_family(entry["grant"])

    def revoke_family(self, grant_id: str) -> None:
        """Kill every token of one consent."""
        for entry in self.refresh.values():
            if entry["grant"] == grant_id:
                entry["live"] = False
        self.access = {
            key: value for key, value in self.access.items() if value["grant"] != grant_id
        }

    def revoke_all(self, *, access: bool, grant: bool) -> None:
        """Kill all access tokens, all refresh tokens, or both (the static token stays)."""
        if access:
            self.access.clear()
        if grant:
            for entry in self.refresh.values():
                entry["live"] = False

    def forget(self) -> None:
        """Drop every consent and token."""
        self.grants, self.codes, self.refresh, self.access = {}, {}, {}, {}

    def saved(self) -> dict[str, Any]:
        """For the state file."""
        grants = {key: vars(grant) for key, grant in self.grants.items()}
        return {
            "grants": grants,
            "codes": self.codes,
            "refresh": self.refresh,
            "access": self.access,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """From the state file."""
        self.grants = {key: Grant(**value) for key, value in saved["grants"].items()}
        self.codes, self.refresh, self.access = saved["codes"], saved["refresh"], saved["access"]


def token_hash(token: str) -> str:
    """The name under which a token is kept and recorded."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]
