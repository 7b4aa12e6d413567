from __future__ import annotations

import pytest

from integrations_hub.cli.demo_report import compare, show
from integrations_hub.errors import HubError

JOB = {"state": "succeeded", "created": 117, "updated": 0, "children": 900, "rejected": 3}


def test_equal_counts_pass() -> None:
    compare("Run 1", JOB, {"created": 117, "children": 900})


def test_every_difference_is_named_at_once() -> None:
    with pytest.raises(HubError) as caught:
        compare("Run 1", JOB, {"created": 118, "rejected": 3, "children": 901})
    assert caught.value.code == "DEMO_DIFFERS"
    assert "created is 117, the sandbox says 118" in caught.value.message
    assert "children skipped is 900, the sandbox says 901" in caught.value.message
    assert "rejected" not in caught.value.message


def test_the_summary_shows_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    show("Run 1: first sync", JOB)
    text = capsys.readouterr().out
    assert "Run 1: first sync" in text
    assert "117" in text
    assert "900" in text
