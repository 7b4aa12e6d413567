"""What becomes of a connection: off and on, disconnected, tested, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from integrations_hub.domain.connection import Connection
from integrations_hub.errors import LeaseHeld
from integrations_hub.ports.credentials import Sealed


@dataclass(frozen=True)
class Holdings:
    """What hangs on a connection: rows by kind, and the run that works on it now."""

    rules: int
    enabled_dags: tuple[str, ...]
    links: int
    states: int
    settings: int
    quarantined: int
    runs: int
    working_run: int | None

    def refuse_working(self, connection: Connection) -> None:
        """Raises LeaseHeld while a run works."""
        if self.working_run is not None:
            raise LeaseHeld(
                f"Run {self.working_run} of {connection.label} works now.",
                hint="Disable the connection or cancel the run, then delete it.",
            )


class LifecycleStore(Protocol):
    """Switching a connection off and on, taking its tokens away, deleting it; each with its audit."""

    def set_disabled(
        self, connection: Connection, disabled: bool, *, actor: str, request_id: str | None
    ) -> Connection:
        """No entry when it is so already. Raises NotFound."""

    def disconnect(
        self, connection: Connection, *, actor: str, request_id: str | None
    ) -> tuple[Connection, Sealed | None]:
        """Forget its tokens and sign-ins under way; returns the sealed pair that is to be revoked."""

    def note_test(
        self, connection: Connection, *, per_minute: int, actor: str, request_id: str | None
    ) -> None:
        """The audit entry of a connection test. Raises TooOften above `per_minute`."""

    def holdings(self, connection: Connection) -> Holdings: ...

    def delete(
        self,
        connection: Connection,
        objects: Sequence[str],
        *,
        actor: str,
        request_id: str | None,
    ) -> tuple[Holdings, Sealed | None]:
        """Links, marks, settings and tokens go, runs and audit stay. Raises LeaseHeld, NotFound."""
