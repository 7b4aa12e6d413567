"""Array literals of our own, read back by PostgreSQL."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations_hub.store.arrays import array
from integrations_hub.store.database import Database

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.none() | _TEXT | st.sampled_from(["NULL", "", '"', "\\", "{a,b}", " x "])))
def test_every_text_comes_back(database: Database, values: list[str | None]) -> None:
    row = database.row("SELECT %(literal)s::text[] AS values", {"literal": array(values)})
    assert row is not None
    assert row["values"] == values
