"""What must hold whenever the Hub is quiet, whatever happened before (I1-I8, I10-I12; I9 has its own scanner).

Each invariant is a function over `Quiet` that returns sentences about what is wrong; `violations` asks all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from integrations_hub import errors
from integrations_hub.store.audit import PostgresAuditStore
from integrations_hub.store.database import Database

_COUNTS = (
    "created", "updated", "linked", "inactivated", "revived", "out_of_scope", "removed",
)  # fmt: skip
_MARKS = """
CREATE TABLE public.mark_history (seq bigint GENERATED ALWAYS AS IDENTITY, before timestamp, after timestamp);
CREATE FUNCTION public.note_mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.mark_history (before, after) VALUES (OLD.mark, NEW.mark);
    RETURN NULL;
END $$;
CREATE TRIGGER note_mark AFTER UPDATE ON hub.integration_state FOR EACH ROW EXECUTE FUNCTION public.note_mark();
"""


@dataclass(frozen=True)
class Quiet:
    """`roots` and `children`: the provider's records by id; `edited`: clients that people typed, by id.

    `requests`: how many each Dag run sent; `most_requests`: what one may send.
    """

    database: Database
    roots: Mapping[str, Mapping[str, Any]]
    children: Mapping[str, Mapping[str, Any]]
    edited: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    most_requests: int = 0

    def projects(self) -> dict[str, dict[str, Any]]:
        """Local rows with their link, by external id."""
        rows = self.database.rows(
            "SELECT l.external_id, l.source_updated_at, p.* FROM hub.hub_v_link l "
            "JOIN hub.projects p ON p.id = l.local_id WHERE l.local_entity = 'project'"
        )
        return {row["external_id"]: row for row in rows}


def watch_marks(database: Database) -> None:
    """From now on I5 sees every move of a mark."""
    with database.transaction() as tx:
        tx.execute(_MARKS)


def i1_every_record_has_one_project(quiet: Quiet) -> Iterator[str]:
    """Each eligible source record has exactly one link and one project."""
    rows = quiet.database.rows(
        "SELECT external_id, count(*) AS n, count(p.id) AS projects FROM hub.hub_v_link l "
        "LEFT JOIN hub.projects p ON p.id = l.local_id GROUP BY external_id"
    )
    have = {row["external_id"]: (row["n"], row["projects"]) for row in rows}
    for key in quiet.roots:
        if have.get(key) != (1, 1):
            yield f"{key} has (links, projects) {have.get(key, (0, 0))}"


def i2_local_fields_are_the_sources(quiet: Quiet) -> Iterator[str]:
    """What follows the provider is what the provider says now."""
    for key, local in quiet.projects().items():
        record = quiet.roots.get(key)
        if record is None:
            continue
        client = quiet.edited.get(key, record["client"])
        expected = (record["name"], record["code"], record["client"], client)
        found = tuple(
            local[name] for name in ("name", "project_number", "bqe_client_name", "client")
        )
        if found != expected:
            yield f"{key} is {found}, expected {expected}"


def i3_links_and_projects_are_pairs(quiet: Quiet) -> Iterator[str]:
    """No project without a link, no link without a project, no two links to one project."""
    rows = quiet.database.rows(
        "SELECT coalesce(p.id, l.local_id) AS id, count(p.id) AS projects, count(l.id) AS links FROM hub.projects p "
        "FULL JOIN hub.hub_v_link l ON l.local_id = p.id AND l.local_entity = 'project' "
        "GROUP BY 1 HAVING (count(p.id), count(l.id)) <> (1, 1)"
    )
    for row in rows:
        yield f"project {row['id']}: {row['projects']} rows, {row['links']} links"


def i4_no_child_is_imported(quiet: Quiet) -> Iterator[str]:
    """No child is imported."""
    for row in quiet.database.rows("SELECT external_id FROM hub.hub_v_link"):
        if row["external_id"] in quiet.children:
            yield f"{row['external_id']} is a child"


def i5_the_mark_is_never_ahead(quiet: Quiet) -> Iterator[str]:
    """The mark is not above any record that is not applied, and never went down."""
    local = quiet.projects()
    for state in quiet.database.rows("SELECT key, hwm FROM hub.hub_v_state WHERE hwm IS NOT NULL"):
        for key, record in quiet.roots.items():
            stamp = datetime.fromisoformat(record["lastUpdated"])
            applied = local.get(key, {}).get("source_updated_at")
            if stamp <= state["hwm"] and (applied is None or applied < stamp):
                yield f"the mark {state['hwm']} is ahead of {key} of {stamp}, applied as of {applied}"
    for row in quiet.database.rows("SELECT * FROM public.mark_history WHERE after < before"):
        yield f"the mark went down from {row['before']} to {row['after']}"


def i6_counters_are_the_ledgers(quiet: Quiet) -> Iterator[str]:
    """Created counts are the projects there are, and the counters of each run those of its ledger."""
    whole = quiet.database.rows(
        "SELECT coalesce(sum(created - removed), 0) AS counted, (SELECT count(*) FROM hub.projects) AS there "
        "FROM hub.integration_run"
    )[0]
    if whole["counted"] != whole["there"]:
        yield f"the runs created {whole['counted']} projects, there are {whole['there']}"
    for name in _COUNTS:
        rows = quiet.database.rows(
            f"SELECT r.id, r.{name} AS run, coalesce(sum(c.{name}), 0) AS ledger FROM hub.integration_run r "
            f"LEFT JOIN hub.hub_v_chunk c ON c.run_id = r.id GROUP BY r.id HAVING r.{name} <> coalesce(sum(c.{name}), 0)"
        )
        for row in rows:
            yield f"run {row['id']} says {name} {row['run']}, its ledger {row['ledger']}"


def i6_ledgers_have_no_stale_rows(quiet: Quiet) -> Iterator[str]:
    """Nothing is written by an older fence after a newer one, and nothing after the end of its run."""
    rows = quiet.database.rows(
        "SELECT w.what, w.run_id, w.n, w.late, w.fence < w.newest AS older FROM ("
        "  SELECT 'chunk' AS what, c.run_id, c.chunk_no AS n, c.applied_at > r.ended_at AS late, c.fence,"
        "         max(c.fence) OVER (PARTITION BY c.run_id ORDER BY c.applied_at) AS newest"
        "    FROM hub.sync_chunk c JOIN hub.integration_run r ON r.id = c.run_id"
        "  UNION ALL"
        "  SELECT 'page', p.run_id, p.page_no, p.fetched_at > r.ended_at, p.fence,"
        "         max(p.fence) OVER (PARTITION BY p.run_id ORDER BY p.fetched_at)"
        "    FROM hub.sync_page p JOIN hub.integration_run r ON r.id = p.run_id) AS w"
        " WHERE w.late OR w.fence < w.newest"
    )
    for row in rows:
        why = "after the run had ended" if row["late"] else "with an older fence"
        yield f"{row['what']} {row['n']} of run {row['run_id']} was written {why}"


def i7_nothing_is_stuck(quiet: Quiet) -> Iterator[str]:
    """No run is open without a live lease, and no lease is held."""
    for row in quiet.database.rows("SELECT id, state FROM hub.hub_v_run WHERE ended_at IS NULL"):
        yield f"run {row['id']} is still {row['state']}"
    held = "SELECT key, owner FROM hub.hub_v_lease WHERE owner IS NOT NULL OR expires_at > clock_timestamp()"
    for row in quiet.database.rows(held):
        yield f"the lease {row['key']} is held by {row['owner']}"


def i8_what_people_typed_stays(quiet: Quiet) -> Iterator[str]:
    """Fields edited by a user under preserve_local are unchanged."""
    local = quiet.projects()
    for key, typed in quiet.edited.items():
        if local[key]["client"] != typed:
            yield f"{key}: somebody typed {typed!r}, there is {local[key]['client']!r}"


def i10_failures_say_what_to_do(quiet: Quiet) -> Iterator[str]:
    """Every run that did not end well has a code of a closed list and a sentence to act on."""
    rows = quiet.database.rows(
        "SELECT id, state, error_code, error_text, error_hint FROM hub.integration_run "
        "WHERE state IN ('failed', 'lost', 'incomplete', 'cancelled', 'needs_confirmation')"
    )
    for row in rows:
        said = (row["error_text"] or "", row["error_hint"] or "")
        whole = all(re.fullmatch(r"[A-Z].{10,}\.", text, re.DOTALL) for text in said)
        if row["error_code"] not in _CODES or not whole:
            yield f"run {row['id']} ended as {row['state']} with {row['error_code']}: {said}"


def i11_the_audit_chain_holds(quiet: Quiet) -> Iterator[str]:
    """The audit chain verifies, and its head is the last entry."""
    audit = PostgresAuditStore(quiet.database)
    for problem in audit.verify().problems:
        yield f"audit: {problem}"
    last = quiet.database.rows("SELECT coalesce(max(seq), 0) AS seq FROM hub.hub_v_audit")[0]
    if audit.head().seq != last["seq"]:
        yield f"the audit head is {audit.head().seq}, the last entry {last['seq']}"


def i12_requests_stay_in_budget(quiet: Quiet) -> Iterator[str]:
    """No run sends more requests than its listings and tries allow."""
    for dag_run_id, sent in quiet.requests.items():
        if sent > quiet.most_requests:
            yield f"{dag_run_id} sent {sent} requests, at most {quiet.most_requests} are due"


INVARIANTS: tuple[Callable[[Quiet], Iterator[str]], ...] = (
    i1_every_record_has_one_project,
    i2_local_fields_are_the_sources,
    i3_links_and_projects_are_pairs,
    i4_no_child_is_imported,
    i5_the_mark_is_never_ahead,
    i6_counters_are_the_ledgers,
    i6_ledgers_have_no_stale_rows,
    i7_nothing_is_stuck,
    i8_what_people_typed_stays,
    i10_failures_say_what_to_do,
    i11_the_audit_chain_holds,
    i12_requests_stay_in_budget,
)


def violations(quiet: Quiet) -> list[str]:
    """Every violated invariant with what is wrong; empty when all hold."""
    return [f"{check.__name__}: {wrong}" for check in INVARIANTS for wrong in check(quiet)]


def _leaves(kind: type[errors.HubError]) -> Iterator[str]:
    yield kind.default_code
    for below in kind.__subclasses__():
        yield from _leaves(below)


# "unexpected" is not one of them: every fault that the trials make has a name
_CODES = {*_leaves(errors.HubError), "STAGE_INTERRUPTED", "CANCELLED", "TIME_LIMIT"} - {"HUB_ERROR"}
