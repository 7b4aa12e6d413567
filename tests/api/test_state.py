"""The state of a connection's object: look, preview, correct it; ask for a resync."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from tests.kit.bridge import ADMIN, API, BridgeKit

STATE = f"{API}/projects/state"
RESYNC = f"{API}/projects/resync"
DAG = "hub__bqe__acme__projects"
MARK = "2026-03-01T00:00:00Z"


@pytest.fixture
def ready(connected: BridgeKit) -> BridgeKit:
    connected.save_rule()
    assert connected.enable().status_code == 200
    return connected


def read_until(kit: BridgeKit, mark: str) -> None:
    kit.database.execute(
        "INSERT INTO hub.integration_state (connection_id, object_key, mark, initial_done_at)"
        " SELECT id, 'projects', %(mark)s, now() FROM hub.integration_connection",
        {"mark": mark.rstrip("Z")},
    )


def put(kit: BridgeKit, mark: str | None, revision: int) -> httpx.Response:
    return kit.call("PUT", STATE, {"mark": mark}, headers={**ADMIN, "If-Match": f'"{revision}"'})


def preview(kit: BridgeKit, mark: str | None) -> dict[str, Any]:
    answer = kit.call("POST", f"{STATE}/preview", {"mark": mark})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def link(kit: BridgeKit, *stamps: str) -> None:
    """A linked project per stamp of its last change."""
    for n, stamp in enumerate(stamps):
        kit.database.execute(
            "WITH p AS (INSERT INTO hub.projects (name) VALUES ('P') RETURNING id)"
            " INSERT INTO hub.integration_external_link (provider_key, object_type, connection_id, external_id,"
            " local_entity, local_id, source_updated_at, run_id, idempotency_key)"
            " SELECT 'bqe', 'projects', c.id, %(n)s, 'project', p.id, %(stamp)s, 1, '' FROM p, hub.integration_connection c",
            {"n": str(n), "stamp": stamp},
        )


def test_before_the_first_run_there_is_nothing_to_see_but_the_revision(ready: BridgeKit) -> None:
    answer = ready.call("GET", STATE)
    assert answer.headers["etag"] == '"0"'
    found = answer.json()
    assert (found["revision"], found["mark"], found["rule_generation"]) == (0, None, 1)
    assert found["resync"] is None


def test_the_mark_is_corrected_with_an_audit_entry_and_a_new_revision(ready: BridgeKit) -> None:
    read_until(ready, MARK)
    seen = ready.call("GET", STATE)
    assert (seen.headers["etag"], seen.json()["mark"]) == ('"1"', MARK)
    answer = put(ready, "2026-02-01T02:00:00+02:00", 1)
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    assert answer.json()["mark"] == "2026-02-01T00:00:00Z"
    assert answer.json()["seeded_by"] == "admin"
    (entry,) = ready.database.rows("SELECT * FROM hub.audit_log WHERE action = 'state.edited'")
    assert entry["detail"]["was"] == "2026-03-01T00:00:00"
    assert entry["detail"]["mark"] == "2026-02-01T00:00:00"
    assert entry["actor"] == "admin"


def test_a_state_that_moved_since_it_was_looked_at_is_not_overwritten(ready: BridgeKit) -> None:
    read_until(ready, MARK)
    ready.database.execute("UPDATE hub.integration_state SET mark = mark + interval '1 hour'")
    for revision in (0, 1):
        answer = put(ready, "2026-02-01T00:00:00Z", revision)
        assert (answer.status_code, answer.json()["code"]) == (409, "REVISION_CONFLICT")
        assert answer.json()["detail"] == {"current_revision": 2}
    assert ready.call("PUT", STATE, {"mark": MARK}).status_code == 422
    assert ready.call("GET", STATE).json()["mark"] == "2026-03-01T01:00:00Z"


def test_of_editors_at_once_one_wins(ready: BridgeKit) -> None:
    read_until(ready, MARK)
    headers = {**ADMIN, "If-Match": '"1"'}
    marks = [f"2026-01-{day:02}T00:00:00Z" for day in range(1, 7)]
    answers = ready.calls(*[("PUT", STATE, {"mark": mark}, headers, {}) for mark in marks])
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]


def test_while_a_run_works_the_state_is_its_own(ready: BridgeKit) -> None:
    read_until(ready, MARK)
    ready.database.execute(
        "INSERT INTO hub.integration_lease (key, run_id, taken_at, expires_at)"
        " VALUES ('bqe:acme:projects', 7, now(), now() + interval '1 minute')"
    )
    answer = put(ready, "2026-02-01T00:00:00Z", 1)
    assert (answer.status_code, answer.json()["code"]) == (423, "LEASE_HELD")
    assert "Run 7" in answer.json()["message"]
    ready.database.execute("UPDATE hub.integration_lease SET expires_at = now() - interval '1 s'")
    assert put(ready, "2026-02-01T00:00:00Z", 1).status_code == 200
    (lease,) = ready.database.rows("SELECT run_id, fence FROM hub.integration_lease")
    assert lease == {"run_id": None, "fence": 1}, "the run of the lapsed lease is fenced off"


@pytest.mark.parametrize(
    "mark", ["2999-01-01T00:00:00Z", "1969-12-31T00:00:00Z", "2026-01-01T00:00:00", "x"]
)
def test_a_mark_that_cannot_be_is_refused(ready: BridgeKit, mark: Any) -> None:
    for method, path in (("PUT", STATE), ("POST", f"{STATE}/preview")):
        answer = ready.call(method, path, {"mark": mark}, headers={**ADMIN, "If-Match": '"0"'})
        assert (answer.status_code, answer.json()["code"]) == (422, "REQUEST_INVALID")


def test_a_lower_mark_reads_again_and_says_how_much(ready: BridgeKit) -> None:
    read_until(ready, MARK)
    link(ready, "2026-01-15", "2026-02-15", "2026-02-20", "2026-01-31T23:56:00")
    found = preview(ready, "2026-02-01T00:00:00Z")
    assert (found["listing"], found["effect"]) == ("incremental", "read_again")
    assert found["since"] == "2026-01-31T23:55:00Z", "the overlap is read as well"
    assert found["forecast"] == {"records": 3, "requests": 2, "minutes": 0.0}
    assert "2026-02-01 00:00:00 UTC to 2026-03-01 00:00:00 UTC is read again" in found["text"]
    assert ready.call("GET", STATE).json()["revision"] == 1, "a preview changes nothing"


@pytest.mark.parametrize(
    ("before", "after", "effect", "words"),
    [
        (MARK, "2026-04-01T00:00:00Z", "skipped", "are missed"),
        (MARK, MARK, "unchanged", "stays where it is"),
        (MARK, None, "first_run", "a first run again"),
        (None, MARK, "skipped", "no first run any more"),
        (None, None, "unchanged", "stays where it is"),
    ],
)
def test_the_effect_is_said_in_words(
    ready: BridgeKit, before: str | None, after: str | None, effect: str, words: str
) -> None:
    if before:
        read_until(ready, before)
    found = preview(ready, after)
    assert found["effect"] == effect
    assert words in found["text"]
    assert found["listing"] == ("incremental" if after else "full")


def test_a_rule_that_reads_everything_does_not_care(connected: BridgeKit) -> None:
    connected.save_rule(syncMode="full")
    found = preview(connected, MARK)
    assert (found["listing"], found["effect"]) == ("full", "unchanged")


def test_a_first_run_after_a_date_reads_from_that_date(connected: BridgeKit) -> None:
    since = "2026-01-10T00:00:00Z"
    connected.save_rule(initialSyncMode="delta_only_after_date", initialSyncSince=since)
    read_until(connected, MARK)
    found = preview(connected, None)
    assert (found["effect"], found["listing"], found["since"]) == (
        "first_run",
        "incremental",
        since,
    )


def test_a_rule_that_reads_from_now_on_keeps_a_mark_and_its_seed_goes_with_it(
    connected: BridgeKit,
) -> None:
    connected.save_rule(initialSyncMode="delta_only_from_now")
    connected.enable()
    revision = connected.call("GET", STATE).json()["revision"]
    refused = put(connected, None, revision)
    assert (refused.status_code, refused.json()["code"]) == (409, "MARK_NEEDED")
    lowered = put(connected, MARK, revision).json()
    assert (lowered["mark"], lowered["seed"]) == (MARK, MARK)
    raised = put(connected, "2026-04-01T00:00:00Z", revision + 1).json()
    assert (raised["mark"], raised["seed"]) == ("2026-04-01T00:00:00Z", MARK)


def test_a_mark_before_any_run_counts_for_the_rules_generation(ready: BridgeKit) -> None:
    made = put(ready, MARK, 0).json()
    assert (made["revision"], made["mark"], made["generation"]) == (1, MARK, 1)


def test_a_resync_is_a_request_and_its_runs(ready: BridgeKit) -> None:
    answer = ready.call("POST", RESYNC, {"since": "2026-01-01T02:00:00+02:00"})
    assert answer.status_code == 202
    window, sweep = answer.json()["jobs"]
    assert (window["params"]["mode"], window["params"]["since"]) == (
        "resync",
        "2026-01-01T00:00:00+00:00",
    )
    assert (sweep["params"]["mode"], sweep["params"]["since"]) == ("resync", None)
    assert list(ready.airflow.runs) == [(DAG, f"hub__{job['id']}") for job in (window, sweep)]
    (row,) = ready.database.rows("SELECT * FROM hub.resync_request")
    assert (row["since"], row["created_by"]) == (datetime(2026, 1, 1), "admin")
    assert "admin resync.requested" in ready.audit()
    resync = ready.call("GET", STATE).json()["resync"]
    assert (resync["since"], resync["has_gap"]) == ("2026-01-01T00:00:00Z", True)


def test_a_full_resync_is_one_run(ready: BridgeKit) -> None:
    (job,) = ready.call("POST", RESYNC, {"full": True}).json()["jobs"]
    assert job["params"]["mode"] == "resync"
    (row,) = ready.database.rows("SELECT since FROM hub.resync_request")
    assert row["since"] is None


def test_twenty_posts_with_one_key_are_one_resync(ready: BridgeKit) -> None:
    headers = {**ADMIN, "Idempotency-Key": "r-1"}
    body = {"since": "2026-01-01T00:00:00Z"}
    answers = ready.calls(*[("POST", RESYNC, body, headers, {})] * 20)
    assert {answer.status_code for answer in answers} == {202}
    assert len({tuple(job["id"] for job in answer.json()["jobs"]) for answer in answers}) == 1
    assert len(ready.airflow.runs) == 2
    assert len(ready.database.rows("SELECT 1 FROM hub.resync_request")) == 1
    other = ready.call("POST", RESYNC, {"full": True}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"since": MARK, "full": True},
        {"since": (datetime.now(timezone.utc) + timedelta(days=1)).isoformat()},
        {"since": "1900-01-01T00:00:00Z"},
        {"full": True, "more": 1},
    ],
)
def test_a_resync_that_cannot_be_asks_for_nothing(ready: BridgeKit, body: dict[str, Any]) -> None:
    assert ready.call("POST", RESYNC, body).status_code == 422
    assert ready.database.rows("SELECT 1 FROM hub.resync_request") == []


def test_a_resync_of_a_disabled_rule_is_refused_without_a_trace(connected: BridgeKit) -> None:
    connected.save_rule()
    answer = connected.call("POST", RESYNC, {"full": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "RULE_DISABLED")
    assert connected.database.rows("SELECT 1 FROM hub.resync_request") == []
