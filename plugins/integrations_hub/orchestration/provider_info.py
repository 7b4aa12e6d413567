"""What Airflow lists about the Hub: one connection type per provider folder. Imported in every Airflow process."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from integrations_hub.orchestration.provider_folders import hook_class_name, provider_names

_PACKAGE = "integrations-hub"
_STANDARD_FIELDS = ["host", "schema", "login", "password", "port", "extra"]


def get_provider_info() -> dict[str, Any]:
    """Airflow's provider description.

    The form of a Hub connection has no field of its own and hides Airflow's: what is set in the Hub can't be set
    here, and no field may be ignored (D2).
    """
    return {
        "package-name": _PACKAGE,
        "name": "Integrations Hub",
        "description": "Outside systems in your PostgreSQL: one generated Dag per rule.",
        "versions": [version(_PACKAGE)],
        "integrations": [
            {"integration-name": name, "tags": ["integrations-hub"]}
            for name in provider_names().values()
        ],
        "connection-types": [
            {
                "connection-type": key,
                "hook-name": f"{name} (Integrations Hub)",
                "hook-class-name": f"integrations_hub.orchestration.hook.{hook_class_name(key)}",
                "ui-field-behaviour": {
                    "hidden-fields": _STANDARD_FIELDS,
                    "relabeling": {},
                    "placeholders": {},
                },
            }
            for key, name in provider_names().items()
        ],
    }
