"""A bridge alone asks the api-server who sends a request."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response

from bridge_api.airflow_client import AirflowTransport
from bridge_api.app import standalone
from bridge_api.remote_auth import RemoteAuth
from integrations_hub.errors import NotSignedIn, SecretKeyMissing, SettingInvalid, TransientError
from tests.kit.bridge import KEY


def token(**claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"head.{body}.mac"


class ApiServer:
    """`people`: what each credential may do: (name, status of connections, status of FAB's users)."""

    def __init__(self, people: dict[str, tuple[str, int, int]]) -> None:
        self.people, self.asked, self.broken = people, 0, False
        self.app = FastAPI()
        self.app.get("/ui/auth/me")(self.me)
        self.app.get("/api/v2/connections")(self.connections)
        self.app.get("/auth/fab/v1/users")(self.users)

    def _who(self, request: Request) -> tuple[str, int, int] | None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        return self.people.get(bearer if scheme == "Bearer" else request.cookies.get("_token", ""))

    async def me(self, request: Request) -> Any:
        self.asked += 1
        who = self._who(request)
        if self.broken:
            return Response(status_code=500)
        return {"id": "1", "username": who[0]} if who else Response(status_code=401)

    async def connections(self, request: Request) -> Any:
        who = self._who(request)
        return Response(status_code=who[1] if who else 401)

    async def users(self, request: Request) -> Any:
        who = self._who(request)
        return Response(status_code=who[2] if who else 401)


def request_of(**headers: str) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {"type": "http", "method": "GET", "path": "/", "headers": raw, "query_string": b""}
    )


def judge(
    server: ApiServer, environ: dict[str, str] | None = None, **headers: str
) -> tuple[str, bool]:
    auth = RemoteAuth(AirflowTransport(server.app), environ or {})

    async def ask() -> tuple[str, bool]:
        user = await auth.current_user(request_of(**headers))
        return user.get_name(), await auth.may_administer(user)

    return asyncio.run(ask())


ADMIN, OP, VIEWER = token(role="ADMIN"), token(role="OP"), token(role="VIEWER")
SIMPLE = {ADMIN: ("ada", 200, 404), OP: ("olga", 200, 404), VIEWER: ("vic", 403, 404)}


@pytest.mark.parametrize(("credential", "expected"), [(ADMIN, True), (OP, False), (VIEWER, False)])
def test_the_role_in_the_token_counts_where_there_is_one(credential: str, expected: bool) -> None:
    assert judge(ApiServer(SIMPLE), authorization=f"Bearer {credential}")[1] is expected
    assert judge(ApiServer(SIMPLE), cookie=f"_token={credential}")[1] is expected


def test_an_op_counts_only_when_the_operator_says_so() -> None:
    assert judge(ApiServer(SIMPLE), {"HUB_ADMIN_POLICY": "op"}, authorization=f"Bearer {OP}") == (
        "olga",
        True,
    )
    assert (
        judge(ApiServer(SIMPLE), {"HUB_ADMIN_POLICY": "op"}, authorization=f"Bearer {VIEWER}")[1]
        is False
    )


def test_another_scheme_beside_the_cookie_lifts_nobody() -> None:
    assert judge(ApiServer(SIMPLE), authorization=f"Basic {ADMIN}", cookie=f"_token={OP}") == (
        "olga",
        False,
    )


@pytest.mark.parametrize(("users", "expected"), [(200, True), (403, False), (404, True)])
def test_without_a_role_in_the_token_the_right_to_list_users_counts(
    users: int, expected: bool
) -> None:
    assert judge(ApiServer({"fab": ("fay", 200, users)}), authorization="Bearer fab")[1] is expected


def test_an_unknown_credential_is_nobody() -> None:
    for headers in ({}, {"authorization": "Bearer x"}, {"cookie": "_token=x"}):
        with pytest.raises(NotSignedIn):
            judge(ApiServer(SIMPLE), **headers)


def test_an_api_server_in_trouble_lets_nobody_in() -> None:
    server = ApiServer(SIMPLE)
    server.broken = True
    with pytest.raises(TransientError):
        judge(server, authorization=f"Bearer {ADMIN}")


def test_an_answer_is_remembered_for_its_credential_only() -> None:
    server = ApiServer(SIMPLE)
    auth = RemoteAuth(AirflowTransport(server.app), {})

    async def ask_often() -> list[bool]:
        requests = [
            request_of(authorization=f"Bearer {one}") for one in (ADMIN, ADMIN, OP, OP, ADMIN)
        ]
        return [(await auth.current_user(one)).is_admin for one in requests]

    assert asyncio.run(ask_often()) == [True, True, False, False, True]
    assert server.asked == 2


def test_a_process_of_our_own_ends_with_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "INTEGRATIONS_SECRET_KEY", "AIRFLOW__API__BASE_URL", "INTEGRATIONS_ENABLED", "HUB_DATABASE_URL",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SecretKeyMissing):
        standalone()
    monkeypatch.setenv("INTEGRATIONS_SECRET_KEY", KEY)
    with pytest.raises(SettingInvalid, match="AIRFLOW__API__BASE_URL"):
        standalone()
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://127.0.0.1:8080")
    with pytest.raises(SettingInvalid, match="HUB_DATABASE_URL"):
        standalone()
    monkeypatch.setenv("HUB_DATABASE_URL", "postgresql://hub@127.0.0.1:9/hub")
    assert [route.path for route in standalone().routes] == ["/hub"]
