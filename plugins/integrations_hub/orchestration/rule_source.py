"""The enabled rules for parsing: one query, or the last good snapshot when the database is away."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from integrations_hub.domain.feature_flag import is_enabled
from integrations_hub.domain.rule import Rule
from integrations_hub.orchestration.hub_database import parse_database

if TYPE_CHECKING:
    from integrations_hub.store.database import Database

log = logging.getLogger(__name__)
_SNAPSHOT = "rules_snapshot.json"


class RuleSource:
    """Reads rules once per parse. No database error leaves it: one at parse time would hide every Dag of the file."""

    def __init__(self, only_dag_id: str | None = None) -> None:
        self.only_dag_id = only_dag_id
        self._database: Database | None = None

    def load(self) -> list[Rule]:
        """Enabled rules by Dag id; with `only_dag_id` at most that one. Empty while integrations are off."""
        if not is_enabled(os.environ):
            return []
        # outside the try: a broken installation must be a red import error, not a database that is away
        from integrations_hub.store.rules import PostgresRuleStore

        try:
            self._database = parse_database()
            rules = PostgresRuleStore(self._database).list_enabled()
        except Exception as error:  # noqa: BLE001 - whatever it is, the known Dags must stay
            log.warning("rules_not_read error=%s; using the last good snapshot", error)
            self._close()
            rules = _read_snapshot()
        else:
            if self.only_dag_id is None:
                _write_snapshot(rules)
        wanted = (rule for rule in rules if self.only_dag_id in (None, rule.dag_id))
        return sorted(wanted, key=lambda rule: rule.dag_id)

    def report(self, broken: Mapping[int, str]) -> None:
        """Tell the Hub's health which rules (by id) could not be built, best effort.

        A parse for one task says nothing about the others, so it reports nothing.
        """
        for rule_id, error in broken.items():
            log.error("dag_not_built rule_id=%s error=%s", rule_id, error)
        try:
            if self.only_dag_id is None and self._database is not None and not _in_maintenance():
                from integrations_hub.store.housekeeping import HousekeepingStore

                HousekeepingStore(self._database).report_broken(broken)
        except Exception as error:  # noqa: BLE001 - health must not cost the Dags
            log.warning("broken_rules_not_reported error=%s", error)
        finally:
            self._close()

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _in_maintenance() -> bool:
    from integrations_hub.admin.maintenance import reason

    return reason(os.environ) is not None


def _snapshot_path() -> Path:
    folder = os.environ.get("HUB_STATE_DIR") or os.environ.get("AIRFLOW_HOME") or "~/airflow"
    return Path(folder).expanduser() / _SNAPSHOT


def _read_snapshot() -> list[Rule]:
    try:
        return [_rule(**row) for row in json.loads(_snapshot_path().read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        log.warning("rules_snapshot_not_read error=%s; there are no rule Dags", error)
        return []


def _rule(*, scheduled_since: str, **row: Any) -> Rule:
    return Rule(scheduled_since=datetime.fromisoformat(scheduled_since), **row)


def _write_snapshot(rules: list[Rule]) -> None:
    """Replace the file as a whole (rename), only when it differs; readable by its owner only."""
    path = _snapshot_path()
    text = json.dumps([asdict(rule) for rule in rules], sort_keys=True, default=datetime.isoformat)
    try:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp beneath creates it with mode 0600
        with NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=_SNAPSHOT, delete=False
        ) as file:
            file.write(text)
        Path(file.name).replace(path)
    except OSError as error:
        log.warning("rules_snapshot_not_written path=%s error=%s", path, error)
