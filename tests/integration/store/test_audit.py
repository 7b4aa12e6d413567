"""The audit chain on a real database: nothing is changed, taken out or cut off unnoticed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from typer.testing import CliRunner

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from integrations_hub.cli.main import app
from integrations_hub.domain.audit import AuditHead
from integrations_hub.store.audit import PostgresAuditStore, record
from integrations_hub.store.database import Database
from integrations_hub.store.housekeeping import HousekeepingStore
from integrations_hub.store.migrate import downgrade, upgrade

_TAMPER = "SET session_replication_role = replica"  # what a superuser can do: no trigger fires


def add(database: Database, n: int, actor: str = "ada") -> None:
    for i in range(n):
        PostgresAuditStore(database).add(
            actor=actor, action="rule.saved", target=f"rule:{i}", detail={"n": i}, request_id=None
        )


def tamper(database: Database, *statements: str) -> None:
    """As the server's superuser, who can switch triggers off."""
    with database.transaction() as tx:
        tx.execute(_TAMPER)
        for statement in statements:
            tx.execute(statement)
        tx.execute("RESET session_replication_role")


def kinds(database: Database, noted: AuditHead | None = None) -> list[tuple[str, int]]:
    # a batch of 3: what lies at the border of two batches is found, too
    found = PostgresAuditStore(database, batch=3).verify(noted).problems
    return [(problem.kind, problem.seq) for problem in found]


def test_a_chain_as_written_is_sound(database: Database) -> None:
    assert PostgresAuditStore(database).verify().sound
    add(database, 10)
    verdict = PostgresAuditStore(database, batch=3).verify()
    assert (verdict.sound, verdict.entries, verdict.head.seq) == (True, 10, 10)
    rows = database.rows("SELECT * FROM hub.hub_v_audit ORDER BY seq")
    assert list(rows[0]) == ["seq", "at", "actor", "action", "target", "prev", "hash"]
    assert [row["prev"] for row in rows[1:]] == [row["hash"] for row in rows[:-1]]


@pytest.mark.parametrize(
    "edit",
    [
        "actor = 'eve'",
        "action = 'rule.read'",
        "target = 'rule:9'",
        "at = at + interval '1 microsecond'",
        "request_id = 'other'",
        """detail = '{"n": 5.0}'""",
    ],
)
def test_an_edited_entry_is_found(database: Database, edit: str) -> None:
    add(database, 8)
    tamper(database, f"UPDATE hub.audit_log SET {edit} WHERE seq = 4")
    assert kinds(database) == [("edited", 4)]


def test_an_edited_entry_with_a_hash_to_match_is_found_by_the_next_one(database: Database) -> None:
    add(database, 8)
    tamper(
        database,
        "UPDATE hub.audit_log SET actor = 'eve' WHERE seq = 4",
        "UPDATE hub.audit_log a SET hash = hub.audit_hash(a) WHERE seq = 4",
    )
    assert kinds(database) == [("replaced", 4)]


@pytest.mark.parametrize(("gone", "first"), [("seq = 1", 1), ("seq = 4", 4), ("seq IN (3, 4)", 3)])
def test_a_deleted_entry_is_found(database: Database, gone: str, first: int) -> None:
    add(database, 8)
    tamper(database, f"DELETE FROM hub.audit_log WHERE {gone}")
    assert kinds(database) == [("missing", first)]


def test_a_dropped_tail_is_found(database: Database) -> None:
    add(database, 8)
    tamper(database, "DELETE FROM hub.audit_log WHERE seq > 6")
    assert kinds(database) == [("tail_dropped", 7)]
    tamper(database, "DELETE FROM hub.audit_log")
    assert kinds(database) == [("tail_dropped", 1)]


def test_a_log_rewritten_as_a_whole_is_found_by_the_head_that_was_told(database: Database) -> None:
    add(database, 8)
    noted = HousekeepingStore(database).audit_head_to_tell()
    assert noted is not None
    tamper(
        database,
        "DELETE FROM hub.audit_log WHERE seq > 6",
        "UPDATE hub.audit_head h SET seq = 6, hash = a.hash FROM hub.audit_log a WHERE a.seq = 6",
    )
    assert kinds(database) == []  # sound in itself
    add(database, 4)
    assert kinds(database) == []
    assert kinds(database, noted) == [("rewritten", 8)]


def test_the_head_is_told_once_an_hour(database: Database) -> None:
    store = HousekeepingStore(database)
    add(database, 2)
    told = store.audit_head_to_tell()
    assert told == PostgresAuditStore(database).head()
    add(database, 1)
    assert store.audit_head_to_tell() is None
    database.execute("UPDATE hub.heartbeat SET at = at - interval '61 min'")
    assert store.audit_head_to_tell() == PostgresAuditStore(database).head()


def test_the_head_is_not_written_by_hand(database: Database) -> None:
    add(database, 1)
    for statement in (
        "UPDATE hub.audit_head SET seq = 0",
        "DELETE FROM hub.audit_head",
        "TRUNCATE hub.audit_head",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute(statement)


def test_a_writer_chooses_neither_number_nor_time_nor_hash(database: Database) -> None:
    database.execute(
        "INSERT INTO hub.audit_log (seq, at, actor, action, target, prev, hash)"
        " VALUES (77, '2020-01-01', 'eve', 'a', 't', 'p', 'h')"
    )
    assert kinds(database) == []
    (row,) = database.rows("SELECT seq, at > now() - interval '1 hour' AS now FROM hub.audit_log")
    assert row == {"seq": 1, "now": True}


def test_eight_writers_leave_no_gap_and_what_rolls_back_leaves_no_entry(database: Database) -> None:
    def write(worker: int) -> None:
        own = database.fork()
        try:
            for i in range(25):
                if i % 5 == 4:
                    with pytest.raises(RuntimeError), own.transaction() as tx:
                        record(tx, actor="x", action="a", target="t", detail={}, request_id=None)
                        raise RuntimeError
                else:
                    add(own, 1, actor=f"w{worker}")
        finally:
            own.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    verdict = PostgresAuditStore(database, batch=50).verify()
    assert (verdict.sound, verdict.entries, verdict.head.seq) == (True, 160, 160)
    assert database.rows("SELECT 1 FROM hub.audit_log WHERE actor = 'x'") == []


def test_a_check_while_others_write_is_sound(database: Database) -> None:
    add(database, 30)
    with ThreadPoolExecutor(1) as pool:
        own = database.fork()
        writing = pool.submit(add, own, 60)
        while not writing.done():
            assert PostgresAuditStore(database, batch=7).verify().sound
        writing.result()
        own.close()


def test_an_action_whose_entry_fails_does_not_happen(database: Database) -> None:
    tamper(database, "DELETE FROM hub.audit_head")
    with pytest.raises(psycopg.errors.NoDataFound), database.transaction() as tx:
        tx.execute("INSERT INTO hub.projects (name) VALUES ('A')")
        record(tx, actor="ada", action="a", target="t", detail={}, request_id=None)
    assert database.rows("SELECT 1 FROM hub.projects") == []


def test_a_log_from_before_the_chain_is_chained_in_its_order(postgres: EmbeddedPostgres) -> None:
    url = postgres.create_database("audit_upgrade")
    upgrade(url, "0003")
    database = Database.from_url(url)
    try:
        for n in (1, 2, 3):
            values = {"n": f"t{n}"}
            insert = "INSERT INTO hub.audit_log (actor, action, target) VALUES ('ada', 'a', %(n)s)"
            database.execute(insert, values)
            with pytest.raises(RuntimeError), database.transaction() as tx:
                tx.execute(insert, values)
                raise RuntimeError  # its number is spent: a gap that nobody made
        upgrade(url)
        rows = database.rows("SELECT seq, target FROM hub.audit_log ORDER BY seq")
        assert rows == [{"seq": n, "target": f"t{n}"} for n in (1, 2, 3)]
        add(database, 1)
        assert PostgresAuditStore(database).verify().sound
        downgrade(url, "0003")
        database.execute("INSERT INTO hub.audit_log (actor, action, target) VALUES ('b', 'a', 't')")
        upgrade(url)
        verdict = PostgresAuditStore(database).verify()
        assert (verdict.sound, verdict.entries) == (True, 5)
    finally:
        database.close()


def test_the_command_says_what_is_wrong(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", database_url)
    add(database, 5)
    run = CliRunner().invoke
    assert run(app, ["audit", "verify"]).exit_code == 0
    listed = json.loads(run(app, ["audit", "list", "--limit", "2", "--json"]).stdout)
    assert [entry["seq"] for entry in listed] == [5, 4]
    tamper(database, "DELETE FROM hub.audit_log WHERE seq = 2")
    told = run(app, ["audit", "verify", "--json"])
    verdict = json.loads(told.stdout)
    assert (told.exit_code, verdict["sound"]) == (1, False)
    assert verdict["problems"] == [{"kind": "missing", "seq": 2, "text": "Entry 2 is missing."}]
    assert "Entry 2 is missing." in run(app, ["audit", "verify"]).stdout
    bad = run(app, ["audit", "verify", "--noted", "nonsense"])
    assert (bad.exit_code, "What to do" in bad.stderr) == (1, True)


def test_a_frozen_writer_delays_the_others_and_stops_none(database: Database) -> None:
    """The head's lock ends with its transaction, and a session that idles in one is ended by the server."""
    frozen = database.fork()
    frozen.session().execute("SET idle_in_transaction_session_timeout = '300ms'")
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout), frozen.transaction() as tx:
        record(tx, actor="frozen", action="a", target="t", detail={}, request_id=None)
        add(database, 1)  # waits until the server has ended the other session
    frozen.close()
    assert [row["actor"] for row in database.rows("SELECT actor FROM hub.audit_log")] == ["ada"]
    assert kinds(database) == []
