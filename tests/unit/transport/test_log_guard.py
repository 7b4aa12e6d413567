"""The log guard: no secret passes in message, arguments or traceback; no record is dropped."""

import base64
import html
import io
import json
import logging
from urllib.parse import quote, quote_plus

import pytest

from integrations_hub.domain.redaction import MASK
from integrations_hub.transport.log_guard import GUARD, LogGuard, install


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


SECRET = 'Zq7/opaque+token=value&"x"\'1'


@pytest.mark.parametrize(
    "encode",
    [
        str,
        str.upper,
        lambda s: quote(s, safe=""),
        lambda s: quote(quote(s, safe=""), safe=""),
        quote_plus,
        lambda s: json.dumps({"k": s}),
        html.escape,
        lambda s: s.encode().hex(),
        lambda s: base64.b64encode(s.encode()).decode(),
        lambda s: base64.b64encode(b"x" + s.encode()).decode(),
        lambda s: base64.b64encode(b"id" + s.encode() + b"more").decode(),
        lambda s: base64.urlsafe_b64encode(b"id:" + s.encode()).decode(),
    ],
    ids=lambda encode: getattr(encode, "__name__", ""),
)
def test_a_hidden_value_is_masked_in_every_encoding(log, encode):
    logger, guard, out = log
    guard.hide(SECRET)
    logger.error("it was %s", encode(SECRET))
    assert MASK in out.getvalue()
    left = out.getvalue().lower()
    assert "opaque" not in left
    assert base64.b64encode(SECRET.encode())[8:24].decode().lower() not in left


@pytest.fixture
def installed():
    """The process-wide guard, taken off again."""
    before = logging.getLogRecordFactory()
    install()
    yield GUARD
    logging.setLogRecordFactory(before)


def test_once_installed_it_sees_every_record_of_ours_and_our_libraries(installed, caplog):
    caplog.set_level(logging.DEBUG)
    install()
    logging.getLogger("integrations_hub.anything.new").info("client_secret=%s", "s3cr3t-value")
    logging.getLogger("urllib3.connectionpool").debug("GET /?code=s3cr3t-value&state=x HTTP/1.1")
    error = RuntimeError("refresh_token=s3cr3t-value")
    logging.getLogger("bridge_api.app").error("broken", exc_info=error)
    assert len(caplog.records) == 3
    assert "s3cr3t-value" not in caplog.text
    assert "RuntimeError" in caplog.text


def test_a_record_is_copied_as_structlog_does_it(installed, caplog):
    logging.getLogger("integrations_hub.refresh").warning("client_secret=%s", "s3cr3t-value")
    (record,) = caplog.records
    copy = logging.makeLogRecord(vars(record))
    assert copy.name == "integrations_hub.refresh"
    assert copy.getMessage() == record.getMessage() == f"client_secret={MASK}"


def test_the_access_log_keeps_its_parts_and_loses_the_secrets(installed, caplog):
    caplog.set_level(logging.INFO, logger="uvicorn.access")
    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d',
        "127.0.0.1:1", "GET", "/hub/api/integrations/acme/callback?code=s3cr3t-value&state=s3cr3t-value", "1.1", 200,
    )  # fmt: skip
    (record,) = caplog.records
    assert len(record.args) == 5
    assert "callback?code=***&state=***" in record.getMessage()


def test_what_comes_from_outside_cannot_begin_a_line_or_steer_a_terminal(log):
    logger, _, out = log
    logger.error("the record %s is odd (%r)", "a\r\nERROR forged\u2028\x1b[31mred\x85", "b\nc")
    logger.error("broken", exc_info=ValueError("\x1b[2Jcleared\rgone"))
    logger.error("%(name)s has %(n)d", {"name": "x\ny", "n": 3})
    said = out.getvalue()
    assert [line for line in said.split("\n") if line.startswith("ERROR forged")] == []
    assert r"a\r\nERROR forged\u2028\x1b[31mred\x85 is odd ('b\nc')" in said
    assert r"x\ny has 3" in said
    assert not set(said) & set("\r\x1b\x85\u2028")


def test_it_remembers_a_few_hundred_values_and_forgets_the_oldest(log):
    logger, guard, out = log
    for number in range(301):
        guard.hide(f"opaque-{number:04d}-value")
    logger.error("opaque-0000-value opaque-0001-value opaque-0300-value")
    assert out.getvalue() == f"ERROR opaque-0000-value {MASK} {MASK}\n"
