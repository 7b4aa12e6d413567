"""What Airflow loads of the Hub: the timetable, and the bridge mounted at /hub in the api-server."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from integrations_hub.orchestration.timetable import HubTimetable


class IntegrationsHubPlugin(AirflowPlugin):
    """Every Airflow process loads this; only the api-server reads `fastapi_apps` and so builds the bridge."""

    name = "integrations_hub"
    timetables = [HubTimetable]  # noqa: RUF012 - Airflow's own class attribute

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The bridge behind Airflow's own sign-in, speaking to Airflow in this process."""
        from bridge_api.app import create_app
        from integrations_hub.orchestration.api_server import EmbeddedAuth, root_app
        from integrations_hub.orchestration.secret_ref import resolve

        app = create_app(EmbeddedAuth(), root_app, resolve=resolve)
        return [{"app": app, "url_prefix": "/hub", "name": "Integrations Hub"}]
