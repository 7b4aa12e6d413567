"""Runs that are killed, frozen, overtaken, cut off and left without answers, and wrong engines that must be caught."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from integrations_hub.cli.embedded_postgres import EmbeddedPostgres
from tests.kit.crash_trial import KINDS, CrashWorld, fresh_template
from tests.kit.crash_variants import VARIANTS

_SEED = 20_260
_CAUGHT_WITHIN = 24
_SHOWN_BY = {
    "cursor_first": ("given_up", "placed"),
    "cursor_last": ("placed", "killed"),
    "no_fence": ("overtaken",),
    "looked_at_fence": ("overtaken",),
}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server of these tests' own, which they crash."""
    with tempfile.TemporaryDirectory(prefix="hub-crash-") as folder:
        server = EmbeddedPostgres(Path(folder) / "pg", fsync=False)
        server.start()
        try:
            yield server
        finally:
            server.destroy()


@pytest.fixture(scope="module")
def template(server: EmbeddedPostgres) -> str:
    """What every world's database is copied from."""
    return fresh_template(server, "crash_template")


def _trials(world: CrashWorld, seed: int, trials: int) -> None:
    for number in range(trials):
        wrong = world.trial(KINDS[number % len(KINDS)])
        assert wrong == [], f"seed {seed}, trial {number}: {world.happened}"


@pytest.mark.parametrize("seed", [_SEED])
def test_after_every_disturbance_and_two_clean_runs_every_invariant_holds(
    server: EmbeddedPostgres, template: str, tmp_path: Path, seed: int
) -> None:
    with closing(CrashWorld(server, template, tmp_path, seed)) as world:
        _trials(world, seed, 30)


@pytest.mark.deep
@pytest.mark.parametrize("seed", [_SEED + 1, _SEED + 2, _SEED + 3])
def test_after_every_disturbance_every_invariant_holds_in_the_long_count(
    server: EmbeddedPostgres, template: str, tmp_path: Path, seed: int
) -> None:
    with closing(CrashWorld(server, template, tmp_path, seed)) as world:
        _trials(world, seed, 50)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_engine_that_is_wrong_on_purpose_is_caught(
    server: EmbeddedPostgres, template: str, tmp_path: Path, variant: str
) -> None:
    with closing(CrashWorld(server, template, tmp_path, _SEED, variant)) as world:
        kinds = _SHOWN_BY[variant]
        assert any(world.trial(kinds[n % len(kinds)]) for n in range(_CAUGHT_WITHIN))
