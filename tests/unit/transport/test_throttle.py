"""Waiting for the budget: slices with heartbeats, pauses that come late, waits that are too long."""

import pytest

from integrations_hub.errors import RateLimited
from integrations_hub.ports.outside import BudgetSlot
from integrations_hub.transport.throttle import Throttle
from tests.kit.fake_time import FakeClock


class FakeRows:
    """Answers from a list; the last one repeats."""

    def __init__(self, *slots: BudgetSlot, pauses: tuple[float, ...] = ()) -> None:
        self.slots, self.pauses = list(slots), list(pauses)
        self.released: list[str] = []
        self.tokens: list[str] = []
        self.paused: list[tuple[int, float]] = []

    def acquire(self, token, provider_key, connection_id, *, max_wait_s):
        self.tokens.append(token)
        return self.slots.pop(0) if len(self.slots) > 1 else self.slots[0]

    def release(self, token):
        self.released.append(token)

    def pause(self, connection_id, seconds):
        self.paused.append((connection_id, seconds))

    def paused_for(self, provider_key, connection_id):
        return self.pauses.pop(0) if self.pauses else 0.0

    def close(self):
        pass


def throttle(rows: FakeRows, clock: FakeClock) -> Throttle:
    return Throttle(rows, provider_key="acme", connection_id=7, clock=clock)


def test_a_free_slot_is_taken_without_sleeping():
    clock, rows = FakeClock(), FakeRows(BudgetSlot(True, 0.0))
    token = throttle(rows, clock).acquire(lambda: None)
    assert token == rows.tokens[0]
    assert clock.slept == []


def test_a_reserved_slot_is_slept_for_in_slices_with_heartbeats():
    clock, beats = FakeClock(), []
    throttle(FakeRows(BudgetSlot(True, 50.0)), clock).acquire(
        lambda: beats.append(clock.monotonic())
    )
    assert sum(clock.slept) == 50
    assert max(b - a for a, b in zip([0.0, *beats], [*beats, 50.0], strict=True)) <= 20


def test_a_pause_ordered_while_sleeping_is_waited_for_too():
    clock, rows = FakeClock(), FakeRows(BudgetSlot(True, 5.0), pauses=(12.0, 0.0))
    throttle(rows, clock).acquire(lambda: None)
    assert clock.monotonic() == 17


def test_a_pause_that_becomes_too_long_gives_the_place_back():
    rows = FakeRows(BudgetSlot(True, 5.0), pauses=(300.0,))
    with pytest.raises(RateLimited) as caught:
        throttle(rows, FakeClock()).acquire(lambda: None)
    assert caught.value.retry_after_s == 300
    assert rows.released == rows.tokens


def test_a_slot_beyond_a_minute_is_not_waited_for():
    clock = FakeClock()
    with pytest.raises(RateLimited) as caught:
        throttle(FakeRows(BudgetSlot(False, 90.0)), clock).acquire(lambda: None)
    assert (caught.value.retry_after_s, clock.slept) == (90.0, [])


def test_a_place_is_asked_for_again_until_one_is_free():
    full, rows = BudgetSlot(False, 0.0), None
    rows = FakeRows(full, full, full, BudgetSlot(True, 0.0))
    clock = FakeClock()
    throttle(rows, clock).acquire(lambda: None)
    assert len(rows.tokens) == 4
    assert len(set(rows.tokens)) == 1


def test_places_that_stay_taken_for_a_minute_raise():
    clock, beats = FakeClock(), []
    with pytest.raises(RateLimited):
        throttle(FakeRows(BudgetSlot(False, 0.0)), clock).acquire(lambda: beats.append(1))
    assert 59 <= clock.monotonic() <= 61
    assert len(beats) >= 3


def test_a_lost_lease_ends_the_wait_and_gives_the_place_back():
    rows = FakeRows(BudgetSlot(True, 40.0))

    def lost() -> None:
        raise RuntimeError("run lost")

    with pytest.raises(RuntimeError, match="run lost"):
        throttle(rows, FakeClock()).acquire(lost)
    assert rows.released == rows.tokens


def test_a_pause_is_of_the_connection():
    rows = FakeRows(BudgetSlot(True, 0.0))
    throttle(rows, FakeClock()).pause(3.0)
    assert rows.paused == [(7, 3.0)]
