"""`make check` refuses secrets in the tree and in history; what is planted here is put together when the test runs."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCAN = ROOT / ".ci" / "secret_scan.py"


def _random(length: int) -> str:
    return secrets.token_hex(length)[:length].upper()


def _planted() -> dict[str, str]:
    """A line of each kind, and the value in it is new each time."""
    fernet = base64.urlsafe_b64encode(os.urandom(32)).decode()
    jwt_head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    jwt_body = base64.urlsafe_b64encode(b'{"sub":"1234567890","name":"x"}').decode().rstrip("=")
    return {
        "aws key": "aws = 'AKIA" + _random(16) + "'",
        "github token": "x = 'ghp_" + secrets.token_hex(18) + "'",
        "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
        "fernet key in .env": "INTEGRATIONS_SECRET_KEY=" + fernet,
        "fernet key in code": f"ring = Keyring.from_setting('{fernet}')",
        "fernet key in prose": f"the key was {fernet} until monday",
        "client secret in .env": "BQE_CLIENT_SECRET=" + secrets.token_hex(12),
        "client secret in yaml": "  client_secret: " + secrets.token_hex(12),
        "password in code": "password = 'S3" + _random(10) + "!'",
        "token": "token = '" + f"{jwt_head}.{jwt_body}.{secrets.token_urlsafe(32)}" + "'",
        "password in an address": "url = 'postgresql://hub:" + secrets.token_hex(8) + "@db/hub'",
        "slack": "hook = 'xoxb-" + "1" * 12 + "-" + "2" * 12 + "-" + secrets.token_hex(12) + "'",
    }


def _git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.test", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def _commit(folder: Path, text: str) -> None:
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "--allow-empty", "-m", text)


def _scan(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCAN), str(folder)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    _git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(".env\n", encoding="utf-8")
    (tmp_path / "code.py").write_text(
        "secret = 'client-secret-canary-1'\npassword = environ['PASSWORD']\n"
        "url = 'postgresql://user:password@host:5432/database'\nTOKEN=${TOKEN:-}\n"
        f"# {'0123456789abcdef' * 4} is a digest\n",
        encoding="utf-8",
    )
    _commit(tmp_path, "first")
    return tmp_path


def test_every_kind_is_found_where_it_stands_and_never_printed(repository: Path) -> None:
    planted = _planted()
    for name, line in planted.items():
        (repository / f"{name}.txt").write_text(f"first\n{line}\n", encoding="utf-8")
    told = _scan(repository)
    assert told.returncode == 1, told.stderr
    for name, line in planted.items():
        assert f"{name}.txt:2: " in told.stdout
        assert line[-12:-1] not in told.stdout


def test_a_tree_without_secrets_is_clean_and_what_git_ignores_is_not_looked_at(
    repository: Path,
) -> None:
    (repository / ".env").write_text(_planted()["fernet key in .env"], encoding="utf-8")
    assert _scan(repository).returncode == 0


def test_a_secret_in_a_deleted_file_of_history_is_found(repository: Path) -> None:
    assert _scan(repository).returncode == 0  # remembers what was clean until now
    leak = repository / "settings.env"
    leak.write_text(_planted()["client secret in .env"], encoding="utf-8")
    _commit(repository, "leak")
    leak.unlink()
    _commit(repository, "hide it")
    for _ in range(2):  # a finding is not remembered away
        told = _scan(repository)
        assert told.returncode == 1
        assert "history: settings.env (blob " in told.stdout


def test_a_clean_file_that_gets_a_secret_is_found(repository: Path) -> None:
    assert _scan(repository).returncode == 0
    code = repository / "code.py"
    code.write_text(code.read_text("utf-8") + _planted()["aws key"], encoding="utf-8")
    assert "code.py:6: " in _scan(repository).stdout


def test_make_check_runs_it() -> None:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    check = rules[rules.index("\ncheck:") : rules.index("\nfix:")]
    assert "secret_scan.py" in check
