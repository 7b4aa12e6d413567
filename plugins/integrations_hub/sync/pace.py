"""For how long one try of a listing may go on."""

from __future__ import annotations

from dataclasses import dataclass, field

from integrations_hub.errors import TransientError
from integrations_hub.ports.outside import Clock


@dataclass
class Pace:
    """Pages of this try. `limit_s`: a try older than that ends after its page; the next one goes on."""

    clock: Clock
    limit_s: float
    pages: int = 0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock.monotonic()

    def turn(self) -> None:
        """One more page."""
        self.pages += 1

    def check(self) -> None:
        """Raises TransientError (TIME_LIMIT) when this try has worked for too long."""
        if self.clock.monotonic() - self.started > self.limit_s:
            raise TransientError(
                f"Reading took longer than {self.limit_s / 3600:g} hours; {self.pages} pages of this try are kept.",
                retry_after_s=30,
                hint="Nothing to do: it goes on by itself. If it happens daily, let the rule read less.",
                code="TIME_LIMIT",
            )
