"""Whose tokens these are: a copied or restored database must not spend them before an admin decides."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from integrations_hub.admin.connections import Connections
from integrations_hub.domain.connection import ADOPT, Connection
from integrations_hub.ports.credentials import InstanceLock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Adoption:
    """`instance_id`: which Hub this is."""

    connections: Connections
    lock: InstanceLock
    instance_id: str

    def adopt(
        self, provider_key: str, key: str, *, actor: str, request_id: str | None
    ) -> Connection:
        """This Hub holds the connection's tokens from now on; nothing happens when it does already.

        Two Hubs that spend the same tokens lose them both: the other one must be off for good.
        Raises NotFound.
        """
        found = self.connections.get(provider_key, key)
        self.lock.adopt(found.id, self.instance_id, actor=actor, request_id=request_id)
        return self.connections.get(provider_key, key)

    def locked(self) -> list[Connection]:
        """Every connection whose tokens another Hub holds."""
        found = self.connections.store.list()
        return [one for one in found if one.instance_id not in (None, self.instance_id)]


def lock_foreign(lock: InstanceLock, instance_id: str) -> None:
    """Show in the database, and so in every status, what this Hub leaves alone."""
    for name in lock.lock_foreign(instance_id):
        log.warning("connection_locked connection=%s: copied or restored database. %s", name, ADOPT)
