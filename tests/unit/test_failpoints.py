"""Failpoints: off by default, once at the nth passage, counted across processes."""

import pathlib
import signal
import subprocess
import sys

CODE = "from integrations_hub.failpoints import hit; hit('here'); print('alive'); hit('here'); print('well')"


def run(**environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CODE], env=environ, capture_output=True, text=True, check=False
    )


def test_nothing_happens_without_the_testing_switch():
    done = run(HUB_FAILPOINT="here:1:kill")
    assert (done.returncode, done.stdout.split()) == (0, ["alive", "well"])


def test_the_nth_passage_is_killed():
    done = run(HUB_TESTING="1", HUB_FAILPOINT="here:2:kill")
    assert (done.returncode, done.stdout.split()) == (-signal.SIGKILL, [])


def test_another_place_is_left_alone():
    assert run(HUB_TESTING="1", HUB_FAILPOINT="there:1:kill").returncode == 0


def test_raise_raises():
    assert (
        "FailpointError: failpoint here"
        in run(HUB_TESTING="1", HUB_FAILPOINT="here:1:raise").stderr
    )


def test_an_unknown_action_says_what_is_expected():
    assert (
        "expected kill, sleep or raise" in run(HUB_TESTING="1", HUB_FAILPOINT="here:1:boom").stderr
    )


def test_a_retried_process_goes_on_counting(tmp_path: pathlib.Path):
    environ = {"HUB_TESTING": "1", "HUB_FAILPOINT": "here:1:raise", "HUB_STATE_DIR": str(tmp_path)}
    assert run(**environ).returncode == 1
    assert run(**environ).stdout.split() == ["alive", "well"]
