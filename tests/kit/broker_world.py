"""The broker over fakes."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta

from integrations_hub.access import Broker
from integrations_hub.domain.connection import Connection
from integrations_hub.refresh import RefreshFacts, seal_pair
from tests.kit.fake_time import START, FakeClock
from tests.kit.fake_tokens import FakeIdp, FakeSpool, FakeTokens, PlainVault

CONNECTED = Connection(
    id=7, provider_key="acme", key="main", label="Main", environment="production", company_id="c",
    is_active=True, is_disabled=False, needs_reauth=False, reauth_reason=None, auth_state="connected",
    degraded_since=None, last_ok_at=None, api_base_url="https://api.example/x", connected_by="ann",
    token_version=4, token_expires_at=START + timedelta(hours=1),
)  # fmt: skip


class World:
    """A broker over fakes; `life_s` is what the stored access token has left."""

    def __init__(self, life_s: float = 3600, **changes) -> None:
        self.clock, self.idp, self.vault = FakeClock(), FakeIdp(), PlainVault()
        connection = replace(
            CONNECTED, token_expires_at=START + timedelta(seconds=life_s), **changes
        )
        pair = seal_pair(self.vault, 7, access="a0", refresh="r0")
        self.tokens, self.spool = FakeTokens(connection, pair, self.clock), FakeSpool()
        self.broker = self.make(lambda connection: self.idp)

    def make(self, auth_client, instance_id: str = "here", **facts) -> Broker:
        return Broker(
            tokens=self.tokens,
            own_tokens=self.tokens.own,
            vault=self.vault,
            spool=self.spool,
            auth_client=auth_client,
            clock=self.clock,
            instance_id=instance_id,
            facts_of=lambda connection: RefreshFacts(**facts),
        )

    def stored(self) -> dict:
        return json.loads(self.vault.open(self.tokens.sealed, purpose="7:oauth_tokens"))

    def settle(self) -> None:
        """Wait for the refresh threads."""
        for thread in threading.enumerate():
            if thread.name == "refresh-7":
                thread.join(10)
