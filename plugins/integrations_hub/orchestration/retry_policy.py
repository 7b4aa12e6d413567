"""What Airflow does about each family of errors: one table, read by the retry policy and by the tasks."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy

from integrations_hub.errors import (
    AuthorizationNeeded,
    ConfigurationError,
    Forbidden,
    HubError,
    NotFound,
    NotSignedIn,
    ProviderContractError,
    RecordRejected,
    RunFailed,
    RunLost,
    RunMustWait,
    RunRefused,
    StagingLost,
    TransientError,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

_FIRST_DELAY_S = 30.0
_LONGEST_DELAY_S = 15 * 60.0


class Fate(Enum):
    """What becomes of a task that ended with an error."""

    RETRY = "retry"
    """Spend a try, later."""

    FAIL = "fail"
    """Repeating is useless: no further try."""

    SKIP = "skip"
    """Not now (plan only): the run is skipped with its reason."""

    WAIT = "wait"
    """Come back later without spending a try."""


FATES: dict[type[HubError], Fate] = {
    ConfigurationError: Fate.FAIL,
    AuthorizationNeeded: Fate.FAIL,
    TransientError: Fate.RETRY,
    ProviderContractError: Fate.FAIL,
    RecordRejected: Fate.FAIL,
    RunRefused: Fate.SKIP,
    RunMustWait: Fate.WAIT,
    RunLost: Fate.FAIL,
    StagingLost: Fate.FAIL,
    RunFailed: Fate.FAIL,
    NotFound: Fate.FAIL,
    Forbidden: Fate.FAIL,
    NotSignedIn: Fate.FAIL,
}


def fate_of(error: BaseException) -> Fate | None:
    """The row of the nearest class in the table; None for what is no HubError."""
    return next((FATES[kind] for kind in type(error).__mro__ if kind in FATES), None)


class HubRetryPolicy(RetryPolicy):
    """Transient errors are tried again when they say; what a person must mend fails at once.

    Everything else (a killed process, a bug) keeps the task's own retries and delay.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002 - Airflow's signature
        context: Context | None = None,  # noqa: ARG002 - Airflow's signature
    ) -> RetryDecision:
        """Decide in the task process; Airflow keeps the count of tries."""
        fate = fate_of(exception)
        if fate is Fate.RETRY and isinstance(exception, TransientError):
            delay_s = exception.retry_after_s
            if delay_s is None:
                delay_s = min(_FIRST_DELAY_S * 2 ** (try_number - 1), _LONGEST_DELAY_S)
            return RetryDecision.retry(timedelta(seconds=delay_s), reason=str(exception))
        if fate is not None:
            return RetryDecision.fail(reason=str(exception))
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """The policy has no settings."""
        return {"__type": "HubRetryPolicy"}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> HubRetryPolicy:  # noqa: ARG003 - Airflow's signature
        """The inverse of `serialize`."""
        return cls()
