"""The demo's summaries, and their comparison with what the sandbox knows to be true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from integrations_hub.errors import HubError

_SHOWN = {
    "state": "state",
    "records": "records read",
    "children": "children skipped",
    "created": "created",
    "updated": "updated",
    "unchanged": "unchanged",
    "rejected": "rejected",
    "requests": "requests to the provider",
}


def show(title: str, job: Mapping[str, Any]) -> None:
    """One run's summary on stdout."""
    table = Table(title=title, show_header=False, title_justify="left", title_style="bold")
    for key, label in _SHOWN.items():
        table.add_row(label, str(job.get(key, "")))
    Console(width=72, highlight=False).print(table)


def compare(title: str, job: Mapping[str, Any], expected: Mapping[str, int]) -> None:
    """Raise HubError naming every count that differs from the truth."""
    wrong = [
        f"{_SHOWN.get(name, name)} is {job.get(name)}, the sandbox says {count}"
        for name, count in expected.items()
        if job.get(name) != count
    ]
    if wrong:
        raise HubError(
            f"{title} ended {job.get('state')} and does not match the sandbox: {'; '.join(wrong)}.",
            hint="Look at the run in the Hub and at the task logs in Airflow.",
            code="DEMO_DIFFERS",
        )
