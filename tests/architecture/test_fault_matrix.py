"""Every proof that docs/fault-matrix.md names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROOFS = sorted(
    set(re.findall(r"`(tests/[^`]+)`", (ROOT / "docs/fault-matrix.md").read_text(encoding="utf-8")))
)


@pytest.mark.parametrize("proof", PROOFS)
def test_a_proof_of_the_fault_matrix_exists(proof: str) -> None:
    file, _, name = proof.partition("::")
    assert f"def {name}" in (ROOT / file).read_text(encoding="utf-8")
