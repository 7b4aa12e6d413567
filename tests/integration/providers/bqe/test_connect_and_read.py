"""The whole path at the sandbox: consent, stored pair, served token, projects, renewal on 401."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest

from integrations_hub import admin_wiring, wiring
from integrations_hub.access import Broker
from integrations_hub.domain.connection import Connection
from integrations_hub.domain.listing import ListQuery
from integrations_hub.errors import AuthorizationNeeded, PermissionMissing, RequestRejected
from integrations_hub.refresh import seal_pair
from integrations_hub.store.database import Database
from integrations_hub.store.tokens import PostgresTokenStore
from integrations_hub.transport.client import ProviderHttp
from integrations_hub.vault.keyring import Keyring
from tests.kit.sandbox import SandboxProcess

ALL = ListQuery(fields=("id", "code", "name", "parentId"), by_stamp=False)


@dataclass
class World:
    database: Database
    environ: dict[str, str]
    sandbox: SandboxProcess
    connection: Connection
    broker: Broker

    def http(self) -> ProviderHttp:
        return wiring.provider_http(
            database=self.database,
            connection=self.connection,
            lookup=lambda: self.broker.serve(self.connection.id),
            reject=lambda version: PostgresTokenStore(self.database).reject(
                self.connection.id, version
            ),
            heartbeat=lambda: None,
            request_id="test",
            environ=self.environ,
        )

    def projects(self, http: ProviderHttp):
        provider = wiring.registry().get_provider("bqe")
        return wiring.object_client(provider, provider.objects["projects"], http)


@pytest.fixture
def world(sandbox: SandboxProcess, database: Database) -> World:
    """A connection of company A after a real consent."""
    sandbox.control("POST", "/reset", {})
    environ = {
        "INTEGRATIONS_SECRET_KEY": Keyring.new_key(),
        **sandbox.settings(),
    }
    grant = sandbox.grant(environ)
    assert grant.company_id

    connection_id = database.rows(
        "INSERT INTO hub.integration_connection (provider_key, key, label, environment)"
        " VALUES ('bqe', 'main', 'Main', 'production') RETURNING id"
    )[0]["id"]
    connection = PostgresTokenStore(database).save_connected(
        connection_id,
        seal_pair(
            wiring.keyring(environ),
            connection_id,
            access=grant.access_token,
            refresh=grant.refresh_token,
        ),
        expires_in_s=grant.expires_in_s,
        api_base_url=grant.api_base_url,
        company_id=grant.company_id,
        actor="ann",
        request_id=None,
    )
    admin_wiring.publish(database, environ)
    database.execute("""UPDATE hub.rate_limit SET requests_per_minute = 60000, burst = 100""")
    return World(database, environ, sandbox, connection, wiring.broker(database, environ))


def test_every_project_is_listed_once_and_the_filter_is_found_to_work(world):
    truth = world.sandbox.truth()
    with world.http() as http:
        projects = world.projects(http)
        total = projects.count(ALL)
        ids, number = [], 1
        while rows := json.loads(projects.page(ALL, number, 500).body):
            ids += [row["id"] for row in rows]
            number += 1
        assert len(ids) == len(set(ids)) == total
        probe = projects.probe_parent_only()
        assert probe.accepted
        assert probe.filtered_count == truth["roots"]
        assert projects.page(ALL, 1, 5).provider_now is not None


def test_a_revoked_access_token_is_renewed_once_and_the_page_read(world):
    with world.http() as http:
        world.sandbox.control("POST", "/revoke", {"access": True})
        assert world.projects(http).count(ALL) > 0
        assert http.requests == 2
    stored = PostgresTokenStore(world.database).read(world.connection.id)[0]
    assert (stored.token_version, stored.auth_state) == (
        world.connection.token_version + 1,
        "connected",
    )


def test_a_token_that_lives_shorter_than_a_page_is_renewed_as_often_as_it_ends(world):
    """T9: 20 s by the provider's clock; a refresh in the middle of the run, no failure."""
    world.sandbox.switch(expires_in=20)
    world.sandbox.control("POST", "/revoke", {"access": True})
    now = datetime.now(timezone.utc)
    with world.http() as http:
        pages = []
        for number in range(1, 4):
            now += timedelta(seconds=21)
            world.sandbox.control("POST", "/clock", {"now": f"{now:%Y-%m-%dT%H:%M:%SZ}"})
            pages += json.loads(world.projects(http).page(ALL, number, 50).body)
        assert len({row["id"] for row in pages}) == 150
        assert http.requests == 6, "each page once refused, once read"
    stored = PostgresTokenStore(world.database).read(world.connection.id)[0]
    assert stored.token_version == world.connection.token_version + 3
    assert (stored.auth_state, stored.needs_reauth) == ("connected", False)


def test_a_revoked_grant_asks_for_a_reconnect(world):
    with world.http() as http:
        world.sandbox.control("POST", "/revoke", {"access": True, "grant": True})
        with pytest.raises(AuthorizationNeeded, match="rejected its grant"):
            world.projects(http).count(ALL)
    stored = PostgresTokenStore(world.database).read(world.connection.id)[0]
    assert (stored.needs_reauth, stored.reauth_reason) == (True, "grant_rejected")


def test_an_unknown_field_is_a_configuration_error_in_the_providers_words(world):
    with world.http() as http, pytest.raises(RequestRejected, match="Field name: nonsense"):
        world.projects(http).page(ListQuery(("id", "nonsense"), by_stamp=False), 1, 10)


def test_a_missing_right_is_told_from_a_conflict(world):
    world.sandbox.switch(denied=["project"])
    with world.http() as http, pytest.raises(PermissionMissing):
        world.projects(http).count(ALL)


def test_a_refused_filter_is_remembered_as_refused(world):
    world.sandbox.switch(operators={"is null": False})
    with world.http() as http:
        probe = world.projects(http).probe_parent_only()
    assert not probe.accepted
    assert "400" in probe.note
