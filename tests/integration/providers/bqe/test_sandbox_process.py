"""The sandbox as a process: its ready line, real sockets, broken connections, stop and restart."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from tests.kit.sandbox import SandboxProcess
from tests.kit.sandbox_app import CALLBACK, CHALLENGE, VERIFIER, WEB

AUTHORIZED = {"Authorization": "Bearer static"}


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    """A running sandbox without quota."""
    with SandboxProcess("--no-quota", "--static-token", "static") as process:
        yield process


def get(sandbox: SandboxProcess, path: str, **params: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(sandbox.api + path, params=params, headers=AUTHORIZED, timeout=10)


def post(sandbox: SandboxProcess, form: dict[str, str]) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(f"{sandbox.identity}/connect/token", data={**WEB, **form}, timeout=10)


def connect(sandbox: SandboxProcess, company: str = "A") -> dict[str, str]:
    query = {
        "client_id": "hub-sandbox-web",
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "read:core offline_access",
        "state": "s",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    url = f"{sandbox.identity}/connect/authorize?{urlencode(query)}"
    callback = sandbox.consent(url, company=company)
    code = parse_qs(urlsplit(callback).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    return dict(post(sandbox, {**form, "code_verifier": VERIFIER}).json())


def test_answers_carry_one_date_and_truth_is_served(sandbox: SandboxProcess) -> None:
    sandbox.control("POST", "/clock", {"now": "2026-07-01T08:00:00Z"})
    answer = get(sandbox, "/project", fields="count(*)")
    assert answer.json() == [{"count": 1020}]
    assert answer.headers["date"] == "Wed, 01 Jul 2026 08:00:00 GMT"
    assert sandbox.truth() == {"roots": 120, "children": 900, "rejected": 3, "loadable": 117}


def test_gzip_arrives_whole(sandbox: SandboxProcess) -> None:
    answer = get(sandbox, "/project", page="1,1000")
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()) == 1000


def test_connection_breaks_mid_body(sandbox: SandboxProcess) -> None:
    sandbox.script({"reset": True}, path="/api/project")
    with pytest.raises(requests.exceptions.RequestException):
        get(sandbox, "/project", page="1,500")
    assert get(sandbox, "/project", page="1,500").status_code == 200


def test_truncated_body_is_a_complete_answer_of_broken_json(sandbox: SandboxProcess) -> None:
    sandbox.script({"truncate": 10}, path="/api/project")
    answer = get(sandbox, "/project", page="1,1", fields="id")
    assert answer.status_code == 200
    assert len(answer.content) == 10


def test_refresh_answer_is_lost_after_rotation(sandbox: SandboxProcess) -> None:
    refresh = connect(sandbox)["refresh_token"]
    sandbox.script({"lose_answer": True}, path="/idp/connect/token")
    form = {"grant_type": "refresh_token", "refresh_token": refresh}
    with pytest.raises(requests.exceptions.ConnectionError):
        post(sandbox, form)
    assert post(sandbox, form).json() == {"error": "invalid_grant"}
    assert sandbox.requests()[-2]["status"] == 0


def test_restarted_process_honours_the_living_grant(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.json"
    with SandboxProcess(state_file=path) as first:
        refresh = connect(first)["refresh_token"]
        ids = first.control("POST", "/touch", {"roots": 3})["ids"]
        assert first.stop() == 0
    with SandboxProcess(state_file=path) as second:
        form = {"grant_type": "refresh_token", "refresh_token": refresh}
        answer = post(second, form).json()
        assert answer["endpoint"] == f"{second.api}/"
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        last = requests.get(
            f"{second.api}/project?page=2,1000&fields=id", headers=headers, timeout=10
        ).json()
        assert [row["id"] for row in last[-3:]] == ids


def test_killed_process_keeps_its_tokens(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.json"
    with SandboxProcess(state_file=path) as first:
        refresh = connect(first)["refresh_token"]
        first.stop(kill=True)
    with SandboxProcess(state_file=path) as second:
        form = {"grant_type": "refresh_token", "refresh_token": refresh}
        assert post(second, form).status_code == 200


def test_big_portfolio_starts_and_pages() -> None:
    with SandboxProcess("--records", "5000", "--no-quota", "--static-token", "static") as big:
        assert big.truth() == {"roots": 4000, "children": 1000, "rejected": 0, "loadable": 4000}
        assert len(get(big, "/project", page="5,1000", orderBy="id asc").json()) == 1000
        assert get(big, "/project", page="6,1000", orderBy="id asc").status_code == 204


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "providers.bqe.sandbox.server", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_busy_port_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("--port", port)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", ["not json", "{}", '{"signing_key": "x", "tokens": {}}'])
def test_strange_state_file_is_a_sentence_and_stays(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sandbox.json"
    path.write_text(content)
    done = run("--state-file", str(path))
    assert done.returncode == 1
    assert "is not one of this sandbox" in done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_text() == content
