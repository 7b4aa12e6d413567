"""Who is admin, and who is nobody, by Airflow's own auth manager."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from integrations_hub.errors import NotSignedIn
from tests.kit import airflow_env

api_server = airflow_env.api_server()

from airflow.api_fastapi.app import create_auth_manager, purge_cached_app  # noqa: E402
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser  # noqa: E402


@pytest.fixture(autouse=True)
def auth_manager() -> Iterator[None]:
    create_auth_manager()
    yield
    purge_cached_app()


def user(role: str | None) -> Any:
    return SimpleAuthManagerUser(username="ada", role=role)


@pytest.mark.parametrize(
    ("role", "policy", "admin"),
    [
        (None, "", False),
        ("viewer", "", False),
        ("user", "", False),
        ("op", "", False),
        ("admin", "", True),
        ("user", "op", False),
        ("op", "op", True),
        ("admin", "op", True),
        ("op", "OP?", False),
    ],
)
def test_admin_is_power_over_connections_and_pools_plus_the_role(
    role: str | None, policy: str, admin: bool
) -> None:
    assert api_server.may_administer(user(role), {"HUB_ADMIN_POLICY": policy}) is admin


class Manager:
    """An auth manager that names what it allows."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed

    def is_authorized_connection(self, *, method: str, user: Any) -> bool:
        return f"connection {method}" in self.allowed

    def is_authorized_pool(self, *, method: str, user: Any) -> bool:
        return f"pool {method}" in self.allowed


ALL = ("connection POST", "connection PUT", "pool POST", "pool PUT")


@pytest.mark.parametrize("missing", ALL)
def test_every_power_is_needed(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = SimpleNamespace()
    monkeypatch.setattr(api_server, "get_auth_manager", lambda: Manager(*ALL))
    assert api_server.may_administer(nobody, {})
    monkeypatch.setattr(api_server, "get_auth_manager", lambda: Manager(*(set(ALL) - {missing})))
    assert not api_server.may_administer(nobody, {})


def test_named_roles_of_a_list_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_server, "get_auth_manager", lambda: Manager(*ALL))
    op = SimpleNamespace(roles=[SimpleNamespace(name="Op"), SimpleNamespace(name="Public")])
    admin = SimpleNamespace(roles=[SimpleNamespace(name="Admin")])
    assert not api_server.may_administer(op, {})
    assert api_server.may_administer(op, {"HUB_ADMIN_POLICY": "op"})
    assert api_server.may_administer(admin, {})
    assert not api_server.may_administer(SimpleNamespace(roles=[]), {})


def request(**headers: str) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw})


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer nonsense"}, {"cookie": "_token=nonsense"}]
)
def test_without_a_good_credential_there_is_nobody(headers: dict[str, str]) -> None:
    with pytest.raises(NotSignedIn):
        asyncio.run(api_server.EmbeddedAuth().current_user(request(**headers)))
