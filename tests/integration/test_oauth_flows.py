"""OAuth flows on a real PostgreSQL: each is finished once, by the browser and the person who started it."""

import threading

import pytest

from integrations_hub.ports.credentials import Sealed, StartedFlow
from integrations_hub.store.database import Database
from integrations_hub.store.oauth_flows import PostgresOAuthFlowStore

FLOW = {"nonce_hash": "n", "actor": "ann", "cookie_hash": "c"}


def start(database: Database, connection_id: int, ttl_s: int = 600) -> PostgresOAuthFlowStore:
    flows = PostgresOAuthFlowStore(database)
    flow = StartedFlow(connection_id, Sealed("k", b"v"), "https://hub.example/cb")
    flows.start(flow, **FLOW, ttl_s=ttl_s)
    return flows


def test_a_flow_is_consumed_once(database, connection_id):
    flows = start(database, connection_id)
    assert flows.consume(**FLOW) == StartedFlow(
        connection_id, Sealed("k", b"v"), "https://hub.example/cb"
    )
    assert flows.consume(**FLOW) is None
    (row,) = database.rows("SELECT * FROM hub.oauth_flow")
    assert (row["verifier_ciphertext"], row["verifier_key_id"]) == (None, None)


@pytest.mark.parametrize("other", [{"nonce_hash": "x"}, {"actor": "bob"}, {"cookie_hash": "x"}])
def test_a_flow_of_another_browser_actor_or_state_is_refused_and_stays(
    database, connection_id, other
):
    flows = start(database, connection_id)
    assert flows.consume(**(FLOW | other)) is None
    assert flows.consume(**FLOW) is not None


def test_an_expired_flow_is_refused(database, connection_id):
    assert start(database, connection_id, ttl_s=-1).consume(**FLOW) is None


def test_parallel_callbacks_have_one_winner(database, connection_id):
    start(database, connection_id)
    won = []

    def call() -> None:
        own = database.fork()
        won.append(PostgresOAuthFlowStore(own).consume(**FLOW))
        own.close()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in won if one]) == 1
