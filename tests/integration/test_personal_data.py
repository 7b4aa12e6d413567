"""Personal data stays where it is used: projects, their links, the plan of changes and the kept bodies."""

from __future__ import annotations

from pathlib import Path

from tests.kit.bridge import API, BridgeKit
from tests.kit.leaks import SEALED, Needles, in_database, in_files
from tests.kit.personal import USED, plant
from tests.kit.sandbox import SandboxProcess
from tests.kit.sandbox_engine import SandboxEngine


def test_personal_data_stands_only_where_it_is_used(
    sandbox: SandboxProcess, database_url: str, log_file: Path
) -> None:
    engine = SandboxEngine(database_url, sandbox)
    kit = BridgeKit(database_url, **engine.environ)
    try:
        before = engine.run()
        planted = plant(sandbox)
        run = engine.run()
        assert run["rejected"] > before["rejected"]
        assert run["updated"] > 0
        answers = {
            path: kit.call("GET", path)
            for path in (
                f"{API}/jobs?connection=acme",
                f"/api/jobs/{run['id']}",
                f"/api/jobs/{run['id']}/download",
                f"{API}/projects/quarantine?connection=acme",
                f"{API}/projects/state?connection=acme",
                "/api/integrations/health",
                "/api/integrations/audit",
            )
        }
    finally:
        engine.close()
        kit.close()
    needles = Needles(planted)
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(
        answers, 200
    )
    told = {path: needles.in_text(answer.text) for path, answer in answers.items()}
    assert {path: what for path, what in told.items() if what} == {}
    assert in_files(needles, log_file.parent) == []
    assert in_database(needles, database_url, but=SEALED | USED) == []
    used = in_database(needles, database_url)
    assert any("sync_change" in where for where in used), "nothing was planted"
    assert any("hub.projects.lead" in where for where in used)
