"""Every stored secret comes under the new key: killed in between, with runs going, and by the runbook's own commands."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from integrations_hub.admin.sealed_secrets import Secrets
from integrations_hub.cli import doctor
from integrations_hub.cli.main import app
from integrations_hub.errors import SecretKeyDropped
from integrations_hub.ports.credentials import Sealed, StartedFlow
from integrations_hub.refresh import purpose_of, seal_pair
from integrations_hub.store.audit import PostgresAuditStore
from integrations_hub.store.database import Database
from integrations_hub.store.oauth_flows import PostgresOAuthFlowStore
from integrations_hub.store.sealed_secrets import PostgresSecretStore
from integrations_hub.store.tokens import PostgresTokenStore
from integrations_hub.vault.keyring import Keyring
from tests.kit.fake_tokens import FakeIdp
from tests.kit.hub_process import clean_environment, hub
from tests.kit.stored_tokens import broker

ROOT = Path(__file__).resolve().parents[2]
OLD_KEY, NEW_KEY = Keyring.new_key(), Keyring.new_key()
OLD, NEW = Keyring.from_setting(OLD_KEY), Keyring.from_setting(NEW_KEY)
BOTH = Keyring.from_setting(f"{NEW_KEY},{OLD_KEY}")


def fill(database: Database, n: int, ring: Keyring = OLD, prefix: str = "c") -> list[int]:
    """`n` connected connections whose tokens `ring` sealed."""
    store, ids = PostgresTokenStore(database), []
    for i in range(n):
        row = database.row(
            "INSERT INTO hub.integration_connection (provider_key, key, label, environment)"
            " VALUES ('acme', %(key)s, 'l', 'production') RETURNING id",
            {"key": f"{prefix}{i}"},
        )
        assert row is not None
        ids.append(row["id"])
        store.save_connected(
            row["id"],
            seal_pair(ring, row["id"], access=f"a{i}", refresh=f"r{i}"),
            expires_in_s=3600,
            api_base_url="https://api.example/x",
            company_id=f"{prefix}{i}",
            actor="ann",
            request_id=None,
        )
    return ids


def start_flow(database: Database, connection_id: int, ring: Keyring, nonce: str = "n") -> None:
    verifier = ring.seal("verifier", purpose=f"{connection_id}:oauth_verifier")
    PostgresOAuthFlowStore(database).start(
        StartedFlow(connection_id, verifier, "https://hub.example/cb"),
        nonce_hash=nonce,
        actor="ann",
        cookie_hash="c",
        ttl_s=600,
    )


def opened(database: Database, ring: Keyring) -> dict[int, str]:
    """Refresh token by connection, of those that `ring` opens."""
    rows = database.rows("SELECT connection_id AS id, key_id, ciphertext FROM hub.encrypted_secret")
    found = {}
    for row in rows:
        sealed = Sealed(row["key_id"], bytes(row["ciphertext"]))
        if ring.can_open(sealed):
            pair = json.loads(ring.open(sealed, purpose=purpose_of(row["id"])))
            found[row["id"]] = pair["refresh_token"]
    return found


def secrets(database: Database, ring: Keyring) -> Secrets:
    return Secrets(ring, PostgresSecretStore(database))


def rotate(database: Database, ring: Keyring = BOTH, batch: int = 3) -> Any:
    return secrets(database, ring).rotate(actor="cli:ann", progress=lambda *_: None, batch=batch)


def test_all_come_under_the_first_key_with_their_content_and_an_entry(database: Database) -> None:
    ids = fill(database, 7)
    start_flow(database, ids[0], OLD)
    told: list[tuple[int, int]] = []
    done = secrets(database, BOTH).rotate(
        actor="cli:ann", progress=lambda *now: told.append(now), batch=3
    )
    assert (done.done, done.total, done.current, done.rotated) == (True, 8, 8, 8)
    assert done.keys == {NEW.key_id: 8}
    assert told[:4] == [(3, 8), (6, 8), (7, 8), (8, 8)]
    assert opened(database, NEW) == {ids[i]: f"r{i}" for i in range(7)}
    flow = PostgresOAuthFlowStore(database).consume(nonce_hash="n", actor="ann", cookie_hash="c")
    assert flow is not None
    assert NEW.open(flow.verifier, purpose=f"{ids[0]}:oauth_verifier") == "verifier"
    entries = PostgresAuditStore(database).page(action="secrets.rotated")
    assert sum(entry.detail["rows"] for entry in entries) == 8
    assert {(entry.actor, entry.target) for entry in entries} == {("cli:ann", f"key:{NEW.key_id}")}


def test_again_changes_nothing(database: Database) -> None:
    fill(database, 3)
    rotate(database)
    before = database.rows("SELECT id, version, ciphertext FROM hub.encrypted_secret ORDER BY id")
    assert rotate(database).rotated == 0
    assert before == database.rows(
        "SELECT id, version, ciphertext FROM hub.encrypted_secret ORDER BY id"
    )


def test_a_finished_sign_in_holds_no_key(database: Database) -> None:
    (connection_id,) = fill(database, 1, NEW)
    start_flow(database, connection_id, OLD, "spent")
    start_flow(database, connection_id, OLD, "expired")
    flows = PostgresOAuthFlowStore(database)
    assert flows.consume(nonce_hash="spent", actor="ann", cookie_hash="c") is not None
    database.execute(
        "UPDATE hub.oauth_flow SET expires_at = clock_timestamp() WHERE nonce_hash = 'expired'"
    )
    assert secrets(database, NEW).report().done
    secrets(database, NEW).refuse_dropped_keys()


def test_a_secret_written_meanwhile_is_not_overwritten(database: Database) -> None:
    (connection_id,) = fill(database, 1)
    store = PostgresSecretStore(database)
    ((row,),) = list(store.batches(10))
    fresh = seal_pair(OLD, connection_id, access="a", refresh="newer")
    PostgresTokenStore(database).save_connected(
        connection_id, fresh, expires_in_s=60, api_base_url="https://api.example/x",
        company_id="c0", actor="ann", request_id=None,
    )  # fmt: skip
    assert store.replace([(row, BOTH.rotate(row.sealed))], actor="cli:ann") == 0
    assert PostgresAuditStore(database).page(action="secrets.rotated") == []
    assert opened(database, BOTH) == {connection_id: "newer"}
    assert rotate(database).rotated == 1
    assert opened(database, NEW) == {connection_id: "newer"}


def test_a_wrong_label_is_mended_and_an_unreadable_row_is_left_and_named(
    database: Database,
) -> None:
    ids = fill(database, 3)
    database.execute(
        "UPDATE hub.encrypted_secret SET key_id = 'aaaaaaaaaaaa' WHERE connection_id = %(id)s",
        {"id": ids[0]},
    )
    database.execute(
        "UPDATE hub.encrypted_secret SET ciphertext = 'broken' WHERE connection_id = %(id)s",
        {"id": ids[1]},
    )
    done = rotate(database)
    assert (done.done, done.current, done.total, len(done.unreadable)) == (False, 2, 3, 1)
    assert opened(database, NEW) == {ids[0]: "r0", ids[2]: "r2"}


# --- runs go on ----------------------------------------------------------------------------------


def test_tokens_are_served_and_refreshed_all_the_while(database: Database) -> None:
    """Eight rotations to and fro under a broker that refreshes as fast as it can."""
    ids = fill(database, 4)
    idp, failures, stop = FakeIdp(), [], threading.Event()

    def serve(connection_id: int) -> None:
        own = database.fork()
        try:
            served_by = broker(own, idp, BOTH)
            while not stop.is_set():
                version = PostgresTokenStore(own).read(connection_id)[0].token_version
                PostgresTokenStore(own).reject(connection_id, version)  # asks for a refresh
                served = served_by.serve(connection_id, wait_s=10)
                if served.state != "ready" or served.token_version <= version:
                    failures.append(served)
        finally:
            own.close()

    threads = [threading.Thread(target=serve, args=(one,)) for one in ids]
    for thread in threads:
        thread.start()
    try:
        for turn in range(8):
            first, second = (NEW_KEY, OLD_KEY) if turn % 2 == 0 else (OLD_KEY, NEW_KEY)
            rotate(database, Keyring.from_setting(f"{first},{second}"), batch=2)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    rotate(database)
    assert sorted(opened(database, NEW)) == sorted(ids)


# --- killed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.deep)])
def test_a_killed_rotation_loses_nothing_and_goes_on(
    database: Database, database_url: str, tmp_path: Path, kills: int
) -> None:
    ids = fill(database, 24)
    everything = {ids[i]: f"r{i}" for i in range(24)}
    dice = random.Random(kills)
    for turn in range(kills):
        if opened(database, NEW) == everything:  # all done before the last kill: back to the start
            rotate(database, Keyring.from_setting(f"{OLD_KEY},{NEW_KEY}"))
        before = len(opened(database, NEW))
        place = dice.choice(["secret_replaced", "secrets_committed"])
        nth = dice.randint(1, 6 if place == "secret_replaced" else 2)
        done = hub(
            tmp_path / f"state{turn}", "secrets", "rotate", "--batch", "3",
            HUB_DATABASE_URL=database_url, INTEGRATIONS_SECRET_KEY=f"{NEW_KEY},{OLD_KEY}",
            HUB_TESTING="1", HUB_FAILPOINT=f"{place}:{nth}:kill",
        )  # fmt: skip
        if done.returncode == 0:  # fewer batches were left than the kill waited for
            assert opened(database, NEW) == everything
            continue
        assert done.returncode == -signal.SIGKILL
        assert opened(database, BOTH) == everything
        # whole batches only: what the killed transaction had changed is as it was
        assert (len(opened(database, NEW)) - before) % 3 == 0
    done = hub(
        tmp_path, "secrets", "rotate", "--json",
        HUB_DATABASE_URL=database_url, INTEGRATIONS_SECRET_KEY=f"{NEW_KEY},{OLD_KEY}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["current"] == 24
    assert "of 24 secrets" in done.stderr
    assert opened(database, NEW) == everything
    assert PostgresAuditStore(database).verify().sound


# --- the runbook ---------------------------------------------------------------------------------


def _blocks() -> list[str]:
    page = (ROOT / "docs" / "runbooks" / "key-rotation.md").read_text(encoding="utf-8")
    found = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
    assert page.count("```") == 2 * len(found), "a block of the page is not run by this test"
    assert len(found) == 5
    return found


def _bash(folder: Path, script: str, **settings: str) -> subprocess.CompletedProcess[str]:
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    command = bin_folder / "hub"
    run = "from integrations_hub.cli.main import app; app()"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{run}" "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=clean_environment(folder, **{**settings, "PATH": path}),
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


def test_the_runbooks_commands_do_what_the_page_says(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    *rotation, lost = _blocks()
    ids = fill(database, 5)
    done = _bash(
        tmp_path,
        "\n".join([*rotation, 'echo "$INTEGRATIONS_SECRET_KEY" > "$HUB_STATE_DIR/ring"']),
        HUB_DATABASE_URL=database_url,
        INTEGRATIONS_SECRET_KEY=OLD_KEY,
    )
    assert done.returncode == 0, done.stderr
    assert "0 of 5 secrets" in done.stdout  # what the first --verify says
    assert "5 of 5 secrets" in done.stdout
    assert "secrets.rotated" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["done"] is True
    ring = (tmp_path / "ring").read_text(encoding="utf-8").strip()
    assert "," not in ring
    new = Keyring.from_setting(ring)
    assert opened(database, new) == {ids[i]: f"r{i}" for i in range(5)}

    (gone,) = fill(database, 1, Keyring.from_setting(Keyring.new_key()), prefix="lost")
    done = _bash(tmp_path, lost, HUB_DATABASE_URL=database_url, INTEGRATIONS_SECRET_KEY=ring)
    assert done.returncode == 0, done.stderr
    assert "1 secrets dropped; 1 connections must be reconnected" in done.stdout
    assert sorted(opened(database, new)) == sorted(ids)
    row = database.row(
        "SELECT needs_reauth, reauth_reason FROM hub.integration_connection WHERE id = %(id)s",
        {"id": gone},
    )
    assert row == {"needs_reauth": True, "reauth_reason": "secret_lost"}
    assert "secrets.forgotten" in {e.action for e in PostgresAuditStore(database).page()}


# --- a key in use is never dropped ---------------------------------------------------------------


def test_a_dropped_key_is_refused_with_the_rows_of_each_key(database: Database) -> None:
    third = Keyring.from_setting(Keyring.new_key())
    ids = fill(database, 3)
    start_flow(database, ids[0], OLD)
    fill(database, 1, third, prefix="d")
    fill(database, 2, NEW, prefix="e")
    with pytest.raises(SecretKeyDropped) as refused:
        secrets(database, NEW).refuse_dropped_keys()
    assert f"key {OLD.key_id} (4 rows)" in refused.value.message
    assert f"key {third.key_id} (1 rows)" in refused.value.message
    assert NEW.key_id not in refused.value.message


@pytest.mark.parametrize("command", [["up", "--port", "0"], ["prepare"]], ids=lambda c: c[0])
def test_our_own_processes_end_with_the_sentence(
    database: Database, database_url: str, tmp_path: Path, command: list[str]
) -> None:
    fill(database, 2)
    done = hub(
        tmp_path / "state", *command, HUB_DATABASE_URL=database_url,
        INTEGRATIONS_SECRET_KEY=NEW_KEY, RUN_MIGRATIONS_ON_START="true",
    )  # fmt: skip
    assert done.returncode == 1
    assert f"SECRET_KEY_DROPPED: INTEGRATIONS_SECRET_KEY lacks a key that stored secrets need: key {OLD.key_id} (2 rows)." in done.stderr  # fmt: skip
    assert "hub secrets rotate" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_says_it(database: Database, database_url: str, tmp_path: Path) -> None:
    fill(database, 2)

    def found(ring: str) -> doctor.Finding:
        environ = {"HUB_DATABASE_URL": database_url, "HUB_STATE_DIR": str(tmp_path)}
        findings = doctor.diagnose({**environ, "INTEGRATIONS_SECRET_KEY": ring}, ROOT, 0)
        return next(one for one in findings if one.check == "stored secrets")

    assert not found(NEW_KEY).ok
    assert f"{OLD.key_id} (2 rows)" in found(NEW_KEY).text
    assert found(f"{NEW_KEY},{OLD_KEY}").ok


def test_forgetting_drops_only_what_no_key_opens(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, 2)
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    monkeypatch.setenv("INTEGRATIONS_SECRET_KEY", f"{NEW_KEY},{OLD_KEY}")
    done = CliRunner().invoke(app, ["secrets", "forget", "--json"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"connections": []})
    monkeypatch.setenv("INTEGRATIONS_SECRET_KEY", NEW_KEY)
    refused = CliRunner().invoke(app, ["secrets", "forget"], input="n\n")
    assert refused.exit_code == 1
    assert len(opened(database, OLD)) == 2
