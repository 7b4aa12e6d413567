"""What Airflow lists about the Hub, checked by Airflow's own providers manager."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import airflow
import jsonschema
from airflow.providers_manager import ProvidersManager
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from integrations_hub.orchestration.hook import ProviderHook
from integrations_hub.orchestration.provider_folders import hook_class_name, provider_names
from integrations_hub.orchestration.provider_info import get_provider_info


def test_it_follows_airflows_schema() -> None:
    schema = Path(airflow.__file__).with_name("provider_info.schema.json")
    jsonschema.validate(get_provider_info(), json.loads(schema.read_text(encoding="utf-8")))


def test_airflow_finds_a_connection_type_per_provider_folder() -> None:
    assert "integrations-hub" in ProvidersManager().providers
    assert provider_names()
    for key, name in provider_names().items():
        hook = ProvidersManagerTaskRuntime().hooks[key]
        assert hook is not None
        assert hook.package_name == "integrations-hub"
        assert (hook.connection_type, hook.hook_name) == (key, name)


def test_the_form_has_no_field_that_would_be_ignored_or_hold_a_secret() -> None:
    for kind in get_provider_info()["connection-types"]:
        assert "conn-fields" not in kind
        assert {"password", "extra", "login"} <= set(kind["ui-field-behaviour"]["hidden-fields"])


def test_hook_classes_are_made_from_the_folders() -> None:
    assert hook_class_name("acme_crm") == "AcmeCrmHook"
    import integrations_hub.orchestration.hook as module

    for key in provider_names():
        assert issubclass(getattr(module, hook_class_name(key)), ProviderHook)
    assert not hasattr(module, "NoSuchHook")


def test_importing_it_costs_nothing_heavy() -> None:
    script = (
        "import sys; from integrations_hub.orchestration.provider_info import get_provider_info as info;"
        "info(); print([m for m in ('airflow','psycopg','requests','jsonschema','msgspec') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
