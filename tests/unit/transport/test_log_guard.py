"""The log guard: no secret passes in message, arguments or traceback; no record is dropped."""

import io
import logging

import pytest

from integrations_hub.transport.log_guard import LogGuard


@pytest.fixture
def log():
    """A logger of this test with a guard and what it wrote."""
    logger = logging.getLogger("tests.log_guard")
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    guard = LogGuard()
    logger.addFilter(guard)
    yield logger, guard, handler.stream
    logger.removeHandler(handler)
    logger.removeFilter(guard)


def test_arguments_are_redacted_at_every_level(log):
    logger, _, out = log
    logger.setLevel(logging.DEBUG)
    for level in (logging.DEBUG, logging.INFO, logging.ERROR):
        logger.log(
            level,
            "sent %s to %s",
            {"refresh_token": "s3cr3t-value"},
            "https://h.example/?code=s3cr3t-value",
        )
    assert "s3cr3t-value" not in out.getvalue()
    assert out.getvalue().count("\n") == 3


def test_tracebacks_are_redacted_with_their_causes(log):
    logger, _, out = log
    error = RuntimeError("https://h.example/?access_token=s3cr3t-value")
    error.__cause__ = ValueError("POST body client_secret=s3cr3t-value")
    logger.error("broken", exc_info=error)
    assert "s3cr3t-value" not in out.getvalue()
    assert "RuntimeError" in out.getvalue()
    assert "ValueError" in out.getvalue()


def test_a_hidden_value_is_masked_in_any_form(log):
    logger, guard, out = log
    guard.hide("opaque-token-1")
    logger.error("it was %s", ["opaque-token-1"])
    assert "opaque-token-1" not in out.getvalue()


def test_short_values_are_not_hidden(log):
    logger, guard, out = log
    guard.hide("run")
    logger.error("run 5")
    assert "run 5" in out.getvalue()


def test_a_message_that_does_not_fit_its_arguments_is_kept_without_them(log):
    logger, _, out = log
    logger.error("%d records", "client_secret=s3cr3t-value")
    assert "records" in out.getvalue()
    assert "s3cr3t-value" not in out.getvalue()
