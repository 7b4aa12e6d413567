"""Every error of the Hub, grouped by how one recovers from it.

HubError
  ConfigurationError     an admin edits something; the run fails; HTTP 409
  AuthorizationNeeded    reconnect; the run fails, the connection needs_reauth; HTTP 409
  TransientError         try again after `retry_after_s`; HTTP 503
  ProviderContractError  the provider answered what it never should; the run fails; HTTP 502
  RecordRejected         one record is quarantined, the run goes on; never leaves a run
  RunRefused             not now: the run is skipped with a reason; HTTP 409, 423 or 503
  RunMustWait            not yet: the run comes back by itself; never leaves a task
  NotFound / Forbidden   HTTP 404 / 403

Airflow's retry policy and the bridge's HTTP mapping are two tables over these classes.
A message says what happened and where, the hint what to do. Neither ever holds a secret, a token or a record.
"""

from __future__ import annotations

from typing import Any


class HubError(Exception):
    """Root. `code` is stable and machine-readable, `hint` is one sentence a person can act on."""

    default_code = "HUB_ERROR"
    default_hint = "Look at the run's log, then ask your Hub administrator."

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.code = code or self.default_code


# --- ConfigurationError: an admin edits something ------------------------------------------------


class ConfigurationError(HubError):
    default_code = "CONFIGURATION"
    default_hint = "Correct the setting that the message names."


class MetadataInvalid(ConfigurationError):
    """A provider.json is broken; the message lists every error with its JSON pointer."""

    default_code = "METADATA_INVALID"
    default_hint = "Correct provider.json at the pointers named, then start again."


class RuleInvalid(ConfigurationError):
    """A rule body fails its schema. `problems`: [{"pointer", "message"}], all at once."""

    default_code = "RULE_INVALID"
    default_hint = "Correct the rule at the pointers named, then save again."

    def __init__(
        self, message: str, *, problems: list[dict[str, str]], hint: str = "", code: str = ""
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.problems = problems


class MappingInvalid(RuleInvalid):
    """Lines of a mapping fail their schema or name what does not exist. `problems` as in RuleInvalid."""

    default_code = "MAPPING_INVALID"
    default_hint = "Correct the mapping at the pointers named, then save again."


class ConnectionInvalid(RuleInvalid):
    """A connection's own values do not fit its provider. `problems` as in RuleInvalid."""

    default_code = "CONNECTION_INVALID"
    default_hint = "Correct the values at the pointers named, then save again."


class SettingInvalid(ConfigurationError):
    """An environment setting is missing or unusable."""

    default_code = "SETTING_INVALID"


class SecretKeyMissing(SettingInvalid):
    default_code = "CONFIG_MISSING_KEY"
    default_hint = (
        "Set INTEGRATIONS_SECRET_KEY to a Fernet key (`hub secrets new-key` prints one), "
        "or set INTEGRATIONS_ENABLED=false."
    )


class SecretKeyDropped(SettingInvalid):
    default_code = "SECRET_KEY_DROPPED"
    default_hint = "Put the key back behind the first one, then run `hub secrets rotate`. If it is lost: docs/runbooks/key-rotation.md."


class DatabaseUnusable(ConfigurationError):
    """The Hub's database cannot be used as configured (wrong URL, password, or schema version)."""

    default_code = "DATABASE_UNUSABLE"
    default_hint = "Check HUB_DATABASE_URL and that its database accepts connections."


class FileRefused(ConfigurationError):
    """A file of people's that we do not read, or whose lines are wrong; nothing of it was imported."""

    default_code = "FILE_REFUSED"
    default_hint = "Correct the file as the message says and import it again."


class RequestRejected(ConfigurationError):
    """The provider refused our request as such (unknown field, bad filter): repeating it is useless."""

    default_code = "PROVIDER_REJECTED_REQUEST"
    default_hint = "Correct the field or filter that the provider's message names."


class PermissionMissing(ConfigurationError):
    """The person who connected lacks the right, or the module is not subscribed, at the provider."""

    default_code = "PERMISSION_MISSING"
    default_hint = "Grant the right at the provider, or reconnect as a user who has it."


class ConflictingChange(ConfigurationError):
    """Somebody saved in between, a uniqueness promise would be broken, or a decision is missing.

    `detail`: what the person needs to decide, as JSON; never a secret or a record.
    """

    default_code = "CONFLICT"
    default_hint = "Load the current state and repeat your change."

    def __init__(
        self, message: str, *, hint: str = "", code: str = "", detail: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.detail = detail


class PlanUnusable(ConfigurationError):
    """A stored plan of changes, or a run to take back, that cannot be applied any more."""

    default_code = "PLAN_UNUSABLE"
    default_hint = "Let the rule run once more: it makes a new plan."


class ConnectionAmbiguous(ConfigurationError):
    """A path without `?connection=` and several active connections; the message lists them."""

    default_code = "CONNECTION_AMBIGUOUS"
    default_hint = "Add ?connection=<key> with one of the connections listed."


# --- AuthorizationNeeded: a person reconnects -----------------------------------------------------


class AuthorizationNeeded(HubError):
    default_code = "AUTHORIZATION_NEEDED"
    default_hint = "Open the Hub and reconnect the connection."


class GrantRejected(AuthorizationNeeded):
    """The identity server rejected grant or client (invalid_grant, invalid_client, unauthorized_client)."""

    default_code = "GRANT_REJECTED"


class Disconnected(AuthorizationNeeded):
    """The connection was disabled, disconnected or deleted while somebody used it."""

    default_code = "DISCONNECTED"
    default_hint = "Open the Hub and enable or reconnect it, then start the run again."


class FlowRejected(AuthorizationNeeded):
    """An OAuth callback that cannot be accepted (forged, expired, replayed, other actor or browser)."""

    default_code = "OAUTH_FLOW_REJECTED"
    default_hint = "Start the connection again from the Hub, in one browser, within ten minutes."


# --- TransientError: the same thing works later --------------------------------------------------


class TransientError(HubError):
    default_code = "TRANSIENT"
    default_hint = "Nothing to do: it is tried again by itself."

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, hint: str = "", code: str = ""
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.retry_after_s = retry_after_s


class ProviderUnreachable(TransientError):
    default_code = "PROVIDER_UNREACHABLE"


class OutcomeUnknown(ProviderUnreachable):
    """A request left us and no readable answer came back: nobody knows whether it took effect."""

    default_code = "OUTCOME_UNKNOWN"


class RateLimited(TransientError):
    default_code = "RATE_LIMITED"


class TooOften(TransientError):
    """A person or a script asks more often than the Hub answers."""

    default_code = "TOO_OFTEN"
    default_hint = "Wait as long as Retry-After says."


class TokenNotReady(TransientError):
    """A refresh is in flight or its outcome is awaited."""

    default_code = "TOKEN_NOT_READY"


class DatabaseUnavailable(TransientError):
    default_code = "DATABASE_UNAVAILABLE"


class DatabaseBusy(DatabaseUnavailable):
    """Another session holds a row we need, or the two of us waited for each other."""

    default_code = "DATABASE_BUSY"
    default_hint = (
        "It is tried again by itself; if it stays so, end the session that holds the rows."
    )


class ListingIncomplete(TransientError):
    """The provider's list moved under us three times; nothing is concluded from it (run: incomplete)."""

    default_code = "LISTING_INCOMPLETE"
    default_hint = "Nothing was written and the mark stays; the next run reads again."


# --- ProviderContractError: what the provider never should have said ------------------------------


class ProviderContractError(HubError):
    default_code = "PROVIDER_CONTRACT"
    default_hint = "Report the provider's answer; the next run tries again."


class PageUnreadable(ProviderContractError):
    default_code = "PAGE_UNREADABLE"


class UnexpectedRedirect(ProviderContractError):
    default_code = "UNEXPECTED_REDIRECT"


class PagingLoop(ProviderContractError):
    default_code = "PAGING_LOOP"


class HostNotAllowed(ProviderContractError):
    default_code = "HOST_NOT_ALLOWED"
    default_hint = "If the host is right, an operator adds it to <PROVIDER>_ALLOWED_HOSTS."


# --- RecordRejected: one record waits in quarantine ----------------------------------------------


class RecordRejected(HubError):
    """`pointer` names the field (JSON pointer); the value is never kept."""

    default_code = "RECORD_REJECTED"
    default_hint = "Correct the record at the provider; it is read again when it changes."

    def __init__(self, message: str, *, pointer: str, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint, code=code)
        self.pointer = pointer


# --- RunRefused: not now ----------------------------------------------------------------------


class RunRefused(HubError):
    default_code = "RUN_REFUSED"


class LeaseHeld(RunRefused):
    """Another run holds the lease of this connection and object."""

    default_code = "LEASE_HELD"
    default_hint = "Nothing to do: the next scheduled run reads what this one would have read."


class RuleDisabled(RunRefused):
    default_code = "RULE_DISABLED"
    default_hint = "Enable the rule in the Hub."


class MappingStale(RunRefused):
    """The saved mapping no longer fits the provider's fields; the message says what changed."""

    default_code = "MAPPING_STALE"
    default_hint = "Open the mapping in the Hub, look at what changed and save it again."


class NothingKept(RunRefused):
    """A remap needs records kept from the last full listing, and they are not (all) there."""

    default_code = "NOTHING_KEPT"
    default_hint = "Run a full listing; the next remap needs no request."


class ConnectionNotReady(RunRefused):
    """The connection is disabled, was never connected, or needs a person."""

    default_code = "CONNECTION_NOT_READY"
    default_hint = "Open the Hub and connect (or enable) the connection."


class IntegrationsDisabled(RunRefused):
    default_code = "INTEGRATIONS_DISABLED"
    default_hint = "Set INTEGRATIONS_ENABLED=true."


class MaintenanceMode(RunRefused):
    default_code = "MAINTENANCE"
    default_hint = "Try again when maintenance has ended (`hub maintenance status`)."


class RunMustWait(HubError):
    """A run that somebody asked for waits `seconds` and is planned again; spends no try."""

    default_code = "RUN_MUST_WAIT"
    default_hint = "Nothing to do: it starts by itself as soon as the other run is done."

    def __init__(self, message: str, *, seconds: float, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint, code=code)
        self.seconds = seconds


# --- ends of a run that are no refusals -----------------------------------------------------------


class RunLost(HubError):
    """Another run took the lease: this stage writes nothing more (run: lost)."""

    default_code = "RUN_LOST"
    default_hint = "Nothing to do: the run that took over does the work."


class StagingLost(HubError):
    """PostgreSQL crashed and emptied the staging tables between two stages."""

    default_code = "STAGING_LOST"
    default_hint = "Nothing was written and the mark stays; the next run reads again."


class RunFailed(HubError):
    """Raised by finish so that Airflow counts the run as failed."""

    default_code = "RUN_FAILED"


# --- doors -----------------------------------------------------------------------------------


class NotFound(HubError):
    default_code = "NOT_FOUND"
    default_hint = "Check the name in the address."


class Forbidden(HubError):
    default_code = "FORBIDDEN"
    default_hint = "Ask an Airflow administrator."


class NotSignedIn(HubError):
    default_code = "NOT_SIGNED_IN"
    default_hint = "Sign in to Airflow first."
