"""Switched off while it is used: the run stops by itself, nothing comes back, nothing lives on (A16, X5)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from integrations_hub import sync_wiring, wiring
from integrations_hub.domain.connection import ServedConnection, TokenGrant
from integrations_hub.domain.run import RunRequest
from integrations_hub.errors import ConnectionNotReady, Disconnected, RunFailed
from integrations_hub.store.budget import BudgetStore
from integrations_hub.store.database import Database
from integrations_hub.store.rules import PostgresRuleStore
from tests.kit.connected import Connected, connected
from tests.kit.engine import BODY
from tests.kit.sandbox import SandboxProcess


@pytest.fixture
def world(sandbox: SandboxProcess, database: Database, database_url: str) -> Connected:
    return connected(sandbox, database, database_url)


class Fetching:
    """A run in the middle of its fetch, on sessions and a thread of its own."""

    def __init__(self, world: Connected) -> None:
        rules = PostgresRuleStore(world.database)
        rule = rules.save(
            connection_id=world.id, object_key="projects", body=dict(BODY), actor="ada",
            request_id=None, expected_revision=None,
        )  # fmt: skip
        self._rule = rules.set_enabled(rule.id, True, actor="ada", request_id=None)
        self._world, self._connection_id = world, world.id
        self.error: BaseException | None = None
        with self._stages() as stages:
            self.run_id = stages.plan(
                RunRequest(self._rule.dag_id, "dag-run-1", self._rule.id, "manual")
            )
        self.thread = threading.Thread(target=self._fetch)
        self.thread.start()

    def _stages(self) -> Any:
        return sync_wiring.stages(
            open_database=lambda: Database.from_url(self._world.url),
            lookup=self._lookup,
            environ=self._world.environ | {"INTEGRATIONS_ENABLED": "true"},
            page_size=20,
        )

    def _lookup(self, provider_key: str, key: str) -> ServedConnection:
        database = Database.from_url(self._world.url)
        try:
            return self._world.broker(database).serve(self._connection_id)
        finally:
            database.close()

    def _fetch(self) -> None:
        try:
            with self._stages() as stages:
                stages.fetch(self.run_id)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.error = error

    def pages(self) -> int:
        return int(self._world.rows("SELECT count(*) AS n FROM hub.sync_page")[0]["n"])

    def finish(self) -> dict[str, Any]:
        with self._stages() as stages, pytest.raises(RunFailed):
            stages.finish(self.run_id)
        return self._world.rows("SELECT * FROM hub.integration_run")[0]


def until(found: Callable[[], Any]) -> None:
    gone = threading.Event()
    for _ in range(1200):
        if found():
            return
        gone.wait(0.05)
    raise AssertionError("waited a minute in vain")


@pytest.mark.parametrize("how", ["disable", "disconnect"])
def test_a_run_stops_with_its_next_page(world: Connected, how: str) -> None:
    world.sandbox.switch(latency_ms=150)
    run = Fetching(world)
    until(lambda: run.pages() > 1)
    getattr(world.admin().lifecycle, how)("bqe", "acme", world.actor)
    seen = run.pages()
    run.thread.join(60)
    assert not run.thread.is_alive()
    # the next request or the next page's transaction, whichever comes first
    assert isinstance(run.error, Disconnected | ConnectionNotReady), run.error
    assert f"{how.removesuffix('e')}ed" in run.error.message
    assert run.pages() <= seen + 4, "only pages that were under way are still saved"
    ended = run.finish()
    assert ended["state"] in ("failed", "cancelled")
    assert ended["error_code"] == run.error.code
    assert world.rows("SELECT 1 FROM hub.projects") == []
    assert world.rows("SELECT 1 FROM hub.integration_lease WHERE run_id IS NOT NULL") == []


def test_a_refresh_in_flight_raises_nobody_from_the_dead(
    world: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The identity server has answered, the new pair is on its way, and somebody disconnects."""
    answered, go_on = threading.Event(), threading.Event()
    grants = kept_grants(world, monkeypatch, lambda: (answered.set(), go_on.wait(60)))
    world.expire()
    own, connection_id = Database.from_url(world.url), world.id
    asking = threading.Thread(target=lambda: world.broker(own).serve(connection_id, wait_s=60))
    asking.start()
    assert answered.wait(60)
    world.admin().lifecycle.disconnect("bqe", "acme", world.actor)
    go_on.set()
    asking.join(60)
    own.close()
    assert world.rows("SELECT 1 FROM hub.encrypted_secret") == []
    row = world.connection
    assert (row.is_active, row.auth_state, row.needs_reauth) == (False, "new", False)
    told = [r for r in world.sandbox.requests() if r["path"] == "/idp/connect/revocation"]
    assert len(told) == 2, "the pair we had, and the one that came back too late"
    assert [alive(world, grant) for grant in grants] == [False]


def test_a_reconnect_in_that_time_keeps_its_tokens(
    world: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refresh that comes back late finds a newer pair and revokes nothing of it."""
    revoked = spied_revocations(monkeypatch)
    world.expire()
    world.sandbox.script({"delay_ms": 1500}, path="/idp/connect/token")
    own, connection_id = Database.from_url(world.url), world.id
    asking = threading.Thread(target=lambda: world.broker(own).serve(connection_id, wait_s=30))
    asking.start()
    until(lambda: [r for r in world.sandbox.requests() if r["path"] == "/idp/connect/token"][1:])
    world.set("token_version = token_version + 1, refresh_claim = NULL, refresh_claim_until = NULL")
    asking.join(60)
    own.close()
    assert revoked == []
    assert len(world.rows("SELECT 1 FROM hub.encrypted_secret")) == 1


def test_disconnecting_ends_the_grant_at_the_provider(world: Connected) -> None:
    served = world.broker().serve(world.id)
    assert call(world, served.access_token) == 200
    gone = world.admin().lifecycle.disconnect("bqe", "acme", world.actor)
    assert (gone.at_provider, gone.warning) == ("revoked", None)
    assert call(world, served.access_token) == 401
    assert world.broker().serve(world.id).reason == "it was disconnected"


def test_an_identity_server_that_is_down_leaves_a_warning(world: Connected) -> None:
    world.sandbox.script({"status": 503}, path="/idp/connect/revocation")
    gone = world.admin().lifecycle.disconnect("bqe", "acme", world.actor)
    assert gone.at_provider == "failed"
    assert "503" in (gone.warning or "")
    assert world.rows("SELECT 1 FROM hub.encrypted_secret") == []


def test_new_limits_reach_the_next_request_of_a_task(world: Connected) -> None:
    """The session of a task is open all the time; only the row of the connection changes."""
    task = BudgetStore(Database.from_url(world.url))
    token = "00000000-0000-0000-0000-00000000000{}"
    try:
        for n in range(3):
            assert task.acquire(token.format(n), "bqe", world.id, max_wait_s=0).granted
        values = {"requestsPerMinute": 6, "burst": 1}
        world.admin().connections.change(
            "bqe", "acme", values=_limits(values), actor="ada", request_id=None
        )
        task.acquire(token.format(3), "bqe", world.id, max_wait_s=60)
        assert task.acquire(token.format(4), "bqe", world.id, max_wait_s=0).wait_s > 5
        world.admin().lifecycle.disable("bqe", "acme", world.actor)
        with pytest.raises(Disconnected, match="disabled"):
            task.acquire(token.format(5), "bqe", world.id, max_wait_s=60)
        world.admin().lifecycle.enable("bqe", "acme", world.actor)
        assert task.acquire(token.format(5), "bqe", world.id, max_wait_s=60).wait_s > 5
        world.admin().lifecycle.disconnect("bqe", "acme", world.actor)
        with pytest.raises(Disconnected, match="disconnected"):
            task.acquire(token.format(6), "bqe", world.id, max_wait_s=60)
    finally:
        task.close()


def _limits(values: dict[str, int]) -> Any:
    from integrations_hub.ports.connections import ConnectionValues

    return ConnectionValues(limits=values)


def call(world: Connected, token: str) -> int:
    """The API's answer to a token."""
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{world.sandbox.api}/project?fields=id&page=1,1"
    return httpx.get(url, headers=headers, trust_env=False).status_code


def alive(world: Connected, grant: TokenGrant) -> bool:
    return call(world, grant.access_token) == 200


def kept_grants(
    world: Connected, monkeypatch: pytest.MonkeyPatch, then: Callable[[], Any]
) -> list[TokenGrant]:
    """Every grant that a refresh brings, as it brings it; `then` before we see it."""
    kept: list[TokenGrant] = []
    build = wiring.auth_client

    def spied(*args: Any, **options: Any) -> Any:
        client = build(*args, **options)
        refresh = client.refresh

        def keeping(token: str) -> TokenGrant:
            kept.append(refresh(token))
            then()
            return kept[-1]

        client.refresh = keeping  # type: ignore[method-assign]
        return client

    monkeypatch.setattr(wiring, "auth_client", spied)
    return kept


def spied_revocations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    build = wiring.auth_client

    def spied(*args: Any, **options: Any) -> Any:
        client = build(*args, **options)
        client.revoke = lambda token: told.append(token) or True  # type: ignore[method-assign,func-returns-value]
        return client

    monkeypatch.setattr(wiring, "auth_client", spied)
    return told
