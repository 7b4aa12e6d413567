"""Lists of the business API: paging, fields, where, order, errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.sandbox_app import SandboxApp

JSON = "application/json; charset=utf-8"


@pytest.fixture(scope="module")
def app() -> SandboxApp:
    """Read-only in these tests."""
    return SandboxApp()


def test_list_is_a_bare_array_of_25(app: SandboxApp) -> None:
    answer = app.api("/project")
    assert answer.headers["content-type"] == JSON
    assert len(answer.json()) == 25


def test_past_the_end_is_204_without_body(app: SandboxApp) -> None:
    answer = app.api("/project", page="3,1000")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert app.api("/project", where="code='nowhere'").status_code == 204


def test_page_zero_repeats_page_one(app: SandboxApp) -> None:
    assert app.projects(page="0,5", fields="id") == app.projects(page="1,5", fields="id")


def test_size_is_capped_at_1000_and_at_100_with_expand(app: SandboxApp) -> None:
    assert len(app.projects(page="1,5000", fields="id")) == 1000
    assert len(app.projects(page="1,500", fields="id,address", expand="address")) == 100


def test_nested_fields_are_null_unless_expanded(app: SandboxApp) -> None:
    assert app.projects(page="1,1")[0]["address"] is None
    assert app.projects(page="1,1", expand="address")[0]["address"]["city"]


def test_root_has_null_parent_and_null_root(app: SandboxApp) -> None:
    row = app.projects(page="1,1", where="parentId is null")[0]
    assert (row["parentId"], row["rootProjectId"], row["level"]) == (None, None, 0)


def test_fields_project_in_any_case(app: SandboxApp) -> None:
    assert [list(row) for row in app.projects(page="1,1", FIELDS="Name, ID")] == [["name", "id"]]


def test_count_is_honoured_with_where_and_alone_only(app: SandboxApp) -> None:
    assert app.projects(fields="count(*)") == [{"count": 1020}]
    assert app.projects(fields="count(*)", where="parentId is null") == [{"count": 120}]
    assert app.projects(fields="count(*)", where="lastUpdated >= '1999-01-01'") == [{"count": 1020}]
    assert app.projects(fields="count(*)", where="code='nowhere'") == [{"count": 0}]
    assert app.api("/project", fields="count(*)", page="1,5").status_code == 400
    assert app.api("/project", fields="count(*)", orderBy="id").status_code == 400


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("id asc", lambda row: row["id"]),
        ("lastUpdated", lambda row: (row["lastUpdated"], row["id"])),
        ("lastUpdated asc, id asc", lambda row: (row["lastUpdated"], row["id"])),
        ("status DESC, createdOn asc", lambda row: (-row["status"], row["createdOn"])),
        ("name asc", lambda row: ((row["name"] or "").casefold(), row["id"])),
    ],
)
def test_rows_come_in_the_asked_order(app: SandboxApp, order: str, key: Any) -> None:
    rows = app.every_project(orderBy=order)
    assert len(rows) == 1020
    assert rows == sorted(rows, key=key)


def test_floor_in_stamp_order_equals_the_plain_filter(app: SandboxApp) -> None:
    for op in (">=", ">"):
        clause = f"lastUpdated {op} '2025-01-05T09:30:58' and parentId is null"
        fast = app.every_project(where=clause, orderBy="lastUpdated asc", fields="id,lastUpdated")
        slow = app.every_project(where=clause, orderBy="id asc", fields="id,lastUpdated")
        assert fast == sorted(slow, key=lambda row: (row["lastUpdated"], row["id"]))
        assert 0 < len(fast) < 120


@pytest.mark.parametrize(
    ("params", "status", "message"),
    [
        ({"where": "memo='x'"}, 400, "Invalid field in 'where' parameter. Field name: memo"),
        ({"fields": "id,number"}, 400, "Invalid field in 'fields' parameter. Field name: number"),
        ({"orderBy": "memo"}, 400, "Invalid field in 'orderBy' parameter. Field name: memo"),
        ({"orderBy": "id upwards"}, 400, "Invalid 'orderBy' parameter. Direction: upwards"),
        ({"expand": "client"}, 400, "Invalid field in 'expand' parameter. Field name: client"),
        ({"page": "one"}, 400, "Invalid 'page' parameter. Value: one"),
        ({"page": "1,0"}, 400, "Invalid 'page' parameter. Value: 1,0"),
        (
            {"where": "status = "},
            400,
            "invalid where clause. Incorrect syntax near 'end of clause'.",
        ),
        ({"fields": "id,hasChild"}, 424, "Invalid column name 'hasChild'."),
        (
            {"where": "lastUpdated >= '2025-01-01T00:00:00Z'"},
            424,
            "Conversion failed when converting date and/or time.",
        ),
    ],
)
def test_wrong_parameter_is_refused(
    app: SandboxApp, params: dict[str, str], status: int, message: str
) -> None:
    answer = app.api("/project", **params)
    body = answer.json()
    assert (answer.status_code, body["Message"]) == (status, message)
    assert list(body) == ["ErrorCode", "Key", "Message", "CorrelationId"]
    assert body["Key"] == ("APISqlError" if status == 424 else None)


def test_token_is_the_time_of_the_answer() -> None:
    app = SandboxApp()
    tokens = []
    for second in (1, 2):
        app.control("/clock", {"now": f"2026-01-01T00:00:0{second}Z"})
        tokens.append(app.projects(page="1,1")[0]["token"])
    assert tokens == [1767225601, 1767225602]


def test_gzip_only_when_asked_and_big(app: SandboxApp) -> None:
    def encoding(accepted: str, size: int) -> str | None:
        headers = {"Authorization": "Bearer static", "Accept-Encoding": accepted}
        params = {"page": f"1,{size}", "fields": "id"}
        answer = app.call("GET", "/api/project", params=params, headers=headers)
        assert len(answer.json()) == size
        return answer.headers.get("content-encoding")

    assert encoding("gzip, br", 50) == "gzip"
    assert encoding("identity", 50) is None
    assert encoding("gzip", 1) is None


def test_single_record_is_an_object(app: SandboxApp) -> None:
    record_id = app.projects(page="1,1")[0]["id"]
    assert app.api(f"/project/{record_id}", fields="id").json() == {"id": record_id}
    assert app.api("/project/none").status_code == 404


@pytest.mark.parametrize(
    ("path", "status"), [("/version", 200), ("/health", 200), ("/invoice", 404), ("/client", 200)]
)
def test_resource_answers(app: SandboxApp, path: str, status: int) -> None:
    assert app.api(path).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_write_needs_more_than_read_scope(app: SandboxApp, method: str) -> None:
    headers = {"Authorization": "Bearer static"}
    assert app.call(method, "/api/project", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("switch", "status", "sign"),
    [
        ({"operators": {"is null": False}}, 400, "'is null' is not supported"),
        ({"denied": ["project"]}, 409, '"Key":"MsgPermissions"'),
        ({"sec_module": ["project"]}, 409, "SEC_Module"),
        ({"unsubscribed": ["project"]}, 403, "not subscribed"),
        ({"page_overflow": "reject"}, 400, "Invalid 'page' parameter"),
    ],
)
def test_switch_changes_the_answer(switch: dict[str, Any], status: int, sign: str) -> None:
    app = SandboxApp()
    app.control("/switch", switch)
    answer = app.api("/project", where="parentId is null", page="1,2000")
    assert answer.status_code == status
    assert sign in answer.text


def test_remaining_listing_switches() -> None:
    app = SandboxApp()
    app.control("/switch", {"null_guid_hidden": True, "count_shape": "object"})
    hidden = app.api("/project", fields="count(*)", where="parentId is null")
    assert hidden.json() == {"count": 119}
    app.control("/switch", {"legacy_errors": True, "visible_percent": 10})
    assert app.api("/project", where="status=").status_code == 409
    assert 0 < len(app.every_project(fields="id")) < 250
    app.control("/switch", {"shift_dates": True, "visible_percent": 100})
    headers = {"Authorization": "Bearer static", "X-UTC-Offset": "60"}
    params = {"where": "code='L' or name='Leading zeros'", "fields": "lastUpdated"}
    moved = app.call("GET", "/api/project", params=params, headers=headers).json()
    assert moved != app.projects(**params)
    wrong = {**headers, "X-UTC-Offset": "1000"}
    assert app.call("GET", "/api/project", headers=wrong).status_code == 400


def test_company_without_the_module_is_not_subscribed() -> None:
    app = SandboxApp()
    token = app.connect(company="C")["access_token"]
    assert app.api("/project", token).status_code == 403
    assert app.api("/company", token).json()[0]["name"].startswith("Cinder")
