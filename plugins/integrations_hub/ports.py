"""Every Protocol: what a floor asks of the floor that fulfils it. One store per noun."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from integrations_hub.domain.connection import Connection, ServedConnection, TokenGrant
from integrations_hub.domain.listing import FilterProbe, ListQuery, RawPage
from integrations_hub.domain.rule import Rule
from integrations_hub.domain.run import Run, RunRequest

# --- time and transport ---------------------------------------------------------------------------


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True)
class HttpResponse:
    """`headers` has lower-case names; `content` is the decompressed body, at most 20 MB."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class HttpClient(Protocol):
    """Authorised GETs to one connection's API: budget, retry, one token renewal on 401, redaction.

    Answers 2xx only; everything else is raised as a leaf of errors.py by the provider's error rules.
    """

    requests: int  # sent so far, retries included

    def get(self, path: str, params: Mapping[str, str]) -> HttpResponse: ...


class FormPoster(Protocol):
    """Unauthorised form POST to an identity server; never retried unless provably unsent."""

    def post_form(self, url: str, form: Mapping[str, str]) -> HttpResponse: ...


class Budget(Protocol):
    """The shared request budget of a connection and its provider (reservation rows in PostgreSQL)."""

    def acquire(self, heartbeat: Callable[[], None]) -> str:
        """Wait for the next slot and a place in flight; returns the token to release."""

    def release(self, token: str) -> None: ...

    def pause(self, seconds: float) -> None:
        """Push the connection's next slot forward for everyone (Retry-After)."""


@dataclass(frozen=True)
class BudgetSlot:
    """What an acquire found.

    `granted`: a place in flight is ours from `wait_s` seconds on; else every place is taken, or the
    next slot is `wait_s` away, which is further than we would wait.
    """

    granted: bool
    wait_s: float


class BudgetRows(Protocol):
    """The rows behind a Budget; one round trip per call, the database's clock only."""

    def acquire(
        self, token: str, provider_key: str, connection_id: int, *, max_wait_s: float
    ) -> BudgetSlot: ...

    def release(self, token: str) -> None: ...

    def pause(self, connection_id: int, seconds: float) -> None: ...

    def paused_for(self, provider_key: str, connection_id: int) -> float:
        """Seconds until nobody is asked to wait any more; 0 when nobody is."""

    def close(self) -> None: ...


# --- what a provider package offers (each module exposes one build(...)) -----------------------


class AuthClient(Protocol):
    """providers/<key>/auth.py: `build(provider, poster, client_id, client_secret) -> AuthClient`."""

    def authorize_url(self, *, redirect_uri: str, state: str, code_challenge: str) -> str: ...

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str) -> TokenGrant:
        """Raises GrantRejected, TransientError or ProviderContractError."""

    def refresh(self, refresh_token: str) -> TokenGrant:
        """One attempt, never repeated after an unknown outcome. Raises as `exchange`."""


class ObjectClient(Protocol):
    """providers/<key>/objects/<object>.py: `build(provider, obj, http) -> ObjectClient`."""

    def count(self, query: ListQuery) -> int: ...

    def page(self, query: ListQuery, number: int, size: int) -> RawPage:
        """Page `number` counts from 1; an empty page is b"[]"."""

    def probe_parent_only(self) -> FilterProbe: ...


# --- secrets ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sealed:
    key_id: str
    ciphertext: bytes


class Vault(Protocol):
    def seal(self, plaintext: str, *, purpose: str) -> Sealed: ...

    def open(self, sealed: Sealed, *, purpose: str) -> str:
        """Raises ConfigurationError when no key fits or the purpose inside differs."""


@dataclass(frozen=True)
class RefreshClaim:
    """A won claim: the sealed token pair to spend and the version to compare and set."""

    connection_id: int
    claim: str
    version: int
    tokens: Sealed
    interrupted: bool = False  # an earlier refresh never told its outcome


class TokenStore(Protocol):
    """Auth columns of integration_connection plus its secret row of purpose `oauth_tokens`."""

    def read(self, connection_id: int) -> tuple[Connection, Sealed | None, int]:
        """Connection, sealed token pair and rejected_version, read in one statement."""

    def claim(
        self, connection_id: int, claim: str, ttl_s: int, *, version: int
    ) -> RefreshClaim | None:
        """Win the right to refresh (committed).

        None while another claim or a back-off lives, or when the token is no longer at `version`.
        """

    def save_refreshed(
        self, claim: RefreshClaim, tokens: Sealed, *, expires_in_s: int, api_base_url: str | None
    ) -> bool:
        """Compare-and-set on version and claim; False when it was overtaken."""

    def save_connected(
        self,
        connection_id: int,
        tokens: Sealed,
        *,
        expires_in_s: int,
        api_base_url: str,
        company_id: str,
        actor: str,
        request_id: str | None,
    ) -> Connection:
        """First consent or reconnect: tokens, state and audit entry in one transaction."""

    def fail(self, claim: RefreshClaim, *, reason: str, needs_reauth: bool) -> None:
        """Give the claim back; note the reason (degraded, or needs_reauth at once)."""

    def reject(self, connection_id: int, version: int) -> None:
        """A task saw 401 with this token version."""


class OAuthFlowStore(Protocol):
    def start(
        self,
        *,
        nonce_hash: str,
        connection_id: int,
        actor: str,
        cookie_hash: str,
        verifier: Sealed,
        redirect_uri: str,
        ttl_s: int,
    ) -> None: ...

    def consume(
        self, *, nonce_hash: str, actor: str, cookie_hash: str
    ) -> tuple[int, Sealed, str] | None:
        """(connection_id, verifier, redirect_uri) for exactly one caller, else None."""


# --- what admins act on ------------------------------------------------------------------------


class ConnectionStore(Protocol):
    def create(
        self,
        *,
        provider_key: str,
        key: str,
        label: str,
        environment: str,
        actor: str,
        request_id: str | None,
    ) -> Connection: ...

    def get(self, provider_key: str, key: str) -> Connection:
        """Raises NotFound."""

    def by_id(self, connection_id: int) -> Connection: ...

    def list(self, provider_key: str | None = None) -> list[Connection]: ...

    def save_probe(self, connection_id: int, object_key: str, probe: FilterProbe) -> None: ...


class RuleStore(Protocol):
    def save(
        self,
        *,
        connection_id: int,
        object_key: str,
        body: dict[str, Any],
        actor: str,
        request_id: str | None,
        expected_revision: int | None,
    ) -> Rule:
        """Insert or a new revision, with history and audit, in one transaction."""

    def get(self, rule_id: int) -> Rule: ...

    def find(self, connection_id: int, object_key: str) -> Rule | None: ...

    def list_enabled(self) -> list[Rule]: ...

    def set_enabled(
        self, rule_id: int, enabled: bool, *, actor: str, request_id: str | None
    ) -> Rule: ...


class RunStore(Protocol):
    """Rows of integration_run outside a fence: opening, reading, closing what never started."""

    def adopt_or_open(self, request: RunRequest, rule: Rule) -> Run:
        """The open run of (dag_id, dag_run_id), or a new row (retry_of the ended one)."""

    def request(
        self, request: RunRequest, rule: Rule, *, actor: str, idempotency_key: str | None = None
    ) -> Run:
        """A `requested` row ("run now") with its audit entry, committed before Airflow is asked.

        The same key of the same actor gives the same run, whose `dag_run_id` is hub__<run id>.
        """

    def get(self, run_id: int) -> Run: ...

    def list(
        self,
        *,
        provider_key: str,
        object_key: str | None,
        connection_id: int | None,
        state: str | None,
        before_id: int | None,
        limit: int,
    ) -> list[Run]: ...

    def close(self, run_id: int, state: str, *, code: str, text: str, hint: str) -> None:
        """End an open run; no effect on an ended one."""

    def waiting(self, run_id: int, text: str) -> None: ...

    def cancel(self, run_id: int, *, actor: str, request_id: str | None) -> Run:
        """End a run that no stage has begun, with audit; on a running one note why it will fail."""


# --- the fenced side of a run -----------------------------------------------------------------


@dataclass(frozen=True)
class StagedRecord:
    page_no: int
    n: int
    external_id: str | None
    parent_id: str | None
    updated_at: datetime | None
    payload: str
    flag: str | None = None


class Fenced(Protocol):
    """One write transaction of a stage. Its first statement checked and renewed the fence."""

    def pin_plan(
        self, plan: Mapping[str, Any], mark_from: datetime | None, rule_revision: int
    ) -> None: ...

    def save_page(
        self, page_no: int, records: Sequence[StagedRecord], digest: str, children: int
    ) -> None: ...

    def save_listing(self, listing: Mapping[str, Any], *, requests: int) -> None: ...

    def clear_staging(self) -> None: ...

    def save_witness(self, witness: Mapping[str, Any], mark_to: datetime | None) -> None: ...

    def add_warnings(self, warnings: Sequence[str]) -> None: ...

    def filter_parents(self) -> dict[str, int]:
        """Flag duplicates and children; returns children, duplicates, out_of_scope, roots and malformed."""

    def save_changes(
        self, *, local_entity: str, mapped: Sequence[str], client_policy: str, auto_create: bool
    ) -> dict[str, int]:
        """Turn this session's mapped rows into the change set; counts per action plus unchanged."""

    def save_plan_counts(self, *, unchanged: int, rejected: int, review: int) -> None: ...

    def quarantine(self, rejects: Sequence[Mapping[str, str]]) -> None: ...

    def apply_chunk(
        self,
        chunk_no: int,
        first_seq: int,
        last_seq: int,
        *,
        local_entity: str,
        mapped: Sequence[str],
        client_policy: str,
        key_prefix: str,
    ) -> dict[str, int]:
        """Projects, links, counters and ledger row of one chunk; returns created and updated."""

    def move_mark(self, mark: datetime | None, generation: int) -> None: ...

    def close(
        self,
        state: str,
        *,
        code: str | None = None,
        text: str | None = None,
        hint: str | None = None,
    ) -> None:
        """End the run and give the lease back."""


class SyncStore(Protocol):
    """Lease, fence and staging of runs. Only the database's clock is used."""

    def acquire(self, run: Run, ttl_s: int) -> bool:
        """Take the lease of the run's key; True also when this run already holds it."""

    def lease_holder(self, key: str) -> tuple[int, datetime] | None:
        """(run_id, taken_at) while the lease lives."""

    def enter_stage(self, run: Run, stage: str, ttl_s: int) -> int:
        """Raise the fence for this try of the stage; raises RunLost when the lease is another's."""

    def renew(self, run: Run, fence: int, ttl_s: int) -> None: ...

    def fenced(self, run: Run, fence: int, ttl_s: int) -> AbstractContextManager[Fenced]: ...

    def note_error(self, run: Run, fence: int, *, code: str, text: str, hint: str) -> None:
        """What the stage failed of; refused for an older try and for an ended run."""

    def state(self, connection_id: int, object_key: str) -> dict[str, Any] | None:
        """mark, generation, initial_done_at, resync_required of a connection and object."""

    def pages(self, run_id: int) -> list[tuple[int, int, str]]:
        """(page_no, records, digest) in order."""

    def staged_since(self, run_id: int, stamp: datetime) -> set[tuple[str | None, datetime]]: ...

    def staged_summary(
        self, run_id: int, stamp_limit: datetime
    ) -> tuple[int, int, datetime | None]:
        """(records, distinct records, greatest stamp not above the limit)."""

    def roots(
        self, run_id: int, after: tuple[int, int], limit: int
    ) -> list[tuple[int, int, str, datetime | None, str]]:
        """Unflagged records after (page_no, n): (page_no, n, external_id, updated_at, payload)."""

    def malformed(self, run_id: int) -> list[tuple[str | None, str, str]]:
        """(external_id, payload, problem) of records that fetch could not identify."""

    def begin_mapped(self, local_entity: str) -> None: ...

    def add_mapped(self, local_entity: str, rows: Iterable[Sequence[Any]]) -> None: ...

    def change_count(self, run_id: int) -> int: ...

    def chunks(self, run_id: int) -> list[tuple[int, int, int]]:
        """(chunk_no, first_seq, last_seq) applied so far."""


class ConnectionLookup(Protocol):
    """How a task gets its connection (Airflow's own Connection look-up, or the broker in one process)."""

    def __call__(self, provider_key: str, connection_key: str) -> ServedConnection: ...


class Progress(Protocol):
    """Structured events of a run, past tense: page_fetched, chunk_applied."""

    def __call__(self, event: str, **fields: Any) -> None: ...


class AuditStore(Protocol):
    def add(
        self,
        *,
        actor: str,
        action: str,
        target: str,
        detail: dict[str, Any],
        request_id: str | None,
    ) -> None: ...


class LocalProjectStore(Protocol):
    def list(
        self, *, after_id: int, limit: int, status: str | None
    ) -> Iterator[dict[str, Any]]: ...

    def unlinked_count(self, provider_key: str) -> int: ...


# --- what the bridge's admins stand on ----------------------------------------------------------


class Signer(Protocol):
    """Signs what leaves for a browser and comes back."""

    def sign(self, data: bytes) -> str: ...

    def verify(self, data: bytes, signature: str) -> bool: ...


@dataclass(frozen=True)
class Setting:
    """Settings of a connection's object; `revision` counts from 1."""

    connection_id: int
    object_key: str
    settings: dict[str, Any]
    schema_version: str
    revision: int
    updated_at: datetime
    updated_by: str


class SettingStore(Protocol):
    def get(self, connection_id: int, object_key: str) -> Setting | None:
        """None before the first save."""

    def save(
        self,
        *,
        connection_id: int,
        object_key: str,
        settings: dict[str, Any],
        schema_version: str,
        expected_revision: int,
        actor: str,
        request_id: str | None,
    ) -> Setting:
        """Raises ConflictingChange when somebody saved in between."""


@dataclass(frozen=True)
class Heartbeat:
    """`age_s` by the database's clock."""

    name: str
    at: datetime
    age_s: float
    detail: dict[str, Any]


class HeartbeatStore(Protocol):
    def beat(self, name: str, detail: dict[str, Any]) -> None: ...

    def read_all(self) -> list[Heartbeat]: ...


class AirflowClient(Protocol):
    """Airflow's REST API with the caller's own credential, so that Airflow names the real user.

    Raises NotSignedIn, Forbidden, TransientError (no answer, or Airflow's own trouble: the outcome
    is unknown) or ConfigurationError (Airflow refused the request).
    """

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Make the pool; the slots of one that exists are a person's choice and stay."""

    def upsert_connection(self, conn_id: str, *, conn_type: str, description: str) -> None:
        """The row without any secret that shows a Hub connection in Airflow's list."""

    def reparse(self) -> None:
        """Ask for a parse of the Hub's Dag file now."""

    def wait_for_dag(self, dag_id: str, tag: str, *, timeout_s: float) -> bool:
        """Whether the Dag carries the tag before the time is over."""

    def set_paused(self, dag_id: str, paused: bool) -> bool:
        """False when Airflow does not know the Dag."""

    def trigger(self, dag_id: str, dag_run_id: str, conf: Mapping[str, Any]) -> bool:
        """Make the Dag run; False when it is there already. Raises NotFound without the Dag."""

    def fail_run(self, dag_id: str, dag_run_id: str) -> bool:
        """End a Dag run as failed (its teardown still runs); False when Airflow does not know it."""

    def fail_active_runs(self, dag_id: str) -> int:
        """End every queued or running Dag run as failed; returns how many."""

    def health(self) -> dict[str, Any]:
        """What Airflow says of its own parts: status and heartbeat per part."""
