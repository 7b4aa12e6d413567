"""docs/requirements.md is true: every row once, every proof a file that exists, the totals as they are."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([A-Z0-9][\w.\u2013-]*) \| .* \| (done|partly|open) \| (.*)\|$", TEXT, re.M)


def test_every_row_stands_once() -> None:
    counted = Counter(key for key, _, _ in ROWS)
    assert [key for key, n in counted.items() if n > 1] == []
    assert len(counted) > 200


def test_every_proof_is_a_file_that_exists() -> None:
    named = {path for *_, proof in ROWS for path in re.findall(r"`(tests/[\w/.-]+)`", proof)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    assert [key for key, state, proof in ROWS if state == "done" and "`" not in proof] == []


def test_the_totals_are_counted() -> None:
    counted = Counter(state for _, state, _ in ROWS)
    said = re.search(r"^(\d+) done, (\d+) partly, (\d+) open\.$", TEXT, re.M)
    assert said is not None
    assert [int(n) for n in said.groups()] == [counted["done"], counted["partly"], counted["open"]]
