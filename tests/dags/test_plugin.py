"""plugins/ as Airflow's own loader sees it."""

from __future__ import annotations

import os
import subprocess
import sys

from airflow import plugins_manager

from tests.kit.airflow_env import REPOSITORY

_LOAD = """
import sys, warnings
warnings.simplefilter("ignore")
from tests.kit import airflow_env
airflow_env.prepare()
import airflow.settings
before = set(sys.modules)
from airflow._shared.plugins_manager.plugins_manager import _load_plugins_from_plugin_directory as load
plugins, errors = load(plugins_folder=str(airflow_env.REPOSITORY / "plugins"))
folder = str(airflow_env.REPOSITORY / "plugins")
top = [n for n, m in sys.modules.items() if "." not in n and n not in before
       and str(getattr(m, "__file__", "")).startswith(folder) and n != "integrations_hub"]
heavy = [n for n in ("bridge_api", "psycopg", "integrations_hub.wiring", "bridge_api.app") if n in sys.modules]
print([p.name for p in plugins], errors, top, heavy)
"""


def test_exactly_one_module_is_loaded_and_it_builds_no_bridge() -> None:
    out = subprocess.run(
        [sys.executable, "-c", _LOAD],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    expected = "['integrations_hub'] {} ['integrations_hub_plugin'] []"
    assert out.stdout.splitlines()[-1] == expected


def test_the_plugins_folder_holds_one_file_and_the_ignored_package() -> None:
    folder = REPOSITORY / "plugins"
    names = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
    assert names == {".airflowignore", "integrations_hub", "integrations_hub_plugin.py"}
    assert (folder / ".airflowignore").read_text(encoding="utf-8") == "integrations_hub/\n"


def test_airflow_knows_the_timetable() -> None:
    names = plugins_manager.get_timetables_plugins()
    assert "integrations_hub.orchestration.timetable.HubTimetable" in names
