from __future__ import annotations

import getpass
import json
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from integrations_hub.cli import databases, doctor
from integrations_hub.cli.main import app
from integrations_hub.errors import SecretKeyMissing, SettingInvalid

RUNNER = CliRunner()


def test_a_new_key_is_usable() -> None:
    done = RUNNER.invoke(app, ["secrets", "new-key"])
    assert done.exit_code == 0
    Fernet(done.stdout.strip())


def test_an_error_is_a_sentence_with_what_to_do_and_no_traceback() -> None:
    done = RUNNER.invoke(app, ["sandbox", "nobody"])
    assert done.exit_code == 1
    assert "There is no sandbox for 'nobody'." in done.stderr
    assert "What to do: Sandboxes: bqe." in done.stderr
    assert "Traceback" not in done.output


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_DEBUG", "true")
    done = RUNNER.invoke(app, ["sandbox", "nobody"])
    assert done.exception is not None
    assert done.exception.__class__.__name__ == "NotFound"


@pytest.mark.parametrize("missing", [KeyError, OSError])  # before Python 3.13, and since
def test_a_process_without_a_user_name_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: type[Exception]
) -> None:
    def getuser() -> str:
        raise missing("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(getpass, "getuser", getuser)
    monkeypatch.setenv("HUB_DATABASE_URL", "postgresql://nobody.invalid/hub")
    done = RUNNER.invoke(app, ["projects", "import", str(tmp_path / "projects.csv")])
    assert done.exit_code == 1
    assert "This process has no user name." in done.stderr
    assert "What to do: Set USER." in done.stderr
    assert "Traceback" not in done.output


def test_doctor_prints_json_and_fails_when_a_check_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", "mysql://nowhere")
    done = RUNNER.invoke(app, ["doctor", "--port", "0", "--json"])
    found = {finding["check"]: finding for finding in json.loads(done.stdout)}
    assert done.exit_code == 1
    assert not found["database"]["ok"]
    assert found["database"]["hint"]
    assert found["Python"]["ok"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://h/db",
        "postgresql://h",
        "postgresql://h:99999/db",
        "postgresql:///db",
    ],
)
def test_an_address_of_no_database_is_refused_with_the_form_expected(url: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        databases.check_url(url)
    assert "postgresql://user:password@host:5432/database" in caught.value.hint


def test_an_address_is_never_repeated_with_its_password() -> None:
    with pytest.raises(SettingInvalid) as caught:
        databases.check_url("mysql://hub:sesame@host/db")
    assert "sesame" not in str(caught.value)


def test_who_enables_integrations_himself_brings_the_key() -> None:
    with pytest.raises(SecretKeyMissing):
        doctor.check_secret_key({"INTEGRATIONS_ENABLED": "true"})
    assert doctor.check_secret_key({})
    key = Fernet.generate_key().decode()
    assert doctor.check_secret_key({"INTEGRATIONS_ENABLED": "true", "INTEGRATIONS_SECRET_KEY": key})


def test_an_old_python_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.sys, "version_info", (3, 9, 1))
    with pytest.raises(Exception, match=r"Python 3\.9\.1; the Hub needs 3\.10"):
        doctor.check_python()
