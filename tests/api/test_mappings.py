"""The mapping over the wire: read, saved, compared, tried; and the records that it could not take."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit import mappings
from tests.kit.bridge import ADMIN, API, VIEWER, BridgeKit
from tests.kit.mappings import default_lines, earlier

MAPPING = f"{API}/projects/mapping"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", MAPPING, None),
        ("PUT", MAPPING, {"lines": None}),
        ("GET", f"{MAPPING}/diff", None),
        ("POST", f"{MAPPING}/preview", {}),
        ("GET", f"{API}/projects/quarantine", None),
    ],
)
def test_only_admins_see_or_change_a_mapping(
    connected: BridgeKit, method: str, path: str, body: Any
) -> None:
    refused = [
        connected.call(method, path, body, headers=h).status_code
        for h in ({"X-Hub-CSRF": "1"}, VIEWER)
    ]
    assert refused == [401, 403]


def test_before_the_first_save_the_default_is_shown_with_its_schema(connected: BridgeKit) -> None:
    answer = connected.call("GET", MAPPING)
    body = answer.json()
    assert (answer.headers["etag"], body["origin"], body["stale"]) == ('"0"', "default", None)
    assert body["lines"] == default_lines()
    assert "client" in body["line_schema"]["items"]["properties"]["source"]["enum"]


def test_a_mapping_is_saved_with_its_version_and_audited(connected: BridgeKit) -> None:
    lines = default_lines(lead={"source": "principal", "trim": True})
    first = connected.call("PUT", MAPPING, {"lines": lines})
    second = connected.call("PUT", MAPPING, {"lines": default_lines()})
    assert (first.status_code, first.json()["version"], second.json()["version"]) == (200, 1, 2)
    assert connected.call("GET", MAPPING).json()["lines"] == default_lines()
    assert connected.audit()[-2:] == ["admin settings.saved", "admin settings.saved"]
    back = connected.call("PUT", MAPPING, {"lines": None}).json()
    assert back["origin"] == "default"


def test_a_save_from_an_old_revision_is_refused(connected: BridgeKit) -> None:
    etag = connected.call("GET", MAPPING).headers["etag"]
    headers = {**ADMIN, "If-Match": etag}
    body = {"lines": default_lines()}
    good = connected.call("PUT", MAPPING, body, headers=headers)
    stale = connected.call("PUT", MAPPING, body, headers=headers)
    assert (good.status_code, stale.status_code) == (200, 409)
    assert stale.json()["code"] == "REVISION_CONFLICT"
    odd = connected.call("PUT", MAPPING, body, headers={**ADMIN, "If-Match": "W/x"})
    assert odd.status_code == 409


def test_a_bad_mapping_is_refused_with_every_pointer_and_nothing_is_kept(
    connected: BridgeKit,
) -> None:
    lines = [{"target": "name", "source": "nme"}, {"target": "lead", "wat": 1}]
    answer = connected.call("PUT", MAPPING, {"lines": lines})
    assert (answer.status_code, answer.json()["code"]) == (422, "MAPPING_INVALID")
    pointers = {problem["pointer"] for problem in answer.json()["problems"]}
    assert {"/0/source", "/1/wat"} <= pointers
    assert connected.database.rows("SELECT 1 FROM hub.integration_setting") == []
    assert connected.call("PUT", MAPPING, {"lines": [], "x": 1}).status_code == 422


def test_a_mapping_out_of_date_says_why_and_how_to_repair_it(connected: BridgeKit) -> None:
    old = earlier(without=["manager"], extra=["managers", "zzz"])
    lines = default_lines(lead={"source": "managers"}, notes={"source": "zzz"})
    mappings.save(connected.database, lines, old)
    stale = connected.call("GET", MAPPING).json()["stale"]
    assert stale.startswith("Mappings out of date; review in Integrations Hub: ")
    diff = connected.call("GET", f"{MAPPING}/diff").json()
    assert (set(diff["vanished"]), diff["appeared"]) == ({"managers", "zzz"}, ["manager"])
    assert {"target": "lead", "source": "manager"} in diff["repaired"]
    assert [line["line"]["target"] for line in diff["left_out"]] == ["notes"]
    saved = connected.call("PUT", MAPPING, {"lines": diff["repaired"]}).json()
    assert (saved["stale"], [d["line"]["target"] for d in saved["dropped"]]) == (None, ["notes"])


def test_a_rule_with_a_mapping_out_of_date_cannot_be_enabled(connected: BridgeKit) -> None:
    connected.save_rule()
    mappings.save(connected.database, default_lines(), earlier(extra=["old"]))
    path = f"{API}/projects/rule/enable"
    answer = connected.call("POST", path, {"nothing_to_match": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "MAPPING_STALE")
    connected.save_rule(onStaleMapping="partial")
    assert connected.call("POST", path, {"nothing_to_match": True}).status_code == 200


def test_a_preview_shows_one_record_before_and_after_and_keeps_nothing(
    connected: BridgeKit,
) -> None:
    record = {"name": "Hall", "startDate": "soon", "status": 99, "manager": "ada"}
    lines = default_lines(lead={"source": "manager", "case": "upper"})
    answer = connected.call("POST", f"{MAPPING}/preview", {"lines": lines, "record": record})
    shown = {line["target"]: line for line in answer.json()["lines"]}
    assert (shown["lead"]["before"], shown["lead"]["after"]) == ({"manager": "ada"}, "ADA")
    assert (shown["start_date"]["after"], shown["start_date"]["pointer"]) == (None, "/startDate")
    assert "local one stays" in shown["status"]["problem"]
    nothing = connected.call("POST", f"{MAPPING}/preview", {})
    assert (nothing.status_code, nothing.json()["code"]) == (404, "NOTHING_KEPT")
    assert connected.database.rows("SELECT 1 FROM hub.integration_setting") == []


def test_quarantine_is_listed_page_by_page_with_where_and_why(connected: BridgeKit) -> None:
    connected.database.execute(
        "INSERT INTO hub.quarantine (connection_id, object_key, external_id, run_id, code, reason, pointer, resolved_at) "
        "SELECT id, 'projects', 'p-' || n, 1, 'BAD_DAY', 'startDate is not a day of the calendar', '/startDate', "
        "CASE WHEN n = 3 THEN now() END FROM hub.integration_connection, generate_series(1, 3) AS n"
    )
    path = f"{API}/projects/quarantine"
    first = connected.call("GET", f"{path}?limit=1").json()
    assert [record["external_id"] for record in first["records"]] == ["p-2"]
    rest = connected.call("GET", f"{path}?before={first['next_before']}").json()
    assert [record["external_id"] for record in rest["records"]] == ["p-1"]
    assert rest["next_before"] is None
    left = connected.call("GET", f"{path}?resolved=true").json()
    assert [(r["external_id"], r["pointer"]) for r in left["records"]] == [("p-3", "/startDate")]
    assert connected.call("GET", f"{API}/nothing/quarantine").status_code == 404
