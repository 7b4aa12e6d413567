from __future__ import annotations

import stat
from pathlib import Path

import pytest

from integrations_hub.cli.state import State, is_ours, state_folder
from integrations_hub.errors import ConfigurationError, SettingInvalid


def test_the_folder_is_made_private(tmp_path: Path) -> None:
    state = State(tmp_path / "a" / "state")
    state.claim()
    assert stat.S_IMODE(state.folder.stat().st_mode) == 0o700
    state.release()


def test_an_open_empty_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    state = State(folder)
    state.claim()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    state.release()


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    (folder / "letter.txt").write_text("mine")
    assert not is_ours(folder)
    state = State(folder)
    state.claim()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    state.release()


def test_a_second_start_on_the_same_folder_is_refused_with_the_process(tmp_path: Path) -> None:
    first, second = State(tmp_path), State(tmp_path)
    assert first.claim()
    assert not first.claim()
    with pytest.raises(ConfigurationError, match="already runs") as caught:
        second.claim()
    assert caught.value.code == "ALREADY_RUNNING"
    first.release()
    assert second.claim()
    second.release()


def test_a_broken_secrets_file_is_reported_and_kept(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{broken")
    with pytest.raises(SettingInvalid, match=r"secrets\.json"):
        State(tmp_path).secret("airflow_jwt_secret")
    assert (tmp_path / "secrets.json").read_text() == "{broken"


def test_an_unwritable_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingInvalid, match="cannot be made"):
        State(tmp_path / "file" / "state").claim()


def test_the_folder_is_named_by_the_setting_else_lies_in_the_repository(tmp_path: Path) -> None:
    assert state_folder({}, tmp_path) == tmp_path / ".hub"
    assert state_folder({"HUB_STATE_DIR": "/elsewhere/x"}, tmp_path) == Path("/elsewhere/x")
