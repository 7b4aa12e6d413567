"""What the bridge takes from the environment, read once when the app is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from integrations_hub import wiring
from integrations_hub.domain.feature_flag import is_enabled
from integrations_hub.errors import HubError, SettingInvalid


@dataclass(frozen=True)
class BridgeSettings:
    """`blocked_by`: why nothing but the liveness answers (no usable secret key), None when all is well.

    `public_url`: where browsers reach Airflow, without a trailing slash; None = this machine only.
    """

    enabled: bool
    public_url: str | None
    blocked_by: HubError | None
    environ: Mapping[str, str] = field(repr=False)

    @property
    def database_url(self) -> str:
        """Raises SettingInvalid when it is not set."""
        url = self.environ.get("HUB_DATABASE_URL", "")
        if not url:
            raise SettingInvalid(
                "HUB_DATABASE_URL is not set in the process that serves the bridge.",
                hint="Set it in the api-server's environment and restart it.",
            )
        return url


def read_settings(environ: Mapping[str, str]) -> BridgeSettings:
    """Never raises: a mounted bridge must not keep Airflow from starting."""
    enabled = is_enabled(environ)
    return BridgeSettings(
        enabled=enabled,
        public_url=environ.get("HUB_PUBLIC_URL", "").strip().rstrip("/") or None,
        blocked_by=_key_problem(environ) if enabled else None,
        environ=environ,
    )


def _key_problem(environ: Mapping[str, str]) -> HubError | None:
    try:
        wiring.keyring(environ)
    except HubError as error:
        return error
    return None
