"""Composition root of metadata and sign-in: the provider folders, the key ring, the providers' auth clients.

Every secret that is read, opened or sealed here is hidden from this process's logs.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import cast

from integrations_hub.catalog.loader import load_folders
from integrations_hub.catalog.metadata import Provider
from integrations_hub.catalog.overlay import read_overlay
from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.credentials import ClientCredentials
from integrations_hub.errors import SettingInvalid
from integrations_hub.ports.provider import AuthClient
from integrations_hub.transport.form_post import RequestsFormPoster
from integrations_hub.transport.log_guard import GUARD, install
from integrations_hub.vault.keyring import Keyring


@lru_cache(maxsize=1)
def registry() -> Registry:
    """Every provider folder of the `providers` package, validated once per process.

    HUB_METADATA_OVERLAY is read here, as every process must see the same metadata.
    """
    package = importlib.import_module("providers")
    overlay = read_overlay(os.environ.get("HUB_METADATA_OVERLAY", ""))
    return load_folders([Path(str(one)) for one in package.__path__], overlay)


def keyring(environ: Mapping[str, str]) -> Keyring:
    """The ring of INTEGRATIONS_SECRET_KEY. Raises SecretKeyMissing."""
    install()
    setting = environ.get("INTEGRATIONS_SECRET_KEY", "")
    for key in setting.split(","):
        GUARD.hide(key.strip())
    return Keyring.from_setting(setting, on_open=_hide)


def _hide(plaintext: str) -> None:
    """A secret is a text, or a JSON object of texts."""
    try:
        found = json.loads(plaintext)
    except ValueError:
        found = None
    values = found.values() if isinstance(found, dict) else (plaintext,)
    for value in values:
        if isinstance(value, str):
            GUARD.hide(value)


def expected_company(provider: Provider, environ: Mapping[str, str]) -> str | None:
    """The company that an operator pinned (<PREFIX>_COMPANY_ID), None without one."""
    return environ.get(f"{provider.oauth.env_prefix}_COMPANY_ID") or None


def auth_client(provider: Provider, environ: Mapping[str, str]) -> AuthClient:
    """The provider's auth client with the client credentials of the environment."""
    prefix = provider.oauth.env_prefix
    missing = [n for n in (f"{prefix}_CLIENT_ID", f"{prefix}_CLIENT_SECRET") if not environ.get(n)]
    if missing:
        raise SettingInvalid(
            f"{provider.display_name} cannot be connected: {' and '.join(missing)} is not set.",
            hint="Set it in the environment of the api-server and restart it.",
        )
    own = ClientCredentials(environ[f"{prefix}_CLIENT_ID"], environ[f"{prefix}_CLIENT_SECRET"])
    return auth_client_for(provider, own, environ)


def auth_client_for(
    provider: Provider, credentials: ClientCredentials, environ: Mapping[str, str]
) -> AuthClient:
    """The provider's auth client for an app with these credentials."""
    install()
    GUARD.hide(credentials.client_secret)
    module = importlib.import_module(f"providers.{provider.key}.auth")
    return cast(
        "AuthClient",
        module.build(
            provider,
            poster=RequestsFormPoster(user_agent=provider.http.user_agent),
            client_id=credentials.client_id,
            client_secret=credentials.client_secret,
            environ=environ,
        ),
    )
