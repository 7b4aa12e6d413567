"""Each invariant of the crash protocol speaks up when it is broken, and only then."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.fake_list import FakeList, portfolio
from tests.kit.invariants import Quiet, violations, watch_marks

_LINK = "(SELECT l.{0} FROM hub.integration_external_link l WHERE l.external_id = 'p-00000')"
BROKEN = {
    "i1_every_record_has_one_project": "DELETE FROM hub.integration_external_link WHERE external_id = 'p-00000'",
    "i2_local_fields_are_the_sources": "UPDATE hub.projects SET name = 'Other' WHERE id = " + _LINK.format("local_id"),
    "i3_links_and_projects_are_pairs": "INSERT INTO hub.projects (name) VALUES ('Unlinked')",
    "i4_no_child_is_imported": "UPDATE hub.integration_external_link SET external_id = 'p-00004' WHERE external_id = 'p-00000'",
    "i5_the_mark_is_never_ahead": "UPDATE hub.integration_external_link SET source_updated_at = source_updated_at - interval '1 h' "
    "WHERE external_id = 'p-00000'",
    "i6_counters_are_the_ledgers": "UPDATE hub.sync_chunk SET created = created - 1",
    "i6_ledgers_have_no_stale_rows": "UPDATE hub.sync_chunk SET applied_at = clock_timestamp()",
    "i7_nothing_is_stuck": "UPDATE hub.integration_run SET ended_at = NULL, state = 'running'",
    "i8_what_people_typed_stays": "UPDATE hub.projects SET client = 'Client 1' WHERE id = (SELECT local_id FROM "
    "hub.integration_external_link WHERE external_id = 'p-00001')",
    "i10_failures_say_what_to_do": "UPDATE hub.integration_run SET state = 'failed', error_code = 'UNEXPECTED'",
    "i11_the_audit_chain_holds": "ALTER TABLE hub.audit_log DISABLE TRIGGER USER; UPDATE hub.audit_log SET actor = 'nobody'",
}  # fmt: skip


def _quiet(hub: Any, listed: FakeList, **more: Any) -> Quiet:
    children = {key: one for key, one in listed.records.items() if one["parentId"] is not None}
    roots = {key: one for key, one in listed.records.items() if key not in children}
    return Quiet(hub.database, roots, children, edited={"p-00001": "Typed"}, **more)


@pytest.fixture
def world(engine: Any) -> tuple[Any, FakeList]:
    """Four projects, one of them edited, and one child."""
    listed = FakeList(portfolio(4, children=1))
    hub = engine(listed)
    watch_marks(hub.database)
    hub.run()
    hub.database.execute("UPDATE hub.projects SET client = 'Typed' WHERE project_number = '00001'")
    assert violations(_quiet(hub, listed)) == []
    return hub, listed


@pytest.mark.parametrize("invariant", BROKEN)
def test_a_broken_invariant_is_told_by_its_name(world: Any, invariant: str) -> None:
    hub, listed = world
    with hub.database.transaction() as tx:
        tx.execute(BROKEN[invariant])
    told = violations(_quiet(hub, listed))
    assert any(one.startswith(invariant) for one in told), told


def test_a_mark_that_goes_down_and_too_many_requests_are_told(world: Any) -> None:
    hub, listed = world
    hub.database.execute("UPDATE hub.integration_state SET mark = mark - interval '1 day'")
    told = violations(_quiet(hub, listed, requests={"run-1": 7}, most_requests=6))
    assert [one.partition(":")[0] for one in told] == [
        "i5_the_mark_is_never_ahead",
        "i12_requests_stay_in_budget",
    ]
