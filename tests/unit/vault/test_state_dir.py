"""What the broker keeps outside the database: the Hub's id, and pairs that wait to be saved."""

from __future__ import annotations

import stat
import threading
from datetime import datetime, timezone
from pathlib import Path

import pytest

from integrations_hub.errors import SettingInvalid
from integrations_hub.ports.credentials import NewPair, RefreshClaim, Sealed
from integrations_hub.vault.state_dir import TokenSpool, instance_id

AT = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
PAIR = NewPair(Sealed("k1", b"\x00sealed"), 3600, AT, "https://api.example")


def test_the_setting_wins_and_the_folder_keeps_an_id_made_once(tmp_path: Path) -> None:
    environ = {"HUB_STATE_DIR": str(tmp_path / "state")}
    made = instance_id(environ)
    assert len(made) == 32
    assert instance_id(environ) == made
    assert instance_id({"AIRFLOW_HOME": str(tmp_path / "state")}) == made
    assert instance_id({**environ, "HUB_INSTANCE_ID": " production "}) == "production"
    assert instance_id({"HUB_STATE_DIR": str(tmp_path / "other")}) != made
    assert instance_id({}) == ""


def test_many_starters_agree_on_one_id(tmp_path: Path) -> None:
    found: list[str] = []
    environ = {"HUB_STATE_DIR": str(tmp_path)}
    threads = [
        threading.Thread(target=lambda: found.append(instance_id(environ))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["instance_id"]


@pytest.mark.parametrize("bad", ["x" * 101, "a\nb", "ä"])
def test_an_id_that_cannot_be_told_apart_is_refused(tmp_path: Path, bad: str) -> None:
    with pytest.raises(SettingInvalid, match="usable id"):
        instance_id({"HUB_INSTANCE_ID": bad})
    (tmp_path / "instance_id").write_text(bad, encoding="utf-8")
    with pytest.raises(SettingInvalid, match="usable id"):
        instance_id({"HUB_STATE_DIR": str(tmp_path)})


def test_a_folder_that_cannot_be_written_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SettingInvalid) as caught:
        instance_id({"HUB_STATE_DIR": str(tmp_path / "file")})
    assert "HUB_INSTANCE_ID" in caught.value.hint


def test_a_spooled_pair_comes_back_whole_for_its_connection_only(tmp_path: Path) -> None:
    spool = TokenSpool(tmp_path / "spool")
    assert spool.find(7) == []
    for connection_id, version in ((7, 5), (7, 4), (70, 1)):
        spool.put(RefreshClaim(connection_id, "c", version, f"{version}:h"), PAIR)
    found = spool.find(7)
    assert [(claim.connection_id, claim.version, claim.intent) for claim, _ in found] == [
        (7, 4, "4:h"),
        (7, 5, "5:h"),
    ]
    assert found[0][1] == PAIR
    for claim, _ in found:
        spool.drop(claim)
        spool.drop(claim)
    assert (spool.find(7), len(spool.find(70))) == ([], 1)


def test_spooled_pairs_are_ours_alone_to_read(tmp_path: Path) -> None:
    TokenSpool(tmp_path / "spool").put(RefreshClaim(7, "c", 4), PAIR)
    [file] = (tmp_path / "spool").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_without_a_folder_nothing_is_spooled_and_that_is_said() -> None:
    assert TokenSpool(None).find(7) == []
    with pytest.raises(OSError, match="HUB_STATE_DIR"):
        TokenSpool(None).put(RefreshClaim(7, "c", 4), PAIR)
