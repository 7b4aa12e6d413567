"""What an admin does with the state of a connection's object: look, preview a change, change, read again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from integrations_hub.admin.forecast import Forecast, Forecasts
from integrations_hub.admin.rules import Actor, Rules
from integrations_hub.catalog.registry import Registry
from integrations_hub.domain.connection import Connection
from integrations_hub.domain.resync import OpenResync
from integrations_hub.domain.rule import Rule
from integrations_hub.domain.stamps import floor_to, parse_instant
from integrations_hub.errors import ConfigurationError
from integrations_hub.ports.runs import ResyncStore, State, StateStore


@dataclass(frozen=True)
class Seen:
    """`state` None: nothing was read yet and nobody set a mark. `resync`: the oldest open request."""

    state: State | None
    rule_generation: int
    resync: OpenResync | None


@dataclass(frozen=True)
class Preview:
    """What the next scheduled run would read.

    `listing`: full | incremental. `since` (naive UTC in the provider's clock) belongs to incremental.
    `effect`: unchanged | read_again | skipped | first_run; `text` says it in words. The forecast
    counts records that the Hub knows; records it has never seen come on top.
    """

    listing: str
    since: datetime | None
    effect: str
    text: str
    forecast: Forecast


@dataclass(frozen=True)
class States:
    """One state per connection and object; finish moves it, a person may correct it."""

    rules: Rules
    states: StateStore
    resyncs: ResyncStore
    registry: Registry
    forecasts: Forecasts

    def get(self, rule: Rule) -> Seen:
        """As it stands."""
        return Seen(
            self.states.get(rule.connection_id, rule.object_key),
            rule.generation,
            self.resyncs.oldest_open(rule.connection_id, rule.object_key),
        )

    def preview(self, rule: Rule, mark: datetime | None) -> Preview:
        """What a change of the mark would do; nothing is changed. Raises as `edit` would."""
        _refuse_without_mark(rule, mark)
        state = self.states.get(rule.connection_id, rule.object_key)
        in_force = state.mark if state and state.generation == rule.generation else None
        effect, text = _effect(rule, in_force, mark)
        listing, since = self._next_reading(rule, mark)
        connection = self.rules.connections.get(rule.provider_key, rule.connection_key)
        return Preview(listing, since, effect, text, self._forecast(connection, rule, since))

    def edit(
        self, rule: Rule, *, mark: datetime | None, expected_revision: int, actor: Actor
    ) -> State:
        """Set the mark (naive UTC in the provider's clock; None = the next run is a first run again).

        Raises LeaseHeld while a run works on it, ConflictingChange when the state has moved since it
        was looked at, ConfigurationError where the rule cannot be without a mark.
        """
        _refuse_without_mark(rule, mark)
        return self.states.edit(
            rule,
            mark=mark,
            expected_revision=expected_revision,
            actor=actor.name,
            request_id=actor.request_id,
        )

    def _next_reading(self, rule: Rule, mark: datetime | None) -> tuple[str, datetime | None]:
        obj = self.registry.get_object_catalog(rule.provider_key, rule.object_key)
        if rule.body.get("syncMode") == "full" or not obj.capabilities.delta:
            return "full", None
        if mark is not None:
            since = mark - timedelta(seconds=obj.overlap_s)
        elif rule.body.get("initialSyncMode") == "delta_only_after_date":
            given = parse_instant(str(rule.body["initialSyncSince"]))
            if given is None:
                return "full", None
            since = given.replace(tzinfo=None)
        else:
            return "full", None
        return "incremental", floor_to(since, obj.cursor_precision_s)

    def _forecast(self, connection: Connection, rule: Rule, since: datetime | None) -> Forecast:
        if since is None:
            return self.forecasts.of_everything(connection, rule.object_key)
        known = self.states.linked_since(rule.connection_id, rule.object_key, since)
        return self.forecasts.of_records(connection, known)


def _refuse_without_mark(rule: Rule, mark: datetime | None) -> None:
    if mark is None and rule.body.get("initialSyncMode") == "delta_only_from_now":
        raise ConfigurationError(
            f"The rule of {rule.lease_key} reads changes from a moment on, so it cannot be without a mark.",
            hint="Set an earlier mark, or choose another first run in the rule.",
            code="MARK_NEEDED",
        )


def _effect(rule: Rule, before: datetime | None, after: datetime | None) -> tuple[str, str]:
    if rule.body.get("syncMode") == "full":
        return "unchanged", "Every run of this rule reads the whole list: the mark has no effect."
    if before == after:
        return "unchanged", "The mark stays where it is."
    if after is None:
        return "first_run", "The next run is a first run again, as the rule's first run says."
    if before is None:
        return "skipped", (
            f"The next run is no first run any more: records that last changed before {_words(after)} "
            "are not read until they change, or until a sweep."
        )
    if after < before:
        return "read_again", (
            f"What changed from {_words(after)} to {_words(before)} is read again. "
            "What is unchanged here stays as it is."
        )
    return "skipped", (
        f"Changes from {_words(before)} to {_words(after)} that were not read yet are missed: "
        "they come with the record's next change, or with a sweep."
    )


def _words(stamp: datetime) -> str:
    return f"{stamp:%Y-%m-%d %H:%M:%S} UTC"
